/*
 * pressure.c -- a slot that fills up
 *
 * What waits in the slot is for clients that do not take it: their output, their
 * unacknowledged stanzas, halves of large stanzas. One of them alone is limited
 * (OUT_BYTES_MAX, max_fsm_queue, max_ack_queue, max_stanza_size), but not all together.
 * So, from the bottom up:
 *
 *   at oom_watermark        new connections are refused; at the turn's end those that
 *                           hold the most are ended, until an eighth below it;
 *   within a turn, there    no further stanza is read until its end, but for a little
 *                           in each turn, so that nothing stands still for ever;
 *   half way to the end     output is dropped, and its connection ended: one stanza may
 *                           go to thousands, and all of that is one transaction. What
 *                           is kept until it is acknowledged (XEP-0198) still is, and
 *                           a client for which little waits gets what is for it.
 *   half way from there     sessions take nothing more: one for which there is something
 *                           ends, what it has is given back, and messages for it are
 *                           delivered as if it were not there (out_takes()).
 *
 * Ended is the connection; its session waits if it can (XEP-0198), and is ended only
 * when it is itself among the greediest then.
 */
#include "worker/pressure.h"

#include <stdlib.h>

#include "base/mem.h"
#include "worker/conn.h"
#include "worker/saved.h"
#include "worker/shaper.h"

enum {
    TELL_EVERY_S = 60,
    STEP = 64, /* a turn may always take most/STEP pages */
    LITTLE = 16 * 1024, /* bytes for a client; it goes out at once to one that reads */
    PAGES_LEAST = (32 << 20) / SLAB_PAGE
};

static uint32_t
pages_used(const struct worker *w)
{
    struct slab_stats st;

    slab_get_stats(w->slab, &st);
    return st.pages_used;
}

static unsigned
per_cent(const struct worker *w)
{
    return (unsigned)((uint64_t)pages_used(w) * 100 / w->pressure.most);
}

void
pressure_load(struct worker *w)
{
    const struct conf *conf = w->proc->conf;
    struct pressure *p = &w->pressure;
    uint64_t pages = conf->worker_memory_max / SLAB_PAGE;

    if (pages > SLOT_PAGES_MAX)
        pages = SLOT_PAGES_MAX;
    p->most = pages < PAGES_LEAST ? PAGES_LEAST : (uint32_t)pages;
    p->mark = (uint32_t)((uint64_t)p->most * conf->oom_watermark / 100);
    p->full = p->mark + (p->most - p->mark) / 2;
    p->last = p->full + (p->most - p->full) / 2;
    p->stop = p->mark;
}

static bool
may_tell(struct worker *w, uint32_t *told_s)
{
    if (*told_s && w->now_s - *told_s < TELL_EVERY_S)
        return false;
    *told_s = w->now_s;
    return true;
}

bool
pressure_refuses(struct worker *w)
{
    struct pressure *p = &w->pressure;

    if (pages_used(w) < p->mark)
        return false;
    p->n_refused++;
    if (may_tell(w, &p->refused_s)) {
        log_warning(NULL,
                "refused: %u new connections: %u per cent of this worker's memory are "
                "in use (worker_memory_max, oom_watermark)",
                p->n_refused, per_cent(w));
        p->n_refused = 0;
    }
    return true;
}

bool
pressure_allows(struct worker *w)
{
    if (pages_used(w) < w->pressure.stop)
        return true;
    w->pressure.paused = true;
    return false;
}

bool
pressure_drops(struct worker *w, uint64_t waiting)
{
    const struct pressure *p = &w->pressure;
    uint32_t used = pages_used(w);

    if (used < p->full || (used < p->last && waiting <= LITTLE))
        return false;
    w->pressure.n_lost++;
    return true;
}

bool
pressure_is_last(struct worker *w)
{
    if (pages_used(w) < w->pressure.last)
        return false;
    w->pressure.n_lost++;
    return true;
}

/* What is kept for the session. */
static uint64_t
session_weight(const struct conn *c)
{
    return (c->sm ? c->sm->bytes : 0) + (uint64_t)(c->held ? c->held->bytes : 0) +
           (c->late ? c->late->bytes : 0);
}

/*
 * What would be free if the connection, or a session without one, were ended. Of a
 * session that can wait it is its connection first, and then itself.
 */
static uint64_t
weight_of(const struct worker *w, const struct conn *c)
{
    const struct live *l = live_of(w, c);
    uint64_t n = 0;

    if (c->state == STREAM_FREE || c->state == STREAM_CLOSED || l->flags & LIVE_DEAD)
        return 0;
    n = session_weight(c);
    if (c->state == STREAM_DETACHED || c->state == STREAM_MOVED)
        return n;
    if (l->fd < 0)
        return 0; /* its socket is still to come */
    n += (uint64_t)c->out.bytes + c->wire.bytes;
    n += c->in && c->in != w->read_chunk ? c->in->size : 0;
    n += c->plain && c->plain != w->plain_chunk ? c->plain->size : 0;
    return n;
}

struct candidate {
    uint64_t weight;
    uint32_t index;
};

static int
heavier(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    return x->weight < y->weight ? 1 : x->weight > y->weight ? -1 : 0;
}

static void
cut(struct worker *w, struct conn *c, uint64_t weight)
{
    proc_count(w->proc, COUNTER_MEMORY_CUT, 1);
    w->pressure.n_cut++;
    log_info(conn_ctx(w, c), "cut: it holds %llu bytes, and memory is short",
            (unsigned long long)weight);
    conn_close(w, c, "memory is short");
}

/* The heaviest first, until as many bytes as are too many will be free. */
static void
cut_greediest(struct worker *w, uint64_t bytes)
{
    struct candidate *found = mem_alloc((w->slot->conns_used + 1) * sizeof *found);
    size_t n = 0;

    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        uint64_t weight = weight_of(w, &w->conns[i]);

        if (weight > 0 && !saved_keeps(w, &w->conns[i]))
            found[n++] = (struct candidate){ weight, i };
    }
    qsort(found, n, sizeof *found, heavier);
    for (size_t i = 0; i < n && bytes > 0; i++) {
        cut(w, &w->conns[found[i].index], found[i].weight);
        bytes -= found[i].weight < bytes ? found[i].weight : bytes;
    }
    mem_free(&found);
}

/* Those that were stopped within the turn go on; they are not remembered one by one. */
static void
read_on(struct worker *w)
{
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (live_of(w, c)->fd >= 0)
            shaper_pause(w, c, 0);
    }
    shaper_rearm(w);
}

void
pressure_relieve(struct worker *w)
{
    struct pressure *p = &w->pressure;
    uint32_t used = pages_used(w), low = p->mark - p->mark / 8, next;

    if (used >= p->mark && w->proc->conf->oom_killer && !w->recovering) {
        cut_greediest(w, (uint64_t)(used - low) * SLAB_PAGE);
        conn_reap(w);
        used = pages_used(w);
    }
    if ((p->n_cut || p->n_lost) && may_tell(w, &p->told_s)) {
        log_warning(NULL,
                "memory is short: %u connections that held the most were ended, %u "
                "stanzas dropped; %u per cent are in use now (worker_memory_max)",
                p->n_cut, p->n_lost, per_cent(w));
        p->n_cut = p->n_lost = 0;
    }
    next = used + p->most / STEP;
    p->stop = next > p->mark ? next : p->mark;
    if (p->paused) {
        p->paused = false;
        read_on(w);
    }
}
