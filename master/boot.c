/*
 * boot.c -- what a process is given over its control channel
 *
 * Nobody holds more than ipc.def lets it use: a process gets a writing end for those
 * whom some frame of its role may be sent to, and of keepers and workers only for its
 * own.
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "master/blob.h"
#include "master/certs.h"
#include "master/saved.h"
#include "router/route.h"
#include "shm/tally.h"

static void
send_fd(struct child *c, enum ipc_type type, const void *msg, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0) {
        log_critical(NULL, "no descriptor left for %s: %s", c->name, strerror(errno));
        return;
    }
    post_send_fd(c->master->post, c->addr, type, msg, copy);
}

static int
send_blob(struct child *c, enum ipc_type type, struct str bytes)
{
    struct ipc_blob m = { .size = bytes.n };
    int fd = blob_new(bytes);

    if (fd < 0) {
        log_critical(NULL, "no memory for %s of %s: %s", ipc_type_name(type), c->name,
                strerror(-fd));
        return fd;
    }
    post_send_fd(c->master->post, c->addr, type, &m, fd);
    return 0;
}

static void
send_shm(struct child *c, enum shm_kind kind, ipc_addr owner, bool writable,
        uint64_t base, uint64_t size, int fd)
{
    struct ipc_shm m = { .kind = (uint8_t)kind,
        .owner = owner,
        .writable = writable,
        .base = base,
        .size = size };

    send_fd(c, IPC_SHM, &m, fd);
}

static bool
is_file_below(const struct conf_sql *sql, const char *dir)
{
    struct str rest = sql->database;

    if (sql->type != CONF_SQL_SQLITE || !str_starts(rest, str_from(dir)))
        return false;
    rest.p += strlen(dir);
    rest.n -= strlen(dir);
    return rest.n > 1 && rest.p[0] == '/' && !memmem(rest.p, rest.n, "..", 2);
}

/* All databases are files of ours: the sql process then sees nothing but them. */
static bool
sql_is_confined(const struct master *m)
{
    const struct conf *conf = m->conf;
    char *dir = home_file(&m->home, "sqlite");
    bool confined = m->home.is_root;

    for (size_t i = 0; i < conf->n_hosts && confined; i++) {
        const struct conf_host *host = &conf->hosts[i];

        confined = is_file_below(conf_host_db(host, host->default_db), dir);
        for (size_t k = 0; k < host->n_auth_methods && confined; k++)
            confined = is_file_below(conf_host_auth_db(host, k), dir);
    }
    mem_free(&dir);
    return confined;
}

bool
boot_is_confined(const struct child *c)
{
    /* A sql process that connects to databases needs sockets and the resolver's files.
     */
    return c->role == PROC_SQL ? sql_is_confined(c->master) : c->master->home.is_root;
}

static void
send_boot(struct child *c)
{
    struct master *m = c->master;
    bool confined = boot_is_confined(c);
    char *root = home_file(&m->home, c->role == PROC_SQL ? "sqlite" : "empty");
    struct ipc_boot boot = { .role = (uint8_t)c->role,
        .slot = (uint16_t)c->slot,
        .n_workers = (uint16_t)m->n_workers,
        .starts = c->starts,
        .uid = m->home.uid,
        .gid = m->home.gid,
        .chroot_dir = confined ? str_from(root) : STR_NULL,
        .instance = str_from(m->instance),
        .home = str_from(m->home.path),
        .secret = { m->home.secret, sizeof m->home.secret } };

    c->confined = confined;
    post_send(m->post, c->addr, IPC_BOOT, &boot);
    mem_free(&root);
}

void
boot_send_log(struct child *c)
{
    const struct logfile *lf = &c->master->log;
    struct ipc_log m = { .json = lf->json,
        .level = (uint8_t)log_get_level(),
        .to_syslog = lf->target == CONF_LOG_SYSLOG };

    send_fd(c, IPC_LOG, &m, lf->fd);
}

static void
send_zones(struct child *c)
{
    struct master *m = c->master;
    uint64_t routes = ROUTE_ZONE_SIZE;

    send_shm(c, SHM_STATUS, c->addr, true, 0, sizeof *c->status, c->status_rw);
    if (c->role == PROC_ROUTER)
        send_shm(c, SHM_ROUTES, 0, true, 0, routes, m->routes_rw);
    if (c->role == PROC_WORKER || c->role == PROC_ADMIN)
        send_shm(c, SHM_ROUTES, 0, false, 0, routes, m->routes_ro);
    if (c->role == PROC_WORKER && m->addresses >= 0)
        send_shm(c, SHM_ADDRESSES, 0, true, 0, tally_size(), m->addresses);
    if (c->role == PROC_WORKER)
        send_shm(c, SHM_SLOT, c->addr, true, c->slot_base,
                (uint64_t)SLOT_SIZE_GIB << 30, c->slot_rw);
    if (c->converting || c->file >= 0)
        send_shm(c, SHM_TRANSFER, c->addr, c->converting, 0, 0,
                c->converting ? c->file_out : c->file);
    if (c->role != PROC_ADMIN)
        return;
    send_shm(c, SHM_STATUS, ipc_addr_of(PROC_MASTER, 0), false, 0, sizeof *m->status,
            m->status_ro);
    for (unsigned i = 0; i < m->n_children; i++)
        send_shm(c, SHM_STATUS, m->child[i].addr, false, 0, sizeof *c->status,
                m->child[i].status_ro);
}

/* May a frame of the table go from one role to the other through a mailbox? */
static bool
may_send(enum proc_role from, enum proc_role to)
{
    for (unsigned type = 0; type < IPC_TYPES; type++) {
        const struct ipc_frame_info *info = ipc_frame_info(type);

        if (info->from == P_MASTER || info->to & P_MASTER)
            continue;
        if (info->from & 1u << from && info->to & 1u << to)
            return true;
    }
    return false;
}

static bool
is_peer(const struct child *from, const struct child *to)
{
    bool with_keeper = from->role == PROC_KEEPER || to->role == PROC_KEEPER;
    bool with_worker = from->role == PROC_WORKER || to->role == PROC_WORKER;

    if (from == to || (with_keeper && with_worker && from->slot != to->slot))
        return false;
    return may_send(from->role, to->role);
}

static void
send_peers(struct child *c)
{
    struct master *m = c->master;

    for (unsigned i = 0; i < m->n_children; i++) {
        struct child *to = &m->child[i];
        struct ipc_peer msg = { .addr = to->addr };

        if (is_peer(c, to))
            send_fd(c, IPC_PEER, &msg, to->mailbox[1]);
    }
}

/* Puts what they hold into memory that has a descriptor, in place of what was there. */
static int
blob_replace(struct buf *bytes, int *fd, uint64_t *size)
{
    int new_fd = blob_new(buf_str(bytes));

    if (new_fd >= 0) {
        close_fd(fd);
        *fd = new_fd;
        *size = bytes->n;
    }
    if (bytes->p)
        mem_wipe(bytes->p, bytes->n);
    buf_fini(bytes);
    return new_fd < 0 ? new_fd : 0;
}

int
boot_load(struct master *m, struct buf *problems)
{
    struct buf certs = { 0 }, conf = { 0 };
    int r;

    m->certs_stamp = certs_stamp(m->conf); /* first: what changes now is seen later */
    certs_read(m->conf, &certs, problems);
    r = blob_replace(&certs, &m->certs_blob, &m->certs_size);
    conf_pack(m->conf, CONF_SECRET_ALL, &conf);
    if (r == 0)
        r = blob_replace(&conf, &m->conf_blob, &m->conf_size);
    buf_fini(&conf);
    if (r < 0)
        buf_addf(problems, "no memory for the configuration: %s\n", strerror(-r));
    return r;
}

int
boot_send_conf(struct child *c)
{
    static const unsigned may_see[PROC_ROLES] = {
        [PROC_SQL] = CONF_SECRET_SQL, [PROC_AUTH] = CONF_SECRET_AUTH
    };
    struct buf packed = { 0 };
    int r;

    conf_pack(c->master->conf, may_see[c->role], &packed);
    r = send_blob(c, IPC_CONF, buf_str(&packed));
    mem_wipe(packed.p, packed.n);
    buf_fini(&packed);
    if (r == 0 && c->role == PROC_WORKER)
        send_fd(c, IPC_CERTS, &(struct ipc_blob){ .size = c->master->certs_size },
                c->master->certs_blob);
    return r;
}

void
boot_send_listeners(struct child *c)
{
    struct master *m = c->master;
    struct ipc_listener msg = { .index = 0 };

    if (c->role == PROC_ADMIN)
        send_fd(c, IPC_LISTENER, &msg, m->control_socket);
    if (c->role != PROC_WORKER)
        return;
    for (unsigned i = 0; i < listeners_n(m->listeners); i++) {
        int fd = listeners_fd(m->listeners, i, c->slot, &msg.id);

        msg.index = (uint16_t)i;
        if (fd >= 0)
            send_fd(c, IPC_LISTENER, &msg, fd);
    }
}

void
boot_send(struct child *c)
{
    send_boot(c);
    boot_send_log(c);
    send_zones(c);
    send_fd(c, IPC_MAILBOX, &(struct ipc_nothing){ 0 }, c->mailbox[0]);
    send_peers(c);
    boot_send_conf(c);
    boot_send_listeners(c);
    if (c->role == PROC_WORKER)
        saved_send(c);
    post_send(c->master->post, c->addr, IPC_GO, &(struct ipc_nothing){ 0 });
}
