/*
 * presence.c -- presence of the sessions of this worker (RFC 6121, 4)
 *
 * The slot keeps the last presence; the router's table shows it to others. Nobody hears
 * of a change before the router has committed it, so that whoever hears and looks finds
 * it true.
 *
 * Contacts on this server are not probed by stanzas: what they last said is in the
 * table, and that we may see it is in our own roster, as only the server changes that.
 * Where a contact has a block list, its home answers instead.
 */
#include "worker/session.h"

#include "worker/account.h"
#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/jobs.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

enum {
    DIRECTED_MAX = 1000
};

static void
unavailable_write(struct buf *out, struct str full)
{
    xml_open(out, "presence");
    xml_put(out, "from", full);
    xml_put(out, "type", STR("unavailable"));
    buf_add_c(out, "/>");
}

/* To the account's other available resources, and to this one unless it ends. */
static void
to_own_resources(struct worker *w, struct conn *c, struct str presence, bool to_self)
{
    struct stanza s = {
        .kind = STANZA_PRESENCE, .hops = DELIVER_ONCE, .from = conn_jid(c)
    };
    uint64_t own = conn_id(w, c);

    s.to = jid_bare(&s.from);
    s.flags = STANZA_FILTERED;
    s.type = (uint8_t)(c->flags & CONN_AVAILABLE ? PRESENCE_AVAILABLE
                                                 : PRESENCE_UNAVAILABLE);
    stanza_add_to(&w->stanza_text, presence, conn_bare(c));
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

        if (e->conn == own || !e->available || e->presence.n == 0)
            continue;
        stanza_add_to(&w->text, e->presence, conn_full(c));
        out_add_stanza(w, c, buf_str(&w->text));
    }
}

/* --- Contacts --- */

/* May this presence of the account go to the contact (XEP-0016, presence-out)? */
static bool
may_see(struct worker *w, struct account *a, struct stanza *s)
{
    struct event e = { .w = w, .host = a->host, .account = a, .s = s };

    return !(account_route_flags(a) & ROUTE_FILTER) ||
           hook_run(w, HOOK_FILTER_OUT, &e) != HOOK_DONE;
}

/* To the sessions of one contact. s: from, type, bytes without `to`; to: the contact.
 */
static void
to_contact(struct worker *w, struct stanza *s, struct str bare)
{
    const struct conf_host *host = conf_host_find(w->proc->conf, s->to.domain);
    struct stanza filtered = *s;
    bool home = false;

    if (!host || !s->to.local.n)
        return;
    deliver_lookup(w, bare, 0);
    for (size_t i = 0; i < w->snapshot->n; i++)
        home = home || w->snapshot->entry[i].flags & ROUTE_FILTER;
    if (home) {
        stanza_add_to(&w->stanza_text, s->bytes, bare);
        filtered.bytes = buf_str(&w->stanza_text);
        core_to_home(w, &filtered, bare);
        return;
    }
    for (size_t i = 0; i < w->snapshot->n; i++) {
        if (w->snapshot->entry[i].available)
            fanout_add(w, w->snapshot->entry[i].conn);
    }
}

/* To everybody who is subscribed to the account's presence. bytes: without `to`. */
static void
to_contacts(struct worker *w, struct account *a, const struct jid *from,
        struct str bytes, enum presence_type type)
{
    struct stanza s = {
        .kind = STANZA_PRESENCE, .type = (uint8_t)type, .from = *from, .bytes = bytes
    };
    struct contact contact;
    size_t at = 0;

    fanout_begin(w, &s);
    while (contacts_next(&a->contacts, &at, &contact)) {
        if (!(contact.bits & CONTACT_FROM) ||
                jid_parse(&w->scratch, contact.jid, &s.to) < 0 || !may_see(w, a, &s))
            continue;
        to_contact(w, &s, contact.jid);
    }
    fanout_end(w);
}

void
presence_to_contact(
        struct worker *w, struct account *a, const struct jid *contact, bool available)
{
    struct stanza s = { .kind = STANZA_PRESENCE, .to = *contact };
    struct str to = jid_bare_text(&w->scratch, contact);
    struct buf bytes = { 0 };
    const struct route_snapshot *snap;
    size_t n = route_sessions(w, account_bare(a), ROUTE_WANT_PRESENCE, &snap);

    s.type = available ? PRESENCE_AVAILABLE : PRESENCE_UNAVAILABLE;
    s.to.resource = STR_NULL;
    for (size_t i = 0; i < n; i++) {
        const struct route_entry *e = &snap->entry[i];
        struct str full;

        if (!e->available || e->presence.n == 0)
            continue;
        s.from = account_jid(a);
        s.from.resource = e->resource;
        full = jid_text(&w->scratch, &s.from);
        buf_reset(&bytes, SIZE_MAX);
        if (available)
            buf_add_str(&bytes, e->presence);
        else
            unavailable_write(&bytes, full);
        s.bytes = buf_str(&bytes);
        if (available && !may_see(w, a, &s))
            continue;
        fanout_begin(w, &s);
        to_contact(w, &s, to);
        fanout_end(w);
    }
    buf_fini(&bytes);
}

void
presence_answer_probe(struct worker *w, struct account *a, const struct jid *to)
{
    struct stanza s = { .kind = STANZA_PRESENCE,
        .type = PRESENCE_AVAILABLE,
        .flags = STANZA_FILTERED,
        .to = *to };
    struct str full = jid_text(&w->scratch, to);
    struct buf bytes = { 0 };
    const struct route_snapshot *snap;
    size_t n = route_sessions(w, account_bare(a), ROUTE_WANT_PRESENCE, &snap);

    for (size_t i = 0; i < n; i++) {
        const struct route_entry *e = &snap->entry[i];

        if (!e->available || e->presence.n == 0)
            continue;
        s.from = account_jid(a);
        s.from.resource = e->resource;
        if (!may_see(w, a, &s))
            continue;
        stanza_add_to(&bytes, e->presence, full);
        s.bytes = buf_str(&bytes);
        deliver(w, &s);
    }
    buf_fini(&bytes);
}

/* What one contact last said; if it has a block list, its home decides. */
static void
probe_contact(
        struct worker *w, struct conn *c, struct str bare, const struct jid *contact)
{
    bool home = false;

    deliver_lookup(w, bare, ROUTE_WANT_PRESENCE);
    for (size_t i = 0; i < w->snapshot->n; i++)
        home = home || w->snapshot->entry[i].flags & ROUTE_FILTER;
    if (home) {
        struct stanza probe = { .kind = STANZA_PRESENCE,
            .type = PRESENCE_PROBE,
            .from = conn_jid(c),
            .to = *contact };

        buf_reset(&w->text, SIZE_MAX);
        xml_open(&w->text, "presence");
        xml_put(&w->text, "from", conn_full(c));
        xml_put(&w->text, "to", bare);
        buf_add_c(&w->text, " type='probe'/>");
        probe.bytes = buf_str(&w->text);
        core_to_home(w, &probe, bare);
        return;
    }
    for (size_t i = 0; i < w->snapshot->n; i++) {
        const struct route_entry *e = &w->snapshot->entry[i];

        if (!e->available || e->presence.n == 0)
            continue;
        stanza_add_to(&w->text, e->presence, conn_bare(c));
        out_add_stanza(w, c, buf_str(&w->text));
    }
}

static void
probe_contacts(struct worker *w, struct conn *c, struct account *a)
{
    struct contact contact;
    struct jid jid;
    size_t at = 0;

    while (contacts_next(&a->contacts, &at, &contact)) {
        if (contact.bits & CONTACT_TO &&
                jid_parse(&w->scratch, contact.jid, &jid) == 0 &&
                conf_host_find(w->proc->conf, jid.domain))
            probe_contact(w, c, contact.jid, &jid);
    }
}

void
presence_probe(struct worker *w, struct account *a, const struct jid *contact)
{
    struct str bare = jid_bare_text(&w->scratch, contact);
    struct conn *c;
    uint32_t at = 0;

    while ((c = session_next(w, a, &at))) {
        if (c->flags & CONN_AVAILABLE && conf_host_find(w->proc->conf, contact->domain))
            probe_contact(w, c, bare, contact);
    }
}

void
presence_say_ended(struct worker *w, struct account *a, const struct jid *full)
{
    struct buf bytes = { 0 };

    unavailable_write(&bytes, jid_text(&w->scratch, full));
    to_contacts(w, a, full, buf_str(&bytes), PRESENCE_UNAVAILABLE);
    buf_fini(&bytes);
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
        .presence = { c->presence, c->presence_n },
        .flags = conn_route_flags(w, c),
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
            (available ? c->flags | CONN_AVAILABLE
                       : c->flags & ~(unsigned)(CONN_AVAILABLE | CONN_WANTS_OTHERS)) |
                    CONN_PRESENCE_NEW);
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
        stanza_add_to(&w->stanza_text, unavailable, text);
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
        unavailable_write(&bytes, conn_full(c));
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
        struct jid own = conn_jid(c);

        keep(w, c, STR_NULL, 0, false);
        to_own_resources(w, c, buf_str(&bytes), true);
        to_contacts(
                w, session_account(w, c), &own, buf_str(&bytes), PRESENCE_UNAVAILABLE);
        to_directed(w, c, buf_str(&bytes));
    }
    buf_fini(&bytes);
    tell_router(w, c);
}

void
session_on_present(struct worker *w, struct conn *c, const struct ipc_route_present *m)
{
    struct str presence = { c->presence, c->presence_n };
    struct account *a = session_account(w, c);
    struct jid own = conn_jid(c);
    struct event e = { .w = w, .c = c, .was_available = m->was_available };

    if (m->serial != c->presence_serial ||
            (c->state != STREAM_OPEN && c->state != STREAM_DETACHED))
        return; /* a later change is under way; its answer will say it all */
    if (m->serial == c->presence_done)
        return;
    SET(w, c->presence_done, m->serial);
    jobs_on_route(w, c);
    if (!(c->flags & CONN_PRESENCE_NEW))
        return; /* only flags have changed */
    if (!a)
        return; /* when the account is there again: session_on_loaded() */
    SET(w, c->flags, c->flags & ~(unsigned)CONN_PRESENCE_NEW);
    if (c->flags & CONN_AVAILABLE) {
        to_own_resources(w, c, presence, true);
        to_contacts(w, a, &own, presence, PRESENCE_AVAILABLE);
    }
    if (c->flags & CONN_WANTS_OTHERS) {
        SET(w, c->flags, c->flags & ~(unsigned)CONN_WANTS_OTHERS);
        others_to_self(w, c);
        probe_contacts(w, c, a);
    }
    e.host = a->host;
    e.account = a;
    hook_run(w, HOOK_PRESENCE, &e);
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
    struct account *a = session_account(w, c);
    struct jid own = conn_jid(c);
    struct buf bytes = { 0 };

    unavailable_write(&bytes, conn_full(c));
    keep(w, c, STR_NULL, 0, false);
    if (was_available)
        to_own_resources(w, c, buf_str(&bytes), false);
    if (was_available && a)
        to_contacts(w, a, &own, buf_str(&bytes), PRESENCE_UNAVAILABLE);
    else if (was_available)
        core_session_ended(w, c);
    to_directed(w, c, buf_str(&bytes));
    buf_fini(&bytes);
}
