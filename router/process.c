/*
 * process.c -- the router process
 *
 * It changes the route table when workers ask for it, and answers when that is done. It
 * is not on the way of any stanza: while there is no router, bound sessions go on
 * talking to each other, and only binds and presences wait in its mailbox.
 *
 * It keeps nothing that matters outside of the table. After a death the successor takes
 * the table over as it is, serves at once, and asks all workers for their sessions;
 * what they say is right. A frame that died with its reader is sent again by the worker
 * before it says that it has named all (router.h), and every handler here may be
 * repeated.
 */
#include "router/router.h"

#include <inttypes.h>
#include <string.h>

#include "base/killpoint.h"
#include "base/mem.h"
#include "router/bind.h"
#include "router/route.h"
#include "router/sync.h"
#include "router/table.h"
#include "xmpp/error.h"

enum {
    SWEEP_BUCKETS = 1 << 14
}; /* a turn: a few milliseconds at the most */

struct router {
    struct proc *p;
    struct table *table;
    struct route_table view; /* for statistics */
    struct sync sync;
    struct loop_turn turn;
    struct bind_outcome outcome;
    struct table_session found[ROUTE_RESOURCES_MAX];
    uint64_t n_swept_logged;
};

static struct router *
router_of(void *ctx)
{
    const struct proc *p = ctx;

    return p->self;
}

/* A worker speaks of its own connections only. */
static bool
owns(ipc_addr from, uint64_t conn)
{
    if (conn != 0 && conn_id_slot(conn) == ipc_addr_slot(from))
        return true;
    log_debug(NULL, "worker %u speaks of a connection of worker %u",
            ipc_addr_slot(from), conn_id_slot(conn));
    return false;
}

static const struct table_session *
session_find(struct router *r, struct str bare, uint64_t conn)
{
    size_t n = table_sessions(r->table, bare, r->found, ROUTE_RESOURCES_MAX);

    for (size_t i = 0; i < n; i++) {
        if (r->found[i].conn == conn)
            return &r->found[i];
    }
    return NULL;
}

static void
session_end(struct router *r, uint64_t conn, bool no_room)
{
    struct ipc_session_end end = {
        .conn = conn,
        .condition = no_room ? STREAM_ERROR_RESOURCE_CONSTRAINT : STREAM_ERROR_CONFLICT,
        .text = no_room ? STR("Too many sessions") : STR("Replaced by new connection"),
    };

    proc_count(r->p, COUNTER_ROUTE_REPLACED, 1);
    proc_send(
            r->p, ipc_addr_of(PROC_WORKER, conn_id_slot(conn)), IPC_SESSION_END, &end);
}

static void
answer_present(struct router *r, ipc_addr to, uint64_t conn, uint32_t serial, bool was)
{
    struct ipc_route_present present = {
        .conn = conn, .serial = serial, .was_available = was
    };

    proc_send(r->p, to, IPC_ROUTE_PRESENT, &present);
}

static void
on_bind(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct router *r = router_of(ctx);
    const struct ipc_route_bind *m = msg;
    struct bind_outcome *out = &r->outcome;
    uint32_t epoch = sync_epoch(&r->sync, ipc_addr_slot(from));

    (void)fd;
    if (!owns(from, m->conn))
        return;
    if (m->resync)
        bind_again(r->table, m, epoch, out);
    else
        bind_new(r->table, m, epoch, out);
    for (unsigned i = 0; i < out->n_ended; i++)
        session_end(r, out->ended[i],
                out->status == ROUTE_FULL && out->ended[i] == m->conn);
    if (!m->resync) {
        struct ipc_route_bound bound = {
            .conn = m->conn,
            .status = (uint8_t)out->status,
            .resource = out->status == ROUTE_OK ? out->resource : STR_NULL,
        };

        proc_count(r->p, COUNTER_ROUTE_BINDS, 1);
        killpoint(ROUTE_BOUND);
        proc_send(r->p, from, IPC_ROUTE_BOUND, &bound);
        killpoint(ROUTE_ANSWERED);
    } else if (out->status == ROUTE_OK && m->serial != 0) {
        answer_present(r, from, m->conn, m->serial, out->was_available);
    }
}

static void
on_unbind(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_route_conn *m = msg;

    (void)fd;
    if (owns(from, m->conn))
        table_remove(router_of(ctx)->table, m->bare, m->conn);
}

static void
on_presence(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct router *r = router_of(ctx);
    const struct ipc_route_presence *m = msg;
    const struct table_session *old;
    struct table_session s;

    (void)fd;
    if (!owns(from, m->conn))
        return;
    old = session_find(r, m->bare, m->conn);
    if (!old)
        return; /* it was replaced meanwhile, and is told so */
    s = *old;
    if (m->serial != old->serial || m->serial == 0) {
        s.serial = m->serial;
        s.was_available = old->available;
        s.available = m->available != 0;
        s.priority = m->priority;
        s.flags = m->flags;
        s.epoch = sync_epoch(&r->sync, ipc_addr_slot(from));
        s.presence = m->presence.n <= ROUTE_PRESENCE_MAX ? m->presence : STR_NULL;
        /*
         * Without memory for the words others must at least know whether it is there.
         */
        if (table_put(r->table, &s, m->conn) < 0)
            table_set(r->table, m->bare, m->conn, s.priority, s.available, s.flags,
                    s.epoch);
    }
    killpoint(ROUTE_SHOWN);
    answer_present(r, from, m->conn, m->serial, s.was_available);
}

static void
on_flags(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct router *r = router_of(ctx);
    const struct ipc_route_flags *m = msg;
    const struct table_session *s;

    (void)fd;
    if (!owns(from, m->conn))
        return;
    s = session_find(r, m->bare, m->conn);
    if (!s)
        return;
    table_set(r->table, m->bare, m->conn, s->priority, s->available, m->flags,
            sync_epoch(&r->sync, ipc_addr_slot(from)));
    answer_present(r, from, m->conn, m->serial, s->available);
}

static void
ask(struct router *r, ipc_addr worker, uint32_t epoch)
{
    proc_send(r->p, worker, IPC_ROUTE_SYNC, &(struct ipc_u64){ .value = epoch });
}

static void
on_resync(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct router *r = router_of(ctx);

    (void)msg, (void)fd;
    ask(r, from, sync_ask(&r->sync, r->table, ipc_addr_slot(from)));
}

static void
on_synced(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct router *r = router_of(ctx);
    const struct ipc_u64 *m = msg;

    (void)fd;
    if (sync_complete(&r->sync, ipc_addr_slot(from), m->value))
        loop_again(r->p->loop);
    killpoint(ROUTE_SYNCED);
}

static void
on_turn_end(void *arg)
{
    struct router *r = arg;
    uint64_t n;

    if (sync_step(&r->sync, r->table, SWEEP_BUCKETS)) {
        killpoint(ROUTE_SWEPT);
        loop_again(r->p->loop);
        return;
    }
    n = r->sync.n_removed - r->n_swept_logged;
    if (n > 0) {
        log_notice(NULL, "%" PRIu64 " sessions removed that no worker has any more", n);
        proc_count(r->p, COUNTER_ROUTE_STALE, n);
        r->n_swept_logged = r->sync.n_removed;
    }
}

static void
on_call(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct router *r = router_of(ctx);
    const struct ipc_call *m = msg;
    enum ipc_status status = IPC_OK;
    struct route_stats st;
    struct buf out = { 0 };

    (void)fd;
    route_stats(&r->view, &st);
    if (str_eq_c(m->name, "sessions")) {
        buf_addf(&out, "%" PRIu64, st.sessions);
    } else if (str_eq_c(m->name, "table")) {
        buf_addf(&out,
                "sessions %" PRIu64 "\nusers %" PRIu64 "\nbytes %" PRIu64
                "\nmemory %" PRIu64 "\nbuckets %" PRIu64 "\nremoved %" PRIu64 "\n",
                st.sessions, st.users, st.bytes, st.memory, r->view.n_buckets,
                r->sync.n_removed);
    } else {
        status = IPC_INVALID;
        buf_add_c(&out, "the router answers \"sessions\" and \"table\"");
    }
    proc_reply(r->p, from, IPC_PROC_REPLY, m->id, status, buf_str(&out));
    buf_fini(&out);
}

static int
router_prepare(struct proc *p)
{
    struct router *r = mem_zalloc(sizeof *r);
    struct table_found found = { 0 };
    int e = route_open(&r->view, &p->routes);

    if (e == 0)
        e = table_open(&p->routes, &r->table, &found);
    if (e < 0) {
        log_critical(NULL, "cannot use the route table: %s", strerror(-e));
        mem_free(&r);
        return e;
    }
    if (found.damaged > 0)
        log_error(NULL,
                "the route table was damaged in %" PRIu64 " places; they are repaired",
                found.damaged);
    if (!found.fresh)
        log_notice(NULL, "took over %" PRIu64 " sessions of %" PRIu64 " users",
                found.sessions, found.users);
    r->p = p;
    r->turn = (struct loop_turn){ .fn = on_turn_end, .arg = r };
    list_init(&r->turn.node);
    p->self = r;
    return 0;
}

static int
router_start(struct proc *p)
{
    struct router *r = p->self;
    uint32_t epoch = sync_begin(&r->sync, r->table, p->n_workers);

    loop_on_turn_end(p->loop, &r->turn);
    loop_again(p->loop);
    for (unsigned i = 0; i < p->n_workers; i++) {
        ask(r, ipc_addr_of(PROC_WORKER, i), epoch);
        killpoint(ROUTE_ASKED);
    }
    proc_ready(p);
    return 0;
}

static void
router_finish(struct proc *p)
{
    struct router *r = p->self;

    if (!r)
        return;
    table_free(&r->table);
    list_del(&r->turn.node);
    mem_free(&p->self);
}

static const ipc_handler_fn handlers[IPC_TYPES] = {
    [IPC_ROUTE_BIND] = on_bind,
    [IPC_ROUTE_UNBIND] = on_unbind,
    [IPC_ROUTE_PRESENCE] = on_presence,
    [IPC_ROUTE_FLAGS] = on_flags,
    [IPC_ROUTE_RESYNC] = on_resync,
    [IPC_ROUTE_SYNCED] = on_synced,
    [IPC_PROC_CALL] = on_call,
};

const struct proc_role_ops router_ops = {
    .role = PROC_ROUTER,
    .prepare = router_prepare,
    .start = router_start,
    .finish = router_finish,
    .handlers = handlers,
};
