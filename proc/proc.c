/*
 * proc.c -- the life of a process, whatever its role
 *
 * A process is executed with one descriptor, its control channel. Over it the master
 * says who it is and hands it everything it may hold (given.c); with GO it prepares,
 * confines itself and serves. Frames of the control channel that the runtime does not
 * know go to the role.
 *
 * The mailbox is read in slices, so that a flood of frames does not starve the clients;
 * the loop reports what is left in the next turn. To find out that nothing is left
 * costs a system call like a packet: when there was but one the last time, no more than
 * one is read, except in the turn right behind such a one.
 */
#include "proc/proc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "proc/given.h"

enum {
    PACKETS_A_SLICE = 64
};

unsigned
proc_home_of(const struct proc *p, struct str bare)
{
    struct hash_key key;

    memcpy(key.k, p->secret, sizeof key.k);
    return (unsigned)(hash_bytes(&key, bare.p, bare.n) % p->n_workers);
}

void
proc_count(struct proc *p, enum counter c, uint64_t n)
{
    p->status->counter[c] += n;
}

void
proc_uncount(struct proc *p, enum counter c, uint64_t n)
{
    p->status->counter[c] -= n;
}

void
proc_send(struct proc *p, ipc_addr to, enum ipc_type type, const void *msg)
{
    post_send(p->post, to, type, msg);
}

void
proc_reply(struct proc *p, ipc_addr to, enum ipc_type type, uint64_t id,
        enum ipc_status status, struct str text)
{
    struct ipc_reply reply = { .id = id, .status = (uint8_t)status, .text = text };

    proc_send(p, to, type, &reply);
}

void
proc_ready(struct proc *p)
{
    p->status->ready = 1;
    proc_send(p, ipc_addr_of(PROC_MASTER, 0), IPC_READY, &(struct ipc_nothing){ 0 });
}

void
proc_stopped(struct proc *p, int exit_code)
{
    p->exit_code = exit_code;
    p->status->ready = 0; /* the master sees that the end is one in order */
    loop_stop(p->loop);
}

void
proc_stop(struct proc *p)
{
    p->stop_asked = true;
    if (p->stopping || !p->serving)
        return;
    p->stopping = true;
    if (p->ops->stop)
        p->ops->stop(p);
    else
        proc_stopped(p, 0);
}

/* The role's handlers where it has some, the runtime's for the rest. */
static ipc_handler_fn handlers[IPC_TYPES];

static void
handlers_merge(const struct proc_role_ops *ops)
{
    for (unsigned t = 0; t < IPC_TYPES; t++) {
        handlers[t] = given_handlers[t];
        if (!handlers[t] && ops->handlers)
            handlers[t] = ops->handlers[t];
    }
}

/*
 * The other end of the control channel is held by the master and by the holders. As
 * long as one of them lives this channel is open, and a new master may come. When the
 * last has gone nobody can find us any more: we end, so that the next start of the
 * service meets nobody in its place.
 */
static void
on_control(struct loop_io *io, unsigned events)
{
    struct proc *p = io->arg;
    int r;

    (void)events;
    do
        r = mailbox_read(&p->control_reader, io->fd);
    while (r == 1);
    if (r < 0) {
        loop_del(p->loop, io);
        p->abandoned = true;
        if (!p->stopping) {
            log_warning(NULL, "the master and its holders have gone; ending too");
            proc_stop(p);
        }
    }
}

static void
on_mailbox(struct loop_io *io, unsigned events)
{
    struct proc *p = io->arg;
    bool one = p->mailbox_single && p->turns != p->mailbox_turn + 1;
    int n = 0, most = one ? 1 : PACKETS_A_SLICE, r = 1;

    (void)events;
    while (n < most && (r = mailbox_read(&p->mailbox_reader, io->fd)) == 1)
        n++;
    p->mailbox_single = n <= 1;
    p->mailbox_turn = one ? p->turns : 0;
    p->status->counter[COUNTER_IPC_BAD] = p->mailbox_reader.n_bad;
    /*
     * The master and the holders keep it open. As long as one of them lives this is a
     * packet without content, or memory that is short for a moment: it is read on.
     */
    if (r < 0 && p->abandoned)
        loop_del(p->loop, io);
}

static void
on_turn_end(void *arg)
{
    struct proc *p = arg;

    p->turns++;
}

/* Waits for the frames that say who we are; the master sends them at once. */
static int
proc_boot(struct proc *p)
{
    struct pollfd pfd = { .fd = p->control_io.fd, .events = POLLIN };
    int r;

    while (!p->going) {
        r = mailbox_read(&p->control_reader, p->control_io.fd);
        if (r < 0)
            return r;
        if (r == 0 && poll(&pfd, 1, -1) < 0 && errno != EINTR)
            return -errno;
    }
    if (p->role == PROC_MASTER || !p->status || p->mailbox_io.fd < 0 || !p->conf)
        return -EPROTO;
    return 0;
}

static int
proc_serve(struct proc *p)
{
    struct buf missing = { 0 };
    int r;

    mailbox_reader_init(&p->mailbox_reader, p->addr, P_ANY, handlers, p);
    if (p->ops->prepare) {
        r = p->ops->prepare(p);
        if (r < 0)
            return r;
    }
    p->has_root = sandbox_has_root(&p->sandbox);
    r = sandbox_enter(&p->sandbox, &missing);
    if (r < 0)
        log_critical(NULL, "cannot confine this process: %s", strerror(-r));
    else if (missing.n > 0 && p->starts == 0)
        log_debug(NULL, "confined, except for: %s", buf_c(&missing));
    buf_fini(&missing);
    if (r < 0)
        return r;
    r = loop_add(p->loop, &p->control_io);
    if (r == 0)
        r = loop_add_reader(p->loop, &p->mailbox_io);
    if (r == 0 && p->ops->start)
        r = p->ops->start(p);
    if (r < 0)
        return r;
    p->serving = true;
    if (p->stop_asked) /* it came with the boot */
        proc_stop(p);
    loop_on_turn_end(p->loop, &p->turn);
    loop_again(p->loop); /* what the role has begun may wait for a turn's end */
    return loop_run(p->loop);
}

static void
proc_finish(struct proc *p)
{
    if (p->ops && p->ops->finish)
        p->ops->finish(p);
    if (p->post)
        post_flush(p->post);
    post_free(&p->post);
    loop_free(&p->loop);
    mailbox_reader_fini(&p->control_reader);
    mailbox_reader_fini(&p->mailbox_reader);
    for (unsigned i = 0; i < p->n_listeners; i++)
        close_fd(&p->listener[i].fd);
    for (unsigned i = 0; i < p->n_saved_old; i++)
        close_fd(&p->saved_old[i]);
    mem_free(&p->saved_old);
    close_fd(&p->saved_fd);
    close_fd(&p->transfer_fd);
    conf_free(&p->conf);
    conf_free(&p->conf_before);
    conf_free(&p->conf_next);
    if (p->certs)
        mem_wipe(p->certs, p->certs_size);
    mem_free(&p->certs);
    mem_free(&p->home);
    free((void *)(uintptr_t)p->sandbox.chroot_dir.p);
    log_set_tap(NULL);
    status_use(NULL);
}

int
proc_main(int control_fd, const struct conf_loader *loader,
        const struct proc_role_ops *const ops[PROC_ROLES])
{
    static struct proc p;
    int r;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit is an error of write() like a full disk */
    signal(SIGINT, SIG_IGN);  /* a terminal's ^C is the master's to handle */
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    p.loader = *loader;
    p.mailbox_io = (struct loop_io){ .fn = on_mailbox, .arg = &p, .fd = -1 };
    p.control_io = (struct loop_io){ .fn = on_control, .arg = &p, .fd = control_fd };
    p.saved_fd = -1;
    p.turn = (struct loop_turn){ .fn = on_turn_end, .arg = &p };
    p.transfer_fd = -1;
    p.loop = loop_new();
    memcpy(handlers, given_handlers, sizeof handlers);
    /* Until BOOT says who we are: any address but the master's lets its frames in. */
    mailbox_reader_init(
            &p.control_reader, ipc_addr_of(PROC_WORKER, 0), P_MASTER, handlers, &p);
    log_set_tap(status_event);
    do
        r = mailbox_read(&p.control_reader, control_fd);
    while (r == 0 &&
            poll(&(struct pollfd){ .fd = control_fd, .events = POLLIN }, 1, -1) >= 0);
    if (r < 0 || p.role == PROC_MASTER || !ops[p.role])
        return 1;
    p.ops = ops[p.role];
    handlers_merge(p.ops);
    r = proc_boot(&p);
    if (r == 0) {
        status_catch_signals();
        r = proc_serve(&p);
    }
    if (r < 0)
        log_critical(NULL, "the process ends: %s", strerror(-r));
    proc_finish(&p);
    return r < 0 ? 1 : p.exit_code;
}
