/*
 * keep.c -- what the keeper holds for us, and what it need not hold any more
 *
 * Of a socket it hears at once, before anything is read from it. That one is closed it
 * hears with the next socket, or of several together, or a little later: waking it
 * costs more than what it does then. If we die meanwhile, our successor is given those
 * sockets too, knows none of them, and has them closed.
 */
#include "worker/keep.h"

#include <fcntl.h>

#include "base/mem.h"
#include "worker/conn.h"

enum {
    PUT_OFF_MS = 100
};

static ipc_addr
keeper_of(const struct worker *w)
{
    return ipc_addr_of(PROC_KEEPER, w->proc->slot);
}

void
keep_flush(struct worker *w)
{
    for (unsigned i = 0; i < w->n_release; i++) {
        struct ipc_conn m = { .conn = w->release[i] };

        post_send(w->proc->post, keeper_of(w), IPC_RELEASE, &m);
    }
    w->n_release = 0;
    loop_timer_cancel(w->loop, &w->release_timer);
}

static void
on_timer(struct loop_timer *t)
{
    keep_flush(container_of(t, struct worker, release_timer));
}

void
keep_release(struct worker *w, uint64_t conn)
{
    if (w->n_release == ARRAY_LEN(w->release))
        keep_flush(w);
    if (w->n_release == 0) {
        w->release_timer.fn = on_timer;
        loop_timer_set(w->loop, &w->release_timer, PUT_OFF_MS);
    }
    w->release[w->n_release++] = conn;
}

void
keep_socket(struct worker *w, struct conn *c, int fd)
{
    struct ipc_conn m = { .conn = conn_id(w, c) };
    int dup_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    keep_flush(w);
    if (dup_fd >= 0)
        post_send_fd(w->proc->post, keeper_of(w), IPC_KEEP, &m, dup_fd);
}
