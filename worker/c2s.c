/*
 * c2s.c -- the stream of a client, from the first byte to the last
 *
 * Waiting for another process (auth, router) is a state in which nothing is read; what
 * the client has sent ahead waits in its buffer. Everything here happens within the
 * transaction of the element that caused it.
 */
#include "worker/c2s.h"

#include <assert.h>

#include "base/rand.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/in.h"
#include "worker/out.h"
#include "worker/owed.h"
#include "worker/presence.h"
#include "worker/session.h"
#include "worker/shaper.h"
#include "worker/sm.h"
#include "worker/tls.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

enum {
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
        conn_deadline(w, c, STREAM_CLOSING_MS);
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
    owed_pay(w, c);
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
    owed_pay(w, c);
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
    } else if (c->state == STREAM_BIND_WAIT) {
        c2s_bind_on_account(w, c);
    }
}
