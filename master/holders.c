/*
 * holders.c -- telling the holders what we hold
 *
 * A set is told as a whole, at their start and after each reload; in between only what
 * belongs to the start of a process changes. Frames are in order, so that it is enough
 * to know that a holder's queue has taken them: it reads them before it answers another
 * master.
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"

enum {
    BEHIND_MS = 2000
};

int
holders_open(struct master *m)
{
    if (pipe(m->lifeline) < 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        fcntl(m->lifeline[i], F_SETFD, FD_CLOEXEC);
    return 0;
}

/* One set on its way to one holder. */
struct telling {
    struct child *holder;
    uint32_t n;
};

static void
tell(struct telling *t, const struct ipc_hold *m, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    t->n++; /* one that is not sent is missed by the holder */
    if (copy >= 0)
        post_send_fd(t->holder->master->post, t->holder->addr, IPC_HOLD, m, copy);
    else
        log_critical(NULL, "no descriptor left for %s: %s", t->holder->name,
                strerror(errno));
}

static void
tell_kind(
        struct telling *t, enum estate_kind kind, ipc_addr addr, uint64_t value, int fd)
{
    struct ipc_hold m = { .kind = (uint8_t)kind, .addr = addr, .value = value };

    if (fd >= 0)
        tell(t, &m, fd);
}

static void
tell_service(struct telling *t)
{
    const struct master *m = t->holder->master;
    ipc_addr own = ipc_addr_of(PROC_MASTER, 0);
    struct ipc_hold service = { .kind = ESTATE_SERVICE,
        .value = (uint64_t)m->home.uid << 32 | m->home.gid,
        .text = str_from(m->instance) };

    tell(t, &service, m->adopt_socket);
    tell_kind(t, ESTATE_CONF, 0, m->conf_size, m->conf_blob);
    tell_kind(t, ESTATE_ADMIN_SOCKET, 0, 0, m->control_socket);
    tell_kind(t, ESTATE_ROUTES_RW, 0, 0, m->routes_rw);
    tell_kind(t, ESTATE_ROUTES_RO, 0, 0, m->routes_ro);
    tell_kind(t, ESTATE_ADDRESSES, 0, 0, m->addresses);
    tell_kind(t, ESTATE_STATUS_RW, own, 0, m->status_rw);
    tell_kind(t, ESTATE_STATUS_RO, own, 0, m->status_ro);
}

static void
tell_listeners(struct telling *t)
{
    struct listener_walk at = { 0 };
    struct listener_socket s;
    int fd;

    while (listeners_next(t->holder->master->listeners, &at, &s, &fd)) {
        struct ipc_hold m = { .kind = ESTATE_LISTENER,
            .addr = ipc_addr_of(PROC_WORKER, s.worker),
            .index = s.id,
            .value = s.n_fds,
            .text = s.name };

        tell(t, &m, fd);
    }
}

static void
tell_slot(struct telling *t, const struct child *c)
{
    char layout[16];
    struct ipc_hold m = { .kind = ESTATE_SLOT,
        .addr = c->addr,
        .value = c->slot_base,
        .text = { layout, (size_t)snprintf(layout, sizeof layout, "%u", c->layout) } };

    if (c->slot_rw >= 0)
        tell(t, &m, c->slot_rw);
}

static void
tell_child(struct telling *t, const struct child *c)
{
    tell_kind(t, ESTATE_STATUS_RW, c->addr, 0, c->status_rw);
    tell_kind(t, ESTATE_STATUS_RO, c->addr, 0, c->status_ro);
    tell_kind(t, ESTATE_MAILBOX_READ, c->addr, 0, c->mailbox[0]);
    tell_kind(t, ESTATE_MAILBOX_SEND, c->addr, 0, c->mailbox[1]);
    tell_kind(t, ESTATE_TRANSFER, c->addr, 0, c->file);
    tell_slot(t, c);
    tell_kind(t, ESTATE_PROGRAM, c->addr, c->program->layout, c->program->fd);
    tell_kind(t, ESTATE_CONTROL, c->addr, 0, c->control.fd);
    tell_kind(t, ESTATE_PROCESS, c->addr, (uint64_t)c->pid,
            c->process.fd >= 0 ? c->process.fd : c->control.fd);
}

void
holders_tell(struct child *holder)
{
    struct master *m = holder->master;
    struct telling t = { .holder = holder };
    struct ipc_u64 begin = { .value = rand_u64() };
    struct ipc_u64 lifeline = { .value = (uint64_t)getpid() };
    int copy = fcntl(m->lifeline[0], F_DUPFD_CLOEXEC, 0);

    if (copy >= 0)
        post_send_fd(m->post, holder->addr, IPC_LIFELINE, &lifeline, copy);
    post_send(m->post, holder->addr, IPC_HOLD_BEGIN, &begin);
    tell_service(&t);
    tell_listeners(&t);
    for (unsigned i = 0; i < m->n_children; i++)
        tell_child(&t, &m->child[i]);
    post_send(m->post, holder->addr, IPC_HOLD_END,
            &(struct ipc_hold_end){ .number = begin.value, .n = t.n });
    holder->told = true;
    if (m->state == MASTER_STOPPING)
        post_send(m->post, holder->addr, IPC_ABANDON, &(struct ipc_nothing){ 0 });
    post_flush(m->post);
}

/* The holders that were told and are there. */
static bool
is_told(const struct child *c)
{
    return c->role == PROC_HOLDER && c->told && c->state != CHILD_STOPPING &&
           post_has_peer(c->master->post, c->addr);
}

void
holders_tell_all(struct master *m)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        if (is_told(&m->child[i]))
            holders_tell(&m->child[i]);
    }
}

void
holders_hold(struct child *c, enum estate_kind kind, uint64_t value, int fd)
{
    struct master *m = c->master;

    for (unsigned i = 0; i < m->n_children; i++) {
        struct telling t = { .holder = &m->child[i] };

        if (is_told(t.holder))
            tell_kind(&t, kind, c->addr, value, fd);
    }
}

void
holders_hold_slot(struct child *c)
{
    struct master *m = c->master;

    for (unsigned i = 0; i < m->n_children; i++) {
        struct telling t = { .holder = &m->child[i] };

        if (is_told(t.holder))
            tell_slot(&t, c);
    }
}

bool
holders_settled(struct master *m)
{
    bool settled = true;

    post_flush(m->post);
    for (unsigned i = 0; i < m->n_children; i++) {
        struct child *c = &m->child[i];

        if (!is_told(c) || post_backlog_of(m->post, c->addr) == 0) {
            c->behind_since_ms = 0;
            continue;
        }
        if (c->behind_since_ms == 0)
            c->behind_since_ms = clock_ms();
        if (clock_ms() - c->behind_since_ms < BEHIND_MS) {
            settled = false;
            continue;
        }
        /* Dead it can tell nobody what is no longer so. */
        log_error(NULL, "%s does not read what it is told; killing it", c->name);
        c->told = false;
        child_kill(c);
    }
    return settled;
}

void
holders_abandon(struct master *m)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        struct child *c = &m->child[i];

        if (is_told(c))
            post_send(m->post, c->addr, IPC_ABANDON, &(struct ipc_nothing){ 0 });
    }
    post_flush(m->post);
}
