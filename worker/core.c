/*
 * core.c -- what the core itself does as jobs
 *
 * Delivery that the account's home has to decide, presence probes among it; what is
 * said of a session after its end; notifications for an account that is just being
 * read.
 */
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/home.h"
#include "worker/jobs.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/presence.h"
#include "worker/removal.h"
#include "worker/saved.h"
#include "worker/session.h"

enum {
    STEP_INBOUND,
    STEP_ENDED,
    STEP_NOTIFY,
    STEP_REMOVE,
    STEP_REFUSED = 6, /* behind those of worker/removal.h */
    STEP_UNSEE
};

enum {
    ENDED_FIRST_MS = 1,
    ENDED_MOST_MS = 1000,
    STOP_JOBS = 20 * 1000
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
    uint8_t kind, type, hops, flags;
};

static struct inbound
inbound_of(const struct stanza *s)
{
    return (struct inbound){ .conn = s->conn,
        .traits = s->traits,
        .kind = (uint8_t)s->kind,
        .type = s->type,
        .hops = s->hops,
        .flags = s->flags };
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

    if (in.hops >= DELIVER_FIRST)
        in.hops = 0;
    if (jobs_are_many(w))
        deliver_error(w, s, STANZA_ERROR_RESOURCE_CONSTRAINT, "too much is waiting");
    else
        home_call(w, &call);
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

/* --- Sessions that have ended --- */

/*
 * What a job about the end of a session keeps: how long it waits next, the session's
 * own list, and who was subscribed at the end, packed as groups of contacts are. Who is
 * not any more when the job goes on was not told of this session, as it was gone.
 */
struct last {
    uint32_t wait_ms, known; /* known: the account was there to be asked */
    uint32_t list_n;
};

void
core_session_ended(
        struct worker *w, struct conn *c, struct account *a, struct str presence)
{
    struct last last = { .wait_ms = ENDED_FIRST_MS, .known = a != NULL };
    struct str list = STR_NULL;
    struct job_start start = { .module = &core_module,
        .host = conf_host_find(w->proc->conf, conn_domain(c)),
        .step = STEP_ENDED,
        .key = conn_bare(c),
        .conn = conn_id(w, c),
        .from = conn_jid(c),
        .stanza = presence };
    struct contact contact;
    struct buf data = { 0 };
    size_t at = 0;

    /* At a stop only those whose sessions are saved hear of it. */
    if (!start.host || (w->stopping && (!saved_can(w) || jobs_waiting(w) > STOP_JOBS)))
        return;
    if (c->route_flags & ROUTE_OWN_LIST)
        list = session_kept(c, SESSION_OWN_LIST);
    last.list_n = (uint32_t)list.n;
    buf_add(&data, &last, sizeof last);
    buf_add_str(&data, list);
    while (a && contacts_next(&a->contacts, &at, &contact)) {
        if (contact.bits & CONTACT_MAY_SEE)
            contact_group_add(&data, contact.jid);
    }
    start.data = buf_str(&data);
    job_begin_loaded(w, &start);
    buf_fini(&data);
}

/* Not yet: again after a while, which doubles. */
static void
wait_for_router(struct job *j, struct last last)
{
    struct buf data = { 0 };

    job_sleep(j, STEP_ENDED, last.wait_ms);
    last.wait_ms = last.wait_ms * 2 < ENDED_MOST_MS ? last.wait_ms * 2 : ENDED_MOST_MS;
    buf_add(&data, &last, sizeof last);
    buf_add(&data, j->data.p + sizeof last, j->data.n - sizeof last);
    job_keep(j, buf_str(&data));
    buf_fini(&data);
}

/*
 * Others hear of the end when the route table does not show the session any more: who
 * comes online before sees it there, and would not be told otherwise. If the resource
 * is somebody else's by now, and available, its presence has replaced the old one.
 */
static void
ended(struct job *j, const struct sql_result *result)
{
    struct speaker who = { .a = j->account };
    struct str rest;
    struct route_hit hit;
    struct last last;
    int r = deliver_find(
            j->w, jid_bare_text(j->arena, &j->from), j->from.resource, &hit);

    (void)result;
    if (j->data.n < sizeof last)
        return;
    memcpy(&last, j->data.p, sizeof last);
    rest.p = j->data.p + sizeof last;
    rest.n = j->data.n - sizeof last;
    if (last.list_n > rest.n)
        return;
    who.own_list = (struct str){ rest.p, last.list_n };
    rest.p += last.list_n;
    rest.n -= last.list_n;
    if (last.known)
        job_release(j); /* otherwise what comes behind must find it done */
    if (r < 0 || (r > 0 && hit.conn == j->conn))
        wait_for_router(j, last);
    else if (r == 0 || !hit.available)
        presence_say_ended(j->w, &who, &j->from, job_stanza(j), rest);
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
    [STEP_ENDED] = ended,
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
