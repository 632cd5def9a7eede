/*
 * subscription.c -- how a user and a contact stand to each other
 *
 * The tables of RFC 6121, appendix A, are subscription.def. What else has to happen is
 * not written into them but follows from the difference between two states: who lost
 * sight of whom, whether the item looks different to a client.
 */
#include "xmpp/subscription.h"

#include <assert.h>
#include <errno.h>

#include "base/mem.h"
#include "xml/el.h"

static const struct {
    enum subscription_kind kind;
    bool out, in;
    const char *name;
} states[SUBSCRIPTION_STATES] = {
#define SUBSCRIPTION_STATE(id, kind, out, in, name) \
    { SUBSCRIPTION_KIND_##kind, out, in, name },
#include "xmpp/subscription.def"
};

enum {
    NOTHING = 0,
    ROUTE = 1,
    DELIVER = 2,
    REPLY = 4
};

struct step {
    uint8_t act, to;
};

static const struct step outbound[PRESENCE_TYPES][SUBSCRIPTION_STATES] = {
#define SUBSCRIPTION_OUTBOUND(type, from, act, to) \
    [PRESENCE_##type][SUBSCRIPTION_##from] = { act, SUBSCRIPTION_##to },
#include "xmpp/subscription.def"
};

static const struct step inbound[PRESENCE_TYPES][SUBSCRIPTION_STATES] = {
#define SUBSCRIPTION_INBOUND(type, from, act, to) \
    [PRESENCE_##type][SUBSCRIPTION_##from] = { act, SUBSCRIPTION_##to },
#include "xmpp/subscription.def"
};

static const char *const kind_names[] = {
    [SUBSCRIPTION_KIND_NONE] = "none",
    [SUBSCRIPTION_KIND_TO] = "to",
    [SUBSCRIPTION_KIND_FROM] = "from",
    [SUBSCRIPTION_KIND_BOTH] = "both",
};

static const char kind_letters[] = "NTFB";
static const char ask_letters[] = "NOIB"; /* by out + 2 * in */

enum subscription_kind
subscription_kind(struct subscription s)
{
    return states[s.state].kind;
}

bool
subscription_pending_out(struct subscription s)
{
    return states[s.state].out;
}

bool
subscription_pending_in(struct subscription s)
{
    return states[s.state].in;
}

bool
subscription_is_shown(struct subscription s)
{
    return s.listed;
}

bool
subscription_is_nothing(struct subscription s)
{
    return !s.listed && s.state == SUBSCRIPTION_NONE;
}

const char *
subscription_state_name(enum subscription_state state)
{
    return states[state].name;
}

const char *
subscription_kind_name(enum subscription_kind kind)
{
    return kind_names[kind];
}

int
subscription_kind_from(struct str name, enum subscription_kind *ret)
{
    for (unsigned i = 0; i < ARRAY_LEN(kind_names); i++) {
        if (str_eq_c(name, kind_names[i])) {
            *ret = (enum subscription_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

static bool
is_subscription_type(enum presence_type type)
{
    return type == PRESENCE_SUBSCRIBE || type == PRESENCE_SUBSCRIBED ||
           type == PRESENCE_UNSUBSCRIBE || type == PRESENCE_UNSUBSCRIBED;
}

/* All states but a mere request of the contact are items of the roster. */
static void
list_if_known(struct subscription *s)
{
    if (s->approved ||
            (s->state != SUBSCRIPTION_NONE && s->state != SUBSCRIPTION_NONE_IN))
        s->listed = true;
}

static bool
same(struct subscription a, struct subscription b)
{
    return a.state == b.state && a.approved == b.approved && a.listed == b.listed;
}

/* Do clients see them as different items? */
static bool
looks_different(struct subscription a, struct subscription b)
{
    return a.listed != b.listed || a.approved != b.approved ||
           subscription_kind(a) != subscription_kind(b) ||
           subscription_pending_out(a) != subscription_pending_out(b);
}

/* What follows from the difference alone. */
static unsigned
consequences(struct subscription before, struct subscription now)
{
    unsigned was = subscription_kind(before), is = subscription_kind(now), acts = 0;

    if (!same(before, now))
        acts |= SUBSCRIPTION_WRITE;
    if (is & ~was & SUBSCRIPTION_KIND_FROM)
        acts |= SUBSCRIPTION_SEND_PRESENCE;
    if (was & ~is & SUBSCRIPTION_KIND_FROM)
        acts |= SUBSCRIPTION_SEND_UNAVAILABLE;
    if (was & ~is & SUBSCRIPTION_KIND_TO)
        acts |= SUBSCRIPTION_LOST;
    return acts;
}

struct subscription_result
subscription_outbound(struct subscription before, enum presence_type type)
{
    struct subscription_result r = { .now = before };
    const struct step *step;

    assert(is_subscription_type(type));
    step = &outbound[type][before.state];
    r.now.state = step->to;
    /* Nothing to approve yet: then it is in advance (3.4.2). */
    if (type == PRESENCE_SUBSCRIBED && step->act == NOTHING &&
            !(subscription_kind(before) & SUBSCRIPTION_KIND_FROM))
        r.now.approved = true;
    if (type == PRESENCE_UNSUBSCRIBED)
        r.now.approved = false;
    list_if_known(&r.now);
    r.acts = consequences(before, r.now);
    if (step->act == ROUTE)
        r.acts |= SUBSCRIPTION_ROUTE;
    /* A request that is repeated is confirmed by a push each time (3.1.2). */
    if (r.now.listed && (!same(before, r.now) || (type == PRESENCE_SUBSCRIBE &&
                                                         states[r.now.state].out)))
        r.acts |= SUBSCRIPTION_PUSH;
    return r;
}

struct subscription_result
subscription_inbound(struct subscription before, enum presence_type type)
{
    struct subscription_result r = { .now = before };
    struct step step;

    assert(is_subscription_type(type));
    step = inbound[type][before.state];
    /* Approved in advance: the user's answer follows at once, and he is not asked. */
    if (type == PRESENCE_SUBSCRIBE && before.approved) {
        step.to = outbound[PRESENCE_SUBSCRIBED][step.to].to;
        step.act = REPLY;
    }
    r.now.state = step.to;
    list_if_known(&r.now);
    r.acts = consequences(before, r.now);
    if (step.act & DELIVER)
        r.acts |= SUBSCRIPTION_DELIVER;
    if (type == PRESENCE_SUBSCRIBE && (step.act & DELIVER))
        r.acts |= SUBSCRIPTION_KEEP;
    /*
     * A contact that asks for what it has already lost its state, and with it our
     * presence.
     */
    if (type == PRESENCE_SUBSCRIBE && (step.act & REPLY))
        r.acts |= SUBSCRIPTION_SEND_SUBSCRIBED | SUBSCRIPTION_SEND_PRESENCE;
    if (type == PRESENCE_UNSUBSCRIBE && (step.act & REPLY))
        r.acts |= SUBSCRIPTION_SEND_UNSUBSCRIBED;
    if (r.now.listed && looks_different(before, r.now))
        r.acts |= SUBSCRIPTION_PUSH;
    return r;
}

struct subscription_result
subscription_remove(struct subscription before)
{
    struct subscription_result r = { .now = { 0 } };
    unsigned kind = subscription_kind(before);

    r.acts = consequences(before, r.now);
    if ((kind & SUBSCRIPTION_KIND_TO) || subscription_pending_out(before))
        r.acts |= SUBSCRIPTION_SEND_UNSUBSCRIBE;
    if ((kind & SUBSCRIPTION_KIND_FROM) || subscription_pending_in(before))
        r.acts |= SUBSCRIPTION_SEND_UNSUBSCRIBED;
    if (subscription_is_shown(before))
        r.acts |= SUBSCRIPTION_PUSH;
    return r;
}

void
subscription_to_db(struct subscription s, char *ret_subscription, char *ret_ask)
{
    *ret_subscription = kind_letters[subscription_kind(s)];
    *ret_ask =
            ask_letters[subscription_pending_out(s) + 2 * subscription_pending_in(s)];
}

/* The state; a request for what is granted already is dropped. */
static enum subscription_state
state_of(enum subscription_kind kind, bool out, bool in)
{
    unsigned i = 0;

    out = out && !(kind & SUBSCRIPTION_KIND_TO);
    in = in && !(kind & SUBSCRIPTION_KIND_FROM);
    while (states[i].kind != kind || states[i].out != out || states[i].in != in)
        i++;
    return (enum subscription_state)i;
}

static int
letter_place(const char *letters, char c, unsigned *ret)
{
    const char *at = c ? strchr(letters, c) : letters;

    if (!at)
        return -EINVAL;
    *ret = (unsigned)(at - letters);
    return 0;
}

int
subscription_from_db(char subscription, char ask, bool approved, bool listed,
        struct subscription *ret)
{
    struct subscription s = { .approved = approved };
    unsigned kind, pending;

    /* Tables older than the two-way requests: asked to subscribe, to unsubscribe. */
    if (ask == 'S')
        ask = 'O';
    else if (ask == 'U')
        ask = 'N';
    if (letter_place(kind_letters, subscription, &kind) < 0 ||
            letter_place(ask_letters, ask, &pending) < 0)
        return -EINVAL;
    s.state = (uint8_t)state_of((enum subscription_kind)kind, pending & 1, pending & 2);
    s.listed = listed || s.state == SUBSCRIPTION_NONE;
    list_if_known(&s);
    *ret = s;
    return 0;
}

void
subscription_write(struct subscription s, struct xml_el *item)
{
    xml_set_c(item, "subscription", kind_names[subscription_kind(s)]);
    xml_set(item, "ask", subscription_pending_out(s) ? STR("subscribe") : STR_NULL);
    xml_set(item, "approved", s.approved ? STR("true") : STR_NULL);
}

int
subscription_read(const struct xml_el *item, struct subscription *ret)
{
    struct str name = xml_attr(item, "subscription"), ask = xml_attr(item, "ask");
    struct str approved = xml_attr(item, "approved");
    enum subscription_kind kind = SUBSCRIPTION_KIND_NONE;

    if (str_eq(name, STR("remove")))
        return 1;
    if (name.p && subscription_kind_from(name, &kind) < 0)
        return -EINVAL;
    if (ask.p && !str_eq(ask, STR("subscribe")))
        return -EINVAL;
    *ret = (struct subscription){
        .state = (uint8_t)state_of(kind, ask.p, false),
        .approved = str_eq(approved, STR("true")) || str_eq(approved, STR("1")),
        .listed = true,
    };
    return 0;
}
