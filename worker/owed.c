/*
 * owed.c -- answers to <r/> that go out with something else
 *
 * An <a/> of its own is a packet of its own, a record under TLS, and wakes the client
 * once more: more than a tenth of what a message costs. So where a client is given
 * stanzas one close behind the other, its answer waits for the next of them, and not
 * for long. (XEP-0198, 4: as soon as possible, and never withheld for any condition
 * other than a timeout.) Everybody else is answered at once: what waits costs a turn of
 * its own when nothing comes. Each <r/> gets its <a/>: a second one makes the first go.
 *
 * That an answer is owed is a flag in the slot, for a client must get it from our
 * successor. When it is due is on the heap: all wait equally long, so that the one that
 * began to wait first is due first.
 */
#include "worker/owed.h"

#include "base/clock.h"
#include "base/mem.h"
#include "worker/conn.h"
#include "worker/process.h"
#include "worker/sm.h"

enum {
    WAIT_MS = 20,
    CLOSE_N = 3,         /* so many stanzas that were not acknowledged, */
    CLOSE_US = 10 * 1000 /* and so much time between two of them: they come closely */
};

struct owed {
    uint32_t index;
    uint32_t due_ms; /* lower 32 bits of the loop's clock */
};

static bool
comes_more_soon(const struct sm *sm)
{
    return sm->n >= CLOSE_N &&
           clock_wall_us() - sm->first->at_us < (uint64_t)sm->n * CLOSE_US;
}

static void
on_timer(struct loop_timer *t)
{
    (void)t; /* the turn's end does it */
}

/* A client has one place at most, which may be an older one: it is answered early then.
 */
static void
put(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);

    if (l->flags & LIVE_OWED)
        return;
    l->flags |= LIVE_OWED;
    if (w->n_owed == w->owed_size) {
        w->owed_size = w->owed_size ? w->owed_size * 2 : 64;
        w->owed = mem_realloc(w->owed, w->owed_size * sizeof *w->owed);
    }
    w->owed[w->n_owed++] = (struct owed){ .index = conn_index(w, c),
        .due_ms = (uint32_t)loop_now_ms(w->loop) + WAIT_MS };
    if (w->owed_timer.place == 0) {
        w->owed_timer.fn = on_timer;
        loop_timer_set(w->loop, &w->owed_timer, WAIT_MS);
    }
}

void
owed_ask(struct worker *w, struct conn *c)
{
    owed_pay(w, c);
    if (w->leaving || !comes_more_soon(c->sm)) {
        sm_say_handled(w, c);
        return;
    }
    SET(w, c->flags, c->flags | CONN_OWED);
    put(w, c);
}

void
owed_forget(struct worker *w, struct conn *c)
{
    if (c->flags & CONN_OWED)
        SET(w, c->flags, c->flags & ~(uint32_t)CONN_OWED);
}

void
owed_pay(struct worker *w, struct conn *c)
{
    if (!(c->flags & CONN_OWED))
        return;
    owed_forget(w, c);
    if (c->sm)
        sm_say_handled(w, c);
}

/* n of them, from the first on. */
static void
pay(struct worker *w, size_t n)
{
    if (n == 0)
        return; /* there may be no memory for them either */
    for (size_t i = 0; i < n; i++) {
        struct conn *c = &w->conns[w->owed[i].index];

        live_of(w, c)->flags &= ~(uint32_t)LIVE_OWED;
        if (!(c->flags & CONN_OWED))
            continue;
        worker_begin(w, NULL);
        owed_pay(w, c);
        worker_commit(w);
    }
    w->n_owed -= n;
    memmove(w->owed, w->owed + n, w->n_owed * sizeof *w->owed);
}

void
owed_pay_due(struct worker *w)
{
    uint32_t now = (uint32_t)loop_now_ms(w->loop);
    size_t n = 0;

    if (w->n_owed == 0 || (int32_t)(w->owed[0].due_ms - now) > 0)
        return;
    while (n < w->n_owed && (int32_t)(w->owed[n].due_ms - now) <= 0)
        n++;
    pay(w, n);
    if (w->n_owed > 0)
        loop_timer_set(w->loop, &w->owed_timer, w->owed[0].due_ms - now);
}

void
owed_pay_all(struct worker *w)
{
    pay(w, w->n_owed);
}

void
owed_free(struct worker *w)
{
    mem_free_p(w->owed);
}
