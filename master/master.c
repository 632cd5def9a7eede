/*
 * master.c -- the life of the service
 *
 * When everything is there (prepare.c), the processes are started: the holders first,
 * so that from then on we, too, may die. From there on this process waits for children,
 * for signals and for the admin process; it reads nothing that comes from the network.
 */
#include "master/master.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "base/mem.h"

enum {
    START_PATIENCE_MS = 120 * 1000, /* of the process that waits in the foreground */
    WATCH_MS = 5 * 1000,            /* the log every time, certificates every 12th */
    WATCH_CERTS = 12,
    HOLDERS_MS = 5 * 1000 /* then the others are started without them */
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

void
master_enter(struct master *m, enum master_state state)
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
    master_enter(m, MASTER_SERVING);
    loop_timer_cancel(m->loop, &m->start_timer);
    m->status->ready = 1;
    roll_on_serving(m);
    daemon_ready(&m->daemon);
    daemon_notify("READY=1");
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

static int
watch_signals(struct master *m)
{
    int r = loop_on_signal(m->loop, SIGCHLD, on_child, m);

    if (r == 0)
        r = loop_on_signal(m->loop, SIGTERM, stop_on_signal, m);
    if (r == 0)
        r = loop_on_signal(m->loop, SIGINT, stop_on_signal, m);
    if (r == 0)
        r = loop_on_signal(m->loop, SIGHUP, on_hangup, m);
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
    master_enter(m, MASTER_STARTING);
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
        r = master_prepare(&m, &error);
    if (r == 0)
        r = watch_signals(&m);
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
