/*
 * process.c -- the worker process: its turns, its beginning and its end
 */
#include "worker/process.h"

#include <errno.h>

#include "base/killpoint.h"
#include "sql/client.h"
#include "worker/account.h"
#include "worker/account_load.h"
#include "worker/addresses.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/in.h"
#include "worker/jobs.h"
#include "worker/leave.h"
#include "worker/listener.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/owed.h"
#include "worker/quarantine.h"
#include "worker/recover.h"
#include "worker/saved.h"
#include "worker/session.h"
#include "worker/shaper.h"
#include "worker/sm.h"
#include "worker/tick.h"
#include "worker/transfer.h"
#include "worker/tls.h"

enum {
    STOP_MS = 1000,
    STOP_OTHERS_MS = 3000, /* for other workers, and our sockets */
    STOP_JOBS_MS = 20000, /* for what is still to be stored: a database may come back */
    STOP_SLEEP_MS = 3000, /* who sleeps for longer is not waited for */
    STOP_QUIET_MS = 100,  /* what went to another worker may come back */
    BACKLOG_HIGH = 12 << 20 /* bytes waiting for other processes: all clients wait */
};

static struct worker *
self(void *ctx)
{
    return ((struct proc *)ctx)->self;
}

static void
on_conn_event(void *arg, uint64_t value, unsigned events)
{
    struct worker *w = arg;
    uint32_t i = (uint32_t)value & CONN_INDEX_MAX;
    struct conn *c = &w->conns[i];
    struct live *l = live_of(w, c);

    if (c->generation != (uint32_t)(value >> 22) || l->flags & LIVE_DEAD || l->fd < 0)
        return;
    if (events & LOOP_WRITE) {
        l->flags |= LIVE_WRITABLE;
        if (out_pending(c))
            out_dirty(w, c);
    }
    if (events & LOOP_READ) {
        l->flags |= LIVE_READABLE | (events & LOOP_HUP ? LIVE_HUP : 0);
        in_read(w, c);
    }
}

/* Others give us what is to be stored here, or back what they have no use for. */
void
process_note_work(struct worker *w)
{
    if (w->stopping)
        w->stop_quiet_ms = loop_now_ms(w->loop) + STOP_QUIET_MS;
}

void
process_serve(struct worker *w)
{
    if (w->serving || w->stopping || w->recovering || w->leaving)
        return;
    w->serving = true;
    for (unsigned i = 0; i < w->proc->n_listeners; i++) {
        int r = listener_open(w, i);

        if (r < 0)
            log_error(NULL, "cannot accept on a listener: %s", strerror(-r));
    }
    proc_ready(w->proc);
}

static void
to_other_workers(struct worker *w, enum ipc_type type)
{
    for (unsigned i = 0; i < w->proc->n_workers; i++) {
        if (i != w->proc->slot)
            outbox_send(
                    w, ipc_addr_of(PROC_WORKER, i), type, &(struct ipc_nothing){ 0 });
    }
}

/*
 * The service stops. Sessions that can be resumed lose their connections, and are
 * saved; all others end. What of it cannot be saved is to be given back before others
 * are told that our sessions have ended.
 */
static void
sessions_stop(struct worker *w)
{
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];
        bool waits = c->state == STREAM_DETACHED || c->state == STREAM_MOVED ||
                     sm_is_coming(c);

        if (c->state == STREAM_FREE || c->state == STREAM_CLOSED ||
                (waits && saved_can(w)))
            continue;
        worker_begin(w, c);
        if (sm_can_wait(c) && saved_can(w))
            sm_say_handled(w, c);
        else
            stream_fail(w, c, STREAM_ERROR_SYSTEM_SHUTDOWN, NULL);
        worker_commit(w);
    }
    out_flush_all(w);
    if (!saved_can(w))
        return;
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        if (sm_can_wait(&w->conns[i]))
            conn_close(w, &w->conns[i], "the service stops");
    }
    saved_write(w);
}

/* What cannot be saved is given back; then the others are told that nothing more comes.
 */
static void
sessions_end(struct worker *w)
{
    sessions_stop(w);
    to_other_workers(w, IPC_SESSIONS_ENDED);
}

static void
recovered(struct worker *w)
{
    w->kept_all = false;
    recover_end(w);
    killpoint(TAKE_ALL);
    outbox_send(w, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_RESYNC,
            &(struct ipc_nothing){ 0 });
    if (w->stopping)
        sessions_end(w);
    process_serve(w);
}

static void
worker_listener_close(struct proc *p, uint16_t index)
{
    listener_close(self(p), index);
}

/* Mailboxes have room again: all connections may have something to read. */
static void
on_drained(void *arg)
{
    struct worker *w = arg;

    if (!w->blocked)
        return;
    w->blocked = false;
    log_notice(NULL, "reading from clients goes on");
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (live_of(w, c)->fd >= 0)
            shaper_pause(w, c, 0);
    }
    shaper_rearm(w);
}

void
process_turn_due(struct worker *w)
{
    if (!loop_in_turn(w->loop))
        loop_again(w->loop);
}

static void
on_turn_end(void *arg)
{
    struct worker *w = arg;

    if (w->kept_all)
        recovered(w);
    jobs_run_ready(w);
    in_resume_all(w);
    owed_pay_due(w);
    post_flush(w->proc->post); /* before clients, who may act on what they are told */
    out_flush_all(w);
    conn_reap(w);
    pressure_relieve(w);
    arena_reset(&w->scratch);
    post_flush(w->proc->post);
    killpoint(OUTBOX_SENT);
    outbox_settle(w);
    killpoint(OUTBOX_SETTLED);
    saved_turn_end(w);
    if (!w->blocked && post_backlog(w->proc->post) > BACKLOG_HIGH) {
        w->blocked = true;
        log_warning(NULL, "other processes are slow: reading from clients pauses");
    } else if (w->blocked && post_backlog(w->proc->post) == 0) {
        on_drained(w); /* what waited went with its receiver */
    }
    if (w->leaving)
        leave_try(w);
    if (w->dirty || w->n_resume || w->n_dead || jobs_are_ready(w))
        loop_again(w->loop); /* left after its part above; the clients' turn is in
                                between */
}

static void
on_paused_timer(struct loop_timer *t)
{
    in_resume_paused(container_of(t, struct worker, paused_timer));
}

static void
on_accept_timer(struct loop_timer *t)
{
    listener_accept_all(container_of(t, struct worker, accept_timer));
}

static void
frame_begin(void *ctx)
{
    struct worker *w = self(ctx);

    if (w->slot->inbox.handled == 0)
        w->slot->inbox_packets++;
    worker_begin(self(ctx), NULL);
}

static void
frame_set_u64(void *ctx, uint64_t *at, uint64_t value)
{
    SET(self(ctx), *at, value);
}

static void
frame_set_u32(void *ctx, uint32_t *at, uint32_t value)
{
    SET(self(ctx), *at, value);
}

static void
frame_commit(void *ctx)
{
    worker_commit(self(ctx));
}

/* Packets are received into the slot, and each frame is handled in one transaction. */
static void
inbox_use(struct worker *w)
{
    struct mailbox_reader *r = &w->proc->mailbox_reader;

    r->inbox = &w->slot->inbox;
    r->begin = frame_begin;
    r->set_u64 = frame_set_u64;
    r->set_u32 = frame_set_u32;
    r->commit = frame_commit;
}

static int
worker_prepare(struct proc *p)
{
    struct worker *w;
    int r;

    if (p->transfers_out)
        return p->slot_zone.base ? 0 : -EPROTO;
    w = mem_zalloc(sizeof *w);
    if (!p->slot_zone.base || p->slot_zone.size < slot_size() || !p->routes.base) {
        mem_free_p(w);
        return -EPROTO;
    }
    p->self = w;
    w->proc = p;
    w->loop = p->loop;
    w->slot = p->slot_zone.base;
    r = slot_open(w->slot, p->instance, p->status->faulted, p->transfer_fd, &w->slab);
    if (r < 0) {
        log_critical(NULL, "cannot take connections over: %s", strerror(-r));
        mem_free_p(w);
        p->self = NULL;
        return r;
    }
    close_fd(&p->transfer_fd); /* there are keys in it */
    w->recovering = w->inherited = r == 1;
    killpoint(TAKE_OPENED);
    w->tx = &w->slot->tx;
    w->conns = w->slot->conn;
    w->pool = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    w->snapshot = mem_zalloc(sizeof *w->snapshot);
    w->module_snapshot = mem_zalloc(sizeof *w->module_snapshot);
    list_init(&w->asked);
    list_init(&w->removed);
    list_init(&w->idle);
    w->sql = sql_client_new(p->loop, p->post);
    w->jobs = jobs_new();
    w->now_s = (uint32_t)(loop_now_ms(w->loop) / 1000);
    arena_init(&w->scratch, 16 * 1024);
    w->turn = (struct loop_turn){ .fn = on_turn_end, .arg = w };
    w->paused_timer.fn = on_paused_timer;
    w->accept_timer.fn = on_accept_timer;
    tls_contexts_load(w);
    if (!tls_available(w) && p->slot == 0)
        log_warning(NULL, "no certificate with a key in certfiles: TLS is not offered");
    tick_load(w);
    pressure_load(w);
    modules_open();
    modules_load(w);
    inbox_use(w);
    return 0;
}

/*
 * Handles what the predecessor had received. A frame at which they die in a row is
 * stepped over: it must not stop the worker for ever.
 */
static void
inbox_resume(struct worker *w)
{
    struct slot *s = w->slot;
    struct ipc_quarantine q = { .what = STR("frame of another process") };
    uint32_t frame;
    uint64_t what;

    if (!mailbox_has_rest(&s->inbox, &frame))
        return;
    what = s->inbox_packets << 16 | (frame & 0xffff);
    if (poison_note(&s->poison_frame, what, w->proc->status->faulted) >= POISON_WORK) {
        log_error(NULL,
                "quarantine: %u worker processes died of a frame; it is dropped",
                s->poison_frame.deaths);
        q.deaths = s->poison_frame.deaths;
        q.bytes = mailbox_next(&s->inbox);
        worker_begin(w, NULL);
        SET(w, s->inbox.handled, s->inbox.handled + 1);
        quarantine_send(w, &q);
        worker_commit(w);
    }
    mailbox_resume(&w->proc->mailbox_reader);
}

/*
 * As a process of its own, when nobody serves: puts the slot into a form that a program
 * with another layout understands, and ends. What a predecessor had not committed is
 * undone before.
 */
static int
transfer_and_end(struct proc *p)
{
    struct slot *slot = p->slot_zone.base;
    struct slab *slab = NULL;
    int r;

    if (!slot_is_ours(slot, p->instance)) {
        /* It was being filled from the file that there was before: that one counts. */
        proc_stopped(p, PROC_EXIT_NOTHING);
        return 0;
    }
    slot_open(slot, p->instance, p->status->faulted, -1, &slab);
    r = transfer_out(slot, p->transfer_fd);
    slab_free_all(&slab);
    if (r == 0)
        log_notice(NULL, "connections are ready for a program with another layout");
    else
        log_critical(NULL, "cannot hand connections over: %s", strerror(-r));
    proc_stopped(p, r == 0 ? 0 : 1);
    return 0;
}

static int
worker_start(struct proc *p)
{
    struct worker *w = p->self;

    if (p->transfers_out)
        return transfer_and_end(p);

    p->status->counter[COUNTER_CONNECTIONS] = 0;
    p->status->counter[COUNTER_SESSIONS] = 0;
    loop_set_class(w->loop, WORKER_CLASS_CONN, on_conn_event, w);
    loop_on_turn_end(w->loop, &w->turn);
    post_on_drained(p->post, on_drained, w);
    tick_begin(w);
    outbox_resume(w);
    killpoint(TAKE_OUTBOX);
    if (w->recovering)
        recover_begin(w); /* before jobs ask for accounts, which take their sessions */
    addresses_load(w);
    killpoint(TAKE_ASKED);
    jobs_resume(w);
    killpoint(TAKE_JOBS);
    if (!saved_begin(w) && !w->recovering)
        process_serve(w); /* otherwise on_kept_all does, or saved_take.c */
    inbox_resume(w);
    killpoint(TAKE_INBOX);
    return 0;
}

static void
worker_reload(struct proc *p)
{
    struct worker *w = p->self;

    listener_renumber(w);
    tls_contexts_load(w);
    tick_load(w);
    pressure_load(w);
    addresses_load(w);
    modules_unload(w);
    modules_load(w);
    accounts_reload(w);
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];
        struct live *l;

        if (c->state == STREAM_FREE || c->state == STREAM_CLOSED)
            continue;
        l = live_of(w, c);
        l->shaper = NULL;
        if (l->host) {
            l->host = conf_host_find(p->conf, conn_domain(c));
            if (!l->host) {
                l->host = &p->conf->hosts[0];
                worker_begin(w, c);
                stream_fail(w, c, STREAM_ERROR_HOST_GONE, NULL);
                worker_commit(w);
                continue;
            }
        }
        shaper_choose(w, c);
    }
}

/*
 * May there still be something to do? The sessions of others leave some, too. Where all
 * end at once nobody stores anything any more.
 */
static bool
is_needed(const struct worker *w, size_t left)
{
    uint64_t now = loop_now_ms(w->loop);

    if (left > 0 || now < w->stop_quiet_ms)
        return now < (w->proc->abandoned ? w->stop_until_ms : w->stop_jobs_ms);
    return now < w->stop_until_ms &&
           (w->recovering || w->n_ended + 1 < w->proc->n_workers);
}

static void
patience_begins(struct worker *w)
{
    w->stop_until_ms = loop_now_ms(w->loop) + STOP_OTHERS_MS;
    w->stop_jobs_ms = loop_now_ms(w->loop) + STOP_JOBS_MS;
}

/* What ended sessions leave goes into the database first; not for ever. */
static void
on_stop_timer(struct loop_timer *t)
{
    struct worker *w = container_of(t, struct worker, stop_timer);
    bool is_late = loop_now_ms(w->loop) >= w->stop_close_ms;
    enum {
        AGAIN_MS = 20
    };
    size_t left;

    for (uint32_t i = 0; i < w->slot->conns_used && is_late; i++) {
        struct conn *c = &w->conns[i];

        if (c->state != STREAM_FREE && c->state != STREAM_CLOSED &&
                live_of(w, c)->fd >= 0)
            conn_close(w, c, "the service stops");
    }
    left = jobs_under_way(w, STOP_SLEEP_MS);
    if (left > 0) {
        process_note_work(w);
        to_other_workers(w, IPC_STOP_BUSY);
    }
    if ((w->n_conns > 0 && !is_late) || is_needed(w, left)) {
        loop_timer_set(w->loop, t, AGAIN_MS);
        return;
    }
    if (saved_can(w) && saved_write(w) > 0) { /* they are to be stored elsewhere */
        patience_begins(w);
        loop_timer_set(w->loop, t, AGAIN_MS);
        return;
    }
    if (left > 0)
        jobs_log_left(w, left);
    saved_end(w, left == 0);
    proc_stopped(w->proc, 0);
}

static void
worker_stop(struct proc *p)
{
    struct worker *w = p->self;

    if (!w)
        return; /* it only transfers, and ends by itself */
    w->stopping = true;
    w->leaving = false; /* no successor would come: it is us who see to everything */
    loop_timer_cancel(w->loop, &w->leave_timer);
    listener_close_all(w);
    if (!w->recovering)
        sessions_end(w);
    w->stop_close_ms = loop_now_ms(w->loop) + STOP_MS;
    patience_begins(w);
    w->stop_timer.fn = on_stop_timer;
    loop_timer_set(w->loop, &w->stop_timer, 0);
}

static void
worker_finish(struct proc *p)
{
    struct worker *w = p->self;

    if (!w)
        return;
    list_del(&w->turn.node);
    saved_free(w);
    conn_reap(w);
    tls_contexts_free(w);
    xml_pool_free(&w->pool);
    w->finishing = true;
    sql_client_free(&w->sql);
    jobs_free(w);
    accounts_free(w);
    iq_free(w);
    modules_unload(w);
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        if (w->live[i / LIVE_BLOCK])
            session_set_caps(w, &w->conns[i], SESSION_CAPS_NONE, NULL);
    }
    for (unsigned i = 0; w->fanout && i < w->proc->n_workers; i++)
        buf_fini(&w->fanout[i]);
    mem_free_p(w->fanout);
    buf_fini(&w->fanout_text);
    route_snapshot_fini(w->snapshot);
    mem_free_p(w->snapshot);
    route_snapshot_fini(w->module_snapshot);
    mem_free_p(w->module_snapshot);
    arena_fini(&w->scratch);
    buf_fini(&w->frame);
    mem_free_p(w->resume);
    buf_fini(&w->text);
    buf_fini(&w->stanza_text);
    buf_fini(&w->sent_text);
    slab_free_all(&w->slab);
    for (size_t i = 0; i < ARRAY_LEN(w->live); i++)
        mem_free_p(w->live[i]);
    mem_free_p(w->free_index);
    mem_free_p(w->garbage);
    mem_free_p(w->dead);
    mem_free_p(w->paused);
    outbox_behind_end(w);
    owed_free(w);
    mem_free_p(w->ping);
    mem_free_p(w->addresses);
    mem_free(&p->self);
}

const struct proc_role_ops worker_ops = {
    .role = PROC_WORKER,
    .prepare = worker_prepare,
    .start = worker_start,
    .reload = worker_reload,
    .listener_close = worker_listener_close,
    .stop = worker_stop,
    .finish = worker_finish,
    .handlers = worker_handlers,
};
