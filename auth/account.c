/*
 * account.c -- questions about accounts, from the admin process and the workers
 *
 *     check_account, remove        SQL, then the answer
 *     register, change_password    WORK (new keys), then SQL, then the answer
 *     register_from                the same for somebody whom we do not know
 *     check_password               SQL, then WORK (PBKDF2), then the answer
 *
 * register_from also has the id of the change, so that whoever does not know whether
 * an account was made may ask again and does not find his own in his way; and a source
 * (a network address, or an account), which may do so once in registration_timeout.
 * Since when is forgotten when this process dies.
 */
#include <errno.h>
#include <string.h>

#include "auth/auth.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "proc/proc.h"
#include "xmpp/jid.h"

enum {
    ACCOUNT_CALL_ARGS_MAX = 5
};

struct account_call;

struct account_op {
    const char *name;
    size_t n_args; /* user, host, perhaps password, perhaps id and source */
    enum sql_op sql;
    bool makes_keys, checks, limited;
};

static const struct account_op account_ops[] = {
    { .name = "register", .n_args = 3, .sql = SQL_USER_CREATE, .makes_keys = true },
    { .name = "register_from",
            .n_args = 5,
            .sql = SQL_USER_CREATE,
            .makes_keys = true,
            .limited = true },
    { .name = "change_password",
            .n_args = 3,
            .sql = SQL_USER_UPDATE,
            .makes_keys = true },
    { .name = "check_password", .n_args = 3, .sql = SQL_USER_GET, .checks = true },
    { .name = "remove", .n_args = 2, .sql = SQL_USER_DEL },
    { .name = "check_account", .n_args = 2, .sql = SQL_USER_EXISTS },
};

struct account_call {
    struct list node; /* in auth.calls */
    struct auth *auth;
    const struct account_op *op;
    ipc_addr from;
    uint64_t id;
    struct auth_policy policy;
    struct arena arena;
    struct query_target target;
    struct str password; /* as given; all in the arena */
    uint64_t source;     /* register_from: in auth.registered; 0: not noted there */
    struct creds *creds; /* check_password, at WORK */
    struct query query;
    struct work work;
};

/* The random half of the id. */
static uint64_t
change_of(const struct account_call *c)
{
    uint64_t change;

    memcpy(&change, c->query.id.b + sizeof c->query.id.b - sizeof change,
            sizeof change);
    return change;
}

static void
call_reply(struct account_call *c, enum ipc_status status, const char *text)
{
    struct auth *auth = c->auth;

    if (c->source && status != IPC_OK)
        recent_undo(auth->registered, c->source, change_of(c));
    proc_reply(auth->proc, c->from, IPC_ACCOUNT_REPLY, c->id, status, str_from(text));
    query_cancel(&c->query);
    work_cancel(&auth->work, &c->work);
    creds_free(&c->creds);
    list_del(&c->node);
    auth->n_calls--;
    arena_fini(&c->arena);
    mem_wipe(c, sizeof *c);
    mem_free_p(c);
}

static void
call_make_keys(struct account_call *c)
{
    struct cred_row *rows = arena_alloc(&c->arena, CRED_ROWS_MAX * sizeof *rows);
    size_t n;

    if (creds_make(&c->arena, &c->policy, c->password, rows, &n) < 0) {
        call_reply(c, IPC_INVALID, "the password is empty, too long, or not allowed");
        return;
    }
    query_start(&c->query, c->auth->sql, c->op->sql, &c->target, rows, n);
}

static void
call_check(struct account_call *c)
{
    if (creds_verify(
                c->creds, &c->policy, &c->arena, c->password, STR("0123456789abcdef")))
        call_reply(c, IPC_OK, "");
    else
        call_reply(c, IPC_DENIED, "wrong password, or no such account");
}

static void
on_work(struct work *work)
{
    struct account_call *c = container_of(work, struct account_call, work);

    if (c->op->makes_keys)
        call_make_keys(c);
    else
        call_check(c);
}

static void
call_wait_for_work(struct account_call *c)
{
    if (work_add(&c->auth->work, &c->work) < 0)
        call_reply(c, IPC_UNAVAILABLE, "too much is waiting; try again later");
}

static void
on_answer(struct query *query, enum ipc_status status)
{
    struct account_call *c = container_of(query, struct account_call, query);
    const char *text = "";

    if (c->op->checks && status == IPC_OK) {
        c->creds = query_take_creds(query);
        call_wait_for_work(c);
        return;
    }
    switch (status) {
    case IPC_OK:
        break;
    case IPC_NOT_FOUND:
        text = "no such account";
        break;
    case IPC_CONFLICT:
        text = "the account exists already";
        break;
    case IPC_UNAVAILABLE:
        text = "the database does not answer; try again later";
        break;
    case IPC_INVALID:
    case IPC_DENIED:
    case IPC_FAILED:
        text = "the database refused that";
        break;
    }
    call_reply(c, status, text);
}

static const struct account_op *
op_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(account_ops); i++) {
        if (str_eq_c(name, account_ops[i].name))
            return &account_ops[i];
    }
    return NULL;
}

/* Nobody is without a limit here, as in ejabberd. */
static uint64_t
source_key(const struct limit *l, struct str source)
{
    uint64_t key = limit_key_of_address(l, source);

    return key == LIMIT_NOBODY ? limit_key(l, STR("nobody"), STR("")) : key;
}

/* May it be done now? If so it is noted. */
static bool
call_is_due(struct account_call *c, struct str source)
{
    struct auth *auth = c->auth;
    uint64_t key = source_key(auth->addresses, source),
             now_ms = loop_now_ms(auth->proc->loop);

    if (auth->registration_ms == CONF_INFINITY)
        return true;
    if (!auth->registered)
        auth->registered = recent_new();
    if (!recent_begin(auth->registered, key, change_of(c), now_ms,
                now_ms + auth->registration_ms))
        return false;
    c->source = key;
    return true;
}

/* NULL, or why not. */
static const char *
call_prepare(struct account_call *c, const struct ipc_call *m, struct str *ret_source)
{
    struct str arg[ACCOUNT_CALL_ARGS_MAX] = { { NULL, 0 } }, extra;
    struct ipc_list args = m->args;
    const struct auth_host *host;
    struct str user, name;
    size_t n = 0;

    while (n < c->op->n_args && ipc_list_next(&args, &arg[n]))
        n++;
    if (n < c->op->n_args || ipc_list_next(&args, &extra))
        return "wrong number of arguments";
    if (jid_prep_local(&c->arena, arg[0], &user) < 0)
        return "not a user name";
    if (jid_prep_domain(&c->arena, arg[1], &name) < 0)
        return "not a host name";
    host = auth_find_host(c->auth, name);
    if (!host)
        return "this host is not served";
    c->policy = host->policy;
    c->target = host->target;
    c->target.user = str_dup(&c->arena, user);
    c->target.host = str_dup(&c->arena, name);
    if (n > 2)
        c->password = str_dup(&c->arena, arg[2]);
    if (c->op->makes_keys && password_prep(&c->arena, c->password, &extra) < 0)
        return "the password is empty, too long, or not allowed";
    if (c->op->limited && arg[3].n != sizeof c->query.id.b)
        return "not the id of a change";
    if (c->op->limited)
        memcpy(c->query.id.b, arg[3].p, arg[3].n);
    *ret_source = arg[4];
    return NULL;
}

/* Asked again before it was answered: one answer is enough. */
static bool
is_under_way(const struct auth *auth, ipc_addr from, uint64_t id)
{
    list_for(pos, &auth->calls)
    {
        const struct account_call *c = list_entry(pos, struct account_call, node);

        if (c->from == from && c->id == id)
            return true;
    }
    return false;
}

void
account_on_call(struct auth *auth, ipc_addr from, const struct ipc_call *m)
{
    const struct account_op *op = op_find(m->name);
    struct account_call *c;
    struct str source;
    const char *wrong;

    if (is_under_way(auth, from, m->id))
        return;
    if (!op) {
        proc_reply(auth->proc, from, IPC_ACCOUNT_REPLY, m->id, IPC_INVALID,
                STR("no such question"));
        return;
    }
    if (auth->n_calls >= AUTH_CALLS_MAX) {
        proc_reply(auth->proc, from, IPC_ACCOUNT_REPLY, m->id, IPC_UNAVAILABLE,
                STR("too much is waiting; try again later"));
        return;
    }
    c = mem_zalloc(sizeof *c);
    c->auth = auth;
    c->op = op;
    c->from = from;
    c->id = m->id;
    c->query.on_answer = on_answer;
    c->query.timeout_ms = auth->sql_timeout_ms;
    work_init(&c->work, on_work);
    arena_init(&c->arena, 4096);
    list_add(&auth->calls, &c->node);
    auth->n_calls++;
    wrong = call_prepare(c, m, &source);
    if (wrong)
        call_reply(c, IPC_INVALID, wrong);
    else if (op->limited && !call_is_due(c, source))
        call_reply(c, IPC_DENIED, "too soon after the last one");
    else if (op->makes_keys)
        call_wait_for_work(c);
    else
        query_start(&c->query, auth->sql, op->sql, &c->target, NULL, 0);
}

void
accounts_end(struct auth *auth)
{
    list_for_safe(pos, &auth->calls)
            call_reply(list_entry(pos, struct account_call, node), IPC_UNAVAILABLE,
                    "the service is stopping");
}
