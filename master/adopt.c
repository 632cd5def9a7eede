/*
 * adopt.c -- going on where a master died
 *
 * Whoever holds the lock of the directory is the only master there; if somebody answers
 * at the socket stanzad.adopt, another one was before us and its processes are there. A
 * holder gives us all that they stand on. We only look at it: until the first of them
 * is told of us, we may find that we cannot go on (another version, another user, a
 * wrong configuration), say so and leave, and nothing has happened to anybody.
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "base/mem.h"
#include "base/rand.h"
#include "master/hello.h"
#include "master/unixsock.h"

enum {
    PATIENCE_MS = 8 * 1000, /* with those who are there but do not answer */
    ANSWER_MS = 3 * 1000,   /* from one packet to the next */
    PAUSE_MS = 50,
    CONF_MAX = 256 << 20
};

/* What a holder gives us, as it comes. */
struct receiving {
    struct estate *estate;
    struct mailbox_reader reader;
    struct loop_io io;
    uint64_t question, heard_ms;
    bool done, failed;
};

static void
on_hold_begin(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct receiving *rx = ctx;
    const struct ipc_u64 *m = msg;

    (void)from, (void)fd;
    if (m->value == rx->question)
        estate_begin(rx->estate, m->value);
}

/* What was on its way to another master, that has died over it, comes first. */
static void
on_hold(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct receiving *rx = ctx;

    (void)from;
    if (rx->estate->is_coming && estate_put(rx->estate, msg, take_fd(fd)) < 0)
        rx->failed = true;
}

static void
on_hold_end(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct receiving *rx = ctx;
    const struct ipc_hold_end *m = msg;

    (void)from, (void)fd;
    if (m->number != rx->question)
        return;
    rx->done = estate_end(rx->estate, m) == 0;
    rx->failed = !rx->done;
}

static const ipc_handler_fn handlers[IPC_TYPES] = {
    [IPC_HOLD_BEGIN] = on_hold_begin,
    [IPC_HOLD] = on_hold,
    [IPC_HOLD_END] = on_hold_end,
};

static void
on_io(struct loop_io *io, unsigned events)
{
    struct receiving *rx = io->arg;
    int r;

    (void)events;
    while ((r = mailbox_read(&rx->reader, io->fd)) == 1)
        rx->heard_ms = clock_ms();
    if (r < 0)
        rx->failed = true;
}

/* Asks the holder at the other end for everything. 0 or -errno. */
static int
receive(struct master *m, int control_fd, struct estate *e)
{
    ipc_addr holder = ipc_addr_of(PROC_HOLDER, 0); /* whichever it is */
    struct receiving rx = { .estate = e,
        .io = { .fn = on_io, .arg = &rx, .fd = control_fd },
        .question = rand_u64(),
        .heard_ms = clock_ms() };
    struct ipc_u64 question = { .value = rx.question };
    int r = loop_add(m->loop, &rx.io);

    if (r < 0)
        return r;
    mailbox_reader_init(
            &rx.reader, ipc_addr_of(PROC_MASTER, 0), P_HOLDER, handlers, &rx);
    post_add_peer(m->post, holder, fcntl(control_fd, F_DUPFD_CLOEXEC, 0));
    post_send(m->post, holder, IPC_GIVE, &question);
    while (!rx.done && !rx.failed && clock_ms() - rx.heard_ms < ANSWER_MS)
        loop_turn_once(m->loop, PAUSE_MS);
    post_del_peer(m->post, holder);
    loop_del(m->loop, &rx.io);
    mailbox_reader_fini(&rx.reader);
    return rx.done ? 0 : -EAGAIN;
}

/* 0 with a hello; -ECONNREFUSED or -ENOENT: nobody is there; -EAGAIN: try again. */
static int
greet(struct hello *ret_hello)
{
    int sock = unixsock_dial(SOCK_SEQPACKET, "stanzad.adopt"), r;
    struct pollfd pfd = { .fd = sock, .events = POLLIN };

    if (sock < 0)
        return sock;
    poll(&pfd, 1, ANSWER_MS);
    r = hello_receive(sock, ret_hello);
    close_fd(&sock);
    return r == -EPIPE || r == -EAGAIN ? -EAGAIN : r;
}

bool
adopt_is_possible(void)
{
    int sock = unixsock_dial(SOCK_SEQPACKET, "stanzad.adopt");
    bool is = sock >= 0 || sock == -EAGAIN;

    close_fd(&sock);
    return is;
}

/* 1: the estate is complete; 0: nobody is there; -errno. */
static int
find(struct master *m, struct estate *e, struct buf *error)
{
    const uint64_t until_ms = clock_ms() + PATIENCE_MS;
    struct hello hello = { .control_fd = -1 };
    int r;

    do {
        r = greet(&hello);
        if (r == -ECONNREFUSED || r == -ENOENT)
            return 0;
        if (r == 0 && hello.signature != hello_signature()) {
            buf_addf(error,
                    "the processes that run in %s are of another version of stanzad "
                    "(%s) "
                    "than this one (%s), which cannot go on with them; `stanzactl -d "
                    "%s "
                    "stop` ends them",
                    m->home.path, hello.version, STANZAD_VERSION, m->home.path);
            close_fd(&hello.control_fd);
            return -EPROTONOSUPPORT;
        }
        if (r == 0) {
            r = receive(m, hello.control_fd, e);
            close_fd(&hello.control_fd);
        }
        if (r == 0)
            return 1;
        if (r == -EAGAIN)
            poll(NULL, 0, PAUSE_MS);
    } while (r == -EAGAIN && clock_ms() < until_ms);
    if (r == -EAGAIN)
        buf_addf(error,
                "processes run in %s, but do not accept another master: is theirs "
                "still "
                "there?",
                m->home.path);
    else
        buf_addf(error, "processes run in %s, but cannot be reached: %s", m->home.path,
                strerror(-r));
    return r;
}

static int
find_service(struct master *m, struct estate *e, struct buf *error)
{
    const struct thing *service = estate_find(e, ESTATE_SERVICE, 0, 0);
    const ipc_addr own = ipc_addr_of(PROC_MASTER, 0);

    if (!service)
        return -ENOENT;
    if (service->value != ((uint64_t)m->home.uid << 32 | m->home.gid)) {
        buf_addf(error,
                "the processes that run in %s belong to user %u and group %u; start "
                "stanzad as it was started before, or end them by `stanzactl -d %s "
                "stop`",
                m->home.path, (unsigned)(service->value >> 32),
                (unsigned)(service->value & UINT32_MAX), m->home.path);
        return -EPERM;
    }
    snprintf(m->instance, sizeof m->instance, "%s", service->text);
    m->adopt_socket = estate_take(e, ESTATE_SERVICE, 0, 0);
    m->control_socket = estate_take(e, ESTATE_ADMIN_SOCKET, 0, 0);
    m->routes_rw = estate_take(e, ESTATE_ROUTES_RW, 0, 0);
    m->routes_ro = estate_take(e, ESTATE_ROUTES_RO, 0, 0);
    m->addresses = estate_take(e, ESTATE_ADDRESSES, 0, 0);
    m->status_rw = estate_take(e, ESTATE_STATUS_RW, own, 0);
    m->status_ro = estate_take(e, ESTATE_STATUS_RO, own, 0);
    if (m->control_socket < 0 || m->routes_rw < 0 || m->routes_ro < 0 ||
            m->status_rw < 0 || m->status_ro < 0)
        return -ENOENT;
    return zone_map(&m->status_zone, m->status_rw, sizeof *m->status, 0, true);
}

static int
find_conf(struct master *m, struct estate *e)
{
    const struct thing *conf = estate_find(e, ESTATE_CONF, 0, 0);
    struct conf_loader loader = m->opt->loader;
    char *bytes;
    int r;

    if (!conf || conf->value > CONF_MAX)
        return -ENOENT;
    bytes = mem_alloc(conf->value + 1);
    loader.skip_files = true; /* they may have gone meanwhile */
    r = pread(conf->fd, bytes, conf->value, 0) == (ssize_t)conf->value ? 0 : -EIO;
    if (r == 0)
        r = conf_unpack((struct str){ bytes, conf->value }, &loader, &m->conf);
    mem_wipe(bytes, conf->value);
    mem_free_p(bytes);
    return r;
}

static void
find_listeners(struct master *m, struct estate *e)
{
    m->listeners = listeners_new(m->n_workers);
    list_for(node, &e->things)
    {
        struct thing *t = list_entry(node, struct thing, node);
        struct listener_socket s = { .name = str_from(t->text),
            .id = t->index,
            .worker = ipc_addr_slot(t->addr),
            .n_fds = (unsigned)t->value };

        if (t->kind == ESTATE_LISTENER)
            listeners_adopt(m->listeners, &s, take_fd(&t->fd));
    }
    if (!listeners_settle(m->listeners, m->conf))
        log_warning(NULL, "not all listening sockets of the master before were found");
}

static unsigned
count_workers(const struct estate *e)
{
    unsigned n = 0;

    list_for(node, &e->things)
    {
        if (list_entry(node, struct thing, node)->kind == ESTATE_SLOT)
            n++;
    }
    return n;
}

static int
take(struct master *m, struct estate *e, struct buf *error)
{
    int r = find_service(m, e, error);

    if (r == 0) {
        m->status = m->status_zone.base;
        m->n_workers = count_workers(e);
        r = m->status->magic != STATUS_MAGIC || m->n_workers == 0 ||
                            m->n_workers > IPC_SLOTS_MAX
                    ? -EPROTO
                    : find_conf(m, e);
    }
    if (r == 0) {
        find_listeners(m, e);
        make_children(m);
    }
    for (unsigned i = 0; i < m->n_children && r == 0; i++)
        r = child_find(&m->child[i], e);
    if (r < 0 && error->n == 0)
        buf_addf(error, "cannot go on with the processes that run in %s: %s",
                m->home.path, strerror(-r));
    return r < 0 ? r : 1;
}

int
adopt_service(struct master *m, struct buf *error)
{
    struct estate e;
    int r;

    estate_init(&e);
    r = find(m, &e, error);
    if (r != 0)
        m->stay = true; /* whatever becomes of us, they go on there */
    if (r == 1) {
        killpoint(ADOPT_RECEIVED);
        r = take(m, &e, error);
    }
    estate_fini(&e);
    return r;
}
