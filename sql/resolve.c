/*
 * resolve.c -- a host name to addresses, without waiting
 *
 * The thread gets its own copy of the name and one end of a socket pair, shares nothing
 * else, and sends its answer as one packet. Whoever is no longer interested closes the
 * other end.
 */
#include "sql/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum {
    ADDRESSES_MAX = 6,
    PACKET_SIZE = 512
};

struct sql_resolve {
    struct loop *loop;
    struct loop_io io;
    sql_resolve_fn fn;
    void *arg;
};

struct question {
    int fd;
    char *host;
};

/* "+1.2.3.4,5.6.7.8" or "-reason" */
static void
question_answer(const struct question *q, char packet[PACKET_SIZE])
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    size_t n = 1, count = 0;
    int rc = getaddrinfo(q->host, NULL, &hints, &list);

    packet[0] = '+';
    packet[1] = '\0';
    for (struct addrinfo *a = list; a && count < ADDRESSES_MAX; a = a->ai_next) {
        char text[64];

        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0,
                    NI_NUMERICHOST) != 0)
            continue;
        n += (size_t)snprintf(
                packet + n, PACKET_SIZE - n, "%s%s", count ? "," : "", text);
        count++;
    }
    if (list)
        freeaddrinfo(list);
    if (count == 0)
        snprintf(packet, PACKET_SIZE, "-%s: %s", q->host,
                rc ? gai_strerror(rc) : "no address");
}

static void *
question_main(void *arg)
{
    struct question *q = arg;
    char packet[PACKET_SIZE];

    question_answer(q, packet);
    /* Nobody there any more is no failure. */
    (void)!send(q->fd, packet, strlen(packet), MSG_NOSIGNAL);
    close(q->fd);
    mem_free_p(q->host);
    mem_free_p(q);
    return NULL;
}

static void
on_answer(struct loop_io *io, unsigned events)
{
    struct sql_resolve *r = container_of(io, struct sql_resolve, io);
    char packet[PACKET_SIZE + 1];
    ssize_t n = recv(io->fd, packet, PACKET_SIZE, MSG_DONTWAIT);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    loop_del(r->loop, io);
    packet[n > 0 ? n : 0] = '\0';
    if (packet[0] == '+')
        r->fn(r->arg, NULL, packet + 1);
    else
        r->fn(r->arg, packet[0] ? packet + 1 : "the resolver failed", NULL);
}

static int
thread_start(struct question *q)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    int rc;

    /* Signals are for the loop's thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    rc = pthread_create(&thread, &attr, question_main, q);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -rc;
}

int
sql_resolve_start(struct loop *loop, const char *host, sql_resolve_fn fn, void *arg,
        struct sql_resolve **ret_resolve)
{
    struct sql_resolve *r = mem_zalloc(sizeof *r);
    struct question *q = mem_zalloc(sizeof *q);
    int fd[2] = { -1, -1 }, err;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0) {
        err = -errno;
        goto out;
    }
    *r = (struct sql_resolve){ .loop = loop, .fn = fn, .arg = arg };
    r->io = (struct loop_io){ .fn = on_answer, .fd = fd[0] };
    err = loop_add(loop, &r->io);
    if (err < 0)
        goto out;
    *q = (struct question){ .fd = fd[1], .host = str_heap_c(str_from(host)) };
    err = thread_start(q);
    if (err < 0) {
        loop_del(loop, &r->io);
        mem_free_p(q->host);
        goto out;
    }
    *ret_resolve = r;
    return 0;
out:
    close_fd(&fd[0]);
    close_fd(&fd[1]);
    mem_free(&q);
    mem_free(&r);
    return err;
}

void
sql_resolve_free(struct sql_resolve **pr)
{
    struct sql_resolve *r = *pr;

    if (!r)
        return;
    loop_del(r->loop, &r->io);
    close_fd(&r->io.fd);
    mem_free(pr);
}
