/*
 * make.c -- a service that is new: sockets, shared memory, process slots
 */
#include "master/master.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "master/unixsock.h"
#include "router/route.h"
#include "shm/tally.h"

enum {
    SHM_LEAST_MIB = 256
};

static void
warn_of_small_shm(void)
{
#if defined(__linux__)
    struct statvfs fs;

    if (statvfs("/dev/shm", &fs) == 0 &&
            (uint64_t)fs.f_bavail * fs.f_frsize < (uint64_t)SHM_LEAST_MIB << 20)
        log_warning(NULL,
                "/dev/shm has only %llu MiB left; a server with many users needs more",
                (unsigned long long)((uint64_t)fs.f_bavail * fs.f_frsize >> 20));
#endif
}

static int
make_zones(struct master *m, struct buf *error)
{
    int r = zone_create(ROUTE_ZONE_SIZE, &m->routes_rw, &m->routes_ro);
    int addresses_ro = -1;

    warn_of_small_shm();
    if (r == 0)
        r = zone_create(tally_size(), &m->addresses, &addresses_ro);
    close_fd(&addresses_ro);
    if (r == 0)
        r = zone_create(sizeof *m->status, &m->status_rw, &m->status_ro);
    if (r == 0)
        r = zone_map(&m->status_zone, m->status_rw, sizeof *m->status, 0, true);
    if (r < 0) {
        buf_addf(error, "cannot make shared memory: %s", strerror(-r));
        return r;
    }
    m->status = m->status_zone.base;
    m->status->magic = STATUS_MAGIC;
    m->status->addr = ipc_addr_of(PROC_MASTER, 0);
    return 0;
}

/* By its name in the current directory: paths of sockets are short. */
static int
make_socket(
        struct master *m, int type, const char *name, int *ret_fd, struct buf *error)
{
    int fd = unixsock_listen_at(type, name);

    if (fd < 0)
        buf_addf(error, "cannot make the socket %s/%s: %s", m->home.path, name,
                strerror(-fd));
    else
        *ret_fd = fd;
    return fd < 0 ? fd : 0;
}

static int
make_sockets(struct master *m, struct buf *error)
{
    int r = make_socket(m, SOCK_STREAM, "stanzad.sock", &m->control_socket, error);

    /* The service's own user may administer it; nobody is everybody's. */
    if (r == 0 && m->home.uid && strcmp(m->home.user, "nobody") != 0 &&
            chown("stanzad.sock", m->home.uid, m->home.gid) < 0)
        log_warning(NULL, "cannot give the control socket to the user %s: %s",
                m->home.user, strerror(errno));
    if (r == 0)
        r = make_socket(m, SOCK_SEQPACKET, "stanzad.adopt", &m->adopt_socket, error);
    if (r < 0)
        return r;
    m->listeners = listeners_new(m->n_workers);
    r = listeners_prepare(m->listeners, m->conf, error);
    if (r == 0)
        listeners_commit(m->listeners);
    return r;
}

void
make_children(struct master *m)
{
    static const enum proc_role singles[] = { PROC_ROUTER, PROC_AUTH, PROC_SQL,
        PROC_ADMIN };

    m->child = mem_zalloc(
            (HOLDERS + 2 * m->n_workers + ARRAY_LEN(singles)) * sizeof *m->child);
    for (unsigned i = 0; i < HOLDERS; i++)
        child_init(&m->child[m->n_children++], m, PROC_HOLDER, i);
    for (unsigned i = 0; i < m->n_workers; i++)
        child_init(&m->child[m->n_children++], m, PROC_KEEPER, i);
    for (unsigned i = 0; i < m->n_workers; i++)
        child_init(&m->child[m->n_children++], m, PROC_WORKER, i);
    for (unsigned i = 0; i < ARRAY_LEN(singles); i++)
        child_init(&m->child[m->n_children++], m, singles[i], 0);
}

int
make_service(struct master *m, struct buf *error)
{
    int r;

    rand_text(m->instance, sizeof m->instance - 1);
    m->n_workers = m->conf->workers;
    r = make_sockets(m, error);
    if (r == 0)
        r = make_zones(m, error);
    if (r < 0)
        return r;
    make_children(m);
    for (unsigned i = 0; i < m->n_children && r == 0; i++) {
        r = child_make(&m->child[i]);
        if (r < 0)
            buf_addf(error, "cannot set up %s: %s", m->child[i].name, strerror(-r));
    }
    return r;
}
