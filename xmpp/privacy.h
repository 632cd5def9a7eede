#ifndef XMPP_PRIVACY_H
#define XMPP_PRIVACY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "xmpp/jid.h"
#include "xmpp/stanza.h"
#include "xmpp/subscription.h"

struct arena;

/*
 * A privacy list (XEP-0016): rules in their order, packed into one block on the heap
 * that holds nothing else. It does not change: an edit makes a new list. NULL is a
 * list, too: the empty one, which allows everything.
 */
struct privacy_list;

enum privacy_type {
    PRIVACY_ANY, /* the fall-through rule */
    PRIVACY_JID,
    PRIVACY_GROUP,
    PRIVACY_SUBSCRIPTION
};

/* Which stanzas a rule is about. */
enum privacy_match {
    PRIVACY_MATCH_IQ = 1,           /* incoming */
    PRIVACY_MATCH_MESSAGE = 2,      /* incoming */
    PRIVACY_MATCH_PRESENCE_IN = 4,  /* notifications: available and unavailable */
    PRIVACY_MATCH_PRESENCE_OUT = 8, /* the same */
    PRIVACY_MATCH_ALL = 16          /* all, both ways, subscriptions and probes, too */
};

/*
 * A rule. Of the last three members only the one of its type counts. What it points to
 * belongs to the arena or the list it came from.
 */
struct privacy_item {
    enum privacy_type type;
    bool deny;
    unsigned match; /* of enum privacy_match */
    uint64_t order;
    struct jid jid;                      /* of PRIVACY_JID */
    struct str group;                    /* of PRIVACY_GROUP */
    enum subscription_kind subscription; /* of PRIVACY_SUBSCRIPTION */
};

/* What a client may make; a list that the database holds is taken as it is. */
enum {
    PRIVACY_ITEMS_MAX = 5000,
    PRIVACY_SIZE_MAX = 256 * 1024 /* bytes of memory */
};

/* Sorted by order; items of the same order stay as they are given. n == 0: NULL. */
struct privacy_list *privacy_list_new(const struct privacy_item items[], size_t n);
void privacy_list_free(struct privacy_list **list);

size_t privacy_list_count(const struct privacy_list *list);
size_t privacy_list_size(const struct privacy_list *list); /* bytes of memory */
/* Is there a rule about groups or subscriptions, which only the roster can answer? */
bool privacy_list_needs_roster(const struct privacy_list *list);

/*
 * The list as bytes (a view of it; NULL: none) that may be kept or sent to processes of
 * the same service, and the list that such bytes are: a new one (0, or -EINVAL for what
 * is no list), or a view of bytes that are known to be one, at a multiple of 4.
 */
struct str privacy_list_bytes(const struct privacy_list *list);
int privacy_list_from_bytes(struct str bytes, struct privacy_list **ret_list);
const struct privacy_list *privacy_list_view(const void *bytes);

/*
 * The rules in turn: begin with *at = 0; false at the end. *ret_item is a view.
 */
bool privacy_next(
        const struct privacy_list *list, size_t *at, struct privacy_item *ret_item);

/* The value as rows and attributes have it: an address, a group, "both", or "". */
struct str privacy_item_value(struct arena *arena, const struct privacy_item *item);
/* Is it an item of the block list: an address from which, and to which, nothing goes?
 */
bool privacy_item_blocks(const struct privacy_item *item);

enum privacy_way {
    PRIVACY_IN,
    PRIVACY_OUT
};

enum privacy_stanza {
    PRIVACY_MESSAGE,
    PRIVACY_IQ,
    PRIVACY_NOTIFICATION, /* presence without type, or unavailable */
    PRIVACY_OTHER         /* all other presence */
};

enum privacy_stanza privacy_stanza_of(const struct xml_el *stanza);

/* The other side of a stanza, as the user's roster knows it. */
struct privacy_peer {
    struct jid jid;
    enum subscription_kind subscription;
    /* Is it in a group of the roster? Not called by lists that do not need the roster.
     */
    bool (*in_group)(void *arg, struct str group);
    void *arg;
};

enum privacy_verdict {
    PRIVACY_ALLOWED,
    PRIVACY_DENIED,
    PRIVACY_BLOCKED /* denied by a rule that is an item of the block list (XEP-0191) */
};

/*
 * What the list says about a stanza between user and peer (XEP-0016, 2.1 and 2.2). What
 * the user's own devices say to each other, and what he says to his server, is always
 * allowed.
 */
enum privacy_verdict privacy_judge(const struct privacy_list *list,
        const struct jid *user, const struct privacy_peer *peer, enum privacy_way way,
        enum privacy_stanza stanza);

/* Is an address what a rule (or an item of the block list) names? XEP-0016, 2.1. */
bool privacy_jid_matches(const struct jid *rule, const struct jid *jid);

/*
 * The error that answers a stanza that was not allowed, or NULL where none may be sent
 * (XEP-0016, 2.14; XEP-0191, 3.3). Inbound: to the sender, who learns no more than that
 * the user is not there. Outbound: to the user, with a note if the peer is on his block
 * list.
 *
 * Not answered are also messages of rooms: an error would make the room remove the
 * user.
 */
struct xml_el *privacy_refusal(struct arena *arena, const struct xml_el *stanza,
        enum privacy_way way, enum privacy_verdict verdict);

/* A row of ejabberd's privacy_list_data. */
struct privacy_row {
    char t;      /* n, j, g, s */
    char action; /* a, d */
    bool match_all, match_iq, match_message, match_presence_in, match_presence_out;
    uint64_t ord;
    struct str value;
};

/* 0, or -EINVAL: a row that means nothing. */
int privacy_item_from_row(struct arena *arena, const struct privacy_row *row,
        struct privacy_item *ret_item);
void privacy_item_to_row(struct arena *arena, const struct privacy_item *item,
        struct privacy_row *ret_row);

/* What a client asks for by a <query xmlns='jabber:iq:privacy'/>. */
enum privacy_op {
    PRIVACY_GET_NAMES,
    PRIVACY_GET_LIST,
    PRIVACY_SET_ACTIVE,  /* name.p == NULL: none from now on */
    PRIVACY_SET_DEFAULT, /* the same */
    PRIVACY_SET_LIST,
    PRIVACY_REMOVE_LIST
};

struct privacy_request {
    enum privacy_op op;
    struct str name;           /* a view of the query, as is list */
    const struct xml_el *list; /* of PRIVACY_SET_LIST */
};

/* type: IQ_GET or IQ_SET. Returns 0 or -EINVAL (answer bad-request). */
int privacy_request(const struct xml_el *query, enum iq_type type,
        struct privacy_request *ret_request);

/*
 * Reads a <list/> with at least one item. has_group: is there such a group in the
 * roster? May be NULL: all are. Returns 0, or -EINVAL with the error to answer.
 */
int privacy_list_read(struct arena *arena, const struct xml_el *list,
        bool (*has_group)(void *arg, struct str group), void *arg,
        struct privacy_list **ret_list, enum stanza_error *ret_error);

/* Adds <list name='…'/> with its items to a <query/>. name is copied. */
struct xml_el *privacy_list_write(
        const struct privacy_list *list, struct str name, struct xml_el *query);

#endif
