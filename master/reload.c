/*
 * reload.c -- a new configuration while everything goes on
 *
 * First all that can fail: the file is read and checked, listeners are opened, the log.
 * Only then the processes are told, and from there on there is no way back: they got
 * what was checked. Each says when it has changed over. A master that dies in between
 * leaves some with the old and some with the new; the next one tells all of them again.
 *
 * Certificates that were replaced under their names come in by the same way.
 */
#include "master/master.h"

#include <string.h>

#include "base/killpoint.h"
#include "base/mem.h"
#include "base/rand.h"
#include "master/certs.h"

enum {
    PATIENCE_MS = 15 * 1000
};

static void
finish(struct master *m, enum ipc_status status)
{
    uint64_t id = m->reload.call_id;

    loop_timer_cancel(m->loop, &m->reload.timer);
    m->reload.under_way = false;
    m->reload.n_pending = 0;
    m->reload.call_id = 0;
    for (unsigned i = 0; i < m->n_children; i++)
        m->child[i].reloading = false;
    if (id)
        call_reply(m, id, status, buf_str(&m->reload.text));
    buf_reset(&m->reload.text, 4096);
    if (m->state == MASTER_SERVING)
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

static void
one_less(struct child *c)
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

void
reload_child_done(struct child *c, uint64_t number)
{
    if (number == c->master->reload.number)
        one_less(c);
}

void
reload_child_ended(struct child *c)
{
    c->reload_due = false; /* the next one starts with it */
    one_less(c);
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

/* In the order that ipc.def says. It does not matter what the process had before. */
static void
reload_send(struct child *c)
{
    struct master *m = c->master;
    struct ipc_u64 number = { .value = m->reload.number };

    c->reload_due = false;
    if (c->role == PROC_SQL && c->confined != boot_is_confined(c)) {
        /* Its databases have moved into its root directory or out of it. */
        child_replace(c);
        return;
    }
    if (boot_send_conf(c) < 0) {
        one_less(c);
        return;
    }
    post_send(m->post, c->addr, IPC_RELOAD, &number);
    if (c->role == PROC_WORKER)
        boot_send_listeners(c);
    killpoint(RELOAD_ONE);
}

void
reload_child_ready(struct child *c)
{
    if (c->reload_due && c->master->reload.sent)
        reload_send(c);
}

/* The holders first: what the others are told must be known to the next master, too. */
static void
send_all(struct master *m)
{
    if (!holders_settled(m)) {
        loop_timer_set(m->loop, &m->reload.send_timer, HOLDERS_PAUSE_MS);
        return;
    }
    killpoint(RELOAD_HELD);
    m->reload.sent = true;
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].state == CHILD_READY)
            reload_child_ready(&m->child[i]);
    }
    post_flush(m->post);
    killpoint(RELOAD_SENT);
    if (m->reload.under_way && m->reload.n_pending == 0)
        finish(m, IPC_OK);
}

static void
on_send_timer(struct loop_timer *timer)
{
    send_all(container_of(timer, struct master, reload.send_timer));
}

/*
 * To all that are there; one that is not ready gets it when it is, and who starts later
 * gets it anyway.
 */
static void
spread(struct master *m)
{
    m->reload.number = rand_u64();
    m->reload.n_pending = 0;
    m->reload.under_way = true;
    m->reload.sent = false;
    for (unsigned i = 0; i < m->n_children; i++) {
        struct child *c = &m->child[i];

        c->reloading = c->reload_due = c->state == CHILD_ASKED ||
                                       c->state == CHILD_STARTING ||
                                       c->state == CHILD_READY;
        m->reload.n_pending += c->reloading;
    }
    m->reload.timer.fn = on_patience_ends;
    m->reload.send_timer.fn = on_send_timer;
    loop_timer_set(m->loop, &m->reload.timer, PATIENCE_MS);
    send_all(m);
}

/* What the files say now, for those who are told and those who start. */
static void
load(struct master *m)
{
    struct buf problems = { 0 };

    boot_load(m, &problems);
    problems_log(buf_str(&problems));
    buf_add_str(&m->reload.text, buf_str(&problems));
    buf_fini(&problems);
}

void
reload_take(struct master *m, struct conf *conf)
{
    if (m->state == MASTER_SERVING)
        daemon_notify("RELOADING=1");
    conf_free(&m->conf);
    m->conf = conf;
    load(m);
    listeners_commit(m->listeners);
    killpoint(RELOAD_TAKEN);
    holders_tell_all(m);
    master_log_changed(m);
    spread(m);
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

    if (m->state == MASTER_STOPPING || m->reload.under_way) {
        if (call_id)
            call_reply(m, call_id, IPC_UNAVAILABLE,
                    m->reload.under_way ? STR("another reload is under way")
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
    reload_take(m, conf);
}

void
reload_certs(struct master *m)
{
    if (m->state == MASTER_STOPPING || m->reload.under_way ||
            certs_stamp(m->conf) == m->certs_stamp)
        return;
    log_notice(NULL, "certificate files have changed; reading them again");
    buf_reset(&m->reload.text, 4096);
    m->reload.call_id = 0;
    daemon_notify("RELOADING=1");
    load(m);
    spread(m);
}
