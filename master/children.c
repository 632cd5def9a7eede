/*
 * children.c -- a process slot and its occupants
 *
 * The slot owns what outlives them: mailbox, status page, segment. An occupant has a
 * control channel of its own, which ends with it. One that ends unexpectedly is
 * followed by the next, at once the first time and then slower, for ever; everybody
 * else goes on meanwhile, and what is sent to it waits in its mailbox.
 *
 * We may die at any instruction here, and another master must find either nobody or
 * somebody whom it can go on with. So the holders get our end of the control channel
 * before anyone is started at the other, and the process before it is told who it is. A
 * master that comes in between finds a channel whose other end is closed, or one that
 * has not been told everything and ends when it is asked.
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "base/mem.h"
#include "master/pretend.h"
#include "master/pidfd.h"
#include "master/quarantine.h"
#include "master/spawn.h"

enum {
    STARTS_AT_STOP = 2,
    STOP_AGAIN_MS = 30 * 1000,
    REPLACE_GRACE_MS = 10 * 1000,
    LEAVE_GRACE_MS = 6 * 1000,
    EXIT_MS = 2000 /* from the end of a control channel to that of its process */
};

static void
on_ready(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct child *c = ctx;

    (void)from, (void)msg, (void)fd;
    if (c->state != CHILD_STARTING)
        return;
    c->state = CHILD_READY;
    master_child_ready(c);
}

/* It was told to end by the master before. */
static void
child_end_soon(struct child *c)
{
    if (c->role == PROC_WORKER)
        child_kill(c);
    else
        child_replace(c);
}

static void
on_adopted(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct child *c = ctx;
    const struct ipc_adopted *m = msg;

    if (c->state != CHILD_ASKED || m->number != c->question)
        return;
    c->booted = true;
    c->confined = m->confined;
    c->state = CHILD_STARTING;
    log_notice(NULL, "%s goes on, as pid %d", c->name, (int)c->pid);
    if (m->stopping)
        child_end_soon(c); /* in case that its order to end is not carried out */
    else if (m->ready)
        on_ready(ctx, from, NULL, fd);
}

static void
on_reloaded(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)fd;
    reload_child_done(ctx, ((const struct ipc_u64 *)msg)->value);
}

static void
on_holding(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct child *c = ctx;

    (void)from, (void)msg, (void)fd;
    if (c->told && c->state == CHILD_READY) {
        c->holds = true;
        master_holder_holds(c->master);
    }
}

static const ipc_handler_fn handlers[IPC_TYPES] = {
    [IPC_READY] = on_ready,
    [IPC_ADOPTED] = on_adopted,
    [IPC_RELOADED] = on_reloaded,
    [IPC_HOLDING] = on_holding,
    [IPC_MASTER_CALL] = call_on_master_call,
    [IPC_QUARANTINE] = quarantine_on_frame, /* also when we have just adopted it */
};

static void has_ended(struct child *c, const int *status);
static void child_boot(struct child *c);

static void
on_control(struct loop_io *io, unsigned events)
{
    struct child *c = io->arg;
    int r;

    (void)events;
    do
        r = mailbox_read(&c->reader, io->fd);
    while (r == 1);
    if (r == 0 || !c->adopted)
        return;
    if (c->process.fd < 0) {
        child_kill(c);
        has_ended(c, NULL);
    } else if (c->state != CHILD_STOPPING) {
        loop_timer_set(c->master->loop, &c->timer, EXIT_MS);
    }
}

static void
on_process(struct loop_io *io, unsigned events)
{
    (void)events;
    has_ended(io->arg, NULL);
}

static void
on_timer(struct loop_timer *timer)
{
    struct child *c = container_of(timer, struct child, timer);

    if (c->state == CHILD_DOWN) {
        child_start(c);
    } else if (c->state == CHILD_STARTING && !c->booted) {
        child_boot(c);
    } else {
        log_error(NULL, "%s (pid %d) does not end; killing it", c->name, (int)c->pid);
        c->given_up = true;
        child_kill(c);
    }
}

void
child_init(struct child *c, struct master *m, enum proc_role role, unsigned slot)
{
    bool numbered = role == PROC_WORKER || role == PROC_KEEPER || role == PROC_HOLDER;

    *c = (struct child){ .master = m,
        .program = m->program,
        .role = role,
        .slot = slot,
        .addr = ipc_addr_of(role, slot),
        .status_rw = -1,
        .status_ro = -1,
        .mailbox = { -1, -1 },
        .slot_rw = -1,
        .file = -1,
        .file_out = -1,
        .process = { .fn = on_process, .arg = c, .fd = -1 },
        .control = { .fn = on_control, .arg = c, .fd = -1 },
        .start_fd = -1,
        .timer = { .fn = on_timer } };
    snprintf(c->name, sizeof c->name, numbered ? "%s %u" : "%s", proc_role_name(role),
            slot);
    /* Whatever it claims, what comes over its channel is from its role. */
    mailbox_reader_init(
            &c->reader, ipc_addr_of(PROC_MASTER, 0), 1u << role, handlers, c);
}

int
child_make(struct child *c)
{
    uint64_t size = (uint64_t)SLOT_SIZE_GIB << 30;
    int unused = -1, r;

    r = zone_create(sizeof *c->status, &c->status_rw, &c->status_ro);
    if (r == 0)
        r = zone_map(&c->status_zone, c->status_rw, sizeof *c->status, 0, true);
    if (r == 0)
        r = mailbox_open(c->mailbox);
    if (r < 0)
        return r;
    c->status = c->status_zone.base;
    c->status->magic = STATUS_MAGIC;
    c->status->addr = c->addr;
    if (c->role == PROC_WORKER) {
        c->slot_base = zone_pick_base(size);
        r = c->slot_base ? zone_create(size, &c->slot_rw, &unused) : -ENOMEM;
        close_fd(&unused);
        c->layout = c->program->layout;
    }
    return r;
}

static void
control_close(struct child *c)
{
    close_fd(&c->start_fd);
    if (c->control.fd < 0)
        return;
    post_del_peer(c->master->post, c->addr);
    loop_del(c->master->loop, &c->control);
    close_fd(&c->control.fd);
}

static void
process_close(struct child *c)
{
    if (c->process.fd < 0)
        return;
    if (c->adopted)
        loop_del(c->master->loop, &c->process);
    close_fd(&c->process.fd);
}

void
child_kill(struct child *c)
{
    if (c->process.fd >= 0)
        pidfd_kill(c->process.fd, SIGKILL);
    else if (c->pid > 0)
        kill(c->pid, SIGKILL);
}

void
child_fini(struct child *c)
{
    loop_timer_cancel(c->master->loop, &c->timer);
    control_close(c);
    process_close(c);
    mailbox_reader_fini(&c->reader);
    zone_unmap(&c->status_zone);
    close_fd(&c->status_rw);
    close_fd(&c->status_ro);
    close_fd(&c->mailbox[0]);
    close_fd(&c->mailbox[1]);
    close_fd(&c->slot_rw);
    close_fd(&c->file);
    close_fd(&c->file_out);
}

/* The channel to the next occupant, which the holders get first. */
static int
control_open(struct child *c)
{
    int fds[2], r;

    if (c->start_fd >= 0)
        return 0;
    r = mailbox_open(fds);
    if (r < 0)
        return r;
    c->control.fd = fds[0];
    c->start_fd = fds[1];
    r = loop_add(c->master->loop, &c->control);
    if (r < 0) {
        close_fd(&c->control.fd);
        close_fd(&c->start_fd);
        return r;
    }
    post_add_peer(c->master->post, c->addr, fcntl(fds[0], F_DUPFD_CLOEXEC, 0));
    holders_hold(c, ESTATE_CONTROL, 0, fds[0]);
    holders_hold(c, ESTATE_PROCESS, 0, fds[0]); /* the one before is not at this end */
    return 0;
}

static int
child_spawn(struct child *c)
{
    struct master *m = c->master;
    char title[64];
    pid_t pid;

    snprintf(title, sizeof title, "stanzad: %s", c->name);
    pid = spawn(convert_begin(c)->fd, title, c->start_fd, m->log.fd);
    if (pid < 0)
        return (int)pid;
    killpoint(SPAWN_FORKED);
    close_fd(&c->start_fd);
    c->pid = pid;
    c->process.fd = pretend_no_pidfd() ? -1 : pidfd_of(pid);
    if (c->process.fd < 0)
        c->process.fd = -1;
    holders_hold(c, ESTATE_PROCESS, (uint64_t)pid,
            c->process.fd >= 0 ? c->process.fd : c->control.fd);
    return 0;
}

static void
child_boot(struct child *c)
{
    if (!holders_settled(c->master)) {
        loop_timer_set(c->master->loop, &c->timer, HOLDERS_PAUSE_MS);
        return;
    }
    killpoint(SPAWN_HELD);
    boot_send(c);
    c->booted = true;
    post_flush(c->master->post);
    killpoint(SPAWN_BOOTED);
}

static void
start_later(struct child *c, uint64_t lived_ms, bool faulted)
{
    uint64_t delay = backoff_delay_ms(&c->backoff, lived_ms, faulted);

    if (delay > 0)
        log_warning(NULL, "%s is started again in %.2f seconds", c->name,
                (double)delay / 1000);
    loop_timer_set(c->master->loop, &c->timer, delay);
}

void
child_start(struct child *c)
{
    int r;

    if (c->state != CHILD_DOWN)
        return;
    loop_timer_cancel(c->master->loop, &c->timer);
    r = control_open(c);
    if (r == 0 && !holders_settled(c->master)) {
        loop_timer_set(c->master->loop, &c->timer, HOLDERS_PAUSE_MS);
        return;
    }
    killpoint(SPAWN_OPENED);
    status_reset(c->status);
    c->started_ms = clock_ms();
    c->status->started_ms = c->started_ms;
    c->status->starts = c->starts;
    if (r == 0)
        r = child_spawn(c);
    c->planned = c->converting; /* the next one follows at once */
    if (r < 0) {
        log_critical(NULL, "cannot start %s: %s", c->name, strerror(-r));
        control_close(c);
        start_later(c, 0, true);
        return;
    }
    if (!c->converting)
        c->starts++;
    c->status->pid = (int32_t)c->pid;
    c->state = CHILD_STARTING;
    log_debug(NULL, "%s started with pid %d", c->name, (int)c->pid);
    child_boot(c);
}

/* A worker leaves everything to its successor; one that cannot is killed, as well. */
static void
child_leave(struct child *c)
{
    if (c->state != CHILD_READY) {
        child_kill(c);
        return;
    }
    post_send(c->master->post, c->addr, IPC_LEAVE, &(struct ipc_nothing){ 0 });
    c->state = CHILD_STOPPING;
    loop_timer_set(c->master->loop, &c->timer, LEAVE_GRACE_MS);
}

void
child_replace(struct child *c)
{
    c->planned = true;
    switch (c->state) {
    case CHILD_DOWN:
        child_start(c);
        break;
    case CHILD_ASKED:
    case CHILD_STARTING:
    case CHILD_READY:
        if (c->role == PROC_WORKER)
            child_leave(c);
        else
            child_stop(c, REPLACE_GRACE_MS);
        break;
    case CHILD_STOPPING:
        break;
    }
}

void
child_stop(struct child *c, uint64_t grace_ms)
{
    loop_timer_cancel(c->master->loop, &c->timer);
    if (c->state == CHILD_DOWN)
        return;
    if (c->state == CHILD_STARTING && !c->booted)
        child_kill(c); /* it would wait for the rest of what it is */
    else if (c->state != CHILD_STOPPING || c->planned) /* which only leaves, perhaps */
        post_send(c->master->post, c->addr, IPC_STOP, &(struct ipc_nothing){ 0 });
    c->state = CHILD_STOPPING;
    loop_timer_set(c->master->loop, &c->timer, grace_ms);
}

/*
 * At a stop a worker leaves what it has on the disk. One that dies instead, or that was
 * just making room for another one, leaves it in its slot, which ends with us: so
 * another one is started there, and told to stop.
 */
static bool
must_end_better(const struct child *c)
{
    return c->role == PROC_WORKER && !c->given_up && !c->master->insisted &&
           c->starts_at_stop < STARTS_AT_STOP;
}

static void
stop_by_successor(struct child *c)
{
    c->starts_at_stop++;
    log_warning(NULL, "%s has not come to its end; another one goes on", c->name);
    child_start(c);
    if (c->state == CHILD_STARTING && c->booted)
        child_stop(c, STOP_AGAIN_MS);
    else
        child_kill(c);
}

void
child_stop_for_good(struct child *c, uint64_t grace_ms)
{
    if (c->state == CHILD_DOWN && c->starts > 0 && must_end_better(c))
        stop_by_successor(c);
    else
        child_stop(c, grace_ms);
}

/*
 * A process that a master before us has started may be our child all the same: when
 * that master was the program that this process executed before.
 */
static void
has_ended(struct child *c, const int *status)
{
    bool in_order;
    int reaped;

    if (!status && c->pid > 0 && waitpid(c->pid, &reaped, WNOHANG) == c->pid)
        status = &reaped;
    while (mailbox_read(&c->reader, c->control.fd) == 1) /* its last frames */
        ;
    loop_timer_cancel(c->master->loop, &c->timer);
    in_order = !c->converting && !c->status->ready &&
               !(status && WIFSIGNALED(*status)); /* proc_stopped() */
    if (c->converting)
        convert_ended(c, status);
    else
        words_log_end(c, status);
    control_close(c);
    process_close(c);
    c->pid = 0;
    c->status->pid = 0;
    c->status->ready = 0;
    c->state = CHILD_DOWN;
    c->adopted = c->booted = c->confined = false;
    c->told = c->holds = false;
    c->behind_since_ms = 0;
    reload_child_ended(c);
    if (c->master->state != MASTER_STOPPING) {
        if (c->planned)
            child_start(c);
        else
            start_later(c, clock_ms() - c->started_ms, c->status->faulted);
    } else if (!in_order && must_end_better(c)) {
        stop_by_successor(c);
    }
    master_child_ended(c);
}

void
child_reap(struct child *c)
{
    int status;

    if (c->pid > 0 && waitpid(c->pid, &status, WNOHANG) == c->pid)
        has_ended(c, &status);
}
