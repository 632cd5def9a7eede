/*
 * session.c -- stanzas of a bound client
 *
 * Whatever the client says of its address is checked and replaced by what we know
 * (RFC 6120, 8.1.2.1). The tree is serialised again: no byte of the client is passed on
 * as it came.
 */
#include "worker/session.h"

#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "xml/writer.h"
#include "xmpp/ns.h"

/* A stanza grows when it is escaped; it must fit a frame and a client's queue. */
enum {
    STANZA_BYTES_MAX = 12 << 20
};

void
session_send(struct worker *w, struct conn *c, const struct xml_el *el)
{
    if (!el)
        return;
    buf_reset(&w->text, SIZE_MAX);
    xml_write(&w->text, el, STR(NS_CLIENT));
    out_add_stanza(w, c, buf_str(&w->text));
}

void
session_bounce(
        struct worker *w, struct conn *c, const struct xml_el *el, enum stanza_error e)
{
    struct xml_el *reply =
            stanza_reply_error(el->arena, el, e, ERROR_TYPE_DEFAULT, NULL);

    if (!reply)
        return;
    proc_count(w->proc, COUNTER_STANZAS_BOUNCED, 1);
    session_send(w, c, reply);
}

/* May the client say that the stanza is from there? Its own bare or full JID only. */
static bool
from_is_own(const struct conn *c, struct xml_el *el)
{
    struct str from = xml_attr(el, "from");
    struct jid jid, own = conn_jid(c);

    if (!from.p || str_eq(from, conn_full(c)))
        return true;
    if (jid_parse(el->arena, from, &jid) < 0)
        return false;
    return jid_eq(&jid, &own) || (jid_is_bare(&jid) && jid_eq_bare(&jid, &own));
}

/* The type within the kind; -EINVAL: answer bad-request. */
static int
type_of(const struct xml_el *el, enum stanza_kind kind, uint8_t *ret_type)
{
    enum presence_type presence;
    enum iq_type iq;
    int r = 0;

    switch (kind) {
    case STANZA_MESSAGE:
        *ret_type = (uint8_t)message_type(el);
        break;
    case STANZA_PRESENCE:
        r = presence_type(el, &presence);
        *ret_type = r < 0 ? 0 : (uint8_t)presence;
        break;
    case STANZA_IQ:
        r = iq_type(el, &iq);
        *ret_type = r < 0 ? 0 : (uint8_t)iq;
        break;
    case STANZA_OTHER:
        break;
    }
    return r;
}

static void
to_account(struct worker *w, struct conn *c, struct xml_el *el, enum stanza_kind kind,
        uint8_t type, const struct jid *to)
{
    struct stanza s = {
        .kind = kind, .type = type, .from = conn_jid(c), .to = *to, .el = el
    };
    struct buf *bytes = &w->stanza_text;

    buf_reset(bytes, SIZE_MAX);
    xml_write(bytes, el, STR(NS_CLIENT));
    if (bytes->n > STANZA_BYTES_MAX) {
        session_bounce(w, c, el, STANZA_ERROR_POLICY_VIOLATION);
        return;
    }
    s.bytes = buf_str(bytes);
    deliver(w, &s);
}

/* Somewhere else: there is no way there yet. */
static void
to_remote(struct worker *w, struct conn *c, struct xml_el *el)
{
    session_bounce(w, c, el, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND);
}

static void
on_message(struct worker *w, struct conn *c, struct xml_el *el, uint8_t type,
        const struct jid *to)
{
    if (to->local.n)
        to_account(w, c, el, STANZA_MESSAGE, type, to);
    else
        session_bounce(w, c, el, STANZA_ERROR_SERVICE_UNAVAILABLE); /* to the server */
}

static void
on_presence(struct worker *w, struct conn *c, struct xml_el *el, uint8_t type,
        const struct jid *to)
{
    switch ((enum presence_type)type) {
    case PRESENCE_AVAILABLE:
    case PRESENCE_UNAVAILABLE:
        presence_directed(w, c, el, to);
        if (to->local.n)
            to_account(w, c, el, STANZA_PRESENCE, type, to);
        break;
    case PRESENCE_SUBSCRIBE:
    case PRESENCE_SUBSCRIBED:
    case PRESENCE_UNSUBSCRIBE:
    case PRESENCE_UNSUBSCRIBED: {
        struct jid own = conn_jid(c);

        /* Between accounts, not resources (RFC 6121, 3.1.2). */
        own = jid_bare(&own);
        xml_set(el, "from", jid_text(el->arena, &own));
        session_bounce(w, c, el, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED);
        break;
    }
    case PRESENCE_PROBE: /* clients do not probe; RFC 6121, 4.3.1 */
        session_bounce(w, c, el, STANZA_ERROR_FORBIDDEN);
        break;
    case PRESENCE_ERROR:
        if (to->local.n)
            to_account(w, c, el, STANZA_PRESENCE, type, to);
        break;
    case PRESENCE_TYPES:
        break;
    }
}

static void
on_iq(struct worker *w, struct conn *c, struct xml_el *el, uint8_t type,
        const struct jid *to)
{
    bool request = type == IQ_GET || type == IQ_SET;

    if (to->local.n && to->resource.n)
        to_account(w, c, el, STANZA_IQ, type, to);
    else if (request)
        iq_on_request(w, c, el, to);
    /*
     * A result or error to the server or an account answers nothing we have asked,
     * but a ping: that it came is all there is to know.
     */
}

static void
stanza_dispatch(struct worker *w, struct conn *c, struct xml_el *el,
        enum stanza_kind kind, uint8_t type)
{
    struct str text = xml_attr(el, "to");
    struct jid to, own = conn_jid(c);

    if (!text.p && kind == STANZA_PRESENCE) {
        if (type == PRESENCE_AVAILABLE || type == PRESENCE_UNAVAILABLE)
            presence_broadcast(w, c, el);
        else
            session_bounce(w, c, el, STANZA_ERROR_BAD_REQUEST);
        return;
    }
    if (!text.p) {
        to = jid_bare(&own); /* RFC 6120, 10.3 */
    } else if (jid_parse(el->arena, text, &to) < 0) {
        session_bounce(w, c, el, STANZA_ERROR_JID_MALFORMED);
        return;
    }
    if (!conf_host_find(w->proc->conf, to.domain)) {
        to_remote(w, c, el);
        return;
    }
    switch (kind) {
    case STANZA_MESSAGE:
        on_message(w, c, el, type, &to);
        break;
    case STANZA_PRESENCE:
        on_presence(w, c, el, type, &to);
        break;
    case STANZA_IQ:
        on_iq(w, c, el, type, &to);
        break;
    case STANZA_OTHER:
        break;
    }
}

void
session_on_stanza(struct worker *w, struct conn *c, struct xml_el *el)
{
    enum stanza_kind kind = stanza_kind(el);
    uint8_t type = 0;

    if (kind == STANZA_OTHER) {
        stream_fail(w, c, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, NULL);
        return;
    }
    proc_count(w->proc, COUNTER_STANZAS_IN, 1);
    if (!from_is_own(c, el)) {
        stream_fail(w, c, STREAM_ERROR_INVALID_FROM, NULL);
        return;
    }
    xml_set(el, "from", conn_full(c));
    if (c->lang && kind != STANZA_IQ && !xml_attr_ns(el, "lang", XML_NS).p)
        xml_set_ns(el, "lang", XML_NS, str_from(c->lang));
    if (type_of(el, kind, &type) < 0)
        session_bounce(w, c, el, STANZA_ERROR_BAD_REQUEST);
    else
        stanza_dispatch(w, c, el, kind, type);
}

void
session_end(struct worker *w, struct conn *c)
{
    struct ipc_route_conn unbind = { .conn = conn_id(w, c), .bare = conn_bare(c) };

    if (c->state == STREAM_BIND_WAIT) {
        /*
         * The router may bind it yet: what it binds for nobody, it is told to forget.
         */
        outbox_send(w, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_UNBIND, &unbind);
    }
    if (c->state == STREAM_SASL || c->state == STREAM_SASL_WAIT) {
        struct ipc_conn abort = { .conn = conn_id(w, c) };

        outbox_send(w, ipc_addr_of(PROC_AUTH, 0), IPC_AUTH_ABORT, &abort);
    }
    if (!(c->flags & CONN_BOUND) || c->flags & CONN_SESSION_ENDED)
        return;
    SET(w, c->flags, c->flags | CONN_SESSION_ENDED);
    presence_end(w, c);
    outbox_send(w, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_UNBIND, &unbind);
    proc_uncount(w->proc, COUNTER_SESSIONS, 1);
    log_info(conn_ctx(w, c), "session closed");
}

void
session_resync(struct worker *w, struct conn *c)
{
    char remote[CONN_REMOTE_SIZE];
    struct jid jid = conn_jid(c);
    struct ipc_route_bind bind = {
        .conn = conn_id(w, c),
        .resync = 1,
        .bare = conn_bare(c),
        .resource = jid.resource,
        .since_us = c->since_us,
        .remote = str_from(conn_remote(c, remote)),
        .priority = c->priority,
        .available = (c->flags & CONN_AVAILABLE) != 0,
        .presence = { c->presence, c->presence_n },
        .flags = conn_route_flags(c),
        .serial = c->presence_serial,
    };

    if (!(c->flags & CONN_BOUND) || c->flags & CONN_SESSION_ENDED)
        return;
    outbox_send(w, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_BIND, &bind);
}
