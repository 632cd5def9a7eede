/*
 * listeners.c -- the sockets that accept, bound by the one who may
 *
 * Each worker has a socket of its own per listener (SO_REUSEPORT), so that the kernel
 * spreads connections and no two workers wake up for one. They stay open here: what
 * waits in the queue of a worker that has died is accepted by its successor.
 *
 * SO_REUSEPORT would also let a second server of the same user take half of the
 * connections unnoticed. So the address is first bound without it, to see that it is
 * free.
 */
#include "master/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/rand.h"
#include "master/unixsock.h"

#if defined(SO_REUSEPORT_LB)
#define REUSEPORT SO_REUSEPORT_LB /* FreeBSD: balances */
#elif defined(__linux__)
#define REUSEPORT SO_REUSEPORT
#endif

enum {
    NONE = -1
};

struct listener {
    struct list node;
    struct str name; /* on the heap */
    char *unix_path;
    uint32_t id;           /* another one that is opened under this name has another */
    int index, next_index; /* in the configuration in force, and in the prepared one */
    unsigned n_fds;        /* one per worker, or one for all */
    int fd[];
};

struct listeners {
    struct list all;
    unsigned n_workers, n;
    unsigned n_prepared;
};

struct listeners *
listeners_new(unsigned n_workers)
{
    struct listeners *ls = mem_zalloc(sizeof *ls);

    list_init(&ls->all);
    ls->n_workers = n_workers;
    return ls;
}

static void
listener_free(struct listener *ln, bool unlink_path)
{
    list_del(&ln->node);
    for (unsigned i = 0; i < ln->n_fds; i++)
        close_fd(&ln->fd[i]);
    if (ln->unix_path && unlink_path)
        unlink(ln->unix_path);
    mem_free_p(ln->unix_path);
    mem_free_p((void *)(uintptr_t)ln->name.p);
    mem_free_p(ln);
}

void
listeners_free(struct listeners **pls, bool stay)
{
    struct listeners *ls = *pls;

    if (!ls)
        return;
    list_for_safe(node, &ls->all)
            listener_free(list_entry(node, struct listener, node), !stay);
    mem_free(pls);
}

static int
set_flag(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

/* "[::]" takes IPv4, too, as ejabberd's does, unless somebody else listens there. */
static bool
is_v6_only(const struct conf *conf, const struct conf_listener *cl)
{
    const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&cl->addr;

    if (!IN6_IS_ADDR_UNSPECIFIED(&sin6->sin6_addr))
        return true;
    for (size_t i = 0; i < conf->n_listeners; i++) {
        const struct sockaddr_storage *ss = &conf->listeners[i].addr;

        if (ss->ss_family == AF_INET &&
                ((const struct sockaddr_in *)ss)->sin_port == sin6->sin6_port)
            return true;
    }
    return false;
}

static int
inet_bind(const struct conf *conf, const struct conf_listener *cl, bool shared,
        int *ret_fd)
{
    int family = cl->addr.ss_family, r = 0;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    r = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
#ifdef REUSEPORT
    if (r == 0 && shared)
        r = set_flag(fd, SOL_SOCKET, REUSEPORT, 1);
#else
    (void)shared;
#endif
    if (r == 0 && family == AF_INET6)
        r = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, is_v6_only(conf, cl));
    if (r == 0 && bind(fd, (const struct sockaddr *)&cl->addr, cl->addr_len) < 0)
        r = -errno;
    if (r == 0)
        *ret_fd = take_fd(&fd);
    close_fd(&fd);
    return r;
}

static int
inet_open(const struct conf *conf, const struct conf_listener *cl, struct listener *ln)
{
    int probe = -1, r = inet_bind(conf, cl, false, &probe);

    if (r == 0 && listen(probe, 1) < 0) /* two may bind, but not listen */
        r = -errno;
    close_fd(&probe);
    for (unsigned i = 0; i < ln->n_fds && r == 0; i++) {
        r = inet_bind(conf, cl, true, &ln->fd[i]);
        if (r == 0 && listen(ln->fd[i], (int)cl->backlog) < 0)
            r = -errno;
    }
    return r;
}

static int
unix_permit(const struct conf_listener *cl)
{
    uid_t uid = cl->unix_owner < 0 ? (uid_t)-1 : (uid_t)cl->unix_owner;
    gid_t gid = cl->unix_group < 0 ? (gid_t)-1 : (gid_t)cl->unix_group;
    mode_t mask = umask(0);

    umask(mask);
    if ((cl->unix_owner >= 0 || cl->unix_group >= 0) &&
            chown(cl->unix_path.p, uid, gid) < 0)
        return -errno;
    if (chmod(cl->unix_path.p, cl->unix_mode ? cl->unix_mode : 0666 & ~mask) < 0)
        return -errno;
    return 0;
}

static struct listener *
listener_of(const struct listeners *ls, struct str name)
{
    list_for(node, &ls->all)
    {
        struct listener *ln = list_entry(node, struct listener, node);

        if (str_eq(ln->name, name))
            return ln;
    }
    return NULL;
}

static struct listener *
listener_new(struct str name, uint32_t id, unsigned n_fds)
{
    struct listener *ln = mem_zalloc(sizeof *ln + n_fds * sizeof ln->fd[0]);

    list_init(&ln->node);
    ln->name = (struct str){ str_heap_c(name), name.n };
    ln->id = id;
    ln->index = ln->next_index = NONE;
    ln->n_fds = n_fds;
    for (unsigned i = 0; i < n_fds; i++)
        ln->fd[i] = -1;
    return ln;
}

static int
listener_open(struct listeners *ls, const struct conf *conf,
        const struct conf_listener *cl, struct listener **ret_ln)
{
    bool is_unix = cl->addr.ss_family == AF_UNIX;
    unsigned n_fds = 1;
    struct listener *ln;
    int r;

#ifdef REUSEPORT
    if (!is_unix)
        n_fds = ls->n_workers;
#endif
    ln = listener_new(cl->name, (uint32_t)rand_u64(), n_fds);
    if (is_unix) {
        r = unixsock_listen(SOCK_STREAM, (const struct sockaddr_un *)&cl->addr,
                cl->addr_len, (int)cl->backlog);
        if (r >= 0) {
            ln->fd[0] = r;
            ln->unix_path = str_heap_c(cl->unix_path);
            r = unix_permit(cl);
        }
    } else {
        r = inet_open(conf, cl, ln);
    }
    if (r < 0) {
        listener_free(ln, true);
        return r;
    }
    list_add(&ls->all, &ln->node);
    *ret_ln = ln;
    return 0;
}

int
listeners_prepare(struct listeners *ls, const struct conf *conf, struct buf *errors)
{
    int failed = 0;

    for (size_t i = 0; i < conf->n_listeners; i++) {
        const struct conf_listener *cl = &conf->listeners[i];
        struct listener *ln = listener_of(ls, cl->name);
        int r = 0;

        if (!ln)
            r = listener_open(ls, conf, cl, &ln);
        for (unsigned j = 0; r == 0 && j < ln->n_fds; j++)
            listen(ln->fd[j], (int)cl->backlog); /* it may have changed */
        if (r < 0) {
            buf_addf(errors, "cannot listen at %.*s: %s\n", STR_ARG(cl->name),
                    strerror(-r));
            failed = r;
            continue;
        }
        ln->next_index = (int)i;
    }
    ls->n_prepared = (unsigned)conf->n_listeners;
    if (failed < 0)
        listeners_abandon(ls);
    return failed;
}

void
listeners_abandon(struct listeners *ls)
{
    list_for_safe(node, &ls->all)
    {
        struct listener *ln = list_entry(node, struct listener, node);

        ln->next_index = NONE;
        if (ln->index == NONE)
            listener_free(ln, true);
    }
}

void
listeners_commit(struct listeners *ls)
{
    list_for_safe(node, &ls->all)
    {
        struct listener *ln = list_entry(node, struct listener, node);

        if (ln->next_index == NONE) {
            listener_free(ln, true);
            continue;
        }
        ln->index = ln->next_index;
        ln->next_index = NONE;
    }
    ls->n = ls->n_prepared;
}

void
listeners_adopt(struct listeners *ls, const struct listener_socket *s, int fd)
{
    struct listener *ln = listener_of(ls, s->name);
    int n_fds = 0;

    if (s->n_fds > 0 && s->n_fds <= ls->n_workers && s->worker < s->n_fds)
        n_fds = (int)s->n_fds;
    if (!ln && n_fds > 0) {
        ln = listener_new(s->name, s->id, s->n_fds);
        list_add(&ls->all, &ln->node);
    }
    if (ln && ln->id == s->id && (int)ln->n_fds == n_fds) {
        close_fd(&ln->fd[s->worker]);
        ln->fd[s->worker] = take_fd(&fd);
    }
    close_fd(&fd);
}

static bool
is_whole(const struct listener *ln)
{
    for (unsigned i = 0; i < ln->n_fds; i++) {
        if (ln->fd[i] < 0)
            return false;
    }
    return true;
}

bool
listeners_settle(struct listeners *ls, const struct conf *conf)
{
    unsigned n = 0;

    for (size_t i = 0; i < conf->n_listeners; i++) {
        const struct conf_listener *cl = &conf->listeners[i];
        struct listener *ln = listener_of(ls, cl->name);

        if (!ln || ln->index != NONE || !is_whole(ln))
            continue;
        ln->index = (int)i;
        if (cl->addr.ss_family == AF_UNIX)
            ln->unix_path = str_heap_c(cl->unix_path);
        n++;
    }
    list_for_safe(node, &ls->all)
    {
        struct listener *ln = list_entry(node, struct listener, node);

        if (ln->index == NONE)
            listener_free(ln, false);
    }
    ls->n = (unsigned)conf->n_listeners;
    return n == conf->n_listeners;
}

bool
listeners_next(const struct listeners *ls, struct listener_walk *at,
        struct listener_socket *ret_socket, int *ret_fd)
{
    unsigned place = 0;

    list_for(node, &ls->all)
    {
        const struct listener *ln = list_entry(node, struct listener, node);

        if (place++ != at->place)
            continue;
        if (at->worker == ln->n_fds) {
            at->place++;
            at->worker = 0;
            continue;
        }
        *ret_socket = (struct listener_socket){
            .name = ln->name, .id = ln->id, .worker = at->worker, .n_fds = ln->n_fds
        };
        *ret_fd = ln->fd[at->worker++];
        return true;
    }
    return false;
}

int
listeners_fd(
        const struct listeners *ls, unsigned index, unsigned worker, uint32_t *ret_id)
{
    list_for(node, &ls->all)
    {
        const struct listener *ln = list_entry(node, struct listener, node);

        if (ln->index != (int)index)
            continue;
        *ret_id = ln->id;
        return ln->fd[ln->n_fds == 1 ? 0 : worker];
    }
    return -1;
}

unsigned
listeners_n(const struct listeners *ls)
{
    return ls->n;
}
