/*
 * given.c -- what a process is given, and told, over its control channel
 *
 * BOOT says who it is; then come log, shared memory, mailbox, peers, configuration,
 * certificates, listeners; with GO it has everything. Later a part of this comes anew:
 * a configuration lies ready until RELOAD puts it into force.
 */
#include "proc/given.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/killpoint.h"
#include "base/mem.h"

static void
on_boot(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    const struct ipc_boot *m = msg;
    char name[32];

    (void)from, (void)fd;
    if (p->post || m->role >= PROC_ROLES || m->slot >= IPC_SLOTS_MAX ||
            m->secret.n != sizeof p->secret)
        return;
    p->role = (enum proc_role)m->role;
    killpoint_role(p->role);
    p->slot = m->slot;
    p->n_workers = m->n_workers;
    p->starts = m->starts;
    p->addr = ipc_addr_of(p->role, p->slot);
    p->control_reader.self = p->addr;
    p->post = post_new(p->loop, p->addr);
    post_add_peer(p->post, ipc_addr_of(PROC_MASTER, 0),
            fcntl(p->control_io.fd, F_DUPFD_CLOEXEC, 0));
    snprintf(p->instance, sizeof p->instance, "%.*s", STR_ARG(m->instance));
    memcpy(p->secret, m->secret.p, sizeof p->secret);
    p->home = str_heap_c(m->home);
    p->loader.home = p->loader.database_path = p->loader.log_path = p->home;
    p->loader.skip_files = true; /* the master has looked */
    p->sandbox = (struct sandbox){ .role = p->role,
        .uid = m->uid,
        .gid = m->gid,
        .chroot_dir = str_from(str_heap_c(m->chroot_dir)) };
    snprintf(name, sizeof name,
            p->role == PROC_WORKER || p->role == PROC_KEEPER || p->role == PROC_HOLDER
                    ? "%s %u"
                    : "%s",
            proc_role_name(p->role), p->slot);
    log_set_process(name);
}

static void
on_log(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    static int log_fd = -1;
    const struct ipc_log *m = msg;

    (void)ctx, (void)from;
    log_set_json(m->json);
    log_set_level(m->level);
    log_set_syslog(m->to_syslog);
    log_set_fd(*fd);
    close_fd(&log_fd);
    log_fd = take_fd(fd);
}

static void
on_shm(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    const struct ipc_shm *m = msg;
    struct zone z = { 0 };
    int r;

    (void)from;
    if (m->kind == SHM_TRANSFER) {
        p->transfers_out = m->writable;
        close_fd(&p->transfer_fd);
        p->transfer_fd = take_fd(fd);
        return;
    }
    r = zone_map(&z, *fd, m->size, m->base, m->writable);
    if (r < 0) {
        log_critical(NULL, "cannot map shared memory of %llu bytes: %s",
                (unsigned long long)m->size, strerror(-r));
        exit(1);
    }
    if (m->kind == SHM_ROUTES) {
        p->routes = z;
    } else if (m->kind == SHM_SLOT) {
        p->slot_zone = z;
    } else if (m->kind == SHM_ADDRESSES) {
        p->addresses = z;
    } else if (m->owner == p->addr && m->writable) {
        p->status = z.base;
        p->status_zone = z;
        status_use(p->status);
    } else if (p->n_pages < PROC_PAGES_MAX) {
        p->page[p->n_pages++] = z.base;
    }
}

static void
on_mailbox(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;

    (void)from, (void)msg;
    close_fd(&p->mailbox_io.fd);
    p->mailbox_io.fd = take_fd(fd);
}

static void
on_peer(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    const struct ipc_peer *m = msg;

    (void)from;
    if (p->post && ipc_addr_role(m->addr) < PROC_ROLES)
        post_add_peer(p->post, m->addr, take_fd(fd));
}

/* The bytes behind a descriptor: heap memory, the caller's. */
static char *
blob_read(int fd, uint64_t size)
{
    char *p = mem_alloc(size + 1);
    uint64_t n = 0;

    while (n < size) {
        ssize_t part = pread(fd, p + n, size - n, (off_t)n);

        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0) {
            mem_free_p(p);
            return NULL;
        }
        n += (uint64_t)part;
    }
    p[size] = '\0';
    return p;
}

static void
on_conf(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    const struct ipc_blob *m = msg;
    char *bytes = blob_read(*fd, m->size);
    struct conf *conf = NULL;
    int r = bytes ? conf_unpack((struct str){ bytes, m->size }, &p->loader, &conf)
                  : -EIO;

    (void)from;
    mem_free_p(bytes);
    if (r < 0) {
        log_critical(NULL, "cannot take over the configuration: %s", strerror(-r));
        if (!p->going)
            exit(1);
        return;
    }
    if (p->going) {
        conf_free(&p->conf_next);
        p->conf_next = conf;
    } else {
        conf_free(&p->conf);
        p->conf = conf;
    }
}

static void
on_certs(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    const struct ipc_blob *m = msg;
    char *bytes = blob_read(*fd, m->size);

    (void)from;
    if (!bytes)
        return;
    if (p->certs)
        mem_wipe(p->certs, p->certs_size);
    mem_free_p(p->certs);
    p->certs = bytes;
    p->certs_size = m->size;
}

static void
listener_close(struct proc *p, uint16_t index)
{
    if (p->serving && p->ops->listener_close) {
        p->ops->listener_close(p, index);
        return;
    }
    for (unsigned i = 0; i < p->n_listeners; i++) {
        if (p->listener[i].index != index)
            continue;
        close_fd(&p->listener[i].fd);
        p->listener[i] = p->listener[--p->n_listeners];
        return;
    }
}

static void
on_listener(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    const struct ipc_listener *m = msg;

    for (unsigned i = 0; i < p->n_listeners; i++) {
        if (p->listener[i].index != m->index)
            continue;
        if (p->listener[i].id == m->id || p->role != PROC_WORKER)
            return;                  /* it is there already */
        listener_close(p, m->index); /* that socket was given up, by a lost reload */
        break;
    }
    if (p->n_listeners == PROC_LISTENERS_MAX)
        return;
    p->listener[p->n_listeners++] =
            (struct proc_listener){ .index = m->index, .id = m->id, .fd = take_fd(fd) };
    if (p->serving && p->ops->handlers && p->ops->handlers[IPC_LISTENER])
        p->ops->handlers[IPC_LISTENER](p, from, msg, fd);
}

static void
on_saved(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    const struct ipc_saved *m = msg;

    (void)from;
    p->n_saved = m->n_old;
    if (m->own) {
        close_fd(&p->saved_fd);
        p->saved_fd = take_fd(fd);
        return;
    }
    p->saved_old = mem_realloc(p->saved_old, (p->n_saved_old + 1) * sizeof(int));
    p->saved_old[p->n_saved_old++] = take_fd(fd);
}

static void
on_go(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;

    (void)from, (void)msg, (void)fd;
    p->going = true;
}

/* The place in a configuration of one that has it in another; -1: it is not there. */
static int
listener_place(const struct conf *now, const struct conf *before, uint16_t index)
{
    for (size_t i = 0; index < before->n_listeners && i < now->n_listeners; i++) {
        if (str_eq(now->listeners[i].name, before->listeners[index].name))
            return (int)i;
    }
    return -1;
}

/*
 * Listeners that are not in the new configuration go, the others get their places
 * there.
 */
static void
listeners_settle(struct proc *p)
{
    if (p->role != PROC_WORKER)
        return;
    for (unsigned i = p->n_listeners; i > 0; i--) {
        if (i <= p->n_listeners &&
                listener_place(p->conf_next, p->conf, p->listener[i - 1].index) < 0)
            listener_close(p, p->listener[i - 1].index);
    }
    for (unsigned i = 0; i < p->n_listeners; i++)
        p->listener[i].index =
                (uint16_t)listener_place(p->conf_next, p->conf, p->listener[i].index);
}

static void
on_reload(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;

    (void)from, (void)fd;
    if (p->conf_next) {
        listeners_settle(p);
        p->conf_before = p->conf;
        p->conf = p->conf_next;
        p->conf_next = NULL;
        log_set_level(p->conf->loglevel);
        if (p->serving && p->ops->reload)
            p->ops->reload(p);
        conf_free(&p->conf_before);
    }
    proc_send(p, ipc_addr_of(PROC_MASTER, 0), IPC_RELOADED, msg);
}

/*
 * A new master has found us. One that was still waiting for what it is to hold can be
 * replaced without harm, and must be: nobody knows what of it had been sent.
 */
static void
on_adopt(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    struct ipc_adopted answer = { .number = ((const struct ipc_u64 *)msg)->value,
        .stopping = p->stopping,
        .confined = p->sandbox.chroot_dir.n > 0 };

    (void)from, (void)fd;
    if (!p->going)
        _exit(1);
    answer.ready = p->status && p->status->ready;
    proc_send(p, ipc_addr_of(PROC_MASTER, 0), IPC_ADOPTED, &answer);
    if (p->ops->adopted)
        p->ops->adopted(p);
}

static void
on_log_level(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_u64 *m = msg;

    (void)ctx, (void)from, (void)fd;
    if (m->value < LOG_LEVELS)
        log_set_level((enum log_level)m->value);
}

static void
on_stop(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)from, (void)msg, (void)fd;
    proc_stop(ctx);
}

/* What every process can be asked. */
static void
on_proc_call(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    const struct ipc_call *m = msg;
    struct buf out = { 0 };

    if (str_eq_c(m->name, "ping")) {
        proc_reply(p, from, IPC_PROC_REPLY, m->id, IPC_OK, STR("pong"));
    } else if (str_eq_c(m->name, "check_sandbox")) {
        sandbox_probe(p->routes.base, &out);
        proc_reply(p, from, IPC_PROC_REPLY, m->id, IPC_OK, buf_str(&out));
    } else if (p->ops->handlers && p->ops->handlers[IPC_PROC_CALL]) {
        p->ops->handlers[IPC_PROC_CALL](ctx, from, msg, fd);
    } else {
        proc_reply(p, from, IPC_PROC_REPLY, m->id, IPC_INVALID,
                STR("this process does not know that question"));
    }
    buf_fini(&out);
}

const ipc_handler_fn given_handlers[IPC_TYPES] = {
    [IPC_BOOT] = on_boot,
    [IPC_LOG] = on_log,
    [IPC_SHM] = on_shm,
    [IPC_MAILBOX] = on_mailbox,
    [IPC_PEER] = on_peer,
    [IPC_CONF] = on_conf,
    [IPC_CERTS] = on_certs,
    [IPC_LISTENER] = on_listener,
    [IPC_SAVED] = on_saved,
    [IPC_GO] = on_go,
    [IPC_RELOAD] = on_reload,
    [IPC_ADOPT] = on_adopt,
    [IPC_LOG_LEVEL] = on_log_level,
    [IPC_STOP] = on_stop,
    [IPC_PROC_CALL] = on_proc_call,
};
