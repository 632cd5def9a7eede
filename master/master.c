/*
 * master.c -- the life of the service
 *
 * Everything that may be refused is acquired first, by the user who may: the directory,
 * the listeners, the shared memory. Then the processes are started, all at once. From
 * there on this process waits for children, for signals and for the admin process; it
 * reads nothing that comes from the network.
 *
 * Shutting down goes from the clients inwards: workers take leave of their clients
 * while the others still answer; the keepers are last, because they hold the sockets.
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "master/certs.h"
#include "router/route.h"

enum {
    START_PATIENCE_MS = 120 * 1000, /* of the process that waits in the foreground */
    WATCH_MS = 5 * 1000,            /* the log every time, certificates every 12th */
    WATCH_CERTS = 12,
    INSIST_MS = 1000, /* two signals within this are one request */
    SHM_LEAST_MIB = 256
};

/* Who ends when, and how long they may take. */
static const struct {
    enum proc_role role;
    uint64_t grace_ms;
} stop_order[] = {
    { PROC_WORKER, 10 * 1000 },
    { PROC_ADMIN, 5 * 1000 },
    { PROC_AUTH, 5 * 1000 },
    { PROC_ROUTER, 5 * 1000 },
    { PROC_SQL, 20 * 1000 },
    { PROC_KEEPER, 5 * 1000 },
};

struct child *
master_child(struct master *m, enum proc_role role, unsigned slot)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].role == role && m->child[i].slot == slot)
            return &m->child[i];
    }
    return NULL;
}

bool
master_all_ready(const struct master *m)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].state != CHILD_READY)
            return false;
    }
    return true;
}

void
master_names_not_ready(const struct master *m, struct buf *out)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].state == CHILD_READY)
            continue;
        if (out->n > 0)
            buf_add_c(out, ", ");
        buf_add_c(out, m->child[i].name);
    }
}

static void
enter(struct master *m, enum master_state state)
{
    m->state = state;
    m->state_since_ms = clock_ms();
}

void
master_child_ready(struct child *c)
{
    struct master *m = c->master;

    if (m->state == MASTER_SERVING)
        log_notice(NULL, "%s serves again, as pid %d", c->name, (int)c->pid);
    if (m->state != MASTER_STARTING || !master_all_ready(m))
        return;
    log_notice(NULL, "ready: stanzad %s serves, %.2f seconds after its start",
            STANZAD_VERSION, (double)(clock_ms() - m->state_since_ms) / 1000);
    enter(m, MASTER_SERVING);
    loop_timer_cancel(m->loop, &m->start_timer);
    m->status->ready = 1;
    daemon_ready(&m->daemon);
    daemon_notify("READY=1");
}

static bool
phase_is_over(const struct master *m)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].role == stop_order[m->stop_phase].role &&
                m->child[i].state != CHILD_DOWN)
            return false;
    }
    return true;
}

static void
phase_begin(struct master *m)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].role == stop_order[m->stop_phase].role)
            child_stop(&m->child[i], stop_order[m->stop_phase].grace_ms);
    }
}

/* The next roles in turn, past those of which nobody is left. */
static void
stop_go_on(struct master *m)
{
    while (m->stop_phase < ARRAY_LEN(stop_order) && phase_is_over(m)) {
        if (++m->stop_phase < ARRAY_LEN(stop_order))
            phase_begin(m);
    }
    if (m->stop_phase == ARRAY_LEN(stop_order))
        loop_stop(m->loop);
}

void
master_child_ended(struct child *c)
{
    if (c->master->state == MASTER_STOPPING)
        stop_go_on(c->master);
}

void
master_stop(struct master *m, bool restart)
{
    if (m->state == MASTER_STOPPING)
        return;
    log_notice(NULL, restart ? "restarting" : "stopping");
    enter(m, MASTER_STOPPING);
    m->restart = restart;
    m->status->ready = 0;
    daemon_notify(restart ? "RELOADING=1" : "STOPPING=1");
    loop_timer_cancel(m->loop, &m->start_timer);
    for (unsigned i = 0; i < m->n_children; i++)
        loop_timer_cancel(m->loop, &m->child[i].timer); /* no further starts */
    m->stop_phase = 0;
    phase_begin(m);
    stop_go_on(m);
}

void
master_log_changed(struct master *m)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        if (post_has_peer(m->post, m->child[i].addr))
            boot_send_log(&m->child[i]);
    }
}

static void
on_end_signal(void *arg, int signo)
{
    struct master *m = arg;

    if (m->state != MASTER_STOPPING) {
        log_notice(NULL, "signal %d (%s)", signo, strsignal(signo));
        master_stop(m, false);
        return;
    }
    if (clock_ms() - m->state_since_ms < INSIST_MS)
        return;
    log_warning(NULL, "asked again to end: killing what is left");
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].pid > 0)
            kill(m->child[i].pid, SIGKILL);
    }
}

static void
on_hangup(void *arg, int signo)
{
    (void)signo;
    reload_begin(arg, 0);
}

static void
on_child(void *arg, int signo)
{
    struct master *m = arg;

    (void)signo;
    for (unsigned i = 0; i < m->n_children; i++)
        child_reap(&m->child[i]);
}

static void
on_watch(struct loop_timer *timer)
{
    struct master *m = container_of(timer, struct master, watch_timer);

    if (logfile_check(&m->log))
        master_log_changed(m);
    if (++m->watch_count % WATCH_CERTS == 0)
        reload_certs(m);
    loop_timer_set(m->loop, &m->watch_timer, WATCH_MS);
}

/* Somebody waits for us in the foreground: a start that fails leaves nothing behind. */
static void
on_start_patience_ends(struct loop_timer *timer)
{
    struct master *m = container_of(timer, struct master, start_timer);
    struct buf names = { 0 }, text = { 0 };

    if (m->daemon.parent_fd < 0)
        return;
    master_names_not_ready(m, &names);
    buf_addf(&text, "stanzad: not ready after %d seconds: %s; see %s\n",
            START_PATIENCE_MS / 1000, buf_c(&names),
            m->log.path ? m->log.path : "the log");
    log_critical(NULL, "not ready after %d seconds: %s", START_PATIENCE_MS / 1000,
            buf_c(&names));
    daemon_failed(&m->daemon, buf_c(&text));
    buf_fini(&names);
    buf_fini(&text);
    master_stop(m, false);
}

/* Reads the configuration for the first time; what is wrong with it goes to stderr. */
static int
load(struct master *m)
{
    struct conf_report report;
    int r;

    conf_report_init(&report);
    r = conf_load(m->opt->conf_path, &m->opt->loader, &report, &m->conf);
    conf_report_print(&report, stderr);
    conf_report_fini(&report);
    return r;
}

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

static void
raise_file_limit(void)
{
    struct rlimit files, more = { 1 << 20, 1 << 20 };

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    if (geteuid() == 0 && files.rlim_max < more.rlim_max &&
            setrlimit(RLIMIT_NOFILE, &more) == 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static int
make_zones(struct master *m, struct buf *error)
{
    int r = zone_create(ROUTE_ZONE_SIZE, &m->routes_rw, &m->routes_ro);

    warn_of_small_shm();
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
    m->status->pid = (int32_t)getpid();
    m->status->started_ms = clock_ms();
    return 0;
}

static int
make_sockets(struct master *m, struct buf *error)
{
    int r;

    /* By its relative name: paths of sockets are short. */
    m->control_socket =
            chdir(m->home.path) < 0 ? -errno : control_socket_open("stanzad.sock");
    if (m->control_socket < 0) {
        buf_addf(error, "cannot make the control socket %s/stanzad.sock: %s",
                m->home.path, strerror(-m->control_socket));
        return m->control_socket;
    }
    /* The service's own user may administer it; nobody is everybody's. */
    if (m->home.uid && strcmp(m->home.user, "nobody") != 0 &&
            chown("stanzad.sock", m->home.uid, m->home.gid) < 0)
        log_warning(NULL, "cannot give the control socket to the user %s: %s",
                m->home.user, strerror(errno));
    m->listeners = listeners_new(m->n_workers);
    r = listeners_prepare(m->listeners, m->conf, error);
    if (r == 0)
        listeners_commit(m->listeners, NULL, NULL, NULL, NULL);
    return r;
}

static int
make_children(struct master *m, struct buf *error)
{
    static const enum proc_role singles[] = { PROC_ROUTER, PROC_AUTH, PROC_SQL,
        PROC_ADMIN };
    int r = 0;

    m->child = mem_zalloc((2 * m->n_workers + ARRAY_LEN(singles)) * sizeof *m->child);
    for (unsigned i = 0; i < m->n_workers && r == 0; i++)
        r = child_init(&m->child[m->n_children++], m, PROC_KEEPER, i);
    for (unsigned i = 0; i < m->n_workers && r == 0; i++)
        r = child_init(&m->child[m->n_children++], m, PROC_WORKER, i);
    for (unsigned i = 0; i < ARRAY_LEN(singles) && r == 0; i++)
        r = child_init(&m->child[m->n_children++], m, singles[i], 0);
    if (r < 0)
        buf_addf(error, "cannot set up %s: %s", m->child[m->n_children - 1].name,
                strerror(-r));
    return r;
}

static int
watch_signals(struct master *m)
{
    int r = loop_on_signal(m->loop, SIGCHLD, on_child, m);

    if (r == 0)
        r = loop_on_signal(m->loop, SIGTERM, on_end_signal, m);
    if (r == 0)
        r = loop_on_signal(m->loop, SIGINT, on_end_signal, m);
    if (r == 0)
        r = loop_on_signal(m->loop, SIGHUP, on_hangup, m);
    return r;
}

/* Everything that may fail, with a sentence about it. */
static int
prepare(struct master *m, struct buf *error)
{
    int r;

    m->loop = loop_new();
    m->post = post_new(m->loop, ipc_addr_of(PROC_MASTER, 0));
    r = home_open(&m->home, m->opt->home, m->opt->user, error);
    if (r == 0)
        r = load(m);
    if (r < 0)
        return r;
    m->n_workers = m->conf->workers;
    m->certs_stamp = certs_stamp(m->conf);
    raise_file_limit();
    r = make_sockets(m, error);
    if (r == 0)
        r = logfile_open(&m->log, m->conf, !m->opt->foreground, error);
    if (r == 0)
        r = make_zones(m, error);
    if (r == 0)
        r = make_children(m, error);
    if (r == 0)
        r = home_write_pid(&m->home);
    if (r == 0)
        r = watch_signals(m);
    return r;
}

static int
serve(struct master *m)
{
    enter(m, MASTER_STARTING);
    log_notice(NULL, "starting stanzad %s with %u workers, configuration %s, in %s",
            STANZAD_VERSION, m->n_workers, m->opt->conf_path, m->home.path);
    status_use(m->status);
    log_set_tap(status_event);
    m->start_timer.fn = on_start_patience_ends;
    loop_timer_set(m->loop, &m->start_timer, START_PATIENCE_MS);
    m->watch_timer.fn = on_watch;
    loop_timer_set(m->loop, &m->watch_timer, WATCH_MS);
    for (unsigned i = 0; i < m->n_children; i++)
        child_start(&m->child[i]);
    return loop_run(m->loop);
}

static void
finish(struct master *m)
{
    log_set_tap(NULL);
    status_use(NULL);
    for (unsigned i = 0; i < m->n_children; i++)
        child_fini(&m->child[i]);
    mem_free(&m->child);
    post_free(&m->post);
    listeners_free(&m->listeners);
    if (m->control_socket >= 0)
        unlink("stanzad.sock");
    close_fd(&m->control_socket);
    zone_unmap(&m->status_zone);
    close_fd(&m->status_rw);
    close_fd(&m->status_ro);
    close_fd(&m->routes_rw);
    close_fd(&m->routes_ro);
    buf_fini(&m->reload.text);
    loop_free(&m->loop);
    logfile_close(&m->log);
    conf_free(&m->conf);
    home_close(&m->home);
}

int
master_run(const struct master_options *opt, const char *exe)
{
    struct master m = { .opt = opt,
        .exe = exe,
        .log.fd = -1,
        .daemon.parent_fd = -1,
        .home.pid_fd = -1,
        .control_socket = -1,
        .routes_rw = -1,
        .routes_ro = -1,
        .status_rw = -1,
        .status_ro = -1 };
    struct buf error = { 0 };
    int r = 0;

    log_set_process("master");
    signal(SIGPIPE, SIG_IGN);
    rand_text(m.instance, sizeof m.instance - 1);
    if (!opt->foreground && !opt->again)
        r = daemon_begin(&m.daemon);
    if (r == 0)
        r = prepare(&m, &error);
    if (r == 0) {
        r = serve(&m);
        if (r < 0)
            buf_addf(&error, "the event loop failed: %s", strerror(-r));
        log_notice(NULL, "stopped");
    }
    if (error.n > 0)
        fprintf(stderr, "stanzad: %.*s\n", STR_ARG(str_trim(buf_str(&error))));
    buf_fini(&error);
    close_fd(&m.daemon.parent_fd);
    finish(&m);
    return r < 0 ? 1 : m.restart ? -1 : 0;
}
