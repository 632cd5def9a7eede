/*
 * iq.c -- requests to the server and to accounts, and answers to our own
 *
 * Modules say what they handle in tables (worker/module.h). Whatever is in none of them
 * gets service-unavailable (RFC 6120, 8.4), the same for accounts that exist and those
 * that do not.
 *
 * What the server asks of a client (session_ask) is on the heap: when this process
 * dies, nobody waits for the answer any more.
 */
#include "worker/session.h"

#include <stdio.h>

#include "base/clock.h"
#include "worker/account.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/in.h"
#include "worker/jobs.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

enum {
    ASKED_MAX = 10000,
    EARLY_MAX = 10, /* requests before authentication */
    ASK_ID_SIZE = 32
};

/* A question of ours. */
struct asked {
    struct list node;
    char id[ASK_ID_SIZE];
    uint64_t conn;
    uint32_t until_s;
    uint32_t module;
    unsigned step;
    struct str data; /* behind the struct */
};

static bool
handler_fits(const struct module_iq *h, const struct xml_el *payload, unsigned where)
{
    return h->where & where && str_eq_c(payload->ns, h->ns) &&
           (!h->name || str_eq_c(payload->name, h->name));
}

static const struct module_iq *
node_handler_find(const struct host_run *run, const struct xml_el *payload,
        unsigned where, const struct host_module **ret_hm)
{
    struct str node = xml_attr(payload, "node");

    for (size_t i = 0; node.n > 0 && i < run->n_modules; i++) {
        const struct module_node_iq *h = run->module[i].module->node_iqs;

        for (; h && h->node; h++) {
            if (!str_eq_c(node, h->node) || !handler_fits(&h->iq, payload, where))
                continue;
            *ret_hm = &run->module[i];
            return &h->iq;
        }
    }
    return NULL;
}

/*
 * The first row that fits, the type of the request at best. A row for another type is
 * found, too: it tells that the payload is known there.
 */
static const struct module_iq *
handler_find(const struct host_run *run, const struct xml_el *payload, unsigned where,
        unsigned type, const struct host_module **ret_hm)
{
    const struct module_iq *found = node_handler_find(run, payload, where, ret_hm);

    for (size_t i = 0; !(found && found->types & type) && i < run->n_modules; i++) {
        const struct module_iq *h = run->module[i].module->iqs;

        for (; h && h->ns; h++) {
            if (!handler_fits(h, payload, where) || (found && !(h->types & type)))
                continue;
            *ret_hm = &run->module[i];
            found = h;
            if (h->types & type)
                break;
        }
    }
    return found;
}

/* RFC 6120, 7.1: one resource a stream; RFC 3921's session does nothing any more. */
static bool
core_request(struct worker *w, struct conn *c, struct xml_el *iq, enum iq_type type)
{
    struct xml_el *payload = iq_payload(iq);

    if (xml_is(payload, "bind", NS_BIND))
        session_bounce(w, c, iq, STANZA_ERROR_NOT_ALLOWED);
    else if (!xml_is(payload, "session", NS_SESSION))
        return false;
    else if (type == IQ_SET)
        session_send(w, c, iq_result(iq->arena, iq));
    else
        session_bounce(w, c, iq, STANZA_ERROR_BAD_REQUEST);
    return true;
}

static void
queue_of(struct buf *out, const struct host_module *hm, const struct conf_host *host)
{
    buf_addf(out, " %s %.*s", hm->module->name, STR_ARG(host->name));
}

static void
handler_call(struct worker *w, const struct stanza *s, const struct host_module *hm,
        const struct module_iq *h, const struct conf_host *host)
{
    struct xml_el *el = s->el;
    struct job_start start = { .module = hm->module,
        .host = host,
        .step = h->step,
        .conn = s->conn,
        .from = s->from,
        .to = s->to };
    struct home_call home = { .module = hm->module,
        .step = h->step,
        .conn = start.conn,
        .from = start.from,
        .to = start.to,
        .el = el };
    struct buf key = { 0 }, bytes = { 0 };

    switch (h->discipline) {
    case IQ_NO_QUEUE:
    case IQ_PARALLEL:
        job_call_step(w, &start, el);
        break;
    case IQ_ONE_QUEUE:
        queue_of(&key, hm, host);
        xml_write(&bytes, el, STR(NS_CLIENT));
        start.key = buf_str(&key);
        start.stanza = buf_str(&bytes);
        job_begin(w, &start);
        break;
    case IQ_HOME:
        home.bare = jid_bare_text(el->arena, &s->to);
        home_call(w, &home);
        break;
    }
    buf_fini(&key);
    buf_fini(&bytes);
}

/* Must the account be asked first whether it hears this sender? */
static bool
needs_home(struct worker *w, const struct conf_host *host, const struct stanza *s)
{
    const struct route_snapshot *snap;
    size_t n;

    if (!hook_exists(w, host, HOOK_FILTER))
        return false;
    n = route_sessions(w, jid_bare_text(s->el->arena, &s->to), 0, &snap);
    for (size_t i = 0; i < n; i++) {
        if (snap->entry[i].flags & ROUTE_FILTER)
            return true;
    }
    return n == 0;
}

static void
to_home(struct worker *w, struct stanza *s)
{
    struct buf bytes = { 0 };

    xml_write(&bytes, s->el, STR(NS_CLIENT));
    s->bytes = buf_str(&bytes);
    core_to_home(w, s, jid_bare_text(s->el->arena, &s->to));
    buf_fini(&bytes);
}

void
iq_at_home(struct worker *w, struct stanza *s)
{
    const struct conf_host *host = conf_host_find(w->proc->conf, s->to.domain);
    unsigned types = s->type == IQ_GET ? IQ_GETS : IQ_SETS;
    const struct host_module *hm;
    const struct module_iq *h = handler_find(
            host_run_of(w, host), iq_payload(s->el), IQ_OTHERS, types, &hm);

    if (h && h->types & types)
        handler_call(w, s, hm, h, host);
    else
        deliver_error(w, s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

void
iq_on_request(struct worker *w, struct conn *c, struct xml_el *el, enum iq_type type,
        const struct jid *to)
{
    struct stanza s = { .kind = STANZA_IQ,
        .type = (uint8_t)type,
        .conn = conn_id(w, c),
        .from = conn_jid(c),
        .to = *to,
        .el = el };
    const struct conf_host *host = conf_host_find(w->proc->conf, to->domain);
    const struct host_module *hm;
    const struct module_iq *h;
    struct jid own = conn_jid(c);
    unsigned where = to->local.n == 0        ? IQ_SERVER
                     : jid_eq_bare(to, &own) ? IQ_OWN
                                             : IQ_OTHERS;
    unsigned types = type == IQ_GET ? IQ_GETS : IQ_SETS;

    if (where != IQ_OTHERS && core_request(w, c, el, type))
        return;
    h = handler_find(host_run_of(w, host), iq_payload(el), where, types, &hm);
    if (!h)
        session_bounce(w, c, el, STANZA_ERROR_SERVICE_UNAVAILABLE);
    else if (!(h->types & types))
        session_bounce(w, c, el,
                type == IQ_GET ? STANZA_ERROR_BAD_REQUEST : STANZA_ERROR_NOT_ALLOWED);
    else if (h->discipline != IQ_NO_QUEUE && jobs_are_many(w))
        session_bounce(w, c, el, STANZA_ERROR_RESOURCE_CONSTRAINT);
    else if (where == IQ_OTHERS && needs_home(w, host, &s))
        to_home(w, &s);
    else
        handler_call(w, &s, hm, h, host);
}

/* --- Before authentication --- */

bool
iq_early_answer(struct worker *w, uint64_t conn, const struct xml_el *reply)
{
    struct conn *c = conn_find(w, conn);

    if (!c || c->state != STREAM_IQ_WAIT)
        return false;
    worker_begin(w, c);
    buf_reset(&w->text, SIZE_MAX);
    xml_write(&w->text, reply, STR(NS_CLIENT));
    out_add(w, c, buf_str(&w->text));
    stream_enter(w, c, STREAM_FEATURES);
    worker_commit(w);
    in_resume(w, c);
    return true;
}

static void
early_refuse(struct worker *w, struct conn *c, struct xml_el *el, enum stanza_error e)
{
    worker_count(w, COUNTER_STANZAS_BOUNCED, 1);
    iq_early_answer(w, conn_id(w, c),
            stanza_reply_error(el->arena, el, e, ERROR_TYPE_DEFAULT, NULL));
}

/* To this server, which is also who is meant without an address. */
static bool
is_to_host(struct xml_el *el, struct str domain)
{
    struct str to = xml_attr(el, "to"), prepared;

    return to.n == 0 ||
           (jid_prep_domain(el->arena, to, &prepared) == 0 && str_eq(prepared, domain));
}

/* Who has no address yet does not state one (from). */
bool
iq_on_early(struct worker *w, struct conn *c, struct xml_el *el)
{
    const struct conf_host *host = live_of(w, c)->host;
    struct job_start start = {
        .host = host, .conn = conn_id(w, c), .to = { .domain = conn_domain(c) }
    };
    const struct host_module *hm;
    const struct module_iq *h;
    enum iq_type type;
    unsigned types;

    if (!host || iq_type(el, &type) < 0 || (type != IQ_GET && type != IQ_SET) ||
            !is_to_host(el, host->name))
        return false;
    types = type == IQ_GET ? IQ_GETS : IQ_SETS;
    h = handler_find(host_run_of(w, host), iq_payload(el), IQ_EARLY, types, &hm);
    if (!h)
        return false;
    if (c->n_early >= EARLY_MAX) {
        stream_fail(w, c, STREAM_ERROR_POLICY_VIOLATION,
                "too many requests before authentication");
        return true;
    }
    SET(w, c->n_early, (uint8_t)(c->n_early + 1));
    xml_set(el, "from", STR_NULL);
    stream_enter(w, c, STREAM_IQ_WAIT);
    start.module = hm->module;
    start.step = h->step;
    if (!(h->types & types))
        early_refuse(w, c, el,
                type == IQ_GET ? STANZA_ERROR_BAD_REQUEST : STANZA_ERROR_NOT_ALLOWED);
    else if (jobs_are_many(w))
        early_refuse(w, c, el, STANZA_ERROR_RESOURCE_CONSTRAINT);
    else
        job_call_step(w, &start, el);
    return true;
}

/* --- What we ask --- */

void
session_ask(struct worker *w, const struct module *m, struct conn *c, struct xml_el *iq,
        unsigned step, struct str data, uint32_t timeout_ms)
{
    struct asked *a;

    if (w->n_asked >= ASKED_MAX)
        return;
    a = mem_zalloc(sizeof *a + data.n);
    if (w->ask_number == 0) /* no answer to a predecessor may be taken for one to us */
        w->ask_number = clock_wall_us();
    snprintf(a->id, sizeof a->id, "ask-%llx", (unsigned long long)++w->ask_number);
    a->conn = conn_id(w, c);
    a->until_s = w->now_s + timeout_ms / 1000 + 1;
    a->module = module_hash(m);
    a->step = step;
    a->data = (struct str){ (char *)(a + 1), data.n };
    if (data.n)
        memcpy(a + 1, data.p, data.n);
    list_add(&w->asked, &a->node);
    w->n_asked++;
    xml_set(iq, "id", str_from(a->id));
    if (!xml_attr(iq, "from").p)
        xml_set(iq, "from", conn_domain(c));
    xml_set(iq, "to", conn_full(c));
    session_send(w, c, iq);
}

/* answer NULL: none has come. */
static void
asked_end(struct worker *w, struct asked *a, struct xml_el *answer)
{
    struct conn *c = conn_find(w, a->conn);
    const struct conf_host *host = c ? live_of(w, c)->host : NULL;
    const struct host_module *hm =
            host ? host_module_by_hash(w, host, a->module) : NULL;
    struct job_start start = {
        .host = host, .step = a->step, .conn = a->conn, .data = a->data
    };
    struct xml_el *iq = answer;

    if (hm && a->step < hm->module->n_steps) {
        start.module = hm->module;
        start.from = conn_jid(c);
        start.to.domain = conn_domain(c);
        if (!iq) {
            iq = xml_el_new(&w->scratch, "iq", NS_CLIENT);
            xml_set(iq, "type", STR("error"));
            xml_set(iq, "id", str_dup(&w->scratch, str_from(a->id)));
            stanza_error_add(
                    iq, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, ERROR_TYPE_DEFAULT, NULL);
        }
        job_call_step(w, &start, iq);
    }
    list_del(&a->node);
    w->n_asked--;
    mem_free_p(a);
}

void
iq_on_response(struct worker *w, struct conn *c, struct xml_el *el)
{
    struct str id = xml_attr(el, "id");
    uint64_t conn = conn_id(w, c);

    if (!str_starts(id, STR("ask-")))
        return;
    list_for(node, &w->asked)
    {
        struct asked *a = list_entry(node, struct asked, node);

        if (a->conn != conn || !str_eq_c(id, a->id))
            continue;
        asked_end(w, a, el);
        return;
    }
    /* It answers nothing that we asked, or a ping: that it came is all there is to
     * know. */
}

void
iq_tick(struct worker *w)
{
    list_for_safe(node, &w->asked)
    {
        struct asked *a = list_entry(node, struct asked, node);

        if (w->now_s < a->until_s && conn_find(w, a->conn))
            continue;
        worker_begin(w, NULL);
        asked_end(w, a, NULL);
        worker_commit(w);
    }
}

void
iq_free(struct worker *w)
{
    list_for_safe(node, &w->asked)
    {
        mem_free_p(list_entry(node, struct asked, node));
    }
}

void
iq_ping(struct worker *w, struct conn *c)
{
    char id[32];
    struct buf *out = &w->text;

    snprintf(id, sizeof id, "ping-%u", ++w->ping_number);
    buf_reset(out, SIZE_MAX);
    xml_open(out, "iq");
    xml_put(out, "from", conn_domain(c));
    xml_put(out, "to", conn_full(c));
    xml_put(out, "type", STR("get"));
    xml_put(out, "id", str_from(id));
    buf_add_c(out, "><ping xmlns='" NS_PING "'/></iq>");
    out_add_stanza(w, c, buf_str(out));
}
