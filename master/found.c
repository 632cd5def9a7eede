/*
 * found.c -- a process slot that another master has made, and who is there
 *
 * The occupant is no child of ours: its end is seen by its pidfd, or where there are
 * none by the end of its control channel. Its number is never taken from its status
 * page, because it could write there whom we are to kill.
 *
 * Nothing changes for it before child_ask(): a master that finds out that it cannot go
 * on may leave everything as it was.
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "master/pidfd.h"

static bool
is_event(int fd, short event)
{
    struct pollfd pfd = { .fd = fd, .events = event };

    return poll(&pfd, 1, 0) == 1 && pfd.revents & (event | POLLHUP | POLLERR);
}

/* The process that was in this slot, if it is still there. */
static void
find_process(struct child *c, struct estate *e)
{
    const struct thing *t = estate_find(e, ESTATE_PROCESS, c->addr, 0);
    bool ended;

    if (t && t->value > 0) {
        c->pid = (pid_t)t->value;
        c->process.fd = estate_take(e, ESTATE_PROCESS, c->addr, 0);
        if (pidfd_kill(c->process.fd, 0) == -EBADF ||
                pidfd_kill(c->process.fd, 0) == -ENOSYS)
            close_fd(&c->process.fd);
    }
    c->control.fd = estate_take(e, ESTATE_CONTROL, c->addr, 0);
    ended = c->control.fd < 0 || (c->process.fd >= 0 ? is_event(c->process.fd, POLLIN)
                                                     : is_event(c->control.fd, 0));
    c->adopted = !ended;
    c->state = ended ? CHILD_DOWN : CHILD_ASKED;
}

int
child_find(struct child *c, struct estate *e)
{
    const struct thing *slot = estate_find(e, ESTATE_SLOT, c->addr, 0),
                       *program = estate_find(e, ESTATE_PROGRAM, c->addr, 0);
    char slot_layout[24];
    uint64_t layout;
    int r;

    c->status_rw = estate_take(e, ESTATE_STATUS_RW, c->addr, 0);
    c->status_ro = estate_take(e, ESTATE_STATUS_RO, c->addr, 0);
    c->mailbox[0] = estate_take(e, ESTATE_MAILBOX_READ, c->addr, 0);
    c->mailbox[1] = estate_take(e, ESTATE_MAILBOX_SEND, c->addr, 0);
    c->slot_base = slot ? slot->value : 0;
    snprintf(slot_layout, sizeof slot_layout, "%s",
            slot && slot->text ? slot->text : "");
    c->slot_rw = estate_take(e, ESTATE_SLOT, c->addr, 0);
    if (!program)
        return -ENOENT;
    c->layout = slot && str_to_u64(str_from(slot_layout), &layout) == 0
                        ? (uint32_t)layout
                        : (uint32_t)program->value;
    c->file = estate_take(e, ESTATE_TRANSFER, c->addr, 0);
    c->program = program_found(c->master, estate_take(e, ESTATE_PROGRAM, c->addr, 0),
            "", (uint32_t)program->value);
    if (c->status_rw < 0 || c->status_ro < 0 || c->mailbox[0] < 0 ||
            c->mailbox[1] < 0 || (c->role == PROC_WORKER && c->slot_rw < 0))
        return -ENOENT;
    r = zone_map(&c->status_zone, c->status_rw, sizeof *c->status, 0, true);
    if (r < 0)
        return r;
    c->status = c->status_zone.base;
    c->started_ms = c->status->started_ms;
    c->starts = c->started_ms ? c->status->starts + 1 : 0;
    find_process(c, e);
    return 0;
}

void
child_ask(struct child *c)
{
    struct master *m = c->master;
    struct ipc_u64 msg = { .value = rand_u64() };
    int r;

    c->status->magic = STATUS_MAGIC; /* whatever its process has made of it */
    c->status->addr = c->addr;
    c->status->pid = c->state == CHILD_DOWN ? 0 : (int32_t)c->pid;
    if (c->state == CHILD_DOWN) {
        if (c->pid > 0)
            words_log_end(c, NULL);
        c->pid = 0;
        close_fd(&c->process.fd);
        close_fd(&c->control.fd);
        child_start(c);
        return;
    }
    c->question = msg.value;
    post_add_peer(m->post, c->addr, fcntl(c->control.fd, F_DUPFD_CLOEXEC, 0));
    post_send(m->post, c->addr, IPC_ADOPT, &msg);
    r = loop_add(m->loop, &c->control);
    if (r == 0 && c->process.fd >= 0)
        r = loop_add(m->loop, &c->process);
    if (r < 0)
        log_critical(NULL, "%s cannot be watched: %s", c->name, strerror(-r));
}
