/*
 * saved_write.c -- sessions that wait are saved at a stop (XEP-0198)
 *
 * Each worker writes them into a file of its own, before any worker may end. A session
 * that was saved already, and has got or lost something since, is written again; what
 * cannot be written ends, as nothing else keeps it.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/conn.h"
#include "worker/late.h"
#include "worker/saved_file.h"
#include "worker/saved_inside.h"
#include "worker/saved_pack.h"
#include "worker/sm.h"

bool
saved_can(const struct worker *w)
{
    return w->proc->saved_fd >= 0 && !w->saved_failed;
}

static bool
is_as_saved(const struct conn *c)
{
    return c->sm->saved_at && c->sm->saved_out == c->sm->out;
}

/*
 * Does it wait, all of it, and not as it was saved? Also if its time is over by now:
 * what it has is given back at the next start, as there may be nobody any more to take
 * it.
 */
static bool
is_unsaved(const struct conn *c)
{
    return c->state == STREAM_DETACHED && c->sm && c->flags & CONN_BOUND &&
           !(c->flags & CONN_SESSION_ENDED) && !is_as_saved(c);
}

bool
saved_keeps(const struct worker *w, const struct conn *c)
{
    return w->stopping && c->state == STREAM_DETACHED && c->flags & CONN_BOUND &&
           (saved_can(w) || is_as_saved(c));
}

static void
write_session(struct saved_writer *f, struct conn *c, struct buf *text)
{
    struct buf directed = { 0 };
    struct ipc_sm_session s;
    struct saved_wait wait = { .until_us = c->sm->until_us,
        .since_us = c->since_us,
        .port = c->port,
        .addr = { (const char *)c->addr, sizeof c->addr } };
    uint32_t n;

    sm_describe(c, &directed, &s);
    buf_reset(text, SIZE_MAX);
    buf_add(text, &(uint32_t){ 0 }, sizeof n);
    saved_wait_save(text, &wait);
    n = (uint32_t)(text->n - sizeof n);
    memcpy(text->p, &n, sizeof n);
    ipc_sm_session_save(text, &s);
    saved_writer_add(f, SAVED_SESSION, buf_str(text));
    for (const struct sm_item *i = c->sm->first; i; i = i->next) {
        struct ipc_sm_item item = { .at_us = i->at_us,
            .shared = i->shared,
            .priority = i->priority,
            .stanza = { i->bytes, i->n } };

        buf_reset(text, SIZE_MAX);
        ipc_sm_item_save(text, &item);
        saved_writer_add(f, SAVED_MORE, buf_str(text));
    }
    buf_fini(&directed);
}

/* Everything that waits elsewhere for the session becomes a part of its queue. */
static void
settle_sessions(struct worker *w, uint32_t *ret_n)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (!is_unsaved(c))
            continue;
        late_end(w, c);
        session_release(w, c, NULL, NULL);
        n++;
    }
    *ret_n = n;
}

/* Noted where each of them is in the file; or they end, as nothing else keeps them. */
static size_t
written(struct worker *w, int r, off_t at)
{
    size_t ended = 0;

    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (!is_unsaved(c))
            continue;
        if (r < 0 && c->sm->saved_at)
            saved_mark(w->proc->saved_fd, (off_t)c->sm->saved_at);
        if (r < 0) {
            conn_forget(w, c);
            ended++;
            continue;
        }
        worker_begin(w, NULL);
        SET(w, c->sm->saved_at, (uint64_t)at++);
        SET(w, c->sm->saved_out, c->sm->out);
        worker_commit(w);
    }
    return ended;
}

/* What was taken in at the start has been saved again, or is stored elsewhere. */
static void
files_empty(struct worker *w)
{
    for (unsigned i = 0; w->saved && i < w->saved->n_files; i++) {
        if (w->saved->file[i].n_waiting > 0)
            saved_file_empty(&w->saved->file[i]);
    }
}

size_t
saved_write(struct worker *w)
{
    struct saved_writer *f;
    off_t at;
    struct buf text = { 0 };
    size_t ended;
    uint32_t n;
    int r;

    settle_sessions(w, &n);
    if (n > 0) {
        f = saved_writer_new(w->proc->saved_fd, n, clock_wall_us());
        at = saved_writer_states_at(f);
        for (uint32_t i = 0; i < w->slot->conns_used; i++) {
            if (is_unsaved(&w->conns[i]))
                write_session(f, &w->conns[i], &text);
        }
        r = saved_writer_end(&f);
        buf_fini(&text);
        ended = written(w, r, at);
        if (r < 0) {
            w->saved_failed = true;
            log_error(NULL,
                    "cannot save sessions: %s; what %zu clients have not acknowledged "
                    "is "
                    "given back",
                    strerror(-r), ended);
            return ended;
        }
        log_notice(NULL, "%u sessions that wait for their clients are saved", n);
    }
    files_empty(w);
    return 0;
}

void
saved_end(struct worker *w, bool finished)
{
    if (finished)
        files_empty(w);
}
