/*
 * children.c -- a process slot and its occupants
 *
 * The slot owns what outlives them: mailbox, status page, segment. An occupant has a
 * control channel of its own, which ends with it. One that ends unexpectedly is
 * followed by the next, at once the first time and then slower, for ever; everybody
 * else goes on meanwhile, and what is sent to it waits in its mailbox.
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
#include "base/mem.h"
#include "master/spawn.h"

enum {
    REPLACE_GRACE_MS = 10 * 1000
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

static void
on_reloaded(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)msg, (void)fd;
    reload_child_done(ctx);
}

static const ipc_handler_fn handlers[IPC_TYPES] = {
    [IPC_READY] = on_ready,
    [IPC_RELOADED] = on_reloaded,
    [IPC_MASTER_CALL] = call_on_master_call,
};

static void
on_control(struct loop_io *io, unsigned events)
{
    struct child *c = io->arg;

    (void)events;
    while (mailbox_read(&c->reader, io->fd) == 1)
        ;
}

static void
on_timer(struct loop_timer *timer)
{
    struct child *c = container_of(timer, struct child, timer);

    if (c->state == CHILD_DOWN) {
        child_start(c);
    } else if (c->state == CHILD_STOPPING) {
        log_error(NULL, "%s (pid %d) does not end; killing it", c->name, (int)c->pid);
        kill(c->pid, SIGKILL);
    }
}

int
child_init(struct child *c, struct master *m, enum proc_role role, unsigned slot)
{
    bool numbered = role == PROC_WORKER || role == PROC_KEEPER;
    uint64_t size = (uint64_t)SLOT_SIZE_GIB << 30;
    int r, unused = -1;

    *c = (struct child){ .master = m,
        .role = role,
        .slot = slot,
        .addr = ipc_addr_of(role, slot),
        .status_rw = -1,
        .status_ro = -1,
        .mailbox = { -1, -1 },
        .slot_rw = -1,
        .control = { .fn = on_control, .arg = c, .fd = -1 },
        .timer = { .fn = on_timer } };
    snprintf(c->name, sizeof c->name, numbered ? "%s %u" : "%s", proc_role_name(role),
            slot);
    /* Whatever it claims, what comes over its channel is from its role. */
    mailbox_reader_init(
            &c->reader, ipc_addr_of(PROC_MASTER, 0), 1u << role, handlers, c);
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
    if (role == PROC_WORKER) {
        c->slot_base = zone_pick_base(size);
        r = c->slot_base ? zone_create(size, &c->slot_rw, &unused) : -ENOMEM;
        close_fd(&unused);
    }
    return r;
}

static void
control_close(struct child *c)
{
    if (c->control.fd < 0)
        return;
    post_del_peer(c->master->post, c->addr);
    loop_del(c->master->loop, &c->control);
    close_fd(&c->control.fd);
}

void
child_fini(struct child *c)
{
    loop_timer_cancel(c->master->loop, &c->timer);
    control_close(c);
    mailbox_reader_fini(&c->reader);
    zone_unmap(&c->status_zone);
    close_fd(&c->status_rw);
    close_fd(&c->status_ro);
    close_fd(&c->mailbox[0]);
    close_fd(&c->mailbox[1]);
    close_fd(&c->slot_rw);
}

static int
child_spawn(struct child *c)
{
    struct master *m = c->master;
    int fds[2], r = mailbox_open(fds);
    char title[64];
    pid_t pid;

    if (r < 0)
        return r;
    snprintf(title, sizeof title, "stanzad: %s", c->name);
    pid = spawn(m->exe, title, fds[1], m->log.fd);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return (int)pid;
    }
    c->pid = pid;
    c->control.fd = fds[0];
    r = loop_add(m->loop, &c->control);
    if (r == 0)
        post_add_peer(m->post, c->addr, fcntl(fds[0], F_DUPFD_CLOEXEC, 0));
    return r;
}

static void
start_later(struct child *c, uint64_t lived_ms)
{
    uint64_t delay = backoff_delay_ms(&c->backoff, lived_ms);

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
    status_reset(c->status);
    c->started_ms = clock_ms();
    c->status->started_ms = c->started_ms;
    c->planned = false;
    r = child_spawn(c);
    if (r < 0) {
        log_critical(NULL, "cannot start %s: %s", c->name, strerror(-r));
        control_close(c);
        if (c->pid > 0) { /* it is there, but out of reach */
            kill(c->pid, SIGKILL);
            c->state = CHILD_STOPPING;
        } else {
            start_later(c, 0);
        }
        return;
    }
    c->status->pid = (int32_t)c->pid;
    c->status->starts = c->starts;
    c->state = CHILD_STARTING;
    log_debug(NULL, "%s started with pid %d", c->name, (int)c->pid);
    boot_send(c);
    c->starts++;
}

void
child_replace(struct child *c)
{
    c->planned = true;
    switch (c->state) {
    case CHILD_DOWN:
        child_start(c);
        break;
    case CHILD_STARTING:
    case CHILD_READY:
        if (c->role == PROC_WORKER)
            kill(c->pid, SIGKILL);
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
    if (c->state != CHILD_STOPPING)
        post_send(c->master->post, c->addr, IPC_STOP, &(struct ipc_nothing){ 0 });
    c->state = CHILD_STOPPING;
    loop_timer_set(c->master->loop, &c->timer, grace_ms);
}

static void
log_end(const struct child *c, int status)
{
    bool wanted = c->state == CHILD_STOPPING || c->planned;
    bool as_usual = WIFEXITED(status) ? WEXITSTATUS(status) == 0
                                      : c->planned && WTERMSIG(status) == SIGKILL;

    if (wanted && as_usual) {
        log_debug(NULL, "%s (pid %d) has ended", c->name, (int)c->pid);
        return;
    }
    if (WIFSIGNALED(status))
        log_error(NULL, "%s (pid %d) was ended by signal %d (%s)", c->name, (int)c->pid,
                WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        log_error(NULL, "%s (pid %d) has ended with status %d", c->name, (int)c->pid,
                WEXITSTATUS(status));
    words_log(c);
}

void
child_reap(struct child *c)
{
    int status;

    if (c->pid <= 0 || waitpid(c->pid, &status, WNOHANG) != c->pid)
        return;
    on_control(&c->control, 0); /* its last frames */
    loop_timer_cancel(c->master->loop, &c->timer);
    log_end(c, status);
    control_close(c);
    c->pid = 0;
    c->status->pid = 0;
    c->status->ready = 0;
    c->state = CHILD_DOWN;
    reload_child_done(c);
    if (c->master->state != MASTER_STOPPING) {
        if (c->planned)
            child_start(c);
        else
            start_later(c, clock_ms() - c->started_ms);
    }
    master_child_ended(c);
}
