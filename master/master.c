/*
 * master.c -- the life of the service
 *
 * Everything that may be refused is acquired first, by the user who may: the directory,
 * the listeners, the shared memory. Or it is taken over, where a master before us has
 * died and its processes go on (adopt.c). Then the processes are started: the holders
 * first, so that from then on we, too, may die. From there on this process waits for
 * children, for signals and for the admin process; it reads nothing that comes from the
 * network.
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
#include <unistd.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "base/mem.h"

enum {
    START_PATIENCE_MS = 120 * 1000, /* of the process that waits in the foreground */
    WATCH_MS = 5 * 1000,            /* the log every time, certificates every 12th */
    WATCH_CERTS = 12,
    HOLDERS_MS = 5 * 1000, /* then the others are started without them */
    INSIST_MS = 1000       /* two signals within this are one request */
};

/* Who ends when, and how long they may take. */
static const struct {
    enum proc_role role;
    uint64_t grace_ms;
} stop_order[] = {
    { PROC_WORKER, 30 * 1000 }, /* sessions are written to the disk */
    { PROC_ADMIN, 5 * 1000 },
    { PROC_AUTH, 5 * 1000 },
    { PROC_ROUTER, 5 * 1000 },
    { PROC_SQL, 20 * 1000 },
    { PROC_KEEPER, 5 * 1000 },
    { PROC_HOLDER, 5 * 1000 },
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

static void
start_others(struct master *m)
{
    if (m->all_started || m->state == MASTER_STOPPING)
        return;
    m->all_started = true;
    loop_timer_cancel(m->loop, &m->holders_timer);
    killpoint(START_HELD);
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].role != PROC_HOLDER)
            child_start(&m->child[i]);
    }
    killpoint(START_ALL);
}

void
master_holder_holds(struct master *m)
{
    start_others(m);
}

static void
on_holders_timer(struct loop_timer *timer)
{
    struct master *m = container_of(timer, struct master, holders_timer);

    log_error(NULL,
            "the holders are not there: should the master die, so will the others");
    start_others(m);
}

void
master_child_ready(struct child *c)
{
    struct master *m = c->master;

    if (c->role == PROC_HOLDER && !c->told)
        holders_tell(c);
    convert_done(c);
    reload_child_ready(c);
    if (m->state == MASTER_SERVING)
        log_notice(NULL, "%s serves again, as pid %d", c->name, (int)c->pid);
    if (m->state != MASTER_STARTING || !master_all_ready(m))
        return;
    log_notice(NULL, "ready: stanzad %s serves, %.2f seconds after its start",
            STANZAD_VERSION, (double)(clock_ms() - m->state_since_ms) / 1000);
    enter(m, MASTER_SERVING);
    loop_timer_cancel(m->loop, &m->start_timer);
    m->status->ready = 1;
    roll_on_serving(m);
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
    if (m->stop_phase == ARRAY_LEN(stop_order)) {
        m->stay = false;
        loop_stop(m->loop);
    }
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
    roll_abort(m, "the service stops");
    m->restart = restart;
    m->status->ready = 0;
    daemon_notify(restart ? "RELOADING=1" : "STOPPING=1");
    holders_abandon(m);
    killpoint(STOP_ABANDONED);
    loop_timer_cancel(m->loop, &m->start_timer);
    loop_timer_cancel(m->loop, &m->holders_timer);
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
    m->insisted = true;
    for (unsigned i = 0; i < m->n_children; i++)
        child_kill(&m->child[i]);
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
    if (!m->adopted)
        master_stop(m, false);
}

/* Reads the configuration for the first time; what is wrong with it goes to stderr. */
static int
load(struct master *m)
{
    struct conf_report report;
    int r;

    conf_report_init(&report);
    r = conf_load(m->opt->conf_path, &m->opt->loader, &report, &m->conf_next);
    conf_report_print(&report, stderr);
    conf_report_fini(&report);
    if (r < 0 && m->opt->replaced) {
        log_error(NULL,
                "%s has become wrong; the configuration from before stays in force",
                m->opt->conf_path);
        return 0;
    }
    if (r < 0 && adopt_is_possible())
        fprintf(stderr, "stanzad: the processes in %s go on without a master\n",
                m->home.path);
    return r;
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

static int
prepare_new(struct master *m, struct buf *error)
{
    int r = home_furnish(&m->home, error);

    m->conf = m->conf_next;
    m->conf_next = NULL;
    return r == 0 ? make_service(m, error) : r;
}

/*
 * Refused like a reload; but then it is us who go, unless we stand in for the master
 * that was here before: nobody has asked for another configuration.
 */
static int
prepare_adopted(struct master *m, struct buf *error)
{
    int r = home_furnish(&m->home, error);

    m->adopted = true;
    if (r == 0 && m->conf_next)
        r = listeners_prepare(m->listeners, m->conf_next, error);
    if (r < 0 && m->opt->replaced) {
        log_error(
                NULL, "the configuration from before stays in force: %s", buf_c(error));
        buf_reset(error, 0);
        conf_free(&m->conf_next);
        r = 0;
    }
    if (m->conf_next && m->conf_next->workers != m->n_workers)
        log_warning(NULL,
                "there are %u workers and not %u until the service is stopped",
                m->n_workers, m->conf_next->workers);
    return r;
}

static int
load_files(struct master *m, struct buf *error)
{
    struct buf problems = { 0 };
    struct str rest, line;
    int r = boot_load(m, &problems);

    for (rest = buf_str(&problems); str_cut(&rest, '\n', &line);) {
        if (line.n > 0)
            log_warning(NULL, "%.*s", STR_ARG(line));
    }
    if (r < 0)
        buf_addf(error, "cannot pack the configuration: %s", strerror(-r));
    buf_fini(&problems);
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
    if (r == 0 && chdir(m->home.path) < 0) {
        r = -errno;
        buf_addf(error, "cannot enter %s: %s", m->home.path, strerror(errno));
    }
    if (r == 0)
        r = load(m);
    if (r < 0)
        return r;
    raise_file_limit();
    r = program_own(m, &m->program);
    if (r < 0) {
        buf_addf(error, "cannot open the program %s: %s", m->exe, strerror(-r));
        return r;
    }
    r = adopt_service(m, error);
    if (r == 0 && !m->conf_next) {
        buf_addf(error, "there is neither a configuration nor somebody to go on with");
        r = -EINVAL;
    }
    if (r >= 0)
        r = r == 0 ? prepare_new(m, error) : prepare_adopted(m, error);
    if (r == 0)
        r = logfile_open(&m->log, m->conf_next ? m->conf_next : m->conf,
                !m->opt->foreground, error);
    if (r == 0)
        r = load_files(m, error);
    if (r == 0)
        r = holders_open(m);
    if (r == 0)
        deaths_load(m);
    if (r == 0)
        roll_load(m);
    if (r == 0)
        r = home_write_pid(&m->home);
    if (r == 0)
        r = watch_signals(m);
    return r;
}

static void
write_page(struct master *m)
{
    struct status_page *page = m->status;

    page->starts = m->adopted ? page->starts + 1 : 0;
    status_reset(page);
    page->started_ms = clock_ms();
    page->pid = (int32_t)getpid();
    status_use(page);
    log_set_tap(status_event);
}

/* Those whom another master has started, and those who are missing. */
static void
adopt(struct master *m)
{
    struct conf *conf = m->conf_next;

    log_notice(NULL, "going on with the processes of the master before, in %s",
            m->home.path);
    if (!m->opt->replaced) {
        words_log(m->program, "the master before", m->status);
        deaths_add(m, "master", 0, "died", STR("another one goes on"));
    }
    write_page(m);
    m->conf_next = NULL;
    m->all_started = true;
    for (unsigned i = 0; i < m->n_children; i++) {
        child_ask(&m->child[i]);
        if (m->child[i].state == CHILD_ASKED && m->child[i].role == PROC_HOLDER)
            holders_tell(&m->child[i]);
        killpoint(ADOPT_ONE);
    }
    killpoint(ADOPT_ASKED);
    if (conf)
        reload_take(m, conf);
}

static int
serve(struct master *m)
{
    enter(m, MASTER_STARTING);
    m->stay = true;
    log_notice(NULL, "starting stanzad %s with %u workers, configuration %s, in %s",
            STANZAD_VERSION, m->n_workers, m->opt->conf_path, m->home.path);
    m->start_timer.fn = on_start_patience_ends;
    loop_timer_set(m->loop, &m->start_timer, START_PATIENCE_MS);
    m->watch_timer.fn = on_watch;
    loop_timer_set(m->loop, &m->watch_timer, WATCH_MS);
    m->holders_timer.fn = on_holders_timer;
    if (m->adopted) {
        adopt(m);
    } else {
        write_page(m);
        loop_timer_set(m->loop, &m->holders_timer, HOLDERS_MS);
        killpoint(START_MADE);
        for (unsigned i = 0; i < HOLDERS; i++)
            child_start(&m->child[i]);
    }
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
    programs_close(m);
    post_free(&m->post);
    listeners_free(&m->listeners, m->stay);
    if (m->control_socket >= 0 && !m->stay)
        unlink("stanzad.sock");
    if (m->adopt_socket >= 0 && !m->stay)
        unlink("stanzad.adopt");
    close_fd(&m->control_socket);
    close_fd(&m->adopt_socket);
    close_fd(&m->conf_blob);
    close_fd(&m->certs_blob);
    close_fd(&m->lifeline[0]);
    close_fd(&m->lifeline[1]);
    zone_unmap(&m->status_zone);
    close_fd(&m->status_rw);
    close_fd(&m->status_ro);
    close_fd(&m->routes_rw);
    close_fd(&m->routes_ro);
    close_fd(&m->addresses);
    buf_fini(&m->reload.text);
    roll_fini(m);
    deaths_fini(m);
    loop_free(&m->loop);
    logfile_close(&m->log);
    conf_free(&m->conf);
    conf_free(&m->conf_next);
    home_close(&m->home);
}

int
master_run(const struct master_options *opt, const char *exe, int *ret_exe_fd)
{
    struct master m = { .opt = opt,
        .exe = exe,
        .log.fd = -1,
        .daemon.parent_fd = -1,
        .home.pid_fd = -1,
        .control_socket = -1,
        .adopt_socket = -1,
        .conf_blob = -1,
        .certs_blob = -1,
        .lifeline = { -1, -1 },
        .routes_rw = -1,
        .routes_ro = -1,
        .addresses = -1,
        .status_rw = -1,
        .status_ro = -1 };
    struct buf error = { 0 };
    int r = 0;

    list_init(&m.programs);
    log_set_process("master");
    signal(SIGPIPE, SIG_IGN);
    if (!opt->foreground && !opt->again)
        r = daemon_begin(&m.daemon);
    if (r == 0)
        r = prepare(&m, &error);
    if (r == 0) {
        r = serve(&m);
        if (r < 0)
            buf_addf(&error, "the event loop failed: %s", strerror(-r));
        if (!m.replace)
            log_notice(NULL, "stopped");
    }
    if (error.n > 0)
        fprintf(stderr, "stanzad: %.*s\n", STR_ARG(str_trim(buf_str(&error))));
    buf_fini(&error);
    close_fd(&m.daemon.parent_fd);
    if (m.replace)
        *ret_exe_fd = fcntl(m.program_next->fd, F_DUPFD_CLOEXEC, 0);
    finish(&m);
    if (r < 0)
        return 1;
    return m.replace ? MASTER_REPLACE : m.restart ? MASTER_AGAIN : 0;
}
