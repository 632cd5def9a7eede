/*
 * leave.c -- making room for a successor, at a clean point
 *
 * The slot is fit for a successor at any instruction. What is not in it is little, and
 * a planned end waits for it, a few seconds at most: TLS handshakes (OpenSSL's), SASL
 * messages that the auth process has not answered, descriptors on their way to the
 * keeper, frames that are too large for the outbox.
 *
 * Nobody is accepted meanwhile: connections wait in the listening socket, which is the
 * master's. Everything else goes on as usual. What was received in this turn and not
 * handled is in the slot; so leaving is no more than the end of the process.
 */
#include "worker/leave.h"

#include <unistd.h>

#include "worker/listener.h"
#include "worker/owed.h"

enum {
    LEAVE_MS = 3000,
    LOOK_MS = 10 /* between two looks at all connections */
};

static void
on_leave_timer(struct loop_timer *t)
{
    struct worker *w = container_of(t, struct worker, leave_timer);

    loop_timer_set(w->loop, t, LOOK_MS); /* leave_try is called at the turn's end */
}

void
leave_begin(struct worker *w)
{
    if (w->stopping || w->leaving)
        return;
    w->leaving = true;
    w->leave_until_ms = loop_now_ms(w->loop) + LEAVE_MS;
    w->leave_look_ms = 0;
    listener_close_all(w);
    owed_pay_all(w);
    loop_timer_cancel(w->loop, &w->accept_timer);
    w->leave_timer.fn = on_leave_timer;
    loop_timer_set(w->loop, &w->leave_timer, 0);
}

/* Would it be noticed by this client if we ended now? */
static bool
is_under_way(const struct worker *w, const struct conn *c)
{
    if (c->state == STREAM_FREE || c->state == STREAM_CLOSED || live_of(w, c)->fd < 0)
        return false;
    return c->state == STREAM_PROXY || c->state == STREAM_TLS ||
           c->state == STREAM_SASL_WAIT || c->flags & CONN_TLS_PENDING ||
           (c->tls == CONN_TLS13 && !c->tls_state);
}

static bool
is_clean(struct worker *w)
{
    if (w->recovering || w->slot->outbox.len > 0 || post_backlog(w->proc->post) > 0)
        return false;
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        if (is_under_way(w, &w->conns[i]))
            return false;
    }
    return true;
}

void
leave_try(struct worker *w)
{
    uint64_t now = loop_now_ms(w->loop);
    bool late = now >= w->leave_until_ms;

    if (!late && now < w->leave_look_ms)
        return;
    w->leave_look_ms = now + LOOK_MS;
    if (!is_clean(w)) {
        if (!late)
            return;
        log_warning(NULL, "makes room for its successor in the middle of handshakes");
    }
    log_info(NULL, "makes room for its successor, with %u connections", w->n_conns);
    _exit(0); /* not one instruction more: the slot is the successor's */
}
