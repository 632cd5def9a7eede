/*
 * core.c -- what the core itself does as jobs
 *
 * Delivery that the account's home has to decide, presence probes among it, and
 * notifications for an account that is just being read. Also worker/ended.c and
 * worker/removal.c.
 */
#include "worker/account.h"
#include "worker/account_load.h"
#include "worker/deliver.h"
#include "worker/home.h"
#include "worker/jobs.h"
#include "worker/modules.h"
#include "worker/presence.h"
#include "worker/removal.h"
#include "worker/session.h"

enum {
    STEP_INBOUND = CORE_STEP_OTHERS,
    STEP_NOTIFY,
    STEP_REMOVE,
    STEP_REFUSED,
    STEP_UNSEE
};

/* A notification, in front of its data. */
struct later {
    uint64_t job;  /* that waits for the answer, */
    ipc_addr from; /* and where */
    uint32_t module, what;
};

/* What travels with a stanza beside its bytes. */
struct inbound {
    uint64_t conn;
    uint64_t session; /* only for this one; 0: as the rules of delivery say */
    uint64_t traits;
    uint8_t kind, type, hops;
    uint16_t flags;
    struct given given;
};

static struct inbound
inbound_of(const struct stanza *s)
{
    return (struct inbound){ .conn = s->conn,
        .traits = s->traits,
        .kind = (uint8_t)s->kind,
        .type = s->type,
        .hops = s->hops,
        .flags = s->flags,
        .given = s->given };
}

void
core_to_home(struct worker *w, const struct stanza *s, struct str bare)
{
    struct inbound in = inbound_of(s);
    struct home_call call = { .module = &core_module,
        .step = STEP_INBOUND,
        .bare = bare,
        .from = s->from,
        .to = s->to,
        .stanza = s->bytes,
        .data = { (const char *)&in, sizeof in } };
    bool came_back;

    if (in.hops >= DELIVER_FIRST)
        in.hops = 0;
    /* It goes in front of what was sent when its session had gone: worker/ended.c. */
    came_back = in.hops > 0 && s->kind == STANZA_MESSAGE;
    if (jobs_are_many(w))
        deliver_error(w, s, STANZA_ERROR_RESOURCE_CONSTRAINT, "too much is waiting");
    else
        home_call_by(w, came_back ? HOME_AHEAD : HOME_LOADED, &call);
}

void
core_to_session(struct worker *w, const struct stanza *s, struct conn *c, bool by_home)
{
    struct inbound in = inbound_of(s);
    struct job_start start = { .module = &core_module,
        .host = conf_host_find(w->proc->conf, conn_domain(c)),
        .step = STEP_INBOUND,
        .key = conn_bare(c),
        .from = s->from,
        .to = s->to,
        .stanza = s->bytes,
        .data = { (const char *)&in, sizeof in } };
    struct home_call call = { .module = &core_module,
        .step = STEP_INBOUND,
        .bare = start.key,
        .from = s->from,
        .to = s->to,
        .stanza = s->bytes,
        .data = start.data };

    in.session = conn_id(w, c);
    if (!start.host)
        return;
    if (jobs_are_many(w)) {
        core_refuse(w, s, STANZA_ERROR_RESOURCE_CONSTRAINT);
    } else if (by_home) {
        home_call(w, &call);
    } else {
        account_join(w, c);
        job_begin_loaded(w, &start);
    }
}

void
core_refuse(struct worker *w, const struct stanza *s, enum stanza_error error)
{
    struct job_start start = { .module = &core_module,
        .host = conf_host_find(w->proc->conf, s->to.domain),
        .step = STEP_REFUSED,
        .conn = s->conn,
        .from = s->from,
        .to = s->to,
        .stanza = s->bytes,
        .data = { (const char *)&error, sizeof error } };

    if (start.host)
        job_begin(w, &start);
}

static void
refused(struct job *j, const struct sql_result *result)
{
    enum stanza_error error;
    struct stanza s = { .kind = j->kind,
        .type = j->type,
        .conn = j->conn,
        .from = j->from,
        .to = j->to,
        .el = j->el };

    (void)result;
    if (!j->el || j->data.n != sizeof error)
        return;
    memcpy(&error, j->data.p, sizeof error);
    deliver_error(j->w, &s, error, NULL);
}

static void
probed(struct job *j, struct stanza *s)
{
    struct stanza reply = { .kind = STANZA_PRESENCE, .from = s->to, .to = s->from };
    struct str from = jid_bare_text(j->arena, &s->from);
    struct contact contact;

    /* RFC 6121, 4.3.2: who may not see it is told that it is not subscribed. */
    if (!account_exists(j->account) ||
            ((!contacts_find(account_contacts(j->account), from, &contact) ||
                     !(contact.bits & CONTACT_MAY_SEE)) &&
                    !jid_eq_bare(&s->from, &s->to))) {
        struct xml_el *el = xml_el_new(j->arena, "presence", NS_CLIENT);

        xml_set(el, "from", jid_bare_text(j->arena, &s->to));
        xml_set(el, "to", from);
        xml_set_c(el, "type", "unsubscribed");
        route_el(j->w, el);
        return;
    }
    presence_answer_probe(j->w, j->account, &reply.to);
}

/* To a nonexistent account: RFC 6121, 8.5.1. */
static void
nobody(struct job *j, struct stanza *s)
{
    if (s->kind == STANZA_IQ ||
            (s->kind == STANZA_MESSAGE && s->type != MESSAGE_HEADLINE))
        deliver_error(j->w, s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

bool
account_lets_in(struct worker *w, struct account *a, struct job *job, struct stanza *s)
{
    struct event e = {
        .w = w, .host = account_host(a), .job = job, .account = a, .s = s
    };

    return hook_run(w, HOOK_FILTER, &e) != HOOK_DONE;
}

static void
inbound(struct job *j, const struct sql_result *result)
{
    struct inbound in;
    struct stanza s = {
        .from = j->from, .to = j->to, .el = j->el, .bytes = job_stanza(j)
    };
    struct event e = {
        .w = j->w, .host = j->host, .job = j, .account = j->account, .s = &s
    };

    (void)result;
    if (!j->el || j->data.n != sizeof in)
        return;
    memcpy(&in, j->data.p, sizeof in);
    s.kind = (enum stanza_kind)in.kind;
    s.type = in.type;
    s.hops = in.hops;
    s.flags = in.flags;
    s.given = in.given;
    s.traits = in.traits;
    s.conn = j->conn = in.conn;
    if (!account_exists(j->account)) {
        nobody(j, &s);
        return;
    }
    if (!(s.flags & STANZA_FILTERED) && !account_lets_in(j->w, j->account, j, &s))
        return;
    s.flags |= STANZA_FILTERED;
    if (in.session) {
        if (!deliver_to_conn(j->w, in.session, &s))
            deliver_again(j->w, &s, in.session);
        return;
    }
    if (s.kind == STANZA_PRESENCE && s.type == PRESENCE_PROBE)
        probed(j, &s);
    else if (s.kind == STANZA_IQ && s.conn && !s.to.resource.n &&
             (s.type == IQ_GET || s.type == IQ_SET))
        iq_at_home(j->w, &s);
    else if (s.kind == STANZA_PRESENCE && s.type > PRESENCE_UNAVAILABLE &&
             s.type != PRESENCE_ERROR)
        hook_run(j->w, HOOK_SUBSCRIPTION_IN, &e);
    else
        deliver_at_home(j->w, &s, j);
}

void
core_unsee(struct worker *w, struct conn *c, struct str contact)
{
    struct home_call call = { .module = &core_module,
        .step = STEP_UNSEE,
        .bare = contact,
        .conn = conn_id(w, c),
        .from = conn_jid(c) };

    if (!jobs_are_many(w))
        home_call(w, &call);
}

static void
unsee(struct job *j, const struct sql_result *result)
{
    (void)result;
    presence_answer_unsee(j->w, j->account, j->conn, &j->from);
}

/* --- Notifications --- */

void
core_notify_later(struct worker *w, ipc_addr from, const struct ipc_notify *m)
{
    struct later head = {
        .job = m->job, .from = from, .module = m->module, .what = m->what
    };
    struct jid jid;
    struct job_start start = {
        .module = &core_module, .step = STEP_NOTIFY, .key = m->bare
    };
    struct buf data = { 0 };

    buf_add(&data, &head, sizeof head);
    buf_add_str(&data, m->data);
    start.data = buf_str(&data);
    start.host = jid_parse(&w->scratch, m->bare, &jid) < 0
                         ? NULL
                         : conf_host_find(w->proc->conf, jid.domain);
    if (start.host)
        job_begin_loaded(w, &start);
    buf_fini(&data);
}

static void
notify_now(struct job *j, const struct sql_result *result)
{
    struct later head;
    uint32_t answer;

    (void)result;
    if (j->data.n < sizeof head)
        return;
    memcpy(&head, j->data.p, sizeof head);
    answer = account_notify(j->w, j->account, head.module, head.what,
            (struct str){ j->data.p + sizeof head, j->data.n - sizeof head });
    notify_done(j->w, head.from, head.job, answer);
}

/* --- What the core itself tells the workers of an account --- */

enum {
    NOTIFY_REREAD,
    NOTIFY_REMOVED
};

void
account_reread(struct worker *w, struct str bare)
{
    sessions_notify(w, &core_module, bare, NOTIFY_REREAD, STR_NULL);
}

void
core_account_removed(struct worker *w, struct str bare, bool by_itself)
{
    sessions_notify(
            w, &core_module, bare, NOTIFY_REMOVED, by_itself ? STR("own") : STR_NULL);
}

void
account_remove(struct worker *w, struct str bare)
{
    home_call(w, &(struct home_call){
                         .module = &core_module, .step = STEP_REMOVE, .bare = bare });
}

void
account_remove_itself(
        struct worker *w, struct str bare, uint64_t conn, const struct xml_el *iq)
{
    home_call(w, &(struct home_call){ .module = &core_module,
                         .step = STEP_REMOVE,
                         .bare = bare,
                         .conn = conn,
                         .el = iq });
}

static void
notify(struct event *e, unsigned what, struct str data)
{
    if (what == NOTIFY_REREAD)
        account_read_again(e->w, e->account);
    else if (what == NOTIFY_REMOVED)
        removal_told(e->w, e->account, data.n > 0);
}

static const job_fn steps[] = {
    [STEP_INBOUND] = inbound,
    [CORE_STEP_ENDED] = ended_say,
    [CORE_STEP_HOLD] = ended_hold,
    [CORE_STEP_HOLD_SENT] = ended_hold_sent,
    [CORE_STEP_HOLD_PASSED] = ended_hold_passed,
    [STEP_NOTIFY] = notify_now,
    [STEP_REMOVE] = removal_begin,
    [CORE_STEP_REMOVAL_ASKED] = removal_asked,
    [CORE_STEP_REMOVAL_FORGOT] = removal_forgot,
    [STEP_REFUSED] = refused,
    [STEP_UNSEE] = unsee,
};

static const struct module_call calls[] = {
    { "remove_user", true, STEP_REMOVE },
    { 0 },
};

const struct module core_module = {
    .abi = MODULE_ABI,
    .name = "core",
    .doc = "Delivery and presence",
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
    .calls = calls,
    .notify = notify,
};
