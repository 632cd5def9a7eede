/*
 * sm_move.c -- a session goes on with another connection (XEP-0198, 5)
 *
 * The worker that has it gives all of it away in one transaction, as frames: the
 * session, each stanza that was not acknowledged, the end. From then on its record only
 * passes on what still comes for the old connection (MOVED). The other worker takes the
 * frames in one after the other, and binds the resource anew with the last one: the
 * router sees a later claim of the same resource. A client that has gone again
 * meanwhile finds its session waiting in the new worker.
 *
 * What others send straight to the new worker waits there until nothing comes by way of
 * the old one any more (worker/late.c), so that the order is kept.
 *
 * A session that is resumed in its own worker takes the same way, without the frames.
 */
#include "worker/sm.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "worker/account.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/in.h"
#include "worker/jobs.h"
#include "worker/late.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/saved.h"
#include "worker/session.h"

enum {
    MOVED_S = 60,
    ID_HEX = 16
};

/*
 * The id of a session stays the same from connection to connection: it says which
 * resource it is about, so that the route table tells where it is, and what only its
 * client knows.
 */
static uint64_t
resource_hash(struct str resource)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (size_t i = 0; i < resource.n; i++)
        h = (h ^ (uint8_t)resource.p[i]) * UINT64_C(1099511628211);
    return h;
}

void
sm_write_id(const struct conn *c, struct buf *out)
{
    buf_addf(out, "%016llx%.*s",
            (unsigned long long)resource_hash(conn_jid(c).resource), SM_TOKEN,
            c->sm->token);
}

static bool
id_parse(struct str previd, uint64_t *ret_hash, struct str *ret_token)
{
    uint64_t hash = 0;

    if (previd.n != ID_HEX + SM_TOKEN)
        return false;
    for (int i = 0; i < ID_HEX; i++) {
        char ch = previd.p[i];

        if (ch >= '0' && ch <= '9')
            hash = hash << 4 | (uint64_t)(ch - '0');
        else if (ch >= 'a' && ch <= 'f')
            hash = hash << 4 | (uint64_t)(ch - 'a' + 10);
        else
            return false;
    }
    *ret_hash = hash;
    *ret_token = (struct str){ previd.p + ID_HEX, SM_TOKEN };
    return true;
}

/* Which connection has the session now; 0: none has. */
static uint64_t
holder(struct worker *w, const struct conn *c, uint64_t hash)
{
    const struct route_snapshot *snap;
    size_t n = route_sessions(w, conn_bare(c), 0, &snap);

    for (size_t i = 0; i < n; i++) {
        if (resource_hash(snap->entry[i].resource) == hash)
            return snap->entry[i].conn;
    }
    return 0;
}

/* To the worker of that connection, which may be this one. */
static void
ask_for(struct worker *w, const struct ipc_sm_resume *m)
{
    unsigned slot = conn_id_slot(m->old);

    if (slot == w->proc->slot)
        sm_on_resume(w, m);
    else
        outbox_send(w, ipc_addr_of(PROC_WORKER, slot), IPC_SM_RESUME, m);
}

/* --- The worker that the client is connected to now --- */

void
sm_resume(struct worker *w, struct conn *c, struct str previd, uint32_t h)
{
    struct ipc_sm_resume m = { .conn = conn_id(w, c), .h = h, .bare = conn_bare(c) };
    struct sm_policy policy;
    uint64_t hash;

    if (!sm_policy_of(live_of(w, c)->host, &policy)) {
        sm_failed(w, c, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    if (id_parse(previd, &hash, &m.token))
        m.old = holder(w, c, hash);
    if (!m.old) {
        sm_failed(w, c, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    stream_enter(w, c, STREAM_SM_WAIT);
    ask_for(w, &m);
    killpoint(SM_ASKED);
}

static void
set_bytes(struct worker *w, char **at, struct str bytes)
{
    slot_free(w, *at);
    SET(w, *at, bytes.n ? slot_dup(w, bytes) : NULL);
}

static void
take_directed(struct worker *w, struct conn *c, struct ipc_list list)
{
    struct str jid;

    while (ipc_list_next(&list, &jid)) {
        struct directed *d = slot_alloc(w, sizeof *d + jid.n);

        d->next = c->directed;
        d->n = (uint32_t)jid.n;
        memcpy(d->jid, jid.p, jid.n);
        SET(w, c->directed, d);
        SET(w, c->n_directed, c->n_directed + 1);
    }
}

/* The connection that waits for the session; a record without one if it has gone. */
static struct conn *
receiver(struct worker *w, const struct ipc_sm_session *m, const struct jid *jid)
{
    struct conn *c = conn_find(w, m->conn);

    if (c && c->state == STREAM_SM_WAIT &&
            str_eq(conn_bare(c), jid_bare_text(&w->scratch, jid)))
        return c;
    return m->found ? conn_new_detached(w) : NULL;
}

void
sm_on_session(struct worker *w, const struct ipc_sm_session *m)
{
    struct jid jid = { 0 };
    struct conn *c;
    struct sm *sm;

    if (m->found && jid_parse(&w->scratch, m->full, &jid) < 0)
        return;
    if (!m->found) {
        c = conn_find(w, m->conn);
        if (!c || c->state != STREAM_SM_WAIT)
            return;
        stream_enter(w, c, STREAM_BIND);
        sm_failed(w, c, STANZA_ERROR_ITEM_NOT_FOUND, m->known_h ? &m->in : NULL);
        in_resume(w, c);
        return;
    }
    c = receiver(w, m, &jid);
    if (!c) {
        log_error(NULL, "the slot is full: the session of %.*s is lost",
                STR_ARG(m->full));
        return;
    }
    conn_set_jid(w, c, &jid);
    live_of(w, c)->host = conf_host_find(w->proc->conf, conn_domain(c));
    if (!live_of(w, c)->host) /* a reload has taken it away: it ends with its time */
        live_of(w, c)->host = w->proc->conf->hosts;
    sm = slot_alloc(w, sizeof *sm);
    *sm = (struct sm){ .in = m->in,
        .acked = m->acked,
        .out = m->acked,
        .asked = m->acked,
        .max_s = m->max_s,
        .restored = m->restored };
    memcpy(sm->token, m->token.p, SM_TOKEN);
    sm->moved_to = m->old; /* while it comes in: whose frames these are */
    sm->until_us = clock_wall_us() + ((uint64_t)m->max_s + MOVED_S) * 1000000;
    SET(w, c->sm, sm);
    SET(w, c->route_flags,
            (uint16_t)(m->route_flags & ~(ROUTE_DETACHED | ROUTE_CSI_INACTIVE)));
    SET(w, c->account_flags, m->account_flags); /* in force until it is loaded here */
    SET(w, c->priority, m->priority);
    SET(w, c->told_available, m->told_available != 0);
    SET(w, c->told_priority, m->told_priority);
    SET(w, c->steady_s, m->steady_s);
    SET(w, c->flags,
            c->flags | (m->flags & (CONN_AVAILABLE | CONN_WANTS_OTHERS |
                                           CONN_PRESENCE_NEW)));
    set_bytes(w, &c->presence, m->presence);
    SET(w, c->presence_n, (uint32_t)m->presence.n);
    if (!c->lang)
        set_bytes(w, &c->lang, m->lang);
    session_keep(w, c, 0, m->kept_0);
    session_keep(w, c, 1, m->kept_1);
    take_directed(w, c, m->directed);
    w->taking = conn_index(w, c);
    killpoint(SM_COMING);
}

static bool
takes(const struct conn *c, uint64_t old)
{
    return c->state == STREAM_DETACHED && sm_is_coming(c) && c->sm->moved_to == old;
}

struct conn *
sm_coming(struct worker *w, uint64_t conn, uint64_t old)
{
    struct conn *c = conn_find(w, conn);

    if (c && c->sm && c->sm->moved_to == old && !(c->flags & CONN_BOUND))
        return c;
    if (takes(&w->conns[w->taking], old))
        return &w->conns[w->taking];
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        if (!takes(&w->conns[i], old))
            continue;
        w->taking = i; /* the next of thousands of frames need not look for it */
        return &w->conns[i];
    }
    return NULL;
}

void
sm_on_item(struct worker *w, const struct ipc_sm_item *m)
{
    struct conn *c = sm_coming(w, m->conn, m->old);

    if (!c)
        return;
    sm_take(w, c, m->stanza, m->at_us);
    c->sm->last->shared = m->shared;
    c->sm->last->priority = m->priority;
    killpoint(SM_ITEM);
}

static void
replay(struct worker *w, struct conn *c)
{
    struct buf *out = &w->text;

    buf_reset(out, SIZE_MAX);
    buf_add_c(out, "<resumed xmlns='" NS_SM "' previd='");
    sm_write_id(c, out);
    buf_addf(out, "' h='%u'/>", c->sm->in);
    out_add(w, c, buf_str(out));
    for (const struct sm_item *i = c->sm->first; i; i = i->next)
        out_add(w, c, (struct str){ i->bytes, i->n });
}

void
sm_on_end(struct worker *w, const struct ipc_sm_end *m)
{
    struct conn *c = sm_coming(w, m->conn, m->old);
    struct event e = { .w = w, .c = c };

    if (!c)
        return;
    SET(w, c->flags, c->flags | CONN_BOUND);
    SET(w, c->since_us, clock_wall_us());
    if (c->state == STREAM_DETACHED)
        SET(w, c->route_flags, c->route_flags | ROUTE_DETACHED);
    proc_count(w->proc, COUNTER_SESSIONS, 1);
    account_join(w, c);
    if (conn_id_slot(m->old) != w->proc->slot)
        late_moved(w, c, m->old);
    session_rebind(w, c);
    if (c->state == STREAM_SM_WAIT) {
        stream_enter(w, c, STREAM_OPEN);
        replay(w, c);
        log_info(conn_ctx(w, c), "session resumed, %u stanzas again", c->sm->n);
        in_resume(w, c);
    } else {
        SET(w, c->sm->until_us, clock_wall_us() + (uint64_t)c->sm->max_s * 1000000);
    }
    SET(w, c->sm->moved_to, 0);
    e.host = conf_host_find(w->proc->conf, conn_domain(c));
    e.account = session_account(w, c);
    if (e.host)
        hook_run(w, HOOK_SESSION_MOVED, &e);
    if (c->state == STREAM_OPEN)
        SET(w, c->sm->restored, 0);
    killpoint(SM_HERE);
    if (c->state == STREAM_DETACHED && w->stopping && !saved_can(w))
        conn_forget(w, c);
}

/* --- The worker that has the session --- */

static void
refuse(struct worker *w, ipc_addr to, const struct ipc_sm_resume *m,
        const struct conn *c)
{
    struct ipc_sm_session reply = { .conn = m->conn, .old = m->old };

    if (c) {
        reply.known_h = 1;
        reply.in = c->sm->in;
    }
    if (to == w->proc->addr)
        sm_on_session(w, &reply);
    else
        outbox_send(w, to, IPC_SM_SESSION, &reply);
}

void
sm_describe(const struct conn *c, struct buf *directed, struct ipc_sm_session *ret)
{
    *ret = (struct ipc_sm_session){ .found = 1,
        .in = c->sm->in,
        .acked = c->sm->acked,
        .max_s = c->sm->max_s,
        .restored = c->sm->saved || c->sm->restored,
        .flags = (uint16_t)c->flags,
        .route_flags = c->route_flags,
        .account_flags = c->account_flags,
        .priority = c->priority,
        .told_available = c->told_available,
        .told_priority = c->told_priority,
        .steady_s = c->steady_s,
        .full = conn_full(c),
        .lang = str_from(c->lang),
        .presence = { c->presence, c->presence_n },
        .kept_0 = session_kept(c, 0),
        .kept_1 = session_kept(c, 1),
        .token = { c->sm->token, SM_TOKEN } };
    for (const struct directed *d = c->directed; d; d = d->next)
        ipc_list_add(directed, (struct str){ d->jid, d->n });
    ret->directed = ipc_list_of(directed);
}

/* Within this worker: the queue stays where it is, however long it is. */
static void
give_here(struct worker *w, const struct ipc_sm_session *s,
        const struct ipc_sm_end *end, struct sm *from)
{
    struct conn *c;

    sm_on_session(w, s);
    c = sm_coming(w, s->conn, s->old);
    if (!c)
        return;
    SET(w, c->sm->first, from->first);
    SET(w, c->sm->last, from->last);
    SET(w, c->sm->n, from->n);
    SET(w, c->sm->bytes, from->bytes);
    SET(w, c->sm->out, c->sm->acked + from->n);
    SET(w, from->first, NULL);
    SET(w, from->last, NULL);
    SET(w, from->n, 0);
    SET(w, from->bytes, 0);
    killpoint(SM_ITEM);
    sm_on_end(w, end);
}

/* Everything, as frames. */
static void
give_away(struct worker *w, ipc_addr to, const struct ipc_sm_session *s,
        const struct ipc_sm_end *end, const struct sm *from)
{
    outbox_send(w, to, IPC_SM_SESSION, s);
    for (const struct sm_item *i = from->first; i; i = i->next) {
        struct ipc_sm_item item = { .conn = s->conn,
            .old = s->old,
            .at_us = i->at_us,
            .shared = i->shared,
            .priority = i->priority,
            .stanza = { i->bytes, i->n } };

        outbox_send(w, to, IPC_SM_ITEM, &item);
    }
    outbox_send(w, to, IPC_SM_END, end);
}

static void
give(struct worker *w, ipc_addr to, const struct ipc_sm_resume *m, struct conn *c)
{
    struct buf directed = { 0 };
    struct ipc_sm_end end = { .conn = m->conn, .old = m->old };
    struct ipc_sm_session s;

    sm_describe(c, &directed, &s);
    s.conn = m->conn;
    s.old = m->old;
    if (to == w->proc->addr)
        give_here(w, &s, &end, c->sm);
    else
        give_away(w, to, &s, &end, c->sm);
    buf_fini(&directed);
}

static bool
sm_is_resumable(const struct conn *c)
{
    return c->sm && c->sm->max_s && c->flags & CONN_BOUND &&
           !(c->flags & CONN_SESSION_ENDED) &&
           (c->state == STREAM_OPEN || c->state == STREAM_DETACHED);
}

/* The record passes on what comes; the session is another's. */
static void
moved(struct worker *w, struct conn *c)
{
    SET(w, c->flags, c->flags | CONN_SESSION_ENDED);
    stream_enter(w, c, STREAM_MOVED);
    jobs_on_route(w, c);
    if (live_of(w, c)->flags & LIVE_JOB_WAITS)
        jobs_on_output(w, c);
    saved_settle(w, c, false);
    sm_drop_all(w, c);
    account_leave(w, c);
    proc_uncount(w->proc, COUNTER_SESSIONS, 1);
}

void
sm_on_resume(struct worker *w, const struct ipc_sm_resume *m)
{
    struct ipc_sm_resume onward = *m;
    struct conn *c = conn_find(w, m->old);
    ipc_addr from = ipc_addr_of(PROC_WORKER, conn_id_slot(m->conn));
    bool had_connection;

    while (c && c->state == STREAM_MOVED) { /* the router has not said so yet */
        onward.old = c->sm->moved_to;
        c = conn_find(w, onward.old);
    }
    if (conn_id_slot(onward.old) != w->proc->slot) {
        ask_for(w, &onward);
        return;
    }
    m = &onward; /* frames name the connection that they come from */
    if (!c || !sm_is_resumable(c) || !str_eq(conn_bare(c), m->bare) ||
            !str_eq_secret((struct str){ c->sm->token, SM_TOKEN }, m->token)) {
        log_debug(NULL, "a session of %.*s cannot be resumed: it is not there",
                STR_ARG(m->bare));
        refuse(w, from, m, NULL);
        return;
    }
    if (m->h - c->sm->acked > c->sm->n) {
        log_info(conn_ctx(w, c), "a resumption acknowledges more than was sent");
        refuse(w, from, m, c);
        return;
    }
    sm_acknowledge(w, c, m->h);
    late_end(w, c);
    session_release(w, c, NULL, NULL); /* it comes back as active (XEP-0352, 6.2) */
    give(w, from, m, c);
    killpoint(SM_GIVEN);
    SET(w, c->sm->moved_to, m->conn);
    SET(w, c->sm->until_us, clock_wall_us() + (uint64_t)MOVED_S * 1000000);
    had_connection = c->state == STREAM_OPEN;
    moved(w, c);
    killpoint(SM_MOVED);
    if (had_connection)
        conn_cut(w, c); /* of no use any more */
}
