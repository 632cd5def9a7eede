/*
 * call.c -- questions to other processes, and their answers
 *
 * A question is a number and a timer. A process that dies keeps its mailbox, so its
 * successor answers what was asked before, and the caller only waits a little longer;
 * one that never answers is what the timer is for. Answers whose question is not
 * waiting any more are dropped. Numbers start anywhere, so that an answer to this
 * process's predecessor is not taken for one of ours.
 */
#include "admin/call.h"

#include "admin/admin.h"
#include "base/mem.h"
#include "sql/client.h"
#include "xmpp/jid.h"

struct call {
    struct list node;       /* in the admin's calls */
    struct list of_request; /* in the request's */
    struct loop_timer timer;
    struct request *rq;
    uint64_t id;
    ipc_addr to;
    call_fn fn;
};

/*
 * A question to the database is the sql client's until it is answered, so it outlives
 * its request, which it then does not know any more.
 */
struct sql_question {
    struct list of_request;
    struct request *rq; /* NULL: has ended */
    call_sql_fn fn;
};

static void
call_end(struct call *call)
{
    loop_timer_cancel(call->rq->p->loop, &call->timer);
    list_del(&call->node);
    list_del(&call->of_request);
    mem_free_p(call);
}

void
call_cancel(struct request *rq)
{
    list_for_safe(node, &rq->calls) call_end(list_entry(node, struct call, of_request));
    list_for_safe(node, &rq->sql_questions)
    {
        list_entry(node, struct sql_question, of_request)->rq = NULL;
        list_del(node);
    }
}

static void
on_timeout(struct loop_timer *timer)
{
    struct call *call = container_of(timer, struct call, timer);
    struct request *rq = call->rq;
    call_fn fn = call->fn;
    ipc_addr to = call->to;
    struct buf text = { 0 };

    buf_addf(&text, "%s %u did not answer within %u seconds",
            proc_role_name(ipc_addr_role(to)), ipc_addr_slot(to),
            rq->timeout_ms / 1000);
    call_end(call);
    fn(rq, to,
            &(struct ipc_reply){ .status = IPC_UNAVAILABLE, .text = buf_str(&text) });
    buf_fini(&text);
}

static struct call *
call_new(struct request *rq, ipc_addr to)
{
    struct call *call = mem_zalloc(sizeof *call);

    call->rq = rq;
    call->to = to;
    call->id = rq->admin->next_call_id++;
    call->timer.fn = on_timeout;
    list_add(&rq->admin->calls, &call->node);
    list_add(&rq->calls, &call->of_request);
    if (rq->timeout_ms > 0)
        loop_timer_set(rq->p->loop, &call->timer, rq->timeout_ms);
    return call;
}

void
call_start(struct request *rq, ipc_addr to, enum ipc_type type, const char *name,
        const struct str *arg, size_t n_args, call_fn fn)
{
    struct call *call = call_new(rq, to);
    struct ipc_call msg = { .id = call->id, .name = str_from(name) };
    struct buf args = { 0 };

    call->fn = fn;
    for (size_t i = 0; i < n_args; i++)
        ipc_list_add(&args, arg[i]);
    msg.args = ipc_list_of(&args);
    proc_send(rq->p, to, type, &msg);
    if (args.p)
        mem_wipe(args.p, args.n); /* there may be a password in it */
    buf_fini(&args);
}

static void
call_home(struct request *rq, struct str of, const char *name, const struct str *arg,
        size_t n_args, call_fn fn)
{
    call_start(rq, ipc_addr_of(PROC_WORKER, proc_home_of(rq->p, of)), IPC_PROC_CALL,
            name, arg, n_args, fn);
}

void
call_account_home(struct request *rq, const char *name, const struct str *arg,
        size_t n_args, call_fn fn)
{
    struct jid jid = { .local = arg[0], .domain = arg[1] };

    call_home(rq, jid_text(&rq->arena, &jid), name, arg, n_args, fn);
}

void
call_host_home(struct request *rq, const char *name, const struct str *arg,
        size_t n_args, call_fn fn)
{
    call_home(rq, arg[0], name, arg, n_args, fn);
}

static struct call *
call_find(struct admin *admin, ipc_addr from, uint64_t id)
{
    list_for(node, &admin->calls)
    {
        struct call *call = list_entry(node, struct call, node);

        if (call->id == id && call->to == from)
            return call;
    }
    return NULL;
}

static void
answered(struct call *call, const struct ipc_reply *reply)
{
    struct request *rq = call->rq;
    struct loop *loop = rq->p->loop;
    call_fn fn = call->fn;
    ipc_addr from = call->to;

    call_end(call);
    fn(rq, from, reply);
    loop_again(loop);
}

void
call_on_reply(struct admin *admin, ipc_addr from, const struct ipc_reply *reply)
{
    struct call *call = call_find(admin, from, reply->id);

    if (call)
        answered(call, reply);
}

/* One that was asked before that number. */
static struct call *
call_find_to(struct admin *admin, ipc_addr to, uint64_t before)
{
    list_for(node, &admin->calls)
    {
        struct call *call = list_entry(node, struct call, node);

        if (call->to == to && call->id < before)
            return call;
    }
    return NULL;
}

void
call_on_successor(struct admin *admin, ipc_addr of)
{
    struct ipc_reply reply = { .status = IPC_UNAVAILABLE,
        .text = STR("another process has taken its place meanwhile, and does not know "
                    "whether it was done; ask again") };
    uint64_t now = admin->next_call_id;
    struct call *call;

    while ((call = call_find_to(admin, of, now)))
        answered(call, &reply);
}

static void
on_sql_done(void *arg, const struct sql_result *result)
{
    struct sql_question *q = arg;
    struct request *rq = q->rq;

    list_del(&q->of_request);
    if (rq) {
        q->fn(rq, result);
        loop_again(rq->p->loop);
    }
    mem_free_p(q);
}

static void
ask_sql(struct request *rq, struct str host, enum sql_which which, enum sql_op op,
        const struct sql_value *param, size_t n_params, call_sql_fn fn)
{
    struct sql_question *q = mem_zalloc(sizeof *q);
    struct sql_call call = { .op = op,
        .which = which,
        .host = host,
        .timeout_ms = rq->timeout_ms,
        .param = param,
        .n_params = n_params,
        .done = on_sql_done,
        .arg = q };

    q->rq = rq;
    q->fn = fn;
    list_add(&rq->sql_questions, &q->of_request);
    if (sql_client_ask(rq->admin->sql, &call) < 0)
        on_sql_done(q, &(struct sql_result){ .status = SQL_UNAVAILABLE });
}

void
call_sql(struct request *rq, struct str host, enum sql_op op,
        const struct sql_value *param, size_t n_params, call_sql_fn fn)
{
    ask_sql(rq, host, SQL_WHICH_DEFAULT, op, param, n_params, fn);
}

void
call_sql_module(struct request *rq, struct str host, const char *module, enum sql_op op,
        const struct sql_value *param, size_t n_params, call_sql_fn fn)
{
    const struct conf_host *h = conf_host_find(rq->p->conf, host);
    const struct conf_module *m = h ? conf_module_find(h, str_from(module)) : NULL;
    struct str type = m ? conf_module_text(m, "db_type") : STR_NULL;

    ask_sql(rq, host,
            !type.n                    ? SQL_WHICH_DEFAULT
            : str_eq(type, STR("sql")) ? SQL_WHICH_SQL
                                       : SQL_WHICH_EMBEDDED,
            op, param, n_params, fn);
}

void
call_failed(struct request *rq, enum ipc_status status, struct str text)
{
    static const char *const kinds[] = {
        [IPC_OK] = NULL,
        [IPC_NOT_FOUND] = "not_found",
        [IPC_CONFLICT] = "conflict",
        [IPC_INVALID] = "invalid",
        [IPC_DENIED] = "not_allowed",
        [IPC_UNAVAILABLE] = "unavailable",
        [IPC_FAILED] = "failed",
    };
    const char *kind = status < ARRAY_LEN(kinds) ? kinds[status] : "failed";

    result_error(&rq->result, kind, 0, "%.*s",
            STR_ARG(text.n ? text : STR("no reason was given")));
}

void
call_done(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status == IPC_OK)
        result_ok(&rq->result);
    else
        call_failed(rq, reply->status, reply->text);
}
