/*
 * undelivered.c -- what a session leaves that its client has not got
 *
 * It is handled as if the session had not been there when it came (RFC 6121, 8.5.3). So
 * what other sessions got at the same time, they do not get again: theirs is another
 * copy, which they have or which waits for them. Who has come since then gets it.
 */
#include "worker/undelivered.h"

#include "base/clock.h"
#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/modules.h"
#include "xml/writer.h"
#include "xmpp/delay.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/traits.h"

enum {
    STEADY_S = 2 /* both are known to the second, and noted a bit later */
};

/* A module knows that it is kept elsewhere. */
static bool
is_settled(struct worker *w, struct conn *c, struct stanza *s)
{
    struct event e = { .w = w,
        .host = host_of(w, conn_domain(c)),
        .c = c,
        .account = session_account(w, c),
        .s = s };

    return e.host && hook_run(w, HOOK_GIVE_BACK, &e) == HOOK_DONE;
}

/*
 * Who else got it, when it was given to this session (worker/deliver.c): of the account
 * as a whole those with the highest priority, of all messages those that want copies.
 */
static struct given
given_of(const struct sm_item *item, const struct stanza *s)
{
    struct given ret = { .s = (uint32_t)(item->at_us / 1000000),
        .priority = item->priority };
    bool own = jid_eq_bare(&s->from, &s->to);

    if (item->shared & ITEM_SHARED && !s->to.resource.n)
        ret.to |= GIVEN_BY_PRIORITY;
    if (item->shared & ITEM_COPIED &&
            traits_copyable(s->traits, (enum message_type)s->type,
                    own ? TRAITS_SENT : TRAITS_RECEIVED, &s->from))
        ret.to |= GIVEN_AS_COPY;
    return ret;
}

void
undelivered_share(struct stanza *s, uint32_t looked_s, bool copied)
{
    s->flags |= copied ? STANZA_SHARED | STANZA_COPIED : STANZA_SHARED;
    s->given.s = looked_s;
}

/*
 * One that is full may be resumed before its end; it must not be taken for one that has
 * it.
 */
void
undelivered_missed(struct worker *w, struct conn *c, const struct stanza *s)
{
    if (s->kind == STANZA_MESSAGE && c->state == STREAM_DETACHED)
        SET(w, c->steady_s, 0);
}

bool
undelivered_was_there(const struct conn *c, uint32_t looked_s)
{
    return c->steady_s && c->steady_s + STEADY_S < looked_s;
}

bool
undelivered_is_known(const struct conn *c, const struct given *given)
{
    /* A clock that was set back says nothing of who came first. */
    if (given->s > clock_wall_us() / 1000000 || !undelivered_was_there(c, given->s) ||
            c->flags & CONN_LOST)
        return false;
    return (given->to & GIVEN_BY_PRIORITY && c->flags & CONN_AVAILABLE &&
                   c->priority >= given->priority) ||
           (given->to & GIVEN_AS_COPY && c->route_flags & ROUTE_CARBONS);
}

static void
give_back(struct worker *w, struct conn *c, struct str bytes, uint64_t at_us,
        const struct sm_item *item)
{
    struct xml_el *el = stanza_parse(w, &w->scratch, bytes);
    struct stanza s = { .flags = STANZA_STORED,
        .hops = 1 }; /* it has been delivered before */
    struct jid server = { .domain = conn_domain(c) };
    struct buf text = { 0 };
    int64_t at;
    enum iq_type iq;

    s.kind = el ? stanza_kind(el) : STANZA_OTHER;
    if (s.kind == STANZA_OTHER || s.kind == STANZA_PRESENCE)
        return;
    if (jid_parse(&w->scratch, xml_attr(el, "from"), &s.from) < 0)
        s.from = server;
    s.el = el;
    if (!(c->route_flags & ROUTE_OWN_LIST)) /* else the account's list was not asked */
        s.flags |= STANZA_FILTERED;
    if (s.kind == STANZA_IQ) {
        s.to = conn_jid(c);
        s.bytes = bytes;
        if (iq_type(el, &iq) == 0 && (iq == IQ_GET || iq == IQ_SET)) {
            s.type = (uint8_t)iq;
            deliver_error(w, &s, STANZA_ERROR_RECIPIENT_UNAVAILABLE, NULL);
        }
        return;
    }
    s.type = (uint8_t)message_type(el);
    s.traits = traits_of(el);
    if (s.type > MESSAGE_CHAT || s.traits & TRAITS_GIVEN_OUT)
        return; /* a copy of what is kept elsewhere, or of no use later */
    if (jid_parse(&w->scratch, xml_attr(el, "to"), &s.to) < 0)
        s.to = conn_jid(c);
    if (item)
        s.given = given_of(item, &s);
    s.to = conn_jid(c);
    s.to.resource = STR_NULL;
    if (is_settled(w, c, &s))
        return;
    if (delay_find(el, NULL, &at) < 0)
        delay_add(el, server.domain, (int64_t)at_us, STR_NULL);
    xml_write(&text, el, STR(NS_CLIENT));
    s.bytes = buf_str(&text);
    deliver(w, &s);
    buf_fini(&text);
}

void
undelivered(struct worker *w, struct conn *c, struct str bytes, uint64_t at_us)
{
    give_back(w, c, bytes, at_us, NULL);
}

void
undelivered_item(struct worker *w, struct conn *c, const struct sm_item *item)
{
    give_back(w, c, (struct str){ item->bytes, item->n }, item->at_us, item);
}
