/*
 * c2s.c -- the stream of a client, from the first byte to the last
 *
 * Waiting for another process (auth, router) is a state in which nothing is read; what
 * the client has sent ahead waits in its buffer. Everything here happens within the
 * transaction of the element that caused it.
 */
#include "worker/c2s.h"

#include <assert.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/rand.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/in.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/presence.h"
#include "worker/session.h"
#include "worker/shaper.h"
#include "worker/sm.h"
#include "worker/tls.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

enum {
    CLOSING_MS = 5000,
    ACCOUNT_AGAIN_S = 2 /* until its account is read again, when that failed */
};

static const struct {
    const char *name;
    void (*on_element)(struct worker *, struct conn *, struct xml_el *);
    uint32_t next;
} states[STREAM_STATES] = {
#define TO(state)                    (1u << STREAM_##state)
#define STREAM(state, handler, next) [STREAM_##state] = { #state, handler, next },
#include "worker/stream.def"
#undef STREAM
#undef TO
};

const char *
stream_state_name(enum stream_state state)
{
    return state < STREAM_STATES ? states[state].name : "?";
}

void
stream_enter(struct worker *w, struct conn *c, enum stream_state state)
{
    assert(states[c->state].next & 1u << state);
    log_debug(conn_ctx(w, c), "%s -> %s", states[c->state].name, states[state].name);
    SET(w, c->state, (uint8_t)state);
    switch (state) {
    case STREAM_IQ_WAIT:
    case STREAM_SASL_WAIT:
    case STREAM_BIND_WAIT:
    case STREAM_SM_WAIT:
        break; /* the negotiation's deadline goes on */
    case STREAM_OPEN:
        conn_deadline(w, c, 0);
        break;
    case STREAM_CLOSING:
        conn_deadline(w, c, CLOSING_MS);
        break;
    case STREAM_FREE:
    case STREAM_PROXY:
    case STREAM_TLS:
    case STREAM_HEADER:
    case STREAM_FEATURES:
    case STREAM_SASL:
    case STREAM_BIND:
    case STREAM_DETACHED:
    case STREAM_MOVED:
    case STREAM_CLOSED:
    case STREAM_STATES:
        break;
    }
}

void
c2s_accepted(struct worker *w, struct conn *c)
{
    conn_deadline(w, c, w->proc->conf->negotiation_timeout_ms);
    shaper_choose(w, c);
    if (!conn_listener(w, c)->use_proxy_protocol)
        c2s_begin(w, c);
}

void
c2s_begin(struct worker *w, struct conn *c)
{
    bool tls = conn_listener(w, c)->tls;

    if (c->state == STREAM_PROXY)
        stream_enter(w, c, tls ? STREAM_TLS : STREAM_HEADER);
    if (tls && tls_begin(w, c, NULL, true) < 0)
        conn_close(w, c, "direct TLS without any certificate: check certfiles");
}

void
c2s_on_tls(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);

    log_debug(conn_ctx(w, c), "TLS: %s", tls_describe(w, c));
    xml_parser_put(&l->parser);
    l->fed = 0;
    SET(w, c->text_done, 0);
    SET(w, c->flags, c->flags & ~(unsigned)(CONN_HEADER_SENT | CONN_TLS_PENDING));
    stream_enter(w, c, STREAM_HEADER);
}

/* Our stream header; the id is unpredictable (RFC 6120, 4.7.3). */
static void
header_send(struct worker *w, struct conn *c, struct str from, struct str to)
{
    const struct conf_host *host = live_of(w, c)->host;
    struct buf *out = &w->text;
    char id[21];

    rand_text(id, 20);
    buf_reset(out, SIZE_MAX);
    buf_add_c(out, "<?xml version='1.0'?>");
    xml_open(out, "stream:stream");
    xml_put(out, "id", str_from(id));
    xml_put(out, "version", STR("1.0"));
    xml_put(out, "xml:lang", host ? host->language : w->proc->conf->hosts[0].language);
    xml_put(out, "xmlns:stream", STR(NS_STREAMS));
    xml_put(out, "from", from);
    xml_put(out, "to", to);
    xml_put(out, "xmlns", STR(NS_CLIENT));
    buf_add_char(out, '>');
    out_add(w, c, buf_str(out));
    SET(w, c->flags, c->flags | CONN_HEADER_SENT);
}

void
stream_end(struct worker *w, struct conn *c)
{
    if (c->state == STREAM_CLOSING || c->state == STREAM_CLOSED)
        return;
    session_end(w, c);
    if (c->flags & CONN_HEADER_SENT)
        out_add(w, c, STR("</stream:stream>"));
    SET(w, c->flags, c->flags | CONN_CLOSE_SENT);
    out_dirty(w, c);
    stream_enter(w, c, STREAM_CLOSING);
}

void
stream_fail(struct worker *w, struct conn *c, enum stream_error e, const char *text)
{
    struct buf error = { 0 };

    if (c->state == STREAM_CLOSING || c->state == STREAM_CLOSED ||
            c->state == STREAM_MOVED)
        return;
    if (sm_is_coming(c)) { /* what has been given away is nowhere else any more */
        conn_close(w, c, text ? text : stream_error_name(e));
        return;
    }
    if (c->state == STREAM_DETACHED) {
        conn_forget(w, c);
        return;
    }
    if (c->state == STREAM_TLS || c->state == STREAM_PROXY) {
        conn_close(w, c, text ? text : stream_error_name(e));
        return;
    }
    log_info(conn_ctx(w, c), "stream error %s%s%s", stream_error_name(e),
            text ? ": " : "", text ? text : "");
    proc_count(w->proc, COUNTER_STREAM_ERRORS, 1);
    if (!(c->flags & CONN_BOUND))
        proc_count(w->proc, COUNTER_C2S_REFUSED, 1);
    if (!(c->flags & CONN_HEADER_SENT))
        header_send(
                w, c, c->jid ? conn_domain(c) : w->proc->conf->hosts[0].name, STR_NULL);
    stream_error_write(&error, e, str_from(text), STR_NULL);
    out_add(w, c, buf_str(&error));
    buf_fini(&error);
    stream_end(w, c);
}

void
c2s_fail_xml(struct worker *w, struct conn *c, enum xml_error e)
{
    stream_fail(w, c, stream_error_of_xml(e), xml_error_text(e));
}

/* "1.0" and whatever follows; 0.9 and nothing are refused (RFC 6120, 4.7.5). */
static bool
version_fits(struct str version)
{
    struct str major;
    uint64_t n;

    return str_cut(&version, '.', &major) && str_to_u64(major, &n) == 0 && n >= 1;
}

static const struct conf_host *
header_host(struct worker *w, const struct xml_header *header)
{
    struct str to = xml_attr(header->el, "to"), prepared;

    if (to.n == 0 || jid_prep_domain(header->el->arena, to, &prepared) < 0)
        return NULL;
    return conf_host_find(w->proc->conf, prepared);
}

void
c2s_on_header(struct worker *w, struct conn *c, const struct xml_header *header)
{
    struct live *l = live_of(w, c);
    const struct conf_host *host = header_host(w, header);
    struct str to = xml_attr(header->el, "to"),
               lang = xml_attr_ns(header->el, "lang", XML_NS);
    bool authed = c->flags & CONN_AUTHED;

    if (host && !c->jid) {
        struct jid domain = { .domain = host->name };

        conn_set_jid(w, c, &domain);
    }
    l->host = host ? host : l->host;
    header_send(w, c,
            host   ? host->name
            : to.n ? to
                   : w->proc->conf->hosts[0].name,
            xml_attr(header->el, "from"));
    if (!str_eq(header->el->ns, STR(NS_STREAMS)) ||
            !str_eq(header->default_ns, STR(NS_CLIENT)))
        stream_fail(w, c, STREAM_ERROR_INVALID_NAMESPACE, NULL);
    else if (to.n == 0)
        stream_fail(w, c, STREAM_ERROR_IMPROPER_ADDRESSING,
                "a 'to' attribute with the domain is needed");
    else if (!host || !str_eq(conn_domain(c), host->name))
        stream_fail(w, c, STREAM_ERROR_HOST_UNKNOWN,
                "this server does not serve that domain");
    else if (!version_fits(xml_attr(header->el, "version")))
        stream_fail(w, c, STREAM_ERROR_UNSUPPORTED_VERSION, NULL);
    if (c->state == STREAM_CLOSING)
        return;
    slot_free(w, c->scopes);
    SET(w, c->scopes, header->scopes.n ? slot_dup(w, header->scopes) : NULL);
    SET(w, c->scopes_n, (uint16_t)header->scopes.n);
    slot_free(w, c->lang);
    SET(w, c->lang, lang.n && lang.n < 64 ? slot_dup(w, lang) : NULL);
    stream_enter(w, c, authed ? STREAM_BIND : STREAM_FEATURES);
    features_send(w, c);
}

void
c2s_on_element(struct worker *w, struct conn *c, struct xml_el *el)
{
    if (!states[c->state].on_element)
        return;
    if (xml_is(el, "error", NS_STREAMS)) {
        log_info(conn_ctx(w, c), "stream error from the client: %s",
                stream_error_name(stream_error_of(el)));
        stream_end(w, c);
        return;
    }
    /* Content of servers and components is not this stream's (RFC 6120, 4.8.3). */
    if (stanza_kind(el) != STANZA_OTHER && !str_eq(el->ns, STR(NS_CLIENT))) {
        stream_fail(w, c, STREAM_ERROR_INVALID_NAMESPACE, NULL);
        return;
    }
    states[c->state].on_element(w, c, el);
}

void
c2s_on_stream_end(struct worker *w, struct conn *c)
{
    if (c->state != STREAM_CLOSING)
        stream_end(w, c);
}

void
c2s_on_eof(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);

    l->flags |= LIVE_EOF;
    if (c->state == STREAM_TLS || c->state == STREAM_PROXY) {
        conn_close(w, c, "the client has closed the connection");
        return;
    }
    if (sm_can_wait(c)) {
        conn_close(w, c, "the client has closed the connection, not the stream");
        return;
    }
    /* It may still read: it gets what was promised to it, and our end (out_flush). */
    worker_begin(w, c);
    stream_end(w, c);
    worker_commit(w);
    out_dirty(w, c);
}

static void
starttls(struct worker *w, struct conn *c)
{
    const struct conf_host *host = live_of(w, c)->host;

    if (!features_may_start_tls(w, c) || tls_begin(w, c, host, false) < 0) {
        out_add(w, c, STR("<failure xmlns='" NS_TLS "'/>"));
        stream_end(w, c);
        return;
    }
    out_add(w, c, STR("<proceed xmlns='" NS_TLS "'/>"));
    SET(w, c->flags, c->flags | CONN_TLS_PENDING);
    stream_enter(w, c, STREAM_TLS);
    in_restart(w, c);
}

static bool
tls_is_missing(const struct worker *w, const struct conn *c)
{
    return conn_listener(w, c)->starttls_required && c->tls == CONN_PLAIN;
}

void
c2s_on_choice(struct worker *w, struct conn *c, struct xml_el *el)
{
    if (xml_is(el, "starttls", NS_TLS))
        starttls(w, c);
    else if (xml_is(el, NULL, NS_SASL) && !tls_is_missing(w, c))
        sasl_on_element(w, c, el);
    else if (xml_is(el, NULL, NS_SASL))
        stream_fail(w, c, STREAM_ERROR_POLICY_VIOLATION, "STARTTLS is required first");
    else if (stanza_kind(el) == STANZA_IQ && c->state == STREAM_FEATURES &&
             !tls_is_missing(w, c) && iq_on_early(w, c, el))
        return;
    else if (stanza_kind(el) != STANZA_OTHER)
        stream_fail(w, c, STREAM_ERROR_NOT_AUTHORIZED, "authentication comes first");
    else
        stream_fail(w, c, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, NULL);
}

void
c2s_on_sasl(struct worker *w, struct conn *c, struct xml_el *el)
{
    c2s_on_choice(w, c, el);
}

/* A reply to a stanza of this client. */
static void
reply(struct worker *w, struct conn *c, const struct xml_el *el)
{
    if (!el)
        return;
    buf_reset(&w->text, SIZE_MAX);
    xml_write(&w->text, el, STR(NS_CLIENT));
    out_add_stanza(w, c, buf_str(&w->text));
}

static uint32_t
sessions_max(const struct worker *w, const struct conn *c)
{
    const struct conf_host *host = live_of(w, c)->host;
    struct sockaddr_storage ip;
    struct jid jid = conn_jid(c);
    struct conf_subject who = { jid.local, jid.domain, STR_NULL,
        (struct sockaddr *)&ip };
    struct conf_shaper_pick pick;

    conn_sockaddr(c, &ip);
    if (!conf_shaper_rule_exists(host, STR("max_user_sessions")))
        return 0;
    pick = conf_shaper_rule(host, STR("max_user_sessions"), &who);
    if (pick.kind != CONF_SHAPING_NUMBER || pick.number > UINT32_MAX)
        return 0;
    return (uint32_t)pick.number;
}

/*
 * The answer needs the id of the request, and asking again the resource: until then
 * both are where the presence will be, one after the other, each with a NUL behind it.
 */
static void
bind_keep(struct worker *w, struct conn *c, struct str id, struct str resource)
{
    char *p = slot_alloc(w, id.n + resource.n + 2);

    memcpy(p, id.p, id.n);
    p[id.n] = '\0';
    if (resource.n)
        memcpy(p + id.n + 1, resource.p, resource.n);
    p[id.n + 1 + resource.n] = '\0';
    slot_free(w, c->presence);
    SET(w, c->presence, p);
    SET(w, c->presence_n, (uint32_t)(id.n + resource.n + 2));
}

static struct str
bind_kept_id(const struct conn *c)
{
    return str_from(c->presence);
}

static struct str
bind_kept_resource(const struct conn *c)
{
    return str_from(c->presence + bind_kept_id(c).n + 1);
}

static void
bind_ask(struct worker *w, struct conn *c)
{
    char remote[CONN_REMOTE_SIZE];
    struct ipc_route_bind bind = {
        .conn = conn_id(w, c),
        .conflict = (uint8_t)live_of(w, c)->host->resource_conflict,
        .sessions_max = sessions_max(w, c),
        .bare = conn_bare(c),
        .resource = bind_kept_resource(c),
        .since_us = clock_wall_us(),
        .remote = str_from(conn_remote(c, remote)),
        .flags = conn_route_flags(w, c),
    };

    SET(w, c->since_us, bind.since_us);
    SET(w, c->account_flags, account_route_flags(live_of(w, c)->account));
    outbox_send(w, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_BIND, &bind);
}

/* First the account, whose flags others must see as soon as they see the session. */
static void
bind_begin(struct worker *w, struct conn *c)
{
    stream_enter(w, c, STREAM_BIND_WAIT);
    account_join(w, c);
    c2s_on_account(w, c);
}

void
c2s_on_bind(struct worker *w, struct conn *c, struct xml_el *el)
{
    struct arena *arena = el->arena;
    struct xml_el *bind = xml_child(el, "bind", NS_BIND);
    struct str wanted, resource = STR_NULL;
    enum iq_type type;

    if (sm_on_element_unbound(w, c, el))
        return;
    if (stanza_kind(el) == STANZA_OTHER) {
        stream_fail(w, c, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, NULL);
        return;
    }
    if (stanza_kind(el) != STANZA_IQ || !bind) {
        stream_fail(w, c, STREAM_ERROR_NOT_AUTHORIZED, "resource binding comes first");
        return;
    }
    if (iq_type(el, &type) < 0 || type != IQ_SET) {
        reply(w, c,
                stanza_reply_error(
                        arena, el, STANZA_ERROR_BAD_REQUEST, ERROR_TYPE_DEFAULT, NULL));
        return;
    }
    wanted = xml_child_text(bind, "resource", NS_BIND);
    if (wanted.n && jid_prep_resource(arena, wanted, &resource) < 0) {
        reply(w, c,
                stanza_reply_error(arena, el, STANZA_ERROR_BAD_REQUEST,
                        ERROR_TYPE_DEFAULT, "that resource is not possible"));
        return;
    }
    bind_keep(w, c, xml_attr(el, "id"), resource);
    bind_begin(w, c);
}

void
c2s_bind_again(struct worker *w, struct conn *c)
{
    bind_begin(w, c);
}

static void
bind_forget(struct worker *w, struct conn *c)
{
    slot_free(w, c->presence);
    SET(w, c->presence, NULL);
    SET(w, c->presence_n, 0);
}

static void
bind_refuse(struct worker *w, struct conn *c, struct str id, enum stanza_error e)
{
    struct xml_el *iq = xml_el_new(&w->scratch, "iq", NS_CLIENT);

    xml_set(iq, "type", STR("set"));
    xml_set(iq, "id", str_dup(&w->scratch, id));
    stream_enter(w, c, STREAM_BIND);
    reply(w, c, stanza_reply_error(&w->scratch, iq, e, ERROR_TYPE_DEFAULT, NULL));
}

void
c2s_on_account(struct worker *w, struct conn *c)
{
    const struct account *a = live_of(w, c)->account;

    if (a && a->state == ACCOUNT_LOADING)
        return;
    if ((c->state == STREAM_OPEN || c->state == STREAM_DETACHED) && a &&
            a->state == ACCOUNT_READY) {
        session_on_loaded(w, c);
    } else if (c->state == STREAM_OPEN) {
        live_of(w, c)->answer_s = w->now_s + ACCOUNT_AGAIN_S;
    } else if (c->state == STREAM_BIND_WAIT && a && a->state == ACCOUNT_READY) {
        bind_ask(w, c);
    } else if (c->state == STREAM_BIND_WAIT) {
        log_info(conn_ctx(w, c), "cannot bind a resource: the database is away");
        account_leave(w, c);
        bind_refuse(w, c, bind_kept_id(c), STANZA_ERROR_RESOURCE_CONSTRAINT);
        bind_forget(w, c);
    }
}

static void
bind_accept(struct worker *w, struct conn *c, struct str id, struct str resource)
{
    struct jid jid = conn_jid(c);
    struct buf *out = &w->text;

    jid.resource = resource;
    conn_set_jid(w, c, &jid);
    SET(w, c->flags, c->flags | CONN_BOUND);
    buf_reset(out, SIZE_MAX);
    xml_open(out, "iq");
    xml_put(out, "type", STR("result"));
    xml_put(out, "id", id);
    buf_add_c(out, "><bind xmlns='" NS_BIND "'>");
    xml_leaf(out, "jid", conn_full(c));
    buf_add_c(out, "</bind></iq>");
    out_add_stanza(w, c, buf_str(out));
    stream_enter(w, c, STREAM_OPEN);
    proc_count(w->proc, COUNTER_SESSIONS, 1);
    shaper_choose(w, c);
    log_info(conn_ctx(w, c), "session opened (%s)", tls_describe(w, c));
}

void
c2s_on_bound(struct worker *w, struct conn *c, const struct ipc_route_bound *bound)
{
    struct str id;
    struct event e = {
        .w = w, .c = c, .host = live_of(w, c)->host, .account = session_account(w, c)
    };

    if (c->state != STREAM_BIND_WAIT || !e.account)
        return;
    id = bind_kept_id(c);
    switch ((enum route_status)bound->status) {
    case ROUTE_OK:
        bind_accept(w, c, id, bound->resource);
        break;
    case ROUTE_CONFLICT:
        bind_refuse(w, c, id, STANZA_ERROR_CONFLICT);
        break;
    case ROUTE_DENIED:
        bind_refuse(w, c, id, STANZA_ERROR_NOT_ALLOWED);
        break;
    case ROUTE_FULL:
        bind_refuse(w, c, id, STANZA_ERROR_RESOURCE_CONSTRAINT);
        break;
    }
    bind_forget(w, c);
    if (c->state == STREAM_OPEN)
        session_flags_settle(w, c);
    if (c->state == STREAM_OPEN && e.host)
        hook_run(w, HOOK_SESSION_OPEN, &e);
}
