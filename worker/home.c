/*
 * home.c -- to the home of an account, and from there to its sessions
 */
#include "worker/home.h"

#include "worker/account.h"
#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/jobs.h"
#include "worker/modules.h"
#include "worker/outbox.h"

static const struct conf_host *
host_of_bare(struct worker *w, struct str bare)
{
    struct jid jid;

    return jid_parse(&w->scratch, bare, &jid) < 0
                   ? NULL
                   : conf_host_find(w->proc->conf, jid.domain);
}

static void
begin_here(struct worker *w, const struct module *m, unsigned step, struct str bare,
        enum home_way way, const struct job_start *start)
{
    struct job_start s = *start;

    s.module = m;
    s.step = step;
    s.host = host_of_bare(w, bare);
    if (!s.host)
        return;
    if (way != HOME_SESSION)
        s.key = bare;
    switch (way) {
    case HOME_SESSION:
    case HOME_QUEUED:
        job_begin(w, &s);
        break;
    case HOME_AHEAD:
        job_begin_ahead(w, &s);
        break;
    case HOME_LOADED:
        job_begin_loaded(w, &s);
        break;
    }
}

static void
call_worker(
        struct worker *w, unsigned slot, enum home_way way, const struct home_call *call)
{
    struct job_start start = { .conn = call->conn,
        .from = call->from,
        .to = call->to,
        .stanza = call->stanza,
        .data = call->data };
    struct buf bytes = { 0 }, from = { 0 }, to = { 0 };
    struct ipc_home m = { .module = module_hash(call->module),
        .step = (uint16_t)call->step,
        .way = (uint8_t)way,
        .conn = call->conn,
        .bare = call->bare,
        .data = call->data };

    if (call->el) {
        xml_write(&bytes, call->el, STR(NS_CLIENT));
        start.stanza = buf_str(&bytes);
    }
    if (slot == w->proc->slot) {
        begin_here(w, call->module, call->step, call->bare, way, &start);
    } else {
        jid_write(&from, &call->from);
        jid_write(&to, &call->to);
        m.from = buf_str(&from);
        m.to = buf_str(&to);
        m.stanza = start.stanza;
        outbox_send(w, ipc_addr_of(PROC_WORKER, slot), IPC_HOME, &m);
    }
    buf_fini(&bytes);
    buf_fini(&from);
    buf_fini(&to);
}

void
home_call_by(struct worker *w, enum home_way way, const struct home_call *call)
{
    call_worker(w, account_home(w, call->bare), way, call);
}

void
home_call(struct worker *w, const struct home_call *call)
{
    home_call_by(w, HOME_LOADED, call);
}

void
session_call(struct worker *w, const struct home_call *call)
{
    unsigned slot = conn_id_slot(call->conn);

    if (slot < w->proc->n_workers)
        call_worker(w, slot, HOME_SESSION, call);
}

/*
 * The worker of whoever has sent it knows its own jobs only. Requests and messages are
 * answered; what nobody would be told of, presence above all, goes on.
 */
static bool
is_refused(struct worker *w, const struct ipc_home *m, const struct job_start *start)
{
    struct stanza s = { .conn = m->conn, .from = start->from, .to = start->to };
    enum iq_type type;

    if (m->way == HOME_SESSION || !m->stanza.n)
        return false;
    s.el = stanza_parse(w, &w->scratch, m->stanza);
    if (!s.el)
        return false;
    s.kind = stanza_kind(s.el);
    s.bytes = m->stanza;
    switch (s.kind) {
    case STANZA_MESSAGE:
        s.type = (uint8_t)message_type(s.el);
        s.conn = 0;
        break;
    case STANZA_IQ:
        if (iq_type(s.el, &type) < 0)
            return false;
        s.type = (uint8_t)type;
        break;
    case STANZA_PRESENCE:
    case STANZA_OTHER:
        return false;
    }
    deliver_error(w, &s, STANZA_ERROR_RESOURCE_CONSTRAINT, "too much is waiting");
    return true;
}

void
home_on_frame(struct worker *w, const struct ipc_home *m)
{
    const struct conf_host *host = host_of_bare(w, m->bare);
    const struct host_module *hm =
            host ? host_module_by_hash(w, host, m->module) : NULL;
    struct job_start start = { .conn = m->conn, .stanza = m->stanza, .data = m->data };

    if (!hm || m->step >= hm->module->n_steps ||
            m->way > HOME_QUEUED) {
        log_debug(NULL, "a request for the home of %.*s is for no module of it",
                STR_ARG(m->bare));
        return;
    }
    jid_parse(&w->scratch, m->from, &start.from);
    jid_parse(&w->scratch, m->to, &start.to);
    if (jobs_are_many(w) && is_refused(w, m, &start))
        return;
    begin_here(w, hm->module, m->step, m->bare, (enum home_way)m->way, &start);
}

/* --- From the home to all who hold the account --- */

/* Sessions of it that have not come back to it since the death of a predecessor. */
static bool
has_sessions_here(struct worker *w, struct str bare)
{
    const struct route_snapshot *snap;
    size_t n = w->inherited ? route_sessions(w, bare, 0, &snap) : 0;

    for (size_t i = 0; i < n; i++) {
        if (conn_find(w, snap->entry[i].conn))
            return true;
    }
    return false;
}

/* What is about a host as a whole has the host in place of an account. */
static bool
is_host(struct str bare)
{
    return !memchr(bare.p, '@', bare.n);
}

static void
host_notified(struct worker *w, const struct ipc_notify *m)
{
    const struct conf_host *host = conf_host_find(w->proc->conf, m->bare);
    const struct host_module *hm =
            host ? host_module_by_hash(w, host, m->module) : NULL;
    struct event e = { .w = w, .host = host, .arena = &w->scratch };

    if (!hm || !hm->module->notify)
        return;
    e.module = hm->module;
    e.config = hm->config;
    hm->module->notify(&e, m->what, m->data);
}

void
notify_done(struct worker *w, ipc_addr from, uint64_t job, uint32_t answer)
{
    struct ipc_notified m = { .job = job, .answer = answer };

    if (job)
        outbox_send(w, from, IPC_NOTIFIED, &m);
}

/*
 * Every worker is told, as nobody but itself knows whether it is just reading the
 * account for a session that the route table does not show yet.
 */
uint32_t
notify_all(struct worker *w, const struct module *m, struct str bare, unsigned what,
        struct str data, uint64_t job, uint32_t *ret_answer)
{
    struct ipc_notify msg = {
        .module = module_hash(m), .what = what, .job = job, .bare = bare, .data = data
    };
    struct account *a = map_get(&w->accounts, bare);

    for (unsigned i = 0; i < w->proc->n_workers; i++) {
        if (i != w->proc->slot)
            outbox_send(w, ipc_addr_of(PROC_WORKER, i), IPC_NOTIFY, &msg);
    }
    msg.job = 0;
    *ret_answer = 0;
    worker_begin(w, NULL);
    if (is_host(bare))
        host_notified(w, &msg);
    else if (a && a->state == ACCOUNT_READY)
        *ret_answer = account_notify(w, a, msg.module, what, data);
    else if (a || has_sessions_here(w, bare))
        core_notify_later(w, 0, &msg);
    worker_commit(w);
    return w->proc->n_workers - 1;
}

void
sessions_notify(struct worker *w, const struct module *m, struct str bare,
        unsigned what, struct str data)
{
    uint32_t answer;

    notify_all(w, m, bare, what, data, 0, &answer);
}

void
workers_notify(struct worker *w, const struct module *m, const struct conf_host *host,
        unsigned what, struct str data)
{
    sessions_notify(w, m, host->name, what, data);
}

/* One that has to wait holds up those behind it. */
void
notify_on_frame(struct worker *w, ipc_addr from, const struct ipc_notify *m)
{
    struct account *a = map_get(&w->accounts, m->bare);
    bool ready = a && a->state == ACCOUNT_READY && !jobs_have_key(w, m->bare);
    uint32_t answer = 0;

    worker_begin(w, NULL);
    if (is_host(m->bare)) {
        host_notified(w, m);
        notify_done(w, from, m->job, 0);
    } else if (!ready && (a || has_sessions_here(w, m->bare))) {
        core_notify_later(w, from, m);
    } else {
        if (ready)
            answer = account_notify(w, a, m->module, m->what, m->data);
        notify_done(w, from, m->job, answer);
    }
    worker_commit(w);
}
