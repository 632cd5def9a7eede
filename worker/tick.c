/*
 * tick.c -- once a second: whose time has run out? Which memory is no longer needed?
 *
 * Deadlines are seconds in the heap part of each connection and are looked at one after
 * the other: that costs an idle connection a few nanoseconds a second and no timer.
 */
#include "worker/tick.h"

#include "base/mem.h"
#include "worker/account.h"
#include "worker/addresses.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/in.h"
#include "worker/late.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/record.h"
#include "worker/session.h"
#include "worker/sm.h"

enum {
    TICK_MS = 1000,
    TRIM_S = 5,
    TRIM_CROWD = 100, /* connections, keys */
    TRIM_PARSERS = 16,
    PING_TIMEOUT_S = 32
};

/* The time of the connection's state has run out. */
static void
on_deadline(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);

    l->deadline_s = 0;
    proc_count(w->proc, COUNTER_C2S_TIMEOUT, 1);
    if (c->state == STREAM_CLOSING) {
        conn_close(w, c, "the client did not close its side");
        return;
    }
    log_info(conn_ctx(w, c), "timeout in state %s",
            stream_state_name((enum stream_state)c->state));
    if (sm_can_wait(c)) {
        conn_close(w, c, "the client is silent");
        return;
    }
    worker_begin(w, c);
    stream_fail(w, c, STREAM_ERROR_CONNECTION_TIMEOUT, NULL);
    worker_commit(w);
}

/*
 * Has it been silent for another c2s_keepalive since the last look? Then it is sent
 * white space (RFC 6120, 4.6.1), which TCP sends again until it is acknowledged or
 * TCP_USER_TIMEOUT has passed. TCP's own keepalive is no substitute: beside that option
 * the loss of a single one of its probes ends the connection, and the kernel sends
 * those of half a minute at once.
 */
static bool
is_to_be_tried(const struct worker *w, const struct live *l)
{
    uint64_t period_s = w->proc->conf->c2s_keepalive_ms / 1000;

    if (w->proc->conf->c2s_keepalive_ms == CONF_INFINITY || period_s == 0 ||
            l->out_deadline_s || l->last_rx_s > w->ticked_s)
        return false;
    return (w->now_s - l->last_rx_s) / period_s !=
           (w->ticked_s - l->last_rx_s) / period_s;
}

static void
check_idle(struct worker *w, struct conn *c, struct live *l)
{
    uint64_t idle_ms = (uint64_t)(w->now_s - l->last_rx_s) * 1000;
    const struct ping_policy *ping;

    if (idle_ms > w->proc->conf->c2s_idle_timeout_ms) {
        on_deadline(w, c);
        return;
    }
    if (is_to_be_tried(w, l)) {
        worker_begin(w, c);
        out_add(w, c, STR(" "));
        worker_commit(w);
    }
    if (!l->host)
        return;
    ping = &w->ping[l->host - w->proc->conf->hosts];
    if (!ping->send)
        return;
    if (!(l->flags & LIVE_PINGED) && idle_ms / 1000 >= ping->interval_s) {
        worker_begin(w, c);
        iq_ping(w, c);
        worker_commit(w);
        l->flags |= LIVE_PINGED;
    } else if (l->flags & LIVE_PINGED && ping->kill &&
               idle_ms / 1000 >= ping->interval_s + ping->timeout_s) {
        on_deadline(w, c);
    }
}

/* A crowd that came or went leaves memory behind that only a crowd needs. */
static void
trim(struct worker *w)
{
    const uint64_t *count = w->proc->status->counter;
    uint64_t passed = count[COUNTER_C2S_ACCEPTED] + count[COUNTER_C2S_CLOSED];
    bool crowd = passed - w->trimmed_at >= TRIM_CROWD, keys, parsers;

    if (w->now_s < w->trim_s)
        return;
    w->trim_s = w->now_s + TRIM_S;
    keys = record_trim() >= TRIM_CROWD;
    parsers = xml_pool_trim(w->pool) >= TRIM_PARSERS;
    if (!outbox_trim(w) && !crowd && !keys && !parsers)
        return;
    w->trimmed_at = passed;
    mem_trim();
}

/* It is we who do not read: its silence is not its own. */
static void
excuse(const struct worker *w, struct live *l)
{
    l->last_rx_s = w->now_s;
    if (l->ack_s)
        l->ack_s++; /* once a second */
}

static void
measure(struct worker *w)
{
    struct slab_stats slab;

    slab_get_stats(w->slab, &slab);
    w->proc->status->counter[COUNTER_SLOT_BYTES] = slab.bytes_used;
    w->proc->status->counter[COUNTER_JOBS] = jobs_waiting(w);
}

static void
on_tick(struct loop_timer *t)
{
    struct worker *w = container_of(t, struct worker, tick_timer);

    w->ticked_s = w->now_s;
    w->now_s = (uint32_t)(loop_now_ms(w->loop) / 1000);
    if (w->behind.n && w->now_s >= w->behind_s)
        outbox_behind_end(w);
    for (uint32_t i = 0; i < w->slot->conns_used && !w->recovering; i++) {
        struct conn *c = &w->conns[i];
        struct live *l;

        if (c->state == STREAM_FREE || c->state == STREAM_CLOSED)
            continue;
        l = live_of(w, c);
        l->flags = (l->flags & ~(uint32_t)(LIVE_MESSAGES | LIVE_MESSAGES_BEFORE)) |
                   (l->flags & LIVE_MESSAGES ? LIVE_MESSAGES_BEFORE : 0);
        if (w->blocked || l->waits_for_peer)
            excuse(w, l);
        late_tick(w, c);
        if (c->sm)
            sm_tick(w, c);
        if (l->fd < 0 || l->flags & LIVE_DEAD)
            continue;
        if (l->deadline_s && w->now_s >= l->deadline_s) {
            on_deadline(w, c);
        } else if (l->out_deadline_s && w->now_s >= l->out_deadline_s) {
            proc_count(w->proc, COUNTER_SLOW_CUT, 1);
            log_info(conn_ctx(w, c), "cut: the client takes nothing");
            conn_close(w, c, "the client takes nothing");
        } else if (l->answer_s && w->now_s >= l->answer_s) {
            l->answer_s = 0;
            worker_begin(w, c);
            if (c->state == STREAM_SASL_WAIT)
                sasl_on_timeout(w, c);
            else if (c->state == STREAM_OPEN && !session_account(w, c))
                account_leave(w, c); /* in_resume() reads it again */
            worker_commit(w);
            in_resume(w, c);
        } else if (c->state == STREAM_OPEN) {
            check_idle(w, c, l);
        }
    }
    iq_tick(w);
    addresses_tick(w);
    accounts_tick(w);
    trim(w);
    measure(w);
    loop_timer_set(w->loop, t, TICK_MS);
}

void
tick_load(struct worker *w)
{
    const struct conf *conf = w->proc->conf;

    mem_free_p(w->ping);
    w->ping = mem_zalloc(conf->n_hosts * sizeof *w->ping);
    for (size_t i = 0; i < conf->n_hosts; i++) {
        const struct conf_module *m =
                conf_module_find(&conf->hosts[i], STR("mod_ping"));
        struct ping_policy *p = &w->ping[i];
        uint64_t ack_ms;

        if (!m)
            continue;
        ack_ms = conf_module_time_ms(m, "ping_ack_timeout");
        p->send = conf_module_bool(m, "send_pings");
        p->kill = str_eq(conf_module_text(m, "timeout_action"), STR("kill"));
        p->interval_s = (uint32_t)(conf_module_time_ms(m, "ping_interval") / 1000);
        p->timeout_s = ack_ms && ack_ms != CONF_INFINITY ? (uint32_t)(ack_ms / 1000)
                                                         : PING_TIMEOUT_S;
    }
}

void
tick_begin(struct worker *w)
{
    w->tick_timer.fn = on_tick;
    loop_timer_set(w->loop, &w->tick_timer, TICK_MS);
}
