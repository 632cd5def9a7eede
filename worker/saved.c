/*
 * saved.c -- sessions that wait for their clients while the service is down (XEP-0198)
 *
 * At a stop each worker writes the sessions that wait into a file of its own
 * (saved_write.c); at the next start worker 0 takes in what it finds in all files of
 * before (saved_take.c). A client resumes a session through any worker, as always. Here
 * are the books: which file still has which session.
 *
 * Which is true, the slot or the file? A session in a file counts until its byte there
 * says that it has gone: when its client has been given it, or what it had has been
 * given back. So when everything is killed at once after a start, and with it the
 * slots, the file still has what nobody has got. The byte is written after the frames
 * of the turn: in between, a client may have got what the file still has, and then its
 * count says so when it resumes that. What is given back is marked some seconds later,
 * when it is in the database.
 *
 * A session is known by its token. A file of which nothing counts any more is emptied,
 * and removed by the master.
 */
#include "worker/saved.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/killpoint.h"
#include "base/mem.h"
#include "worker/saved_file.h"
#include "worker/saved_inside.h"

enum {
    STORED_S = 5 /* what is given back is in the database */
};

struct saved *
saved_of(struct worker *w)
{
    if (!w->saved) {
        w->saved = mem_zalloc(sizeof *w->saved);
        w->saved->w = w;
        list_init(&w->saved->gone);
        list_init(&w->saved->stored);
    }
    return w->saved;
}

void
saved_mark(int fd, off_t at)
{
    char gone = SAVED_GONE;

    if (pwrite(fd, &gone, 1, at) != 1)
        log_error(
                NULL, "cannot write to a file of saved sessions: %s", strerror(errno));
}

void
saved_file_empty(struct saved_file *f)
{
    if (f->fd < 0)
        return;
    saved_unmap(&f->bytes);
    if (ftruncate(f->fd, 0) < 0)
        log_error(NULL, "cannot empty a file of saved sessions: %s", strerror(errno));
    close_fd(&f->fd);
}

static void
entry_end(struct worker *w, struct saved_entry *e)
{
    struct saved_file *f = e->file;

    killpoint(SAVED_GONE);
    if (f->fd >= 0)
        saved_mark(f->fd, e->state_at);
    killpoint(SAVED_MARKED);
    map_del(&w->saved->entries, (struct str){ e->token, SM_TOKEN });
    list_del(&e->due);
    mem_free_p(e);
    if (--f->n_waiting == 0)
        saved_file_empty(f);
}

void
saved_settle(struct worker *w, struct conn *c, bool ended)
{
    struct saved_entry *e;

    if (!c->sm || !c->sm->saved || !w->saved)
        return;
    SET(w, c->sm->saved, 0);
    e = map_get(&w->saved->entries, (struct str){ c->sm->token, SM_TOKEN });
    if (!e || e->due_s)
        return;
    e->due_s = w->now_s + (ended ? STORED_S : 0) + 1;
    list_add(ended ? &w->saved->stored : &w->saved->gone, &e->due);
    loop_again(w->loop);
}

void
saved_turn_end(struct worker *w)
{
    struct saved *s = w->saved;

    if (!s)
        return;
    list_for_safe(node, &s->gone)
            entry_end(w, list_entry(node, struct saved_entry, due));
    list_for_safe(node, &s->stored)
    {
        struct saved_entry *e = list_entry(node, struct saved_entry, due);

        if (e->due_s > w->now_s)
            break;
        entry_end(w, e);
    }
}

void
saved_free(struct worker *w)
{
    struct map_entry *e;
    size_t at = 0;

    if (!w->saved)
        return;
    loop_timer_cancel(w->loop, &w->saved->timer);
    while ((e = map_next(&w->saved->entries, &at)))
        mem_free_p(e->value);
    map_fini(&w->saved->entries);
    for (unsigned i = 0; i < w->saved->n_files; i++) {
        saved_unmap(&w->saved->file[i].bytes);
        close_fd(&w->saved->file[i].fd);
    }
    mem_free_p(w->saved->file);
    mem_free(&w->saved);
}
