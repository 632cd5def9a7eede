/*
 * c2s_bind.c -- a resource for the stream of a client (RFC 6120, 7)
 *
 * First the account is read, then the router is asked: it alone knows what other
 * sessions there are. Meanwhile the stream waits in BIND_WAIT, and what the answer
 * needs is in the slot, so that a successor can ask, or a new router be asked, again.
 */
#include "worker/c2s.h"

#include <string.h>

#include "base/clock.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/session.h"
#include "worker/shaper.h"
#include "worker/sm.h"
#include "worker/tls.h"

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
c2s_bind_on_account(struct worker *w, struct conn *c)
{
    const struct account *a = live_of(w, c)->account;

    if (a && a->state == ACCOUNT_READY) {
        bind_ask(w, c);
        return;
    }
    log_info(conn_ctx(w, c), "cannot bind a resource: the database is away");
    account_leave(w, c);
    bind_refuse(w, c, bind_kept_id(c), STANZA_ERROR_RESOURCE_CONSTRAINT);
    bind_forget(w, c);
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
