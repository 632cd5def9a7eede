#ifndef XMPP_TRAITS_H
#define XMPP_TRAITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "xmpp/stanza.h"

struct jid;

/*
 * What a message carries, found by one walk over its children, as a set of bits that
 * all later decisions are made by: whether it is kept for an absent user, archived,
 * copied to the user's other devices, held back while a client sleeps, worth waking
 * one.
 */
enum trait {
#define TRAIT_BIT(id, name) TRAIT_##id,
#include "xmpp/traits.def"
    TRAITS
};

/* The bit of one trait: TRAIT(BODY) | TRAIT(STORE). */
#define TRAIT(id) (UINT64_C(1) << TRAIT_##id)

/*
 * Wrappers that nobody but the account's own server makes. In a message that a client
 * or another server sent, they are forged (XEP-0280, 11).
 */
#define TRAITS_CARBON (TRAIT(CARBON_SENT) | TRAIT(CARBON_RECEIVED))

/* What a store gave out, or a copy: it must not come to rest in a store again. */
#define TRAITS_GIVEN_OUT (TRAIT(OFFLINE) | TRAIT(MAM_RESULT) | TRAITS_CARBON)

uint64_t traits_of(const struct xml_el *message);

/*
 * The message inside a carbon copy (XEP-0280) or inside an event of MUC/Sub that stands
 * for a room's message or subject; NULL if there is none.
 */
const struct xml_el *traits_wrapped(const struct xml_el *message);

/*
 * The traits and the type by which a message is to be judged below, given its own: for
 * one that wraps another, those of the wrapped one, with the wrapper's bits added; a
 * room's message in a MUC/Sub event counts as type chat. Otherwise nothing changes.
 */
uint64_t traits_inside(
        const struct xml_el *message, uint64_t traits, enum message_type *type);

/* The names of the bits, separated by spaces, for logs. */
void traits_write(struct buf *out, uint64_t traits);

/*
 * A chat state and nothing that anybody would miss: no body, no subject, only notes on
 * the message itself such as hints, ids, a delay, a thread.
 */
bool traits_chat_state_only(uint64_t traits);

/* In a room: a change of the subject (XEP-0045, 8.1). */
bool traits_subject_change(uint64_t traits);

/* What mod_offline may be told. */
enum traits_empty {
    TRAITS_EMPTY_UNLESS_CHAT_STATE, /* all but lone chat states; the usual */
    TRAITS_EMPTY_KEEP,              /* messages without a body, too */
    TRAITS_EMPTY_DROP               /* only messages with a body */
};

/*
 * May the message be kept for a user who is not there (XEP-0160, 3; hints of XEP-0334)?
 * groupchat: whether messages of that type may (they must not, by default).
 */
bool traits_storable(uint64_t traits, enum message_type type, enum traits_empty empty,
        bool groupchat);

/*
 * Does it belong into the archive of a user (XEP-0313, 6.1.1): what has a text, what
 * the sender hints to store, and what takes effect on archived messages (XEP-0424,
 * 0444)? Whether it has been archived already (a stanza-id of ours) is the caller's to
 * see.
 */
bool traits_archivable(uint64_t traits, enum message_type type);
/* Into the archive of a room (XEP-0313, 6.1.2)? */
bool traits_archivable_in_room(uint64_t traits, enum message_type type);

enum traits_way {
    TRAITS_SENT,
    TRAITS_RECEIVED
};

/*
 * Is it eligible for carbon copies (XEP-0280, 6.1, the rules of
 * urn:xmpp:carbons:rules:0)? peer: to whom it was sent, or from whom it came.
 *
 * Of an error nobody remembers what it answers; it is eligible by what it echoes.
 */
bool traits_copyable(uint64_t traits, enum message_type type, enum traits_way way,
        const struct jid *peer);

/*
 * How long may a client that is inactive wait for a stanza (XEP-0352)? What may wait is
 * replaced by the next of its kind from the same sender (events: of the same node).
 *
 * Something that may not wait lets go first what is held from the same bare address, so
 * that the order of one sender's stanzas is kept.
 */
enum traits_wait {
    TRAITS_WAIT_NOT,
    TRAITS_WAIT_PRESENCE,
    TRAITS_WAIT_CHAT_STATE,
    TRAITS_WAIT_EVENT /* of personal eventing, XEP-0163 */
};

/*
 * Of a message that goes to a user's client. from: whose message it is, of a carbon
 * copy or a MUC/Sub event the sender of the wrapped one. What the user's own devices
 * and his own eventing say never waits: by it one device learns what was read on
 * another.
 */
enum traits_wait traits_wait_message(
        uint64_t traits, const struct jid *from, const struct jid *user);
/*
 * Of a presence: only availability waits, and not where a room tells the user something
 * about himself, by status codes or its destruction (XEP-0045).
 */
enum traits_wait traits_wait_presence(
        const struct xml_el *presence, enum presence_type type);

/*
 * Is it worth waking a device (XEP-0357): a text, also an encrypted one, a call, an
 * invitation, and not sent by the user himself?
 */
bool traits_wakes(uint64_t traits, enum message_type type);

#endif
