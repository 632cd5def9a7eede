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
#include "worker/account.h"
#include "worker/deliver.h"
#include "worker/ended.h"
#include "worker/forged.h"
#include "worker/jobs.h"
#include "worker/late.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/presence.h"
#include "worker/sm.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/traits.h"

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

/* Serialised once; false: answered, it is too large. */
static bool
serialise(struct worker *w, struct conn *c, struct stanza *s)
{
    struct buf *bytes = &w->stanza_text;

    buf_reset(bytes, SIZE_MAX);
    xml_write(bytes, s->el, STR(NS_CLIENT));
    if (bytes->n > STANZA_BYTES_MAX) {
        session_bounce(w, c, s->el, STANZA_ERROR_POLICY_VIOLATION);
        return false;
    }
    s->bytes = buf_str(bytes);
    return true;
}

static void
to_account(struct worker *w, struct conn *c, struct stanza *s)
{
    if (serialise(w, c, s))
        deliver(w, s);
}

/* Another domain: one of our services; other servers cannot be reached yet. */
static void
to_elsewhere(struct worker *w, struct stanza *s)
{
    if (!send_elsewhere(w, s))
        deliver_error(w, s, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND, NULL);
}

static void
on_message(struct worker *w, struct conn *c, struct stanza *s, bool ours)
{
    struct event e = { .w = w,
        .host = live_of(w, c)->host,
        .c = c,
        .account = session_account(w, c),
        .s = s };
    bool tell = hook_exists(w, e.host, HOOK_USER_SENT);

    if (!serialise(w, c, s))
        return;
    if (tell) { /* delivery may add to the recipient's copy */
        buf_reset(&w->sent_text, SIZE_MAX);
        buf_add_str(&w->sent_text, s->bytes);
    }
    if (!ours)
        to_elsewhere(w, s);
    else if (s->to.local.n)
        deliver(w, s);
    else
        deliver_error(w, s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL); /* to the server */
    if (tell) {
        s->bytes = buf_str(&w->sent_text);
        hook_run(w, HOOK_USER_SENT, &e);
    }
}

static void
on_subscription(struct worker *w, struct conn *c, struct stanza *s)
{
    struct jid own = conn_jid(c);
    struct event e = { .w = w,
        .host = live_of(w, c)->host,
        .c = c,
        .account = session_account(w, c),
        .s = s };

    /* Between accounts, not resources (RFC 6121, 3.1.2). */
    own = jid_bare(&own);
    s->to.resource = STR_NULL;
    s->from = own;
    xml_set(s->el, "from", jid_text(s->el->arena, &own));
    xml_set(s->el, "to", jid_text(s->el->arena, &s->to));
    if (hook_run(w, HOOK_SUBSCRIPTION_OUT, &e) != HOOK_DONE)
        session_bounce(w, c, s->el, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED);
}

static void
presence_onward(struct worker *w, struct conn *c, struct stanza *s, bool ours)
{
    if (!ours)
        to_elsewhere(w, s);
    else if (s->to.local.n)
        to_account(w, c, s);
}

static void
on_presence(struct worker *w, struct conn *c, struct stanza *s, bool ours)
{
    switch ((enum presence_type)s->type) {
    case PRESENCE_AVAILABLE:
    case PRESENCE_UNAVAILABLE:
        if (presence_directed(w, c, s->el, &s->to))
            presence_onward(w, c, s, ours);
        else
            session_bounce(w, c, s->el, STANZA_ERROR_RESOURCE_CONSTRAINT);
        break;
    case PRESENCE_ERROR:
        presence_onward(w, c, s, ours);
        break;
    case PRESENCE_SUBSCRIBE:
    case PRESENCE_SUBSCRIBED:
    case PRESENCE_UNSUBSCRIBE:
    case PRESENCE_UNSUBSCRIBED:
        on_subscription(w, c, s);
        break;
    case PRESENCE_PROBE: /* clients do not probe; RFC 6121, 4.3.1 */
        session_bounce(w, c, s->el, STANZA_ERROR_FORBIDDEN);
        break;
    case PRESENCE_TYPES:
        break;
    }
}

static void
on_iq(struct worker *w, struct conn *c, struct stanza *s, bool ours)
{
    bool request = s->type == IQ_GET || s->type == IQ_SET;

    if (!ours)
        to_elsewhere(w, s);
    else if (s->to.local.n && s->to.resource.n)
        to_account(w, c, s);
    else if (request)
        iq_on_request(w, c, s->el, (enum iq_type)s->type, &s->to);
    else
        iq_on_response(w, c, s->el);
}

static void
stanza_send(struct worker *w, struct conn *c, struct stanza *s)
{
    bool ours = conf_host_find(w->proc->conf, s->to.domain) != NULL;
    struct event e = { .w = w,
        .host = live_of(w, c)->host,
        .c = c,
        .account = session_account(w, c),
        .s = s };

    if (hook_run(w, HOOK_USER_SEND, &e) == HOOK_DONE)
        return;
    switch (s->kind) {
    case STANZA_MESSAGE:
        on_message(w, c, s, ours);
        break;
    case STANZA_PRESENCE:
        on_presence(w, c, s, ours);
        break;
    case STANZA_IQ:
        on_iq(w, c, s, ours);
        break;
    case STANZA_OTHER:
        break;
    }
}

/* The session's own, to everybody who may see it. */
static void
presence_send(struct worker *w, struct conn *c, struct stanza *s)
{
    struct event e = { .w = w,
        .host = live_of(w, c)->host,
        .c = c,
        .account = session_account(w, c),
        .s = s };

    hook_run(w, HOOK_PRESENCE_OUT, &e);
    presence_broadcast(w, c, s->el);
}

static void
stanza_dispatch(struct worker *w, struct conn *c, struct xml_el *el,
        enum stanza_kind kind, uint8_t type)
{
    struct str text = xml_attr(el, "to");
    struct stanza s = {
        .kind = kind, .type = type, .conn = conn_id(w, c), .from = conn_jid(c), .el = el
    };

    if (!text.p && kind == STANZA_PRESENCE) {
        if (type == PRESENCE_AVAILABLE || type == PRESENCE_UNAVAILABLE)
            presence_send(w, c, &s);
        else
            session_bounce(w, c, el, STANZA_ERROR_BAD_REQUEST);
        return;
    }
    if (!text.p) {
        s.to = jid_bare(&s.from); /* RFC 6120, 10.3 */
    } else if (jid_parse(el->arena, text, &s.to) < 0) {
        session_bounce(w, c, el, STANZA_ERROR_JID_MALFORMED);
        return;
    }
    if (kind == STANZA_MESSAGE) {
        s.traits = traits_of(el);
        if (!forged_check(w, &s))
            return;
    }
    stanza_send(w, c, &s);
}

static void
on_nonza(struct worker *w, struct conn *c, struct xml_el *el)
{
    struct event e = { .w = w,
        .host = live_of(w, c)->host,
        .c = c,
        .account = session_account(w, c),
        .el = el };

    if (hook_run(w, HOOK_NONZA, &e) != HOOK_DONE)
        stream_fail(w, c, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, NULL);
}

void
session_on_stanza(struct worker *w, struct conn *c, struct xml_el *el)
{
    enum stanza_kind kind = stanza_kind(el);
    uint8_t type = 0;

    if (kind == STANZA_OTHER && str_eq(el->ns, STR(NS_SM))) {
        sm_on_element(w, c, el);
        return;
    }
    if (kind == STANZA_OTHER) {
        on_nonza(w, c, el);
        return;
    }
    proc_count(w->proc, COUNTER_STANZAS_IN, 1);
    sm_count_in(w, c);
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
    struct event e = { .w = w, .c = c, .host = live_of(w, c)->host };

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
    jobs_on_route(w, c);
    e.account = session_account(w, c);
    if (e.host)
        hook_run(w, HOOK_SESSION_CLOSE, &e);
    presence_end(w, c);
    ended_begin_hold(w, c);
    outbox_send(w, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_UNBIND, &unbind);
    proc_uncount(w->proc, COUNTER_SESSIONS, 1);
    log_info(conn_ctx(w, c), "session closed");
    sm_give_back(w, c);
    late_give_back(w, c);
    session_set_caps(w, c, SESSION_CAPS_NONE, NULL);
    account_leave(w, c);
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
        .flags = conn_route_flags(w, c),
        .serial = c->presence_serial,
    };

    if (bind.available)
        bind.presence = session_presence(c);
    if (!(c->flags & CONN_BOUND) || c->flags & CONN_SESSION_ENDED)
        return;
    if (session_account(w, c))
        SET(w, c->account_flags, account_route_flags(session_account(w, c)));
    outbox_send(w, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_BIND, &bind);
}

void
session_rebind(struct worker *w, struct conn *c)
{
    SET(w, c->presence_serial, c->presence_serial + 1 ? c->presence_serial + 1 : 1);
    session_resync(w, c);
}
