/*
 * holder.c -- holds what must outlive a master
 *
 * It has the master's ends of mailboxes and control channels, the shared memory, the
 * listening sockets, the packed configuration. It reads nothing but frames of the
 * master, so that there is nothing it could die of; and there are two, so that one may
 * be missing.
 *
 * It knows by the end of a lifeline that its master has died, and says so in the
 * master's status page, where the admin process sees it. Only then it answers another
 * one, which connects to DIR/stanzad.adopt: it is handed the holder's control channel,
 * asks there, and is given everything. Whatever the dead master had sent is read before
 * that question.
 *
 * A holder that was not told everything before its master died is of no use to anybody
 * and ends. When the last one has gone the control channels of all processes end, and
 * so do they: nothing stays that nobody can find. That is also how a service without a
 * master is stopped, and one whose master died while it was stopping.
 */
#include "master/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "base/mem.h"
#include "ipc/peer.h"
#include "master/estate.h"
#include "master/hello.h"

enum {
    PORTION = 128,
    REMIND_MS = 3600 * 1000
};

struct holder {
    struct proc *p;
    struct estate estate;
    struct loop_io lifeline, rendezvous;
    struct zone master_zone;
    int32_t master_pid; /* whose lifeline it is */
    bool alone;         /* the master has died */
    bool abandoned;     /* it was stopping: then nobody is to come after it */
    uint64_t alone_since_ms;
    struct loop_timer reminder;
    bool giving;
    struct list *at; /* in the estate's things, of what is given next */
    uint64_t question;
    uint32_t n_given;
};

static const ipc_addr master_addr = PROC_MASTER << 10;

static struct holder *
self(void *ctx)
{
    return ((struct proc *)ctx)->self;
}

/* Ends this process: what it held is closed with it. */
static void
let_go(struct holder *h, const char *why)
{
    if (h->p->stopping)
        return;
    log_warning(NULL, "%s: letting go of everything", why);
    h->p->stopping = true;
    proc_stopped(h->p, 0);
}

static void
io_close(struct holder *h, struct loop_io *io)
{
    if (io->fd < 0)
        return;
    loop_del(h->p->loop, io);
    close_fd(&io->fd);
}

/* Only if no other master has written itself there meanwhile. */
static void
master_page_clear(struct holder *h)
{
    struct status_page *page = h->master_zone.base;
    int32_t pid = h->master_pid;

    if (page && __atomic_compare_exchange_n(
                        &page->pid, &pid, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        page->ready = 0;
}

static void
on_reminder(struct loop_timer *timer)
{
    struct holder *h = container_of(timer, struct holder, reminder);

    log_warning(NULL,
            "the service has been without a master for %llu minutes; start stanzad",
            (unsigned long long)(clock_ms() - h->alone_since_ms) / 60000);
    loop_timer_set(h->p->loop, timer, REMIND_MS);
}

static void
master_died(struct holder *h)
{
    io_close(h, &h->lifeline);
    h->alone = true;
    h->alone_since_ms = clock_ms();
    master_page_clear(h);
    if (!h->estate.complete)
        let_go(h, "the master has died before it had told everything");
    else if (h->abandoned)
        let_go(h, "the master has died while the service was being stopped");
    else if (h->p->slot == 0)
        log_warning(NULL,
                "the master (pid %d) has died; the others go on and wait for a new one",
                (int)h->master_pid);
    loop_timer_set(h->p->loop, &h->reminder, REMIND_MS);
}

/* Nothing is ever written there: what comes is its end. */
static void
on_lifeline_io(struct loop_io *io, unsigned events)
{
    struct holder *h = io->arg;
    char byte;
    ssize_t n;

    (void)events;
    do
        n = read(io->fd, &byte, 1);
    while (n > 0 || (n < 0 && errno == EINTR));
    if (n == 0)
        master_died(h);
}

static void
on_lifeline(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct holder *h = self(ctx);

    (void)from;
    io_close(h, &h->lifeline);
    h->master_pid = (int32_t)((const struct ipc_u64 *)msg)->value;
    h->alone = h->abandoned = false;
    loop_timer_cancel(h->p->loop, &h->reminder);
    estate_abort(&h->estate); /* another one's, cut off */
    h->lifeline.fd = take_fd(fd);
    fcntl(h->lifeline.fd, F_SETFL, fcntl(h->lifeline.fd, F_GETFL) | O_NONBLOCK);
    if (loop_add(h->p->loop, &h->lifeline) < 0)
        let_go(h, "the master cannot be watched");
}

/* Who may be given everything: root, or the user whose service this is. */
static bool
is_trusted(const struct holder *h, int fd)
{
    uid_t uid;

    if (peer_uid(fd, &uid) < 0)
        return false;
    return uid == 0 || (h->p->sandbox.uid == 0 && uid == geteuid());
}

static void
on_rendezvous(struct loop_io *io, unsigned events)
{
    struct holder *h = io->arg;
    const struct thing *own = estate_find(&h->estate, ESTATE_CONTROL, h->p->addr, 0);
    int fd;

    (void)events;
    while ((fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        int r = 0;

        if (!own || !is_trusted(h, fd))
            r = -EACCES;
        else if (h->alone) /* else it asks again, if it was only quicker than we are */
            r = hello_send(fd, own->fd);
        if (r < 0 && r != -EPIPE)
            log_error(NULL, "a master that has come is not answered: %s", strerror(-r));
        close_fd(&fd);
    }
}

/* A new set is in force. */
static void
estate_changed(struct holder *h)
{
    const struct thing *service = estate_find(&h->estate, ESTATE_SERVICE, 0, 0),
                       *page = estate_find(
                               &h->estate, ESTATE_STATUS_RW, master_addr, 0);

    io_close(h, &h->rendezvous);
    zone_unmap(&h->master_zone);
    h->rendezvous.fd = service ? fcntl(service->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (h->rendezvous.fd < 0 || loop_add(h->p->loop, &h->rendezvous) < 0 || !page ||
            zone_map(&h->master_zone, page->fd, sizeof(struct status_page), 0, true) <
                    0)
        let_go(h, "nobody could find this process");
    if (h->alone)
        master_page_clear(h);
}

static void
on_hold_begin(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct holder *h = self(ctx);

    (void)from, (void)fd;
    estate_begin(&h->estate, ((const struct ipc_u64 *)msg)->value);
    killpoint(HOLD_BEGUN);
}

static void
on_hold(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct holder *h = self(ctx);

    (void)from;
    h->giving = false; /* nobody asks and tells at once; the list may have changed */
    if (estate_put(&h->estate, msg, take_fd(fd)) < 0)
        log_error(NULL, "a descriptor is not held: too many, or of an unknown kind");
    killpoint(HOLD_ONE);
}

static void
on_hold_end(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct holder *h = self(ctx);
    const struct ipc_hold_end *m = msg;
    struct ipc_u64 answer = { .value = m->number };

    (void)fd;
    h->giving = false;
    if (estate_end(&h->estate, m) < 0) {
        let_go(h, "not everything that was to be held has come");
        return;
    }
    h->p->status->counter[COUNTER_KEPT] = h->estate.n;
    estate_changed(h);
    killpoint(HOLD_ALL);
    proc_send(h->p, from, IPC_HOLDING, &answer);
}

static void
give(struct holder *h)
{
    for (int i = 0; i < PORTION; i++) {
        struct ipc_hold_end end = { .number = h->question, .n = h->n_given };
        const struct thing *t;
        struct ipc_hold m;
        int copy;

        if (h->at == &h->estate.things) {
            h->giving = false;
            proc_send(h->p, master_addr, IPC_HOLD_END, &end);
            return;
        }
        t = list_entry(h->at, struct thing, node);
        h->at = h->at->next;
        m = estate_message(t);
        copy = fcntl(t->fd, F_DUPFD_CLOEXEC, 0);
        h->n_given++;
        if (copy >= 0)
            post_send_fd(h->p->post, master_addr, IPC_HOLD, &m, copy);
        else
            log_error(NULL, "cannot give a descriptor to the master: %s",
                    strerror(errno));
    }
}

static void
on_drained(void *arg)
{
    struct holder *h = arg;

    /* From within a flush: what we add is sent in the next turn. */
    if (h->giving) {
        give(h);
        loop_again(h->p->loop);
    }
}

static void
on_give(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct holder *h = self(ctx);

    (void)fd;
    h->question = ((const struct ipc_u64 *)msg)->value;
    h->giving = true;
    h->at = h->estate.things.next;
    h->n_given = 0;
    proc_send(h->p, from, IPC_HOLD_BEGIN, msg);
    give(h);
}

static void
on_abandon(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct holder *h = self(ctx);

    (void)msg, (void)fd;
    if (ipc_addr_role(from) == PROC_MASTER)
        h->abandoned = true;
    else if (h->alone)
        let_go(h, "the administrator stops the service, which has no master");
}

static int
holder_prepare(struct proc *p)
{
    struct holder *h = mem_zalloc(sizeof *h);

    p->self = h;
    h->p = p;
    estate_init(&h->estate);
    h->lifeline = (struct loop_io){ .fn = on_lifeline_io, .arg = h, .fd = -1 };
    h->rendezvous = (struct loop_io){ .fn = on_rendezvous, .arg = h, .fd = -1 };
    h->reminder.fn = on_reminder;
    return 0;
}

static int
holder_start(struct proc *p)
{
    post_on_drained(p->post, on_drained, p->self);
    proc_ready(p);
    return 0;
}

static void
holder_finish(struct proc *p)
{
    struct holder *h = p->self;

    if (!h)
        return;
    io_close(h, &h->lifeline);
    io_close(h, &h->rendezvous);
    zone_unmap(&h->master_zone);
    estate_fini(&h->estate);
    mem_free(&p->self);
}

static const ipc_handler_fn handlers[IPC_TYPES] = {
    [IPC_LIFELINE] = on_lifeline,
    [IPC_HOLD_BEGIN] = on_hold_begin,
    [IPC_HOLD] = on_hold,
    [IPC_HOLD_END] = on_hold_end,
    [IPC_GIVE] = on_give,
    [IPC_ABANDON] = on_abandon,
};

const struct proc_role_ops holder_ops = {
    .role = PROC_HOLDER,
    .prepare = holder_prepare,
    .start = holder_start,
    .finish = holder_finish,
    .handlers = handlers,
};
