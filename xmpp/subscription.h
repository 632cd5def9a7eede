#ifndef XMPP_SUBSCRIPTION_H
#define XMPP_SUBSCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "xmpp/stanza.h"

/* As the bits say: TO: the user sees the contact, FROM: the contact sees the user. */
enum subscription_kind {
    SUBSCRIPTION_KIND_NONE = 0,
    SUBSCRIPTION_KIND_TO = 1,
    SUBSCRIPTION_KIND_FROM = 2,
    SUBSCRIPTION_KIND_BOTH = 3
};

enum subscription_state {
#define SUBSCRIPTION_STATE(id, kind, out, in, name) SUBSCRIPTION_##id,
#include "xmpp/subscription.def"
    SUBSCRIPTION_STATES
};

/*
 * How a user and a contact stand to each other, from the user's side. { 0 }: the
 * contact is unknown.
 */
struct subscription {
    uint8_t state; /* enum subscription_state */
    bool approved; /* in advance (RFC 6121, 3.4) */
    /*
     * The user has an item for the contact in his roster. A request of a contact does
     * not make one (3.1.3), so this is false while nothing but such a request is known.
     */
    bool listed;
};

/*
 * What is to be done, in this order. All stanzas of the server are from the user's bare
 * address to the contact's, but availability, which is from each available resource.
 */
enum subscription_act {
    /*
     * The state or a mark differs from before: write the record, or remove it if
     * subscription_is_nothing().
     */
    SUBSCRIPTION_WRITE = 1 << 0,
    /*
     * A new request: the stanza as a whole is kept with the record until it is
     * answered, and delivered again whenever a resource becomes available (3.1.3).
     */
    SUBSCRIPTION_KEEP = 1 << 1,
    /*
     * Deliver the stanza: a subscribe to the available resources (3.1.3), all others to
     * the interested ones (3.1.6, 3.2.3, 3.3.3).
     */
    SUBSCRIPTION_DELIVER = 1 << 2,
    /* Unavailable presence of the user to the contact, as long as it may see it
     * (3.2.2). */
    SUBSCRIPTION_SEND_UNAVAILABLE = 1 << 3,
    /* The stanza goes on to the contact, from the user's bare address. */
    SUBSCRIPTION_ROUTE = 1 << 4,
    /* The server sends one of these for the user. */
    SUBSCRIPTION_SEND_SUBSCRIBED = 1 << 5,
    SUBSCRIPTION_SEND_UNSUBSCRIBE = 1 << 6,
    SUBSCRIPTION_SEND_UNSUBSCRIBED = 1 << 7,
    /* The item goes to all interested resources. */
    SUBSCRIPTION_PUSH = 1 << 8,
    /* The user's present availability to the contact (3.1.5). */
    SUBSCRIPTION_SEND_PRESENCE = 1 << 9,
    /*
     * The user no longer sees the contact. There is nothing to send: the contact's
     * server sends unavailable presence, which is delivered as any other; but what is
     * kept of the contact's presence is void, and so are filters and caches made of it.
     */
    SUBSCRIPTION_LOST = 1 << 10
};

struct subscription_result {
    struct subscription now;
    unsigned acts; /* of enum subscription_act */
};

/*
 * The user sends the contact a presence of type subscribe, unsubscribe, subscribed or
 * unsubscribed (appendix A.2, 3.4).
 */
struct subscription_result subscription_outbound(
        struct subscription before, enum presence_type type);

/* The contact sends the user one (appendix A.3, 3.4). */
struct subscription_result subscription_inbound(
        struct subscription before, enum presence_type type);

/*
 * The user removes the item from his roster (2.5), or the account goes: what has to be
 * sent. Requests that are not answered yet are taken back, or denied.
 */
struct subscription_result subscription_remove(struct subscription before);

enum subscription_kind subscription_kind(struct subscription s);
bool subscription_pending_out(struct subscription s);
bool subscription_pending_in(struct subscription s);

/* Is it an item of the roster as clients see it (2.1.2.5, 3.1.3)? */
bool subscription_is_shown(struct subscription s);
/* Nothing is known: there is no record to keep. */
bool subscription_is_nothing(struct subscription s);

const char *subscription_state_name(
        enum subscription_state state);                          /* "To + Pending In" */
const char *subscription_kind_name(enum subscription_kind kind); /* "both" */
/* By name: 0 or -EINVAL. */
int subscription_kind_from(struct str name, enum subscription_kind *ret);

/*
 * The columns subscription (B, T, F, N) and ask (B, O, I, N) of ejabberd's rosterusers.
 */
void subscription_to_db(struct subscription s, char *ret_subscription, char *ret_ask);

/*
 * From the columns; '\0' stands for an empty one. S and U of old tables are read, too,
 * and of states that cannot be (requests for what is granted already), the request is
 * dropped. Returns 0, or -EINVAL for other letters.
 *
 * listed: a row (N, I) does not tell by itself whether the user has an item; a name or
 * a group in it does. Of all other rows it is true whatever is given here.
 */
int subscription_from_db(char subscription, char ask, bool approved, bool listed,
        struct subscription *ret);

/* Sets the attributes subscription, ask and approved of a roster's <item/> (2.1.2). */
void subscription_write(struct subscription s, struct xml_el *item);

/*
 * From these attributes, for import; a request of the contact is not among them.
 * Returns 0, 1 for subscription='remove' (*ret is not written), or -EINVAL.
 */
int subscription_read(const struct xml_el *item, struct subscription *ret);

#endif
