/*
 * presence.c -- presence of the sessions of this worker (RFC 6121, 4)
 *
 * The slot keeps the last presence; the router's table shows it to others. Nobody hears
 * of a change before the router has committed it, so that whoever hears and looks finds
 * it true: also of the end, as who comes online at that moment sees the table only.
 */
#include "worker/presence.h"

#include "base/clock.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/ended.h"
#include "worker/jobs.h"
#include "worker/late.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/session.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

enum {
    DIRECTED_MAX = 1000
};

/* --- To and from the account's other resources --- */

/* To those that are available; self: to this one, too, whatever it is. */
static void
to_own_resources(struct worker *w, const struct jid *from, struct str presence,
        enum presence_type type, uint64_t self)
{
    struct stanza s = { .kind = STANZA_PRESENCE,
        .type = (uint8_t)type,
        .hops = DELIVER_ONCE,
        .flags = STANZA_FILTERED,
        .from = *from,
        .to = jid_bare(from) };
    struct str bare = jid_text(&w->scratch, &s.to);

    stanza_add_to(&w->stanza_text, presence, bare);
    s.bytes = buf_str(&w->stanza_text);
    deliver_lookup(w, bare, 0);
    for (size_t i = 0; i < w->snapshot->n; i++) {
        const struct route_entry *e = &w->snapshot->entry[i];

        if (e->available || e->conn == self)
            deliver_to_conn(w, e->conn, &s);
    }
}

/* What the other resources last said, to one that has just become available. */
static void
others_to_self(struct worker *w, struct conn *c)
{
    uint64_t own = conn_id(w, c);
    struct jid jid = conn_jid(c);

    deliver_lookup(w, conn_bare(c), ROUTE_WANT_PRESENCE);
    for (size_t i = 0; i < w->snapshot->n; i++) {
        const struct route_entry *e = &w->snapshot->entry[i];

        if (e->conn == own || !e->available || e->presence.n == 0)
            continue;
        presence_give(w, c, &jid, e, conn_full(c));
    }
}

/* --- Directed presence --- */

static bool
sees_us_anyway(struct worker *w, struct conn *c, const struct jid *to)
{
    struct account *a = session_account(w, c);
    struct contact contact;

    return a && contacts_find(&a->contacts, jid_bare_text(&w->scratch, to), &contact) &&
           contact.bits & CONTACT_MAY_SEE;
}

/*
 * Those who got directed presence hear of the end, too (RFC 6121, 4.6.3); contacts: the
 * subscribed ones will hear of it in any case.
 */
static void
to_directed(struct worker *w, struct conn *c, struct str unavailable, bool contacts)
{
    struct stanza s = {
        .kind = STANZA_PRESENCE, .type = PRESENCE_UNAVAILABLE, .from = conn_jid(c)
    };
    struct directed *next;

    for (struct directed *d = c->directed; d; d = next) {
        struct str text = { d->jid, d->n };

        next = d->next;
        slot_free(w, d);
        if (jid_parse(&w->scratch, text, &s.to) < 0 ||
                (contacts && sees_us_anyway(w, c, &s.to)))
            continue;
        stanza_add_to(&w->stanza_text, unavailable, text);
        s.bytes = buf_str(&w->stanza_text);
        send_anywhere(w, &s);
    }
    SET(w, c->directed, NULL);
    SET(w, c->n_directed, 0);
}

void
session_hide_directed(struct worker *w, struct conn *c,
        bool (*is_hidden)(void *arg, const struct jid *jid), void *arg)
{
    struct stanza s = {
        .kind = STANZA_PRESENCE, .type = PRESENCE_UNAVAILABLE, .from = conn_jid(c)
    };
    struct directed **at = &c->directed, *d;
    struct buf bytes = { 0 };

    worker_begin(w, c);
    presence_write_unavailable(&bytes, conn_full(c));
    while ((d = *at)) {
        struct str text = { d->jid, d->n };

        if (jid_parse(&w->scratch, text, &s.to) < 0 || !is_hidden(arg, &s.to)) {
            at = &d->next;
            continue;
        }
        stanza_add_to(&w->stanza_text, buf_str(&bytes), text);
        s.bytes = buf_str(&w->stanza_text);
        send_anywhere(w, &s);
        SET(w, *at, d->next);
        SET(w, c->n_directed, c->n_directed - 1);
        slot_free(w, d);
    }
    worker_commit(w);
    buf_fini(&bytes);
}

static struct directed **
directed_find(struct conn *c, struct str jid)
{
    struct directed **at = &c->directed;

    while (*at && !str_eq((struct str){ (*at)->jid, (*at)->n }, jid))
        at = &(*at)->next;
    return at;
}

bool
presence_directed(
        struct worker *w, struct conn *c, struct xml_el *el, const struct jid *to)
{
    struct str text = jid_text(el->arena, to);
    struct directed **at = directed_find(c, text), *d = *at;
    bool available = !xml_attr(el, "type").p;

    if (available && !d) {
        if (c->n_directed >= DIRECTED_MAX)
            return false;
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
    return true;
}

/* --- The session's own --- */

static void
tell_router(struct worker *w, struct conn *c)
{
    struct ipc_route_presence m = {
        .conn = conn_id(w, c),
        .available = (c->flags & CONN_AVAILABLE) != 0,
        .priority = c->priority,
        .bare = conn_bare(c),
        .flags = conn_route_flags(w, c),
    };

    if (m.available)
        m.presence = session_presence(c);
    SET(w, c->presence_serial, c->presence_serial + 1 ? c->presence_serial + 1 : 1);
    m.serial = c->presence_serial;
    outbox_send(w, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_PRESENCE, &m);
}

static void
keep(struct worker *w, struct conn *c, struct str presence)
{
    slot_free(w, c->presence);
    SET(w, c->presence, presence.n ? slot_dup(w, presence) : NULL);
    SET(w, c->presence_n, (uint32_t)presence.n);
}

static void
set_available(struct worker *w, struct conn *c, bool available, int8_t priority)
{
    uint32_t flags = c->flags | CONN_PRESENCE_NEW;

    if (available != ((c->flags & CONN_AVAILABLE) != 0) || priority != c->priority)
        SET(w, c->steady_s, 0);
    if (available)
        flags |= CONN_AVAILABLE | (flags & CONN_AVAILABLE ? 0 : CONN_WANTS_OTHERS);
    else
        flags &= ~(uint32_t)(CONN_AVAILABLE | CONN_WANTS_OTHERS);
    SET(w, c->flags, flags);
    SET(w, c->priority, available ? priority : 0);
}

static void
tell_coming(struct worker *w, struct conn *c, bool available, int priority)
{
    struct event e = {
        .w = w, .host = live_of(w, c)->host, .c = c, .account = session_account(w, c)
    };

    if (available && priority >= 0 && !(c->flags & CONN_AVAILABLE && c->priority >= 0))
        hook_run(w, HOOK_COMING, &e);
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
    xml_write(&bytes, el, STR(NS_CLIENT));
    if (bytes.n > ROUTE_PRESENCE_MAX) {
        session_bounce(w, c, el, STANZA_ERROR_POLICY_VIOLATION);
    } else if (!available && !(c->flags & CONN_AVAILABLE)) {
        to_directed(w, c, buf_str(&bytes), false); /* nobody else has seen it */
    } else {
        keep(w, c, buf_str(&bytes));
        tell_coming(w, c, available, priority);
        set_available(w, c, available, priority);
        if (!available)
            to_directed(w, c, buf_str(&bytes), true);
        tell_router(w, c);
    }
    buf_fini(&bytes);
}

static void
say_available(struct worker *w, struct conn *c, struct account *a)
{
    struct speaker who = { .a = a, .c = c };
    struct jid own = conn_jid(c);
    struct str presence = session_presence(c);

    to_own_resources(w, &own, presence, PRESENCE_AVAILABLE, conn_id(w, c));
    presence_to_contacts(w, &who, &own, presence, PRESENCE_AVAILABLE);
    if (!(c->flags & CONN_WANTS_OTHERS))
        return;
    SET(w, c->flags, c->flags & ~(uint32_t)CONN_WANTS_OTHERS);
    live_of(w, c)->available_ms = live_of(w, c)->presence_ms;
    others_to_self(w, c);
    presence_probe_contacts(w, c, a);
}

static void
say_unavailable(struct worker *w, struct conn *c, struct account *a)
{
    struct speaker who = { .a = a, .c = c };
    struct jid own = conn_jid(c);
    struct str presence = session_presence(c);

    to_own_resources(w, &own, presence, PRESENCE_UNAVAILABLE, conn_id(w, c));
    presence_to_contacts(w, &who, &own, presence, PRESENCE_UNAVAILABLE);
}

void
session_on_present(struct worker *w, struct conn *c, const struct ipc_route_present *m)
{
    struct account *a = session_account(w, c);
    struct event e = { .w = w,
        .c = c,
        .was_available = c->told_available,
        .was_priority = c->told_priority };

    if (m->serial != c->presence_serial ||
            (c->state != STREAM_OPEN && c->state != STREAM_DETACHED))
        return; /* a later change is under way; its answer will say it all */
    if (m->serial == c->presence_done)
        return;
    SET(w, c->presence_done, m->serial);
    if (!c->steady_s)
        SET(w, c->steady_s, (uint32_t)(clock_wall_us() / 1000000));
    jobs_on_route(w, c);
    late_on_route(w, c);
    if (!(c->flags & CONN_PRESENCE_NEW))
        return; /* only flags have changed */
    if (!a)
        return; /* when the account is there again: session_on_loaded() */
    SET(w, c->flags, c->flags & ~(uint32_t)CONN_PRESENCE_NEW);
    live_of(w, c)->presence_ms = (uint32_t)loop_now_ms(w->loop);
    if (c->flags & CONN_AVAILABLE)
        say_available(w, c, a);
    else
        say_unavailable(w, c, a);
    SET(w, c->told_available, (c->flags & CONN_AVAILABLE) != 0);
    SET(w, c->told_priority, c->priority);
    e.host = a->host;
    e.account = a;
    hook_run(w, HOOK_PRESENCE, &e);
    if (!(c->flags & CONN_AVAILABLE))
        keep(w, c, STR_NULL);
}

void
session_on_loaded(struct worker *w, struct conn *c)
{
    struct ipc_route_present m = { .serial = c->presence_serial };

    if (c->flags & CONN_PRESENCE_NEW && c->presence_done == c->presence_serial) {
        SET(w, c->presence_done, 0);
        session_on_present(w, c, &m);
    }
}

/* --- Its end --- */

void
presence_end(struct worker *w, struct conn *c)
{
    bool available = c->flags & CONN_AVAILABLE;
    bool seen = available || c->flags & CONN_PRESENCE_NEW;
    struct buf bytes = { 0 };

    if (!available)
        buf_add_str(&bytes, session_presence(c)); /* what it said, if it did */
    if (bytes.n == 0)
        presence_write_unavailable(&bytes, conn_full(c));
    if (seen)
        core_session_ended(w, c, session_account(w, c), buf_str(&bytes));
    to_directed(w, c, buf_str(&bytes), seen);
    keep(w, c, STR_NULL);
    SET(w, c->flags,
            c->flags & ~(uint32_t)(CONN_AVAILABLE | CONN_WANTS_OTHERS |
                                   CONN_PRESENCE_NEW));
    buf_fini(&bytes);
}

void
presence_say_ended(struct worker *w, const struct speaker *who, const struct jid *full,
        struct str presence, struct str subscribed)
{
    to_own_resources(w, full, presence, PRESENCE_UNAVAILABLE, 0);
    presence_to_contacts(w, who, full, presence, PRESENCE_UNAVAILABLE);
    presence_to_former(w, who, full, presence, subscribed);
}
