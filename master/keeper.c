/*
 * keeper.c -- holds what must outlive a worker: its clients' sockets
 *
 * It reads nothing from them and decides nothing, so that there is nothing it could die
 * of. A new worker asks for all of them; they go out in portions, because the system
 * limits how many descriptors may be under way, and the next portion follows when the
 * worker has taken this one. A worker that dies while it is being given its sockets has
 * a successor that asks again; it will find some of the old answer in its mailbox
 * first, and knows its own by the number of the question.
 *
 * A keeper that was restarted holds nothing but what was waiting in its mailbox; it
 * says so, and the worker sends its sockets again. It is ready when it has them: until
 * then nobody should replace the worker.
 */
#include "master/keeper.h"

#include <errno.h>
#include <fcntl.h>

#include "base/killpoint.h"
#include "base/mem.h"
#include "master/held.h"

enum {
    PORTION = 128
};

struct keeper {
    struct proc *p;
    struct held *held;
    ipc_addr worker;
    bool giving;
    uint32_t at; /* in held, of what is given next */
    uint64_t question, n_given;
};

static void
count(struct keeper *k)
{
    k->p->status->counter[COUNTER_KEPT] = held_n(k->held);
}

static void
give(struct keeper *k)
{
    uint64_t conn;
    int fd;

    for (int i = 0; i < PORTION; i++) {
        struct ipc_conn kept;
        int copy;

        if (!held_next(k->held, &k->at, &conn, &fd)) {
            struct ipc_kept_all all = { .question = k->question, .n = k->n_given };

            k->giving = false;
            proc_send(k->p, k->worker, IPC_KEPT_ALL, &all);
            return;
        }
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0) {
            log_error(NULL, "cannot give connection %016llx to the worker: %s",
                    (unsigned long long)conn, strerror(errno));
            continue;
        }
        kept = (struct ipc_conn){ .conn = conn };
        post_send_fd(k->p->post, k->worker, IPC_KEPT, &kept, copy);
        k->n_given++;
    }
}

static void
on_drained(void *arg)
{
    struct keeper *k = arg;

    /* From within a flush: what we add is sent in the next turn. */
    if (k->giving) {
        give(k);
        loop_again(k->p->loop);
    }
}

static void
on_keep(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct keeper *k = ((struct proc *)ctx)->self;
    const struct ipc_conn *m = msg;

    (void)from;
    if (held_put(k->held, m->conn, take_fd(fd)) < 0)
        log_debug(NULL, "connection %016llx is not of this slot",
                (unsigned long long)m->conn);
    killpoint(KEEP_PUT);
    count(k);
}

static void
on_release(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct keeper *k = ((struct proc *)ctx)->self;
    const struct ipc_conn *m = msg;

    (void)from, (void)fd;
    held_drop(k->held, m->conn);
    killpoint(KEEP_DROPPED);
    count(k);
}

static void
on_keep_give(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct keeper *k = ((struct proc *)ctx)->self;

    (void)from, (void)fd;
    k->question = ((const struct ipc_u64 *)msg)->value;
    k->giving = true;
    k->at = 0;
    k->n_given = 0;
    give(k);
}

static void
on_keeper_full(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;

    (void)from, (void)msg, (void)fd;
    if (!p->status->ready)
        proc_ready(p);
}

static int
keeper_start(struct proc *p)
{
    struct keeper *k = mem_zalloc(sizeof *k);

    p->self = k;
    k->p = p;
    k->held = held_new(p->slot);
    k->worker = ipc_addr_of(PROC_WORKER, p->slot);
    post_on_drained(p->post, on_drained, k);
    count(k);
    if (p->starts > 0)
        proc_send(p, k->worker, IPC_KEEPER_EMPTY, &(struct ipc_nothing){ 0 });
    else
        proc_ready(p);
    return 0;
}

static void
keeper_finish(struct proc *p)
{
    struct keeper *k = p->self;

    if (!k)
        return;
    held_free(&k->held);
    mem_free_p(k);
    p->self = NULL;
}

static const ipc_handler_fn handlers[IPC_TYPES] = {
    [IPC_KEEP] = on_keep,
    [IPC_RELEASE] = on_release,
    [IPC_KEEP_GIVE] = on_keep_give,
    [IPC_KEEPER_FULL] = on_keeper_full,
};

const struct proc_role_ops keeper_ops = {
    .role = PROC_KEEPER,
    .start = keeper_start,
    .finish = keeper_finish,
    .handlers = handlers,
};
