/*
 * roster_note.c -- what each worker does when a roster has changed
 *
 * In one transaction: the contact in memory, the stanza and the push for the sessions
 * here, then their presence. A session asks for its roster here, too, so it gets each
 * change either with its roster or as a push. Its presence goes to the contact from
 * here and nowhere else, in step with what it says to everybody; so the contact ends up
 * with what the session said last, whatever happens at the same time.
 *
 * Who has just been allowed to see a contact of ours looks at the route table by
 * itself, here, behind the approval and the push, as RFC 6121, 3.1.5, has the order;
 * the contact's own worker then has nothing to send, unless a session there has spoken
 * since the home let the contact see it, and did not know of that.
 */
#include "modules/roster.h"

enum {
    MEANWHILE_MS = 1000 /* between the contact's home and ours; one may have died */
};

/* Is it news? What was read from the database may have it already. */
static bool
is_news(const struct roster *r, const struct roster_change *ch)
{
    bool same = r->known && str_eq_c(ch->epoch, r->epoch);

    return !r->known || (same ? ch->n > r->n : ch->n == 1);
}

static void
remember(struct event *e, const struct roster_change *ch)
{
    struct roster *r = account_part(e->account, &module);
    struct contacts *cs = account_contacts(e->account);
    struct contact before = { 0 }, now;

    if (!r || !is_news(r, ch))
        return;
    now = ch->contact;
    now.bits &= (uint8_t)~CONTACT_SEES;
    if (contacts_find(cs, now.jid, &before))
        now.bits |= before.bits & CONTACT_SEES;
    if (ch->flags & ROSTER_GONE)
        now = (struct contact){ .jid = now.jid, .bits = now.bits & CONTACT_SEES };
    if (before.bits & CONTACT_SHARED)
        ; /* a shared group's, which is stronger */
    else if (now.bits == 0 && ch->flags & ROSTER_GONE)
        contacts_del(cs, now.jid);
    else
        contacts_put(cs, &now);
    r->known = true;
    r->n = ch->n;
    memcpy(r->epoch, ch->epoch.p,
            ch->epoch.n <= ROSTER_EPOCH ? ch->epoch.n : ROSTER_EPOCH);
}

static void
push(struct event *e, struct conn *c, const struct roster_change *ch,
        struct str version)
{
    struct buf bytes = { 0 };

    roster_push_write(
            &bytes, conn_full(c), version, &ch->contact, ch->flags & ROSTER_REMOVED);
    session_send_bytes(e->w, c, buf_str(&bytes));
    buf_fini(&bytes);
}

static void
to_sessions(struct event *e, const struct roster_change *ch)
{
    const struct roster_config *config = e->config;
    struct buf version = { 0 };
    struct str shown = STR_NULL;
    struct conn *c;
    uint32_t at = 0;

    if (config->versioning) {
        if (ch->epoch.n && roster_has_log(e->account, config))
            roster_version_write(&version, str_dup_c(e->arena, ch->epoch), ch->n);
        else
            roster_version_now(&version, e->account, config);
        shown = buf_str(&version);
    }
    while ((c = session_next(e->w, e->account, &at))) {
        bool interested = session_flags(c) & ROUTE_ROSTER;

        if ((ch->flags & ROSTER_TO_AVAILABLE && session_is_available(c)) ||
                (ch->flags & ROSTER_TO_INTERESTED && interested))
            session_send_bytes(e->w, c, ch->stanza);
        if (ch->flags & ROSTER_PUSH && interested)
            push(e, c, ch, shown);
    }
    buf_fini(&version);
}

static void
presences(struct event *e, const struct roster_change *ch)
{
    struct jid contact = contact_jid(&ch->contact);

    if (ch->flags & ROSTER_HIDE)
        presence_show(e->w, e->account, &contact, false, 0);
    if (ch->flags & ROSTER_SHOW)
        presence_show(e->w, e->account, &contact, true,
                ch->flags & ROSTER_SHOW_ALL ? 0 : ch->when_ms);
    if (ch->flags & ROSTER_PROBE)
        presence_probe(e->w, e->account, &contact);
    if (ch->flags & ROSTER_FORGET)
        presence_forget(e->w, e->account, &contact, ch->began_ms - MEANWHILE_MS);
}

void
roster_note(struct event *e, unsigned what, struct str data)
{
    struct roster_change ch;

    (void)what;
    if (!roster_change_unpack(data, &ch))
        return;
    if (ch.flags & ROSTER_WRITE)
        remember(e, &ch);
    if (ch.flags & (ROSTER_PUSH | ROSTER_TO_AVAILABLE | ROSTER_TO_INTERESTED))
        to_sessions(e, &ch);
    presences(e, &ch);
}

enum hook_result
roster_on_contact(struct event *e)
{
    struct roster_change ch = { .flags = ROSTER_PUSH, .contact = *e->contact };

    if (!roster_is_shown(e->contact))
        ch.flags |= ROSTER_REMOVED;
    to_sessions(e, &ch);
    return HOOK_PASS;
}
