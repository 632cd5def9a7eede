/*
 * roster_subscription.c -- subscriptions (RFC 6121, 3 and appendix A)
 *
 * What a state turns into, and what has to be sent, is in xmpp/subscription.h. A stanza
 * of a user is handled in his home; what goes on to the contact is handled in the
 * contact's home, as what comes from another server will be. So each side changes by
 * itself, in the order in which the stanzas come, and a death loses and repeats none.
 */
#include "modules/roster.h"

/* --- What a user sends --- */

/* In the session's worker: what can be refused at once. */
enum hook_result
roster_on_out(struct event *e)
{
    struct jid own = conn_jid(e->c);
    struct home_call call = { .module = &module,
        .step = ROSTER_STEP_OUT,
        .bare = conn_bare(e->c),
        .conn = e->s->conn,
        .from = e->s->from,
        .to = e->s->to,
        .el = e->s->el };

    if (!roster_may_change(e->config, own))
        route_error(e->w, e->s, STANZA_ERROR_FORBIDDEN, NULL);
    else if (jid_eq_bare(&own, &e->s->to)) /* one sees oneself anyway (4.2.2) */
        route_error(e->w, e->s, STANZA_ERROR_NOT_ALLOWED, NULL);
    else if (e->s->type == PRESENCE_SUBSCRIBE && !e->s->to.local.n &&
             host_of(e->w, e->s->to.domain)) /* the server has no presence */
        route_error(e->w, e->s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else
        home_call(e->w, &call);
    return HOOK_DONE;
}

/* The contact as it was, or a blank one; false: not ours to change. */
static bool
find(struct job *j, const struct jid *contact, struct contact *ret)
{
    *ret = (struct contact){ 0 };
    if (!account_exists(j->account) || !contacts_find(account_contacts(j->account),
                                               jid_bare_text(j->arena, contact), ret))
        ret->jid = jid_bare_text(j->arena, contact);
    return account_exists(j->account) && !(ret->bits & CONTACT_SHARED);
}

static bool
is_too_many(struct job *j, struct subscription before, struct subscription now)
{
    const struct roster_config *config = j->config;

    return now.listed && !before.listed &&
           roster_count(account_contacts(j->account), CONTACT_LISTED) >=
                   config->max_items;
}

void
roster_out(struct job *j, const struct sql_result *result)
{
    struct roster_change ch = { .origin = ROSTER_BY_OUT };
    struct subscription before;
    struct subscription_result r;

    (void)result;
    if (j->kind != STANZA_PRESENCE || !find(j, &j->to, &ch.contact))
        return;
    before = roster_subscription(&ch.contact);
    r = subscription_outbound(before, (enum presence_type)j->type);
    if (is_too_many(j, before, r.now)) {
        job_error(j, STANZA_ERROR_NOT_ALLOWED, "the roster is full");
        return;
    }
    ch.contact.bits = roster_bits(r.now, ch.contact.bits);
    roster_change_take(&ch, &r, host_of(j->w, j->to.domain));
    roster_change_begin(j, &ch);
}

/* --- What a contact sends --- */

enum hook_result
roster_on_in(struct event *e)
{
    job_take(e->job, &module);
    e->job->from = e->s->from;
    e->job->to = e->s->to;
    roster_in(e->job, NULL);
    return HOOK_DONE;
}

/* The request that is kept: as a whole, or its words if that is too much. */
static struct str
ask_of(struct job *j)
{
    struct buf out = { 0 };
    struct xml_el *el = xml_copy(j->arena, j->el);
    struct str words = xml_child_text(el, "status", NS_CLIENT), ask;

    xml_write(&out, el, STR(NS_CLIENT));
    if (out.n > ROSTER_ASK_MAX) {
        xml_remove(el, NULL, NULL);
        if (words.n && words.n <= ROSTER_STATUS_MAX)
            xml_add_leaf(el, "status", NS_CLIENT, words);
        buf_reset(&out, SIZE_MAX);
        xml_write(&out, el, STR(NS_CLIENT));
    }
    ask = out.n <= ROSTER_ASK_MAX ? str_dup(j->arena, buf_str(&out)) : STR("");
    buf_fini(&out);
    return ask;
}

static struct str
stanza_bytes(struct job *j)
{
    struct buf out = { 0 };
    struct str bytes;

    xml_write(&out, j->el, STR(NS_CLIENT));
    bytes = str_dup(j->arena, buf_str(&out));
    buf_fini(&out);
    return bytes;
}

static bool
has_room_for_request(struct job *j)
{
    const struct roster_config *config = j->config;

    return roster_count(account_contacts(j->account), CONTACT_ASK_IN) <
           config->max_requests;
}

void
roster_in(struct job *j, const struct sql_result *result)
{
    struct roster_change ch = { .origin = ROSTER_BY_IN };
    struct subscription before;
    struct subscription_result r;
    const struct conf_host *host = host_of(j->w, j->from.domain);

    (void)result;
    if (j->kind != STANZA_PRESENCE || !find(j, &j->from, &ch.contact))
        return;
    before = roster_subscription(&ch.contact);
    r = subscription_inbound(before, (enum presence_type)j->type);
    if (r.acts & SUBSCRIPTION_KEEP && !has_room_for_request(j)) {
        log_info(NULL, "too many requests wait for %.*s: one of %.*s is dropped",
                STR_ARG(account_bare(j->account)), STR_ARG(ch.contact.jid));
        return;
    }
    ch.contact.bits = roster_bits(r.now, ch.contact.bits);
    roster_change_take(&ch, &r, host);
    if (r.acts & SUBSCRIPTION_KEEP)
        ch.contact.ask = ask_of(j);
    if (r.acts & SUBSCRIPTION_DELIVER) {
        ch.flags |= j->type == PRESENCE_SUBSCRIBE ? ROSTER_TO_AVAILABLE
                                                  : ROSTER_TO_INTERESTED;
        ch.stanza = stanza_bytes(j);
    }
    if (host && subscription_kind(r.now) & ~subscription_kind(before) &
                        SUBSCRIPTION_KIND_TO)
        ch.flags |= ROSTER_PROBE;
    if (host && r.acts & SUBSCRIPTION_LOST)
        ch.flags |= ROSTER_FORGET;
    roster_change_begin(j, &ch);
}

/* --- Requests that wait --- */

enum hook_result
roster_on_presence(struct event *e)
{
    const struct contacts *cs = account_contacts(e->account);
    struct stanza s = { .kind = STANZA_PRESENCE,
        .type = PRESENCE_SUBSCRIBE,
        .to = account_jid(e->account) };
    struct contact contact;
    struct arena arena;
    size_t at = 0;

    if (e->was_available || !session_is_available(e->c))
        return HOOK_PASS;
    arena_init(&arena, 1024);
    while (contacts_next(cs, &at, &contact)) {
        struct xml_el *el;

        if (!(contact.bits & CONTACT_ASK_IN))
            continue;
        el = contact.ask.n ? stanza_parse(e->w, &arena, contact.ask) : NULL;
        if (!xml_is(el, "presence", NS_CLIENT))
            el = xml_el_new(&arena, "presence", NS_CLIENT);
        xml_set_c(el, "type", "subscribe");
        xml_set(el, "from", contact.jid);
        xml_set(el, "to", conn_bare(e->c));
        s.from = contact_jid(&contact);
        s.el = el;
        if (account_lets_in(e->w, e->account, NULL, &s)) /* it may be blocked since */
            session_send(e->w, e->c, el);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    return HOOK_PASS;
}

/* --- The account goes --- */

enum hook_result
roster_on_user_removed(struct event *e)
{
    const struct contacts *cs = account_contacts(e->account);
    struct str own = account_bare(e->account);
    struct contact contact;
    size_t at = 0;

    while (contacts_next(cs, &at, &contact)) {
        struct subscription_result r =
                subscription_remove(roster_subscription(&contact));
        struct jid jid = contact_jid(&contact);

        if (contact.bits & CONTACT_SHARED)
            continue;
        if (r.acts & SUBSCRIPTION_SEND_UNAVAILABLE)
            presence_to_contact(e->w, e->account, &jid, false);
        if (r.acts & SUBSCRIPTION_SEND_UNSUBSCRIBE)
            roster_send(e->w, own, &jid, PRESENCE_UNSUBSCRIBE);
        if (r.acts & SUBSCRIPTION_SEND_UNSUBSCRIBED)
            roster_send(e->w, own, &jid, PRESENCE_UNSUBSCRIBED);
    }
    return HOOK_PASS;
}
