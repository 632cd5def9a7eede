/*
 * presence.c -- presence of the sessions of this worker (RFC 6121, 4)
 *
 * The slot keeps the last presence; the router's table shows it to others. Nobody hears
 * of a change before the router has committed it, so that whoever hears and looks finds
 * it true.
 */
#include "worker/session.h"

#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

enum {
    DIRECTED_MAX = 1000
};

static const struct str presence_start = { "<presence", 9 };

/* The stored presence, with a `to`. Every stored presence starts with "<presence". */
static void
add_with_to(struct buf *out, struct str presence, struct str to)
{
    buf_reset(out, SIZE_MAX);
    buf_add_str(out, presence_start);
    xml_put(out, "to", to);
    buf_add(out, presence.p + presence_start.n, presence.n - presence_start.n);
}

static void
unavailable_write(struct buf *out, const struct conn *c)
{
    xml_open(out, "presence");
    xml_put(out, "from", conn_full(c));
    xml_put(out, "type", STR("unavailable"));
    buf_add_c(out, "/>");
}

/* To the account's other available resources, and to this one unless it ends. */
static void
to_own_resources(struct worker *w, struct conn *c, struct str presence, bool to_self)
{
    struct stanza s = { .kind = STANZA_PRESENCE,
        .hops = DELIVER_ONCE,
        .from = conn_jid(c) };
    uint64_t own = conn_id(w, c);

    s.to = jid_bare(&s.from);
    s.type = (uint8_t)(c->flags & CONN_AVAILABLE ? PRESENCE_AVAILABLE
                                                 : PRESENCE_UNAVAILABLE);
    add_with_to(&w->stanza_text, presence, conn_bare(c));
    s.bytes = buf_str(&w->stanza_text);
    deliver_lookup(w, conn_bare(c), 0);
    for (size_t i = 0; i < w->snapshot->n; i++) {
        const struct route_entry *e = &w->snapshot->entry[i];

        if (e->conn == own ? to_self : e->available)
            deliver_to_conn(w, e->conn, &s);
    }
}

/* What the other resources last said, to one that has just become available. */
static void
others_to_self(struct worker *w, struct conn *c)
{
    uint64_t own = conn_id(w, c);

    deliver_lookup(w, conn_bare(c), ROUTE_WANT_PRESENCE);
    for (size_t i = 0; i < w->snapshot->n; i++) {
        const struct route_entry *e = &w->snapshot->entry[i];

        if (e->conn == own || !e->available || !str_starts(e->presence, presence_start))
            continue;
        add_with_to(&w->text, e->presence, conn_full(c));
        out_add_stanza(w, c, buf_str(&w->text));
    }
}

static void
tell_router(struct worker *w, struct conn *c)
{
    struct ipc_route_presence m = {
        .conn = conn_id(w, c),
        .available = (c->flags & CONN_AVAILABLE) != 0,
        .priority = c->priority,
        .bare = conn_bare(c),
        .presence = { c->presence, c->presence_n },
        .flags = conn_route_flags(c),
    };

    SET(w, c->presence_serial, c->presence_serial + 1 ? c->presence_serial + 1 : 1);
    m.serial = c->presence_serial;
    outbox_send(w, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_PRESENCE, &m);
}

static void
keep(struct worker *w, struct conn *c, struct str presence, int8_t priority,
        bool available)
{
    slot_free(w, c->presence);
    SET(w, c->presence, presence.n ? slot_dup(w, presence) : NULL);
    SET(w, c->presence_n, (uint32_t)presence.n);
    SET(w, c->priority, priority);
    SET(w, c->flags,
            available ? c->flags | CONN_AVAILABLE
                      : c->flags & ~(unsigned)CONN_AVAILABLE);
}

/* Those who got directed presence hear of the end, too (RFC 6121, 4.6.3). */
static void
to_directed(struct worker *w, struct conn *c, struct str unavailable)
{
    struct stanza s = {
        .kind = STANZA_PRESENCE, .type = PRESENCE_UNAVAILABLE, .from = conn_jid(c)
    };

    for (struct directed *d = c->directed; d; d = d->next) {
        struct str text = { d->jid, d->n };

        slot_free(w, d);
        if (jid_parse(&w->scratch, text, &s.to) < 0 || !s.to.local.n ||
                !conf_host_find(w->proc->conf, s.to.domain))
            continue;
        add_with_to(&w->stanza_text, unavailable, text);
        s.bytes = buf_str(&w->stanza_text);
        deliver(w, &s);
    }
    SET(w, c->directed, NULL);
    SET(w, c->n_directed, 0);
}

void
presence_broadcast(struct worker *w, struct conn *c, struct xml_el *el)
{
    bool available = !xml_attr(el, "type").p;
    struct buf bytes = { 0 };
    int8_t priority = 0;

    if (presence_priority(el, &priority) < 0) {
        session_bounce(w, c, el, STANZA_ERROR_BAD_REQUEST);
        return;
    }
    if (!available && !(c->flags & CONN_AVAILABLE)) {
        buf_add_c(&bytes, "");
        unavailable_write(&bytes, c);
        to_directed(w, c, buf_str(&bytes));
        buf_fini(&bytes);
        return;
    }
    xml_write(&bytes, el, STR(NS_CLIENT));
    if (bytes.n > ROUTE_PRESENCE_MAX) {
        buf_fini(&bytes);
        session_bounce(w, c, el, STANZA_ERROR_POLICY_VIOLATION);
        return;
    }
    if (available) {
        if (!(c->flags & CONN_AVAILABLE))
            SET(w, c->flags, c->flags | CONN_WANTS_OTHERS);
        keep(w, c, buf_str(&bytes), priority, true);
    } else {
        keep(w, c, STR_NULL, 0, false);
        to_own_resources(w, c, buf_str(&bytes), true);
        to_directed(w, c, buf_str(&bytes));
    }
    buf_fini(&bytes);
    tell_router(w, c);
}

void
session_on_present(struct worker *w, struct conn *c, const struct ipc_route_present *m)
{
    struct str presence = { c->presence, c->presence_n };

    if (m->serial != c->presence_serial || c->state != STREAM_OPEN)
        return; /* a later change is under way; its answer will say it all */
    if (m->serial == c->presence_done)
        return;
    SET(w, c->presence_done, m->serial);
    if (!(c->flags & CONN_AVAILABLE))
        return;
    to_own_resources(w, c, presence, true);
    if (c->flags & CONN_WANTS_OTHERS) {
        SET(w, c->flags, c->flags & ~(unsigned)CONN_WANTS_OTHERS);
        others_to_self(w, c);
    }
}

static struct directed **
directed_find(struct conn *c, struct str jid)
{
    struct directed **at = &c->directed;

    while (*at && !str_eq((struct str){ (*at)->jid, (*at)->n }, jid))
        at = &(*at)->next;
    return at;
}

void
presence_directed(
        struct worker *w, struct conn *c, struct xml_el *el, const struct jid *to)
{
    struct str text = jid_text(el->arena, to);
    struct directed **at = directed_find(c, text), *d = *at;
    bool available = !xml_attr(el, "type").p;

    if (available && !d && c->n_directed < DIRECTED_MAX) {
        d = slot_alloc(w, sizeof *d + text.n);
        d->next = NULL;
        d->n = (uint32_t)text.n;
        memcpy(d->jid, text.p, text.n);
        SET(w, *at, d);
        SET(w, c->n_directed, c->n_directed + 1);
    } else if (!available && d) {
        SET(w, *at, d->next);
        SET(w, c->n_directed, c->n_directed - 1);
        slot_free(w, d);
    }
}

void
presence_end(struct worker *w, struct conn *c)
{
    bool was_available = c->flags & CONN_AVAILABLE;
    struct buf bytes = { 0 };

    unavailable_write(&bytes, c);
    keep(w, c, STR_NULL, 0, false);
    if (was_available)
        to_own_resources(w, c, buf_str(&bytes), false);
    to_directed(w, c, buf_str(&bytes));
    buf_fini(&bytes);
}
