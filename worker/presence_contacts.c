/*
 * presence_contacts.c -- presence to and from contacts (RFC 6121, 4)
 *
 * Contacts on this server are not probed by stanzas: what they last said is in the
 * route table, and that we may see it is in our own roster, as only the server changes
 * that. Where a contact has a block list, its home answers instead. Contacts elsewhere
 * get stanzas.
 */
#include "worker/presence.h"

#include "worker/account.h"
#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/session.h"
#include "xml/writer.h"
#include "xmpp/stanza.h"

void
presence_write_unavailable(struct buf *out, struct str full)
{
    xml_open(out, "presence");
    xml_put(out, "from", full);
    xml_put(out, "type", STR("unavailable"));
    buf_add_c(out, "/>");
}

/* --- What the account's sessions say --- */

/* May this presence of the account go to the contact (XEP-0016, presence-out)? */
static bool
may_see(struct worker *w, const struct speaker *who, struct stanza *s)
{
    struct event e = { .w = w,
        .host = who->a->host,
        .account = who->a,
        .c = who->c,
        .s = s,
        .own_list = who->own_list };
    unsigned flags = account_route_flags(who->a);

    if (who->c)
        flags |= who->c->route_flags;
    if (who->own_list.n)
        flags |= ROUTE_OWN_LIST;
    return !(flags & (ROUTE_FILTER | ROUTE_OWN_LIST)) ||
           hook_run(w, HOOK_FILTER_OUT, &e) != HOOK_DONE;
}

/* A list of a session is known to its worker alone, which so answers for it. */
static bool
leave_to_session(struct worker *w, const struct route_entry *e, const struct jid *to)
{
    struct stanza probe = { .kind = STANZA_PRESENCE,
        .type = PRESENCE_PROBE,
        .hops = DELIVER_ONCE,
        .from = *to };

    if (!(e->flags & ROUTE_OWN_LIST) || conn_find(w, e->conn))
        return false;
    if (jid_parse(&w->scratch, e->bare, &probe.to) == 0)
        deliver_to_conn(w, e->conn, &probe);
    return true;
}

/* Does one of the sessions in w->snapshot carry one of these flags? */
static bool
has_flag(const struct worker *w, unsigned flags)
{
    for (size_t i = 0; i < w->snapshot->n; i++) {
        if (w->snapshot->entry[i].flags & flags)
            return true;
    }
    return false;
}

static struct stanza
with_to(struct worker *w, const struct stanza *s, struct str to)
{
    struct stanza copy = *s;

    stanza_add_to(&w->stanza_text, s->bytes, to);
    copy.bytes = buf_str(&w->stanza_text);
    return copy;
}

/* To the sessions of a contact of ours, between fanout_begin() and _end(). */
static void
to_local(struct worker *w, struct stanza *s, struct str bare)
{
    struct stanza copy;

    if (!s->to.local.n)
        return;
    deliver_lookup(w, bare, 0);
    if (has_flag(w, ROUTE_FILTER)) {
        copy = with_to(w, s, bare);
        core_to_home(w, &copy, bare);
        return;
    }
    for (size_t i = 0; i < w->snapshot->n; i++) {
        if (w->snapshot->entry[i].available)
            fanout_add(w, w->snapshot->entry[i].conn);
    }
}

/* One that is not ours; not within a fan-out, as it may cause others. */
static void
to_remote(struct worker *w, struct stanza *s, struct str bare)
{
    struct stanza copy = with_to(w, s, bare);

    send_elsewhere(w, &copy);
}

/* s: from, to, type, bytes. */
static void
to_contact(struct worker *w, struct stanza *s)
{
    struct str bare = jid_bare_text(&w->scratch, &s->to);

    if (!host_of(w, s->to.domain)) {
        to_remote(w, s, bare);
        return;
    }
    fanout_begin(w, s);
    to_local(w, s, bare);
    fanout_end(w);
}

static void
to_subscribed(struct worker *w, const struct speaker *who, struct stanza *s, bool local)
{
    struct contact contact;
    size_t at = 0;

    while (contacts_next(&who->a->contacts, &at, &contact)) {
        if (!(contact.bits & CONTACT_MAY_SEE))
            continue;
        s->to = contact_jid(&contact);
        if ((host_of(w, s->to.domain) != NULL) != local || !may_see(w, who, s))
            continue;
        if (local)
            to_local(w, s, contact.jid);
        else
            to_remote(w, s, contact.jid);
    }
}

void
presence_to_contacts(struct worker *w, const struct speaker *who,
        const struct jid *from, struct str bytes, enum presence_type type)
{
    struct stanza s = {
        .kind = STANZA_PRESENCE, .type = (uint8_t)type, .from = *from, .bytes = bytes
    };

    fanout_begin(w, &s);
    to_subscribed(w, who, &s, true);
    fanout_end(w);
    to_subscribed(w, who, &s, false);
}

/* Only of an end: it is no secret from who has seen the session. */
void
presence_to_former(struct worker *w, const struct speaker *who, const struct jid *from,
        struct str bytes, struct str list)
{
    struct stanza s = { .kind = STANZA_PRESENCE,
        .type = PRESENCE_UNAVAILABLE,
        .from = *from,
        .bytes = bytes };
    struct contact contact, now;

    while (contact_group_next(&list, &contact.jid)) {
        if (contacts_find(&who->a->contacts, contact.jid, &now) &&
                now.bits & CONTACT_MAY_SEE)
            continue;
        s.to = contact_jid(&contact);
        if (may_see(w, who, &s))
            to_contact(w, &s);
    }
}

/* One session's presence, or its absence, to one contact. */
static void
show(struct worker *w, const struct speaker *who, const struct jid *from,
        struct str presence, const struct jid *contact, bool available)
{
    struct stanza s = { .kind = STANZA_PRESENCE,
        .type = available ? PRESENCE_AVAILABLE : PRESENCE_UNAVAILABLE,
        .from = *from,
        .to = jid_bare(contact) };
    struct buf bytes = { 0 };

    if (available)
        buf_add_str(&bytes, presence);
    else
        presence_write_unavailable(&bytes, jid_text(&w->scratch, from));
    s.bytes = buf_str(&bytes);
    if (!available || may_see(w, who, &s))
        to_contact(w, &s);
    buf_fini(&bytes);
}

void
presence_to_contact(
        struct worker *w, struct account *a, const struct jid *contact, bool available)
{
    struct speaker who = { .a = a };
    const struct route_snapshot *snap;
    size_t n = route_sessions(w, account_bare(a), ROUTE_WANT_PRESENCE, &snap);

    for (size_t i = 0; i < n; i++) {
        const struct route_entry *e = &snap->entry[i];
        struct jid from = account_jid(a);

        from.resource = e->resource;
        if (!e->available || e->presence.n == 0 ||
                (available && leave_to_session(w, e, contact)))
            continue;
        who.c = conn_find(w, e->conn);
        show(w, &who, &from, e->presence, contact, available);
    }
}

/* Has the session said something since then, as far as we know? */
static bool
has_spoken(const struct worker *w, const struct conn *c, uint64_t since_ms)
{
    uint32_t said_ms = live_of(w, c)->presence_ms;

    return said_ms == 0 || (int32_t)(said_ms - (uint32_t)since_ms) >= 0;
}

/*
 * A presence that the router has not committed yet is not for anybody: when it has, it
 * goes to all contacts. One that is taken back has been seen, or may have been.
 */
static bool
can_show(const struct conn *c, bool available)
{
    bool is_new = c->flags & CONN_PRESENCE_NEW, is_there = c->flags & CONN_AVAILABLE;

    return available ? is_there && !is_new : is_there || is_new;
}

void
session_show(struct worker *w, struct account *a, struct conn *c,
        const struct jid *contact, bool available)
{
    struct speaker who = { .a = a, .c = c };
    struct jid from = conn_jid(c);

    if (can_show(c, available))
        show(w, &who, &from, session_presence(c), contact, available);
}

void
presence_show(struct worker *w, struct account *a, const struct jid *contact,
        bool available, uint64_t since_ms)
{
    struct conn *c;
    uint32_t at = 0;

    while ((c = session_next(w, a, &at))) {
        if (!available || since_ms == 0 || has_spoken(w, c, since_ms))
            session_show(w, a, c, contact, available);
    }
}

void
presence_answer_probe(struct worker *w, struct account *a, const struct jid *to)
{
    struct stanza s = {
        .kind = STANZA_PRESENCE, .type = PRESENCE_AVAILABLE, .to = *to
    };
    struct speaker who = { .a = a };
    struct str full = jid_text(&w->scratch, to);
    struct buf bytes = { 0 };
    const struct route_snapshot *snap;
    size_t n = route_sessions(w, account_bare(a), ROUTE_WANT_PRESENCE, &snap), said = 0;

    s.from = account_jid(a);
    for (size_t i = 0; i < n; i++) {
        const struct route_entry *e = &snap->entry[i];

        if (!e->available || e->presence.n == 0)
            continue;
        s.from.resource = e->resource;
        who.c = conn_find(w, e->conn);
        if (leave_to_session(w, e, to) || !may_see(w, &who, &s))
            continue;
        stanza_add_to(&bytes, e->presence, full);
        s.bytes = buf_str(&bytes);
        send_anywhere(w, &s);
        said++;
    }
    /* 4.3.2: another server is told that there is nobody; ours can see that. */
    if (said == 0 && !host_of(w, to->domain)) {
        s.from.resource = STR_NULL;
        s.type = PRESENCE_UNAVAILABLE;
        buf_reset(&bytes, SIZE_MAX);
        presence_write_unavailable(&bytes, account_bare(a));
        s.bytes = buf_str(&bytes);
        s = with_to(w, &s, full);
        send_anywhere(w, &s);
    }
    buf_fini(&bytes);
}

void
presence_answer(struct worker *w, struct conn *c, const struct jid *to)
{
    struct speaker who = { .a = session_account(w, c), .c = c };
    struct stanza s = { .kind = STANZA_PRESENCE,
        .type = PRESENCE_AVAILABLE,
        .from = conn_jid(c),
        .to = *to };

    if (!who.a || !can_show(c, true) || !may_see(w, &who, &s))
        return;
    s.bytes = session_presence(c);
    s = with_to(w, &s, jid_text(&w->scratch, to));
    send_anywhere(w, &s);
}

/* --- What contacts say --- */

static struct stanza
probe_write(struct worker *w, struct conn *c, const struct jid *contact)
{
    struct stanza probe = { .kind = STANZA_PRESENCE,
        .type = PRESENCE_PROBE,
        .from = conn_jid(c),
        .to = jid_bare(contact) };

    buf_reset(&w->text, SIZE_MAX);
    xml_open(&w->text, "presence");
    xml_put(&w->text, "from", conn_full(c));
    xml_put(&w->text, "to", jid_text(&w->scratch, &probe.to));
    buf_add_c(&w->text, " type='probe'/>");
    probe.bytes = buf_str(&w->text);
    return probe;
}

void
presence_give(struct worker *w, struct conn *c, const struct jid *from,
        const struct route_entry *e, struct str to)
{
    struct stanza s = { .kind = STANZA_PRESENCE,
        .type = PRESENCE_AVAILABLE,
        .hops = DELIVER_ONCE,
        .from = *from,
        .to = conn_jid(c) };

    if (jid_eq_bare(&s.from, &s.to))
        s.flags = STANZA_FILTERED; /* of contacts it may not want to hear */
    s.from.resource = e->resource;
    stanza_add_to(&w->stanza_text, e->presence, to);
    s.bytes = buf_str(&w->stanza_text);
    deliver_to_conn(w, conn_id(w, c), &s);
}

/* What one contact last said; if it has a block list, its home decides. */
static void
probe_contact(
        struct worker *w, struct conn *c, struct str bare, const struct jid *contact)
{
    struct stanza probe;

    if (!host_of(w, contact->domain)) {
        if (send_has_way(w, contact->domain)) {
            probe = probe_write(w, c, contact);
            send_elsewhere(w, &probe);
        }
        return;
    }
    deliver_lookup(w, bare, ROUTE_WANT_PRESENCE);
    if (has_flag(w, ROUTE_FILTER | ROUTE_OWN_LIST)) {
        probe = probe_write(w, c, contact);
        core_to_home(w, &probe, bare);
        return;
    }
    for (size_t i = 0; i < w->snapshot->n; i++) {
        const struct route_entry *e = &w->snapshot->entry[i];

        if (!e->available || e->presence.n == 0)
            continue;
        presence_give(w, c, contact, e, conn_bare(c));
    }
}

/* One resource of a contact is not to be seen any more. */
static void
say_gone(struct worker *w, struct conn *c, const struct jid *contact,
        const struct route_entry *e)
{
    struct jid full = jid_bare(contact);
    struct buf bytes = { 0 };

    full.resource = e->resource;
    presence_write_unavailable(&bytes, jid_text(&w->scratch, &full));
    stanza_add_to(&w->text, buf_str(&bytes), conn_bare(c));
    if (e->available)
        out_add_stanza(w, c, buf_str(&w->text));
    buf_fini(&bytes);
}

/* To who may not see the contact any more; if it has a list, its home decides. */
static void
unsee_contact(
        struct worker *w, struct conn *c, struct str bare, const struct jid *contact)
{
    deliver_lookup(w, bare, 0);
    if (has_flag(w, ROUTE_FILTER | ROUTE_OWN_LIST)) {
        core_unsee(w, c, bare);
        return;
    }
    for (size_t i = 0; i < w->snapshot->n; i++)
        say_gone(w, c, contact, &w->snapshot->entry[i]);
}

void
presence_answer_unsee(
        struct worker *w, struct account *a, uint64_t conn, const struct jid *to)
{
    struct speaker who = { .a = a };
    struct stanza s = { .kind = STANZA_PRESENCE,
        .type = PRESENCE_UNAVAILABLE,
        .hops = DELIVER_ONCE,
        .from = account_jid(a),
        .to = jid_bare(to) };
    struct buf bytes = { 0 };
    const struct route_snapshot *snap;
    size_t n = route_sessions(w, account_bare(a), 0, &snap);

    for (size_t i = 0; i < n; i++) {
        const struct route_entry *e = &snap->entry[i];
        struct stanza copy;

        s.from.resource = e->resource;
        who.c = conn_find(w, e->conn);
        if (!e->available || (!who.c && e->flags & ROUTE_OWN_LIST) ||
                !may_see(w, &who, &s))
            continue;
        buf_reset(&bytes, SIZE_MAX);
        presence_write_unavailable(&bytes, jid_text(&w->scratch, &s.from));
        s.bytes = buf_str(&bytes);
        copy = with_to(w, &s, jid_text(&w->scratch, &s.to));
        copy.flags = STANZA_FILTERED | STANZA_OURS; /* its list is why it is said */
        deliver_to_conn(w, conn, &copy);
    }
    buf_fini(&bytes);
}

void
session_see(struct worker *w, struct conn *c, const struct jid *contact, bool available)
{
    struct str bare = jid_bare_text(&w->scratch, contact);
    struct jid jid = jid_bare(contact);

    if (!(c->flags & CONN_AVAILABLE))
        return;
    worker_begin(w, c);
    if (available)
        probe_contact(w, c, bare, &jid);
    else if (contact->local.n && host_of(w, contact->domain))
        unsee_contact(w, c, bare, &jid);
    worker_commit(w);
}

void
presence_probe_contacts(struct worker *w, struct conn *c, struct account *a)
{
    struct contact contact;
    struct jid jid;
    size_t at = 0;

    while (contacts_next(&a->contacts, &at, &contact)) {
        if (!(contact.bits & CONTACT_TO))
            continue;
        jid = contact_jid(&contact);
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
        if (c->flags & CONN_AVAILABLE)
            probe_contact(w, c, bare, contact);
    }
}

/*
 * A session that came online meanwhile may have found the contact's presence in the
 * table after the contact's worker had told all who were online that it is over.
 */
void
presence_forget(struct worker *w, struct account *a, const struct jid *contact,
        uint64_t since_ms)
{
    struct str bare = jid_bare_text(&w->scratch, contact);
    struct conn *c;
    uint32_t at = 0;

    while ((c = session_next(w, a, &at))) {
        uint32_t available_ms = live_of(w, c)->available_ms;
        bool filtered;

        if (!(c->flags & CONN_AVAILABLE) ||
                (available_ms && (int32_t)(available_ms - (uint32_t)since_ms) < 0))
            continue;
        deliver_lookup(w, bare, 0);
        filtered = has_flag(w, ROUTE_FILTER | ROUTE_OWN_LIST);
        for (size_t i = 0; i < w->snapshot->n && !filtered; i++)
            say_gone(w, c, contact, &w->snapshot->entry[i]);
    }
}
