/*
 * proc.c -- the life of a process, whatever its role
 *
 * A process is executed with one descriptor, its control channel. Over it the master
 * says who it is and hands it everything it may hold; with GO it prepares, confines
 * itself and serves. Frames of the control channel that the runtime does not know go to
 * the role.
 *
 * The mailbox is read in slices, so that a flood of frames does not starve the clients;
 * what is left is read in the next turn, which then does not wait.
 */
#include "proc/proc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/killpoint.h"
#include "base/mem.h"

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
    loop_stop(p->loop);
}

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

static const ipc_handler_fn runtime_handlers[IPC_TYPES] = {
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

/* The role's handlers where it has some, the runtime's for the rest. */
static ipc_handler_fn handlers[IPC_TYPES];

static void
handlers_merge(const struct proc_role_ops *ops)
{
    for (unsigned t = 0; t < IPC_TYPES; t++) {
        handlers[t] = runtime_handlers[t];
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
        if (!p->stopping) {
            log_warning(NULL, "the master and its holders have gone; ending too");
            proc_stop(p);
        }
    }
}

static void
mailbox_slice(struct proc *p)
{
    int r = 1;

    for (int i = 0; i < PACKETS_A_SLICE && r == 1; i++)
        r = mailbox_read(&p->mailbox_reader, p->mailbox_io.fd);
    p->mailbox_waiting = r == 1;
    if (p->mailbox_waiting)
        loop_again(p->loop);
    p->status->counter[COUNTER_IPC_BAD] = p->mailbox_reader.n_bad;
}

static void
on_mailbox_io(struct loop_io *io, unsigned events)
{
    struct proc *p = io->arg;

    (void)events;
    p->mailbox_waiting = true;
    mailbox_slice(p);
}

static void
on_turn_end(void *arg)
{
    struct proc *p = arg;

    if (p->mailbox_waiting)
        mailbox_slice(p);
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
        r = loop_add(p->loop, &p->mailbox_io);
    if (r == 0 && p->ops->start)
        r = p->ops->start(p);
    if (r < 0)
        return r;
    p->serving = true;
    if (p->stop_asked) /* it came with the boot */
        proc_stop(p);
    /* After the role's: its own work at a turn's end sees what these frames did. */
    loop_on_turn_end(p->loop, &p->turn);
    p->mailbox_waiting = true; /* what came before we registered */
    loop_again(p->loop);
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
    signal(SIGINT, SIG_IGN); /* a terminal's ^C is the master's to handle */
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    p.loader = *loader;
    p.mailbox_io = (struct loop_io){ .fn = on_mailbox_io, .arg = &p, .fd = -1 };
    p.control_io = (struct loop_io){ .fn = on_control, .arg = &p, .fd = control_fd };
    p.saved_fd = -1;
    p.turn = (struct loop_turn){ .fn = on_turn_end, .arg = &p };
    p.transfer_fd = -1;
    p.loop = loop_new();
    memcpy(handlers, runtime_handlers, sizeof handlers);
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
