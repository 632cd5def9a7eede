/*
 * reload.c -- a new configuration while everything goes on
 *
 * First all that can fail: the file is read and checked, listeners are opened, the log.
 * Only then the processes are told, and from there on there is no way back: they got
 * what was checked. Each says when it has changed over.
 *
 * Certificates that were replaced under their names come in by the same way.
 */
#include "master/master.h"

#include <string.h>

#include "base/mem.h"
#include "master/certs.h"

enum {
    PATIENCE_MS = 15 * 1000
};

static void
finish(struct master *m, enum ipc_status status)
{
    uint64_t id = m->reload.call_id;

    loop_timer_cancel(m->loop, &m->reload.timer);
    m->reload.n_pending = 0;
    m->reload.call_id = 0;
    for (unsigned i = 0; i < m->n_children; i++)
        m->child[i].reloading = false;
    if (id)
        call_reply(m, id, status, buf_str(&m->reload.text));
    buf_reset(&m->reload.text, 4096);
    daemon_notify("READY=1");
}

static void
on_patience_ends(struct loop_timer *timer)
{
    struct master *m = container_of(timer, struct master, reload.timer);

    for (unsigned i = 0; i < m->n_children; i++) {
        if (!m->child[i].reloading)
            continue;
        log_error(
                NULL, "%s has not taken over the configuration yet", m->child[i].name);
        buf_addf(&m->reload.text, "%s has not taken over the configuration yet\n",
                m->child[i].name);
    }
    finish(m, IPC_FAILED);
}

void
reload_child_done(struct child *c)
{
    struct master *m = c->master;

    if (!c->reloading)
        return;
    c->reloading = false;
    if (--m->reload.n_pending > 0)
        return;
    log_notice(NULL, "all processes have taken over the configuration");
    finish(m, IPC_OK);
}

static void
problems_log(struct str problems)
{
    struct str line;

    while (str_cut(&problems, '\n', &line)) {
        if (line.n > 0)
            log_warning(NULL, "%.*s", STR_ARG(line));
    }
}

/* Tells a worker of one listener; `arg` is the master. */
static void
on_listener_close(void *arg, unsigned old_index)
{
    struct master *m = arg;
    struct ipc_listener msg = { .index = (uint16_t)old_index };

    for (unsigned i = 0; i < m->n_children; i++) {
        struct child *c = &m->child[i];

        if (c->role == PROC_WORKER && c->reloading)
            post_send(m->post, c->addr, IPC_LISTENER_CLOSE, &msg);
    }
}

static void
on_listener_open(void *arg, unsigned index)
{
    struct master *m = arg;

    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].role == PROC_WORKER && m->child[i].reloading)
            boot_send_listener(&m->child[i], index);
    }
}

static void
send_reload(void *arg)
{
    struct master *m = arg;

    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].reloading)
            post_send(
                    m->post, m->child[i].addr, IPC_RELOAD, &(struct ipc_nothing){ 0 });
    }
}

/* CONF and CERTS to all that are there; who starts later gets them anyway. */
static void
send_conf(struct master *m)
{
    struct buf certs = { 0 }, problems = { 0 };

    m->certs_stamp = certs_stamp(m->conf); /* first: what changes now is seen later */
    certs_read(m->conf, &certs, &problems);
    problems_log(buf_str(&problems));
    buf_add_str(&m->reload.text, buf_str(&problems));
    m->reload.n_pending = 0;
    for (unsigned i = 0; i < m->n_children; i++) {
        struct child *c = &m->child[i];

        c->reloading = false;
        if ((c->state != CHILD_STARTING && c->state != CHILD_READY) ||
                boot_send_conf(c, &certs) < 0)
            continue;
        c->reloading = true;
        m->reload.n_pending++;
    }
    if (certs.p)
        mem_wipe(certs.p, certs.n);
    buf_fini(&certs);
    buf_fini(&problems);
}

/* Its databases have moved into its root directory or out of it: that takes a new one. */
static void
sql_replace(struct master *m)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].role == PROC_SQL)
            child_replace(&m->child[i]);
    }
}

static void
begin(struct master *m, struct conf *conf)
{
    bool confined = boot_sql_is_confined(m, m->conf);

    daemon_notify("RELOADING=1");
    conf_free(&m->conf);
    m->conf = conf;
    send_conf(m);
    /* Closed ones by their old index, RELOAD, then the new ones: see ipc.def. */
    listeners_commit(m->listeners, on_listener_close, send_reload, on_listener_open, m);
    master_log_changed(m);
    if (boot_sql_is_confined(m, conf) != confined)
        sql_replace(m);
    m->reload.timer.fn = on_patience_ends;
    loop_timer_set(m->loop, &m->reload.timer, PATIENCE_MS);
    if (m->reload.n_pending == 0)
        finish(m, IPC_OK);
}

/* Reads and checks everything: 0 with *ret_conf, or -errno with m->reload.text. */
static int
check(struct master *m, struct conf **ret_conf)
{
    struct conf_report report;
    struct conf *conf = NULL;
    struct buf *text = &m->reload.text;
    int r;

    conf_report_init(&report);
    r = conf_load(m->opt->conf_path, &m->opt->loader, &report, &conf);
    for (const struct conf_problem *p = report.first; p; p = p->next) {
        conf_problem_format(p, text);
        buf_add_char(text, '\n');
    }
    conf_report_fini(&report);
    if (r == 0 && conf->workers != m->n_workers)
        buf_addf(text, "the number of workers changes from %u to %u with a restart\n",
                m->n_workers, conf->workers);
    if (r == 0)
        r = listeners_prepare(m->listeners, conf, text);
    if (r == 0) {
        r = logfile_open(&m->log, conf, !m->opt->foreground, text);
        if (r < 0)
            listeners_abandon(m->listeners);
    }
    if (r < 0)
        conf_free(&conf);
    else
        *ret_conf = conf;
    return r;
}

void
reload_begin(struct master *m, uint64_t call_id)
{
    struct conf *conf;

    if (m->state == MASTER_STOPPING || m->reload.n_pending > 0) {
        if (call_id)
            call_reply(m, call_id, IPC_UNAVAILABLE,
                    m->reload.n_pending > 0 ? STR("another reload is under way")
                                            : STR("the service is stopping"));
        return;
    }
    m->reload.call_id = call_id;
    buf_reset(&m->reload.text, 4096);
    if (check(m, &conf) < 0) {
        log_error(
                NULL, "the configuration was not reloaded; the old one stays in force");
        problems_log(buf_str(&m->reload.text));
        finish(m, IPC_INVALID);
        return;
    }
    problems_log(buf_str(&m->reload.text));
    log_notice(NULL, "reloading %s", m->opt->conf_path);
    begin(m, conf);
}

void
reload_certs(struct master *m)
{
    if (m->state == MASTER_STOPPING || m->reload.n_pending > 0 ||
            certs_stamp(m->conf) == m->certs_stamp)
        return;
    log_notice(NULL, "certificate files have changed; reading them again");
    buf_reset(&m->reload.text, 4096);
    m->reload.call_id = 0;
    daemon_notify("RELOADING=1");
    send_conf(m);
    send_reload(m);
    m->reload.timer.fn = on_patience_ends;
    loop_timer_set(m->loop, &m->reload.timer, PATIENCE_MS);
    if (m->reload.n_pending == 0)
        finish(m, IPC_OK);
}
