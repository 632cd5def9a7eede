/*
 * frames.c -- frames of other processes, to where they belong
 */
#include "worker/process.h"

#include <errno.h>

#include "sql/client.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/home.h"
#include "worker/in.h"
#include "worker/jobs.h"
#include "worker/late.h"
#include "worker/leave.h"
#include "worker/listener.h"
#include "worker/modules.h"
#include "worker/outbox.h"
#include "worker/recover.h"
#include "worker/saved.h"
#include "worker/presence.h"
#include "worker/session.h"
#include "worker/sm.h"

static struct worker *
self(void *ctx)
{
    return ((struct proc *)ctx)->self;
}

static void
on_auth_result(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct worker *w = self(ctx);
    const struct ipc_auth_result *m = msg;
    struct conn *c = conn_find(w, m->conn);

    (void)from, (void)fd;
    if (!c)
        return;
    worker_begin(w, c);
    sasl_on_result(w, c, m);
    killpoint(SASL_ANSWERED);
    worker_commit(w);
    in_resume(w, c);
}

static void
on_auth_restarted(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)msg, (void)fd;
    sasl_on_restarted(self(ctx));
}

static void
on_route_bound(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct worker *w = self(ctx);
    const struct ipc_route_bound *m = msg;
    struct conn *c = conn_find(w, m->conn);

    (void)from, (void)fd;
    if (!c)
        return;
    worker_begin(w, c);
    c2s_on_bound(w, c, m);
    killpoint(BIND_ANSWERED);
    worker_commit(w);
    in_resume(w, c);
}

static void
on_route_present(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct worker *w = self(ctx);
    const struct ipc_route_present *m = msg;
    struct conn *c = conn_find(w, m->conn);

    (void)from, (void)fd;
    if (!c)
        return;
    worker_begin(w, c);
    session_on_present(w, c, m);
    killpoint(PRESENCE_SHOWN);
    worker_commit(w);
}

static void
on_route_sync(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct worker *w = self(ctx);

    (void)fd;
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (c->state == STREAM_OPEN || c->state == STREAM_BIND_WAIT ||
                c->state == STREAM_DETACHED) {
            session_resync(w, c);
            killpoint(SYNC_ONE);
        }
    }
    outbox_send(w, from, IPC_ROUTE_SYNCED, msg);
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (c->state != STREAM_BIND_WAIT)
            continue;
        worker_begin(w, c);
        stream_enter(w, c, STREAM_BIND);
        c2s_bind_again(w, c);
        worker_commit(w);
    }
}

static void
on_session_end(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct worker *w = self(ctx);
    const struct ipc_session_end *m = msg;
    struct conn *c = conn_find(w, m->conn);
    char *text;

    (void)from, (void)fd;
    if (!c || m->condition >= STREAM_ERRORS)
        return;
    text = m->text.n ? str_dup_c(&w->scratch, m->text) : NULL;
    worker_begin(w, c);
    stream_fail(w, c, (enum stream_error)m->condition, text);
    worker_commit(w);
}

static void
on_sessions_ended(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct worker *w = self(ctx);
    bool *ended = &w->ended[ipc_addr_slot(from)];

    (void)msg, (void)fd;
    if (!*ended)
        w->n_ended++; /* a successor of it says so once more */
    *ended = true;
    process_note_work(w);
}

static void
on_stop_busy(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)msg, (void)fd;
    process_note_work(self(ctx));
}

static void
on_sessions_back(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)msg, (void)fd;
    saved_on_back(self(ctx));
}

static void
on_deliver(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    process_note_work(self(ctx));
    deliver_on_frame(self(ctx), msg);
}

static void
on_fanout(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    process_note_work(self(ctx));
    fanout_on_frame(self(ctx), msg);
}

static void
on_sm_resume(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    sm_on_resume(self(ctx), msg);
}

static void
on_sm_session(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_sm_session *m = msg;

    (void)from, (void)fd;
    if (!m->found || m->token.n == SM_TOKEN)
        sm_on_session(self(ctx), m);
}

static void
on_sm_item(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    sm_on_item(self(ctx), msg);
}

static void
on_sm_barrier(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    late_on_barrier(self(ctx), msg);
}

static void
on_sm_pass(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    late_on_pass(self(ctx), msg);
}

static void
on_sm_end(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    sm_on_end(self(ctx), msg);
}

static void
on_home(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    process_note_work(self(ctx));
    home_on_frame(self(ctx), msg);
}

static void
on_notify(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)fd;
    notify_on_frame(self(ctx), from, msg);
}

static void
on_notified(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    jobs_on_notified(self(ctx), msg);
}

static void
on_account_reply(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    jobs_on_auth_reply(self(ctx), msg);
}

static void
on_sql_reply(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)fd;
    sql_client_on_reply(self(ctx)->sql, from, msg);
}

static void
on_sql_restarted(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)msg, (void)fd;
    sql_client_on_restarted(self(ctx)->sql, from);
}

static void
on_sql_back(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)msg, (void)fd;
    jobs_on_database(self(ctx));
}

static void
on_kept(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_conn *m = msg;

    (void)from;
    recover_conn(self(ctx), m->conn, take_fd(fd));
}

static void
on_kept_all(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct worker *w = self(ctx);
    const struct ipc_kept_all *m = msg;

    (void)from, (void)fd;
    /* An answer to a predecessor that died meanwhile is not ours: it had the first
     * part. */
    if (!w->recovering || m->question != w->keeper_question)
        return;
    w->kept_all = true; /* not within the frame's transaction: it may end thousands */
    loop_again(w->loop);
}

static void
on_keeper_empty(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct worker *w = self(ctx);

    (void)from, (void)msg, (void)fd;
    recover_keeper(w);
    if (w->recovering)
        recover_ask(w); /* the one that died may have taken the question with it */
}

static void
on_leave(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)msg, (void)fd;
    leave_begin(self(ctx));
}

static void
on_listener(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct worker *w = self(ctx);

    (void)from, (void)msg, (void)fd;
    if (w->serving && !w->leaving)
        listener_open(w, w->proc->n_listeners - 1);
}

/* A command for a module: of the host that the second argument names, or the first. */
static void
module_call(struct worker *w, ipc_addr from, const struct ipc_call *m)
{
    struct ipc_list args = m->args;
    struct str first = STR_NULL, second = STR_NULL;
    const struct conf_host *host;
    const struct module_call *call;
    const struct module *module;

    ipc_list_next(&args, &first);
    ipc_list_next(&args, &second);
    host = conf_host_find(w->proc->conf, first);
    call = host ? module_call_find(w, host, m->name, &module) : NULL;
    if (!call || call->account) {
        host = conf_host_find(w->proc->conf, second);
        if (!host)
            host = &w->proc->conf->hosts[0];
        call = module_call_find(w, host, m->name, &module);
    }
    if (call)
        job_begin_call(w, module, call, host, from, m);
    else
        proc_reply(w->proc, from, IPC_PROC_REPLY, m->id, IPC_INVALID,
                STR("no module of that host knows this command"));
}

static void
on_proc_call(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct worker *w = self(ctx);
    const struct ipc_call *m = msg;
    struct buf out = { 0 };
    struct slab_stats slab;
    struct xml_pool_stats pool;

    (void)fd;
    if (!str_eq_c(m->name, "memory")) {
        module_call(w, from, m);
        return;
    }
    slab_get_stats(w->slab, &slab);
    xml_pool_stats(w->pool, &pool);
    buf_addf(&out,
            "connections %u\nconnection_bytes %zu\nslot_chunk_bytes %llu\nslot_pages "
            "%u\n"
            "parsers_idle %zu\nparsers_out %zu\n",
            w->n_conns, sizeof(struct conn) + sizeof(struct live),
            (unsigned long long)slab.bytes_used, slab.pages_used, pool.n_idle,
            pool.n_out);
    proc_reply(ctx, from, IPC_PROC_REPLY, m->id, IPC_OK, buf_str(&out));
    buf_fini(&out);
}

const ipc_handler_fn worker_handlers[IPC_TYPES] = {
    [IPC_AUTH_RESULT] = on_auth_result,
    [IPC_AUTH_RESTARTED] = on_auth_restarted,
    [IPC_ROUTE_BOUND] = on_route_bound,
    [IPC_ROUTE_PRESENT] = on_route_present,
    [IPC_ROUTE_SYNC] = on_route_sync,
    [IPC_SESSION_END] = on_session_end,
    [IPC_DELIVER] = on_deliver,
    [IPC_FANOUT] = on_fanout,
    [IPC_SM_RESUME] = on_sm_resume,
    [IPC_SM_SESSION] = on_sm_session,
    [IPC_SM_ITEM] = on_sm_item,
    [IPC_SM_END] = on_sm_end,
    [IPC_SM_BARRIER] = on_sm_barrier,
    [IPC_SM_PASS] = on_sm_pass,
    [IPC_SESSIONS_ENDED] = on_sessions_ended,
    [IPC_STOP_BUSY] = on_stop_busy,
    [IPC_SESSIONS_BACK] = on_sessions_back,
    [IPC_HOME] = on_home,
    [IPC_NOTIFY] = on_notify,
    [IPC_ACCOUNT_REPLY] = on_account_reply,
    [IPC_NOTIFIED] = on_notified,
    [IPC_SQL_REPLY] = on_sql_reply,
    [IPC_SQL_RESTARTED] = on_sql_restarted,
    [IPC_LEAVE] = on_leave,
    [IPC_SQL_BACK] = on_sql_back,
    [IPC_KEPT] = on_kept,
    [IPC_KEPT_ALL] = on_kept_all,
    [IPC_KEEPER_EMPTY] = on_keeper_empty,
    [IPC_LISTENER] = on_listener,
    [IPC_PROC_CALL] = on_proc_call,
};
