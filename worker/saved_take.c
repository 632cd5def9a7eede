/*
 * saved_take.c -- saved sessions are taken in at a start (XEP-0198)
 *
 * Worker 0 takes in what it finds in all files of before and claims the resources; then
 * the workers serve. The same session may be in several segments, of several files:
 * when it was saved again, or everything died before an old file was emptied. The
 * latest counts.
 *
 * A successor of worker 0 reads the files again, and compares: what is in the slot was
 * taken in. What is not was not yet, or, when all had been (slot.saved_taken), has
 * gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/killpoint.h"
#include "base/mem.h"
#include "worker/conn.h"
#include "worker/outbox.h"
#include "worker/process.h"
#include "worker/saved_file.h"
#include "worker/saved_inside.h"
#include "worker/saved_pack.h"
#include "worker/sm.h"

enum {
    BACK_MS = 10 * 1000,  /* for the router to know all sessions */
    OTHER_MS = 60 * 1000, /* for another worker to take in what was saved */
    LOOK_MS = 5,
    DEATHS_MOST = 5, /* a file is not read again when workers die of faults in a row, */
    KILLS_MOST = 50  /* or are killed, by the system when memory is short */
};

/* One session of a file: what is known of it, and the records behind its first. */
struct found {
    struct saved_wait wait;
    struct ipc_sm_session session;
    struct str items;
};

static int
found_parse(struct str first, struct found *ret)
{
    struct str wait, session;
    uint32_t n;
    int r;

    if (first.n < sizeof n)
        return -EBADMSG;
    memcpy(&n, first.p, sizeof n);
    if (n > first.n - sizeof n)
        return -EBADMSG;
    wait = (struct str){ first.p + sizeof n, n };
    session = (struct str){ wait.p + n, first.n - sizeof n - n };
    r = saved_wait_load(wait, &ret->wait);
    if (r == 0)
        r = ipc_sm_session_load(session, &ret->session);
    return r == 0 && ret->session.token.n != SM_TOKEN ? -EBADMSG : r;
}

static void
take_in(struct worker *w, const struct found *found, uint32_t number)
{
    /* Of no connection: a name for what belongs together. */
    uint64_t old = conn_id_of(w->proc->slot, CONN_INDEX_MAX, number);
    struct ipc_sm_session s = found->session;
    struct ipc_sm_end end = { .old = old };
    struct str items = found->items, bytes;
    enum saved_kind kind;
    struct conn *c;

    s.conn = 0;
    s.old = old;
    s.found = 1;
    worker_begin(w, NULL);
    sm_on_session(w, &s);
    c = sm_coming(w, 0, old);
    if (c) {
        struct str rest = items;

        while (saved_record_next(&rest, &kind, &bytes)) {
            struct ipc_sm_item item;

            if (ipc_sm_item_load(bytes, &item) < 0)
                continue;
            item.conn = 0;
            item.old = old;
            sm_on_item(w, &item);
        }
        SET(w, c->port, found->wait.port);
        if (found->wait.addr.n == sizeof c->addr)
            memcpy(c->addr, found->wait.addr.p, sizeof c->addr);
        SET(w, c->sm->saved, 1);
        sm_on_end(w, &end);
        SET(w, c->since_us, found->wait.since_us);
        if (found->wait.until_us < c->sm->until_us) /* the clock may have been ahead */
            SET(w, c->sm->until_us, found->wait.until_us);
        w->saved->last = conn_id(w, c);
    }
    worker_commit(w);
    killpoint(SAVED_ONE);
    if (!c)
        log_error(NULL, "a saved session of %.*s cannot be taken in",
                STR_ARG(found->session.full));
}

static struct map
tokens_here(const struct worker *w)
{
    struct map here = { 0 };

    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (c->state != STREAM_FREE && c->sm && c->sm->saved)
            map_set(&here, (struct str){ c->sm->token, SM_TOKEN }, c);
    }
    return here;
}

/* A segment and the file that it is in. */
struct part {
    struct saved_file *file;
    struct saved_segment segment;
};

static int
later_first(const void *a, const void *b)
{
    uint64_t x = ((const struct part *)a)->segment.saved_us,
             y = ((const struct part *)b)->segment.saved_us;

    return x < y ? 1 : x > y ? -1 : 0;
}

struct taking_in {
    struct map here;
    uint32_t number; /* sessions seen so far */
    size_t taken, gone;
};

static void
session_found(struct worker *w, const struct part *p, off_t state_at,
        const struct found *found, struct taking_in *t)
{
    struct str token = found->session.token;
    struct saved_entry *e;

    if (map_get(&w->saved->entries, token)) { /* a later one counts */
        saved_mark(p->file->fd, state_at);
        return;
    }
    e = mem_zalloc(sizeof *e);
    memcpy(e->token, token.p, SM_TOKEN);
    e->file = p->file;
    e->state_at = state_at;
    list_init(&e->due);
    map_set(&w->saved->entries, (struct str){ e->token, SM_TOKEN }, e);
    p->file->n_waiting++;
    if (map_get(&t->here, token))
        return;
    if (w->slot->saved_taken) {
        e->due_s = 1;
        list_add(&w->saved->gone, &e->due);
        t->gone++;
        return;
    }
    take_in(w, found, ++t->number);
    t->taken++;
}

static void
part_take(struct worker *w, const struct part *p, struct taking_in *t)
{
    const char *state = p->file->bytes.p + p->segment.states_at;
    struct str rest = p->segment.records, bytes;
    enum saved_kind kind;
    uint32_t i = 0;

    while (saved_record_next(&rest, &kind, &bytes)) {
        struct found found = { .items = rest };
        struct str before = rest;

        if (kind != SAVED_SESSION || i >= p->segment.n_sessions)
            continue;
        while (saved_record_next(&rest, &kind, &(struct str){ 0 }) &&
                kind != SAVED_SESSION)
            before = rest;
        rest = before; /* the next session comes next */
        found.items.n = (size_t)(before.p - found.items.p);
        if (state[i] == SAVED_WAITS && found_parse(bytes, &found) == 0)
            session_found(w, p, (off_t)(p->segment.states_at + i), &found, t);
        i++;
    }
}

static void
files_open(struct worker *w)
{
    struct saved *s = saved_of(w);
    struct proc *p = w->proc;

    s->file = mem_zalloc((p->n_saved_old + 1) * sizeof *s->file);
    for (unsigned i = 0; i < p->n_saved_old; i++) {
        struct saved_file *f = &s->file[s->n_files++];
        int r;

        f->fd = take_fd(&p->saved_old[i]);
        r = saved_map(f->fd, &f->bytes);
        if (r < 0)
            log_error(NULL, "cannot read saved sessions: %s", strerror(-r));
    }
}

static struct part *
parts_of(struct worker *w, size_t *ret_n)
{
    struct saved *s = w->saved;
    struct part *part = NULL;
    size_t n = 0;

    for (unsigned i = 0; i < s->n_files; i++) {
        struct saved_segment segment;
        size_t at = 0;
        int r;

        while ((r = saved_segment_next(s->file[i].bytes, &at, &segment)) == 1) {
            part = mem_realloc(part, (n + 1) * sizeof *part);
            part[n++] = (struct part){ .file = &s->file[i], .segment = segment };
        }
        if (r < 0)
            log_error(NULL,
                    "a file of saved sessions is damaged from byte %zu of %zu on: "
                    "writing it was not finished",
                    at, s->file[i].bytes.n);
    }
    if (n)
        qsort(part, n, sizeof *part, later_first);
    *ret_n = n;
    return part;
}

static void
take_all(struct worker *w)
{
    struct taking_in t = { .here = tokens_here(w) };
    size_t n;
    struct part *part;

    files_open(w);
    part = parts_of(w, &n);
    for (size_t i = 0; i < n; i++)
        part_take(w, &part[i], &t);
    mem_free_p(part);
    map_fini(&t.here);
    killpoint(SAVED_ALL);
    worker_begin(w, NULL);
    SET(w, w->slot->saved_taken, 1);
    worker_commit(w);
    killpoint(SAVED_NOTED);
    for (unsigned i = 0; i < w->saved->n_files; i++) {
        struct saved_file *f = &w->saved->file[i];
        size_t at = 0;
        struct saved_segment segment;

        /* What is damaged stays for the administrator. */
        if (f->n_waiting == 0 && saved_segment_next(f->bytes, &at, &segment) == 1)
            saved_file_empty(f);
    }
    if (t.taken || t.gone)
        log_notice(NULL, "%zu saved sessions wait for their clients again", t.taken);
}

/* --- The start --- */

static bool
router_knows(const struct worker *w)
{
    const struct conn *c = conn_find(w, w->saved->last);

    return !c || c->presence_done == c->presence_serial;
}

static void
on_timer(struct loop_timer *t)
{
    struct saved *s = container_of(t, struct saved, timer);
    struct worker *w = s->w;

    if (loop_now_ms(w->loop) < s->until_ms && (s->others || !router_knows(w))) {
        loop_timer_set(w->loop, t, LOOK_MS);
        return;
    }
    if (!s->others) {
        for (unsigned i = 0; i < w->proc->n_workers; i++) {
            if (i != w->proc->slot)
                outbox_send(w, ipc_addr_of(PROC_WORKER, i), IPC_SESSIONS_BACK,
                        &(struct ipc_nothing){ 0 });
        }
        killpoint(SAVED_BACK);
    } else {
        log_error(NULL, "the saved sessions do not come; serving without them");
    }
    process_serve(w);
}

static void
wait_for(struct worker *w, bool others, uint64_t ms)
{
    struct saved *s = saved_of(w);

    s->others = others;
    s->until_ms = loop_now_ms(w->loop) + ms;
    s->timer.fn = on_timer;
    loop_timer_set(w->loop, &s->timer, LOOK_MS);
}

bool
saved_begin(struct worker *w)
{
    struct proc *p = w->proc;

    if (p->n_saved == 0)
        return false;
    if (p->slot != 0) {
        if (w->inherited || p->starts > 0)
            return false; /* it was there long ago */
        wait_for(w, true, OTHER_MS);
        return true;
    }
    if (!w->slot->saved_taken &&
            (p->status->n_faults > DEATHS_MOST || p->starts > KILLS_MOST)) {
        log_error(NULL, "worker processes die of the saved sessions; they stay where "
                        "they are");
        return false;
    }
    take_all(w);
    wait_for(w, false, BACK_MS);
    return true;
}

void
saved_on_back(struct worker *w)
{
    if (!w->saved || !w->saved->others || w->saved->timer.place == 0)
        return;
    loop_timer_cancel(w->loop, &w->saved->timer);
    process_serve(w);
}
