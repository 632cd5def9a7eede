/*
 * traits.c -- what a message carries, and what follows from it
 *
 * Every child element is looked up once. The table's namespaces are searched by their
 * lengths first, of which a whole table fits into one or two vector registers: memchr()
 * finds the few candidates, and nearly always the first one is it.
 *
 * Where XEPs leave the choice, we do as ejabberd does, so that a taken-over service
 * archives and keeps the same messages as before.
 */
#include "xmpp/traits.h"

#include "base/mem.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"

_Static_assert(TRAITS <= 64, "the traits fit into one word");

static const char *const trait_names[] = {
#define TRAIT_BIT(id, name) name,
#include "xmpp/traits.def"
};

static const struct {
    struct str ns, name;
    enum trait trait;
} elements[] = {
#define TRAIT_EL(ns, name, id) { STR(ns), STR(name), TRAIT_##id },
#include "xmpp/traits.def"
};

static const unsigned char ns_sizes[] = {
#define TRAIT_EL(ns, name, id) sizeof(ns) - 1,
#include "xmpp/traits.def"
};

/* Notes on a message: alone they are nothing to keep, show or copy. */
#define HINTS                                                                      \
    (TRAIT(STORE) | TRAIT(NO_STORE) | TRAIT(NO_PERMANENT_STORE) | TRAIT(NO_COPY) | \
            TRAIT(PRIVATE))
#define NOTES                                                                      \
    (HINTS | TRAIT(THREAD) | TRAIT(CHAT_STATE) | TRAIT(DELAY) | TRAIT(EVENT_OLD) | \
            TRAIT(STANZA_ID) | TRAIT(ORIGIN_ID) | TRAIT(OCCUPANT_ID) |             \
            TRAIT(MUC_USER))

/* "Payload elements typically used in IM" (XEP-0280, 6.1) */
#define IM                                                                           \
    (TRAIT(CHAT_STATE) | TRAIT(RECEIPT_REQUEST) | TRAIT(RECEIPT) | TRAIT(MARKABLE) | \
            TRAIT(MARKER))

#define INVITATION (TRAIT(MUC_INVITE) | TRAIT(CONFERENCE))

static bool
has(const struct xml_el *el, const char *name)
{
    return xml_child(el, name, NULL) != NULL;
}

static bool
has_text(const struct xml_el *el)
{
    for (const struct xml_el *t = el->first; t; t = t->next)
        if (xml_is_text(t) && t->text.n > 0)
            return true;
    return false;
}

/* An element of the stanza's own namespace. */
static uint64_t
of_core(const struct xml_el *el)
{
    if (str_eq(el->name, STR("body")))
        return TRAIT(BODY) | (has_text(el) ? TRAIT(BODY_TEXT) : 0);
    if (str_eq(el->name, STR("subject")))
        return TRAIT(SUBJECT) | (has_text(el) ? TRAIT(SUBJECT_TEXT) : 0);
    if (str_eq(el->name, STR("thread")))
        return TRAIT(THREAD);
    if (str_eq(el->name, STR("error")))
        return TRAIT(ERROR);
    return TRAIT(OTHER);
}

static uint64_t
of_muc_user(const struct xml_el *x)
{
    uint64_t traits = TRAIT(MUC_USER);

    if (has(x, NULL))
        traits |= TRAIT(MUC_NOTICE);
    if (has(x, "invite"))
        traits |= TRAIT(MUC_INVITE);
    return traits;
}

/* The part of a MUC/Sub node's name that differs, or p == NULL. */
static struct str
mucsub_node(const struct xml_el *event)
{
    struct str node = xml_attr(xml_child(event, "items", NS_PUBSUB_EVENT), "node");
    struct str prefix = STR(NS_MUCSUB_NODES);

    if (!str_starts(node, prefix))
        return STR_NULL;
    return (struct str){ node.p + prefix.n, node.n - prefix.n };
}

static uint64_t
of_event(const struct xml_el *event)
{
    struct str node = mucsub_node(event);

    if (!node.p)
        return TRAIT(PUBSUB_EVENT);
    if (str_eq(node, STR("presence")))
        return TRAIT(PUBSUB_EVENT) | TRAIT(MUCSUB) | TRAIT(MUCSUB_PRESENCE);
    return TRAIT(PUBSUB_EVENT) | TRAIT(MUCSUB);
}

/* Some elements have to be looked into. */
static uint64_t
of_known(enum trait trait, const struct xml_el *el)
{
    uint64_t bit = UINT64_C(1) << trait;

    if (bit == TRAIT(ENCRYPTED) && has(el, "payload"))
        return TRAIT(ENCRYPTED) | TRAIT(ENCRYPTED_PAYLOAD);
    if (bit == TRAIT(ENCRYPTED_PAYLOAD))
        return TRAIT(ENCRYPTED) | TRAIT(ENCRYPTED_PAYLOAD);
    if (bit == TRAIT(JINGLE_PROPOSE))
        return TRAIT(JINGLE_MESSAGE) | TRAIT(JINGLE_PROPOSE);
    if (bit == TRAIT(MUC_USER))
        return of_muc_user(el);
    if (bit == TRAIT(PUBSUB_EVENT))
        return of_event(el);
    return bit;
}

static uint64_t
of_extension(const struct xml_el *el)
{
    const unsigned char *at = ns_sizes, *end = ns_sizes + sizeof ns_sizes;

    if (el->ns.n > UINT8_MAX)
        return TRAIT(OTHER);
    while ((at = memchr(at, (int)el->ns.n, (size_t)(end - at)))) {
        size_t i = (size_t)(at - ns_sizes);

        if (memcmp(elements[i].ns.p, el->ns.p, el->ns.n) == 0 &&
                (elements[i].name.n == 0 || str_eq(elements[i].name, el->name)))
            return of_known(elements[i].trait, el);
        at++;
    }
    return TRAIT(OTHER);
}

uint64_t
traits_of(const struct xml_el *message)
{
    uint64_t traits = 0;

    for (const struct xml_el *el = message->first; el; el = el->next)
        if (!xml_is_text(el))
            traits |= str_eq(el->ns, message->ns) ? of_core(el) : of_extension(el);
    return traits;
}

static const struct xml_el *
in_event(const struct xml_el *event)
{
    struct str node = mucsub_node(event);

    if (!str_eq(node, STR("messages")) && !str_eq(node, STR("subject")))
        return NULL;
    return xml_child(xml_path(event, NS_PUBSUB_EVENT, "items/item"), "message", NULL);
}

const struct xml_el *
traits_wrapped(const struct xml_el *message)
{
    const struct xml_el *inner = NULL;

    for (const struct xml_el *el = message->first; el && !inner; el = el->next) {
        if (xml_is(el, "sent", NS_CARBONS) || xml_is(el, "received", NS_CARBONS))
            inner = xml_child(xml_child(el, "forwarded", NS_FORWARD), "message", NULL);
        else if (xml_is(el, "event", NS_PUBSUB_EVENT))
            inner = in_event(el);
        if (inner && stanza_kind(inner) != STANZA_MESSAGE)
            inner = NULL;
    }
    return inner;
}

uint64_t
traits_inside(const struct xml_el *message, uint64_t traits, enum message_type *type)
{
    const struct xml_el *inner;

    if (!(traits & (TRAITS_CARBON | TRAIT(MUCSUB))))
        return traits;
    inner = traits_wrapped(message);
    if (!inner)
        return traits;
    *type = message_type(inner);
    if ((traits & TRAIT(MUCSUB)) && *type == MESSAGE_GROUPCHAT)
        *type = MESSAGE_CHAT;
    return traits_of(inner) | (traits & (TRAITS_CARBON | TRAIT(MUCSUB)));
}

void
traits_write(struct buf *out, uint64_t traits)
{
    const char *sep = "";

    for (unsigned i = 0; i < TRAITS; i++) {
        if (!(traits & (UINT64_C(1) << i)))
            continue;
        buf_addf(out, "%s%s", sep, trait_names[i]);
        sep = " ";
    }
}

static bool
notes_only(uint64_t traits)
{
    return !(traits & ~NOTES);
}

bool
traits_chat_state_only(uint64_t traits)
{
    return (traits & TRAIT(CHAT_STATE)) && notes_only(traits);
}

bool
traits_subject_change(uint64_t traits)
{
    return (traits & TRAIT(SUBJECT)) && !(traits & TRAIT(BODY));
}

bool
traits_storable(uint64_t traits, enum message_type type, enum traits_empty empty,
        bool groupchat)
{
    if (type == MESSAGE_ERROR || (traits & TRAITS_GIVEN_OUT))
        return false;
    if (traits & TRAIT(STORE))
        return true;
    if (traits & (TRAIT(NO_STORE) | TRAIT(MUCSUB_PRESENCE)))
        return false;
    if (type == MESSAGE_HEADLINE || (type == MESSAGE_GROUPCHAT && !groupchat))
        return false;
    switch (empty) {
    case TRAITS_EMPTY_KEEP:
        return true;
    case TRAITS_EMPTY_DROP:
        return traits & TRAIT(BODY);
    case TRAITS_EMPTY_UNLESS_CHAT_STATE:
        break;
    }
    return !notes_only(traits);
}

/* By hints and contents; what type it is of has been looked at. */
static bool
worth_archiving(uint64_t traits, bool otherwise)
{
    if (traits & TRAIT(STORE))
        return true;
    if (traits & (TRAIT(NO_STORE) | TRAIT(NO_PERMANENT_STORE)))
        return false;
    return otherwise || (traits & (TRAIT(BODY_TEXT) | TRAIT(SUBJECT_TEXT) |
                                          TRAIT(ENCRYPTED_PAYLOAD) | TRAIT(RETRACTION) |
                                          TRAIT(REACTION)));
}

bool
traits_archivable(uint64_t traits, enum message_type type)
{
    if (type == MESSAGE_ERROR || type == MESSAGE_GROUPCHAT ||
            (traits & TRAITS_GIVEN_OUT))
        return false;
    if (type == MESSAGE_HEADLINE && !(traits & TRAIT(STORE)))
        return false;
    /* Events of a room that are not messages in it: the user chose to follow them. */
    return worth_archiving(
            traits, (traits & TRAIT(MUCSUB)) && (traits & TRAIT(PUBSUB_EVENT)));
}

bool
traits_archivable_in_room(uint64_t traits, enum message_type type)
{
    return type == MESSAGE_GROUPCHAT &&
           worth_archiving(traits, traits_subject_change(traits));
}

bool
traits_copyable(uint64_t traits, enum message_type type, enum traits_way way,
        const struct jid *peer)
{
    if (type == MESSAGE_GROUPCHAT ||
            (traits & (TRAIT(PRIVATE) | TRAIT(NO_COPY) | TRAITS_CARBON |
                              TRAIT(MAM_RESULT))))
        return false;
    if (traits & INVITATION)
        return true;
    /* A room sends its private messages to every device that has joined. */
    if (way == TRAITS_RECEIVED && (traits & TRAIT(MUC_USER)) && jid_is_full(peer))
        return false;
    switch (type) {
    case MESSAGE_CHAT:
        return true;
    case MESSAGE_NORMAL:
        return traits & (TRAIT(BODY) | IM);
    case MESSAGE_ERROR:
        return traits & (TRAIT(BODY) | TRAIT(ENCRYPTED) | IM);
    case MESSAGE_HEADLINE:
        return traits & IM;
    case MESSAGE_GROUPCHAT:
    case MESSAGE_TYPES:
        break;
    }
    return false;
}

enum traits_wait
traits_wait_message(uint64_t traits, const struct jid *from, const struct jid *user)
{
    if (jid_eq_bare(from, user))
        return TRAITS_WAIT_NOT;
    if (traits_chat_state_only(traits & ~(TRAITS_CARBON | TRAIT(MUCSUB))))
        return TRAITS_WAIT_CHAT_STATE;
    /* A service without local part is a client's explicit subscription, not eventing.
     */
    if ((traits & TRAIT(PUBSUB_EVENT)) && from->local.n > 0 &&
            !(traits & (TRAIT(MUCSUB) | TRAIT(BODY))))
        return TRAITS_WAIT_EVENT;
    return TRAITS_WAIT_NOT;
}

enum traits_wait
traits_wait_presence(const struct xml_el *presence, enum presence_type type)
{
    const struct xml_el *x;

    if (type != PRESENCE_AVAILABLE && type != PRESENCE_UNAVAILABLE)
        return TRAITS_WAIT_NOT;
    x = xml_child(presence, "x", NS_MUC_USER);
    return has(x, "status") || has(x, "destroy") ? TRAITS_WAIT_NOT
                                                 : TRAITS_WAIT_PRESENCE;
}

bool
traits_wakes(uint64_t traits, enum message_type type)
{
    if (type == MESSAGE_ERROR || (traits & TRAIT(CARBON_SENT)))
        return false;
    return traits & (TRAIT(BODY_TEXT) | TRAIT(ENCRYPTED_PAYLOAD) |
                            TRAIT(JINGLE_PROPOSE) | INVITATION);
}
