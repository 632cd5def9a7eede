/*
 * convert.c -- a worker's slot goes over to a program that lays it out in another way
 *
 * Each slot has a layout, and so has each program. Where those of the next occupant and
 * of its slot differ, a process of the program that understands the slot is started
 * first, in the occupant's place: it writes the content into a file, in a form that all
 * programs understand (worker/transfer.c), and ends. Nobody serves meanwhile, so the
 * file says the same as the slot. Then the next occupant gets the file and an empty
 * segment.
 *
 * Which of them counts is never in doubt, whoever dies:
 *
 *     the writer              the slot; it is written again
 *     we, before the holders  the slot; likewise
 *     have both
 *     we, after that          the new segment if it has been filled, else the file: the
 *                             occupant sees which (slot_is_ours())
 *     the occupant            likewise
 *
 * On the way back the same happens with the programs exchanged. A segment that had not
 * been filled makes the writer end with PROC_EXIT_NOTHING: then the file still counts.
 */
#include "master/master.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "base/killpoint.h"
#include "base/mem.h"
#include "proc/proc.h"

enum {
    TRIES = 5
};

/* The program that understands the slot. */
static struct program *
writer_of(const struct child *c)
{
    list_for(node, &c->master->programs)
    {
        struct program *p = list_entry(node, struct program, node);

        if (p->layout == c->layout)
            return p;
    }
    return NULL;
}

static int
new_segment(struct child *c)
{
    int fd = -1, unused = -1;
    int r = zone_create((size_t)SLOT_SIZE_GIB << 30, &fd, &unused);

    close_fd(&unused);
    if (r < 0)
        return r;
    close_fd(&c->slot_rw);
    c->slot_rw = fd;
    c->layout = c->program->layout;
    return 0;
}

struct program *
convert_begin(struct child *c)
{
    struct program *writer;
    int unused = -1, r;

    c->converting = false;
    if (c->role != PROC_WORKER || c->layout == c->program->layout)
        return c->program;
    writer = writer_of(c);
    close_fd(&c->file_out);
    r = writer ? zone_create((size_t)SLOT_SIZE_GIB << 30, &c->file_out, &unused)
               : -ENOENT;
    close_fd(&unused);
    if (r == 0) {
        c->converting = true;
        return writer;
    }
    log_critical(NULL, "%s loses its connections: %s", c->name,
            r == -ENOENT ? "no program is there that understands them" : strerror(-r));
    close_fd(&c->file);
    if (new_segment(c) == 0)
        convert_tell(c);
    return c->program;
}

void
convert_tell(struct child *c)
{
    struct master *m = c->master;

    if (c->file >= 0)
        holders_hold(c, ESTATE_TRANSFER, 0, c->file);
    killpoint(CONVERT_FILE);
    holders_hold_slot(c);
    post_flush(m->post);
    killpoint(CONVERT_TOLD);
}

void
convert_ended(struct child *c, const int *status)
{
    int code = status && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;

    c->converting = false;
    if (code == 0) {
        close_fd(&c->file);
        c->file = take_fd(&c->file_out);
    } else if (code != PROC_EXIT_NOTHING && ++c->convert_failures < TRIES) {
        close_fd(&c->file_out);
        return; /* once more */
    } else if (code != PROC_EXIT_NOTHING) {
        log_critical(NULL, "the connections of %s cannot be handed over%s", c->name,
                c->file >= 0 ? "; it goes on with what they were before" : "");
    }
    close_fd(&c->file_out);
    c->convert_failures = 0;
    killpoint(CONVERT_WRITTEN);
    if (new_segment(c) == 0)
        convert_tell(c);
}

void
convert_done(struct child *c)
{
    if (c->file < 0)
        return;
    close_fd(&c->file);
    log_info(
            NULL, "%s has taken its connections over in layout %u", c->name, c->layout);
    holders_tell_all(c->master); /* without the file */
}
