/*
 * listener.c -- new client connections
 *
 * Each worker has a socket of its own for each listener; the master holds it too, so
 * that what waits in its queue outlives the worker. Of every accepted socket the keeper
 * gets a duplicate before anything is read.
 */
#include "worker/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/killpoint.h"
#include "worker/addresses.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/keep.h"
#include "worker/pressure.h"

enum {
    ACCEPTS_A_TURN = 64,
    RETRY_MS = 500
};

/*
 * Small writes go out at once. Peers that vanished are found when they do not
 * acknowledge what they are sent: worker/tick.c.
 */
static void
socket_prepare(int fd)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
#ifdef TCP_USER_TIMEOUT
    setsockopt(
            fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(unsigned){ 60000 }, sizeof(unsigned));
#else
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
#endif
}

static void
accepted(struct worker *w, const struct listener *ln, int fd,
        const struct sockaddr *addr)
{
    const struct conf_listener *conf;
    struct conn *c;

    if (ln->index >= w->proc->conf->n_listeners || w->stopping) {
        close(fd);
        return;
    }
    if (pressure_refuses(w)) {
        proc_count(w->proc, COUNTER_C2S_REFUSED, 1);
        close(fd);
        return;
    }
    conf = &w->proc->conf->listeners[ln->index];
    killpoint(ACCEPT_SOCKET);
    socket_prepare(fd);
    c = conn_new(w, fd, ln->index, addr,
            conf->use_proxy_protocol ? STREAM_PROXY
            : conf->tls              ? STREAM_TLS
                                     : STREAM_HEADER);
    if (!c)
        return;
    killpoint(ACCEPT_RECORD);
    if (loop_add_fd(w->loop, fd, WORKER_CLASS_CONN,
                (uint64_t)c->generation << 22 | conn_index(w, c)) < 0) {
        conn_close(w, c, "the event loop refuses it");
        return;
    }
    keep_socket(w, c, fd);
    killpoint(ACCEPT_KEPT);
    worker_begin(w, c);
    if (!conf->use_proxy_protocol && !addresses_admit(w, c)) {
        conn_close(w, c, "too many connections from this address");
    } else {
        log_debug(conn_ctx(w, c), "connection accepted on %.*s", STR_ARG(conf->name));
        c2s_accepted(w, c);
    }
    worker_commit(w);
}

static void
on_accept(struct loop_io *io, unsigned events)
{
    struct listener *ln = io->arg;
    struct worker *w = ln->worker;

    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage addr = { 0 };
        socklen_t len = sizeof addr;
        int fd = accept4(
                io->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            accepted(w, ln, fd, (struct sockaddr *)&addr);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (!w->accept_paused)
                log_error(NULL, "cannot accept connections: %s", strerror(errno));
            w->accept_paused = true;
            loop_timer_set(w->loop, &w->accept_timer, RETRY_MS);
        } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
            log_error(NULL, "accept: %s", strerror(errno));
        }
        return;
    }
    /* More may wait, and edge-triggered events do not say so again. */
    loop_timer_set(w->loop, &w->accept_timer, 0);
}

int
listener_open(struct worker *w, unsigned place)
{
    struct proc_listener *given = &w->proc->listener[place];
    struct listener *ln = NULL;

    for (unsigned i = 0; i < PROC_LISTENERS_MAX && !ln; i++) {
        if (!w->listener[i].accepting)
            ln = &w->listener[i];
    }
    if (!ln)
        return -ENOSPC;
    *ln = (struct listener){ .worker = w,
        .index = given->index,
        .accepting = true,
        .io = { .fn = on_accept, .arg = ln, .fd = given->fd } };
    given->used = true;
    return loop_add(w->loop, &ln->io);
}

void
listener_close(struct worker *w, uint16_t index)
{
    struct proc *p = w->proc;

    for (unsigned i = 0; i < PROC_LISTENERS_MAX; i++) {
        if (!w->listener[i].accepting || w->listener[i].index != index)
            continue;
        loop_del(w->loop, &w->listener[i].io);
        w->listener[i].accepting = false;
    }
    for (unsigned i = 0; i < p->n_listeners; i++) {
        if (p->listener[i].index != index)
            continue;
        close_fd(&p->listener[i].fd);
        p->listener[i--] = p->listener[--p->n_listeners];
    }
}

void
listener_renumber(struct worker *w)
{
    const struct conf *before = w->proc->conf_before, *now = w->proc->conf;

    for (unsigned i = 0; i < PROC_LISTENERS_MAX; i++) {
        for (unsigned j = 0; j < w->proc->n_listeners; j++) {
            if (w->listener[i].accepting &&
                    w->listener[i].io.fd == w->proc->listener[j].fd)
                w->listener[i].index = w->proc->listener[j].index;
        }
    }
    for (uint32_t i = 0; before && i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (c->state == STREAM_FREE || c->listener >= before->n_listeners)
            continue;
        for (size_t j = 0; j < now->n_listeners; j++) {
            if (!str_eq(now->listeners[j].name, before->listeners[c->listener].name))
                continue;
            worker_begin(w, NULL);
            SET(w, c->listener, (uint16_t)j);
            worker_commit(w);
            break;
        }
    }
}

void
listener_close_all(struct worker *w)
{
    for (unsigned i = 0; i < PROC_LISTENERS_MAX; i++) {
        if (!w->listener[i].accepting)
            continue;
        loop_del(w->loop, &w->listener[i].io);
        w->listener[i].accepting = false;
    }
}

void
listener_accept_all(struct worker *w)
{
    w->accept_paused = false;
    for (unsigned i = 0; i < PROC_LISTENERS_MAX && !w->stopping; i++) {
        if (w->listener[i].accepting)
            on_accept(&w->listener[i].io, LOOP_READ);
    }
}
