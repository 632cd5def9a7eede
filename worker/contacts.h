#ifndef WORKER_CONTACTS_H
#define WORKER_CONTACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "xmpp/jid.h"

/*
 * The roster of an account, packed into one piece of memory: 7 bytes a contact beside
 * its JID, name and groups.
 */
enum contact_bit {
    CONTACT_TO = 1 << 0,       /* we see its presence */
    CONTACT_FROM = 1 << 1,     /* it sees ours */
    CONTACT_ASK_OUT = 1 << 2,  /* we asked for to */
    CONTACT_ASK_IN = 1 << 3,   /* it asked for from, and waits for an answer */
    CONTACT_APPROVED = 1 << 4, /* pre-approved (RFC 6121, 3.4) */
    CONTACT_SHARED = 1 << 5,   /* of a shared group: not in the roster's tables */
    CONTACT_LISTED =
            1 << 6,        /* an item of the roster: a mere request (ASK_IN) is none */
    CONTACT_SEES = 1 << 7, /* it sees us because a shared group shows us to it, without
                              a subscription: no part of the roster */

    CONTACT_MAY_SEE = CONTACT_FROM | CONTACT_SEES
};

enum {
    CONTACT_GROUPS_MAX = 255
};

struct contact {
    struct str jid; /* prepared */
    struct str name;
    struct str groups; /* packed: contact_group_next() */
    struct str ask; /* with ASK_IN: its request, a serialised presence; may be empty */
    uint8_t bits;   /* enum contact_bit */
};

/* { 0 } is an empty one. */
struct contacts {
    char *p;
    size_t n, size; /* bytes */
    uint32_t count;
};

void contacts_fini(struct contacts *cs);

/* Walks: start with *at = 0; false at the end. Views are valid until a change. */
bool contacts_next(const struct contacts *cs, size_t *at, struct contact *ret);
bool contacts_find(const struct contacts *cs, struct str jid, struct contact *ret);

/* Adds or replaces; strings are copied. */
void contacts_put(struct contacts *cs, const struct contact *c);
/* Adds one that is not there yet, without looking: for many at once. */
void contacts_append(struct contacts *cs, const struct contact *c);
bool contacts_del(struct contacts *cs, struct str jid);

/* Gives back what growing has left over. */
void contacts_trim(struct contacts *cs);

/* Its address, in its parts; views. */
struct jid contact_jid(const struct contact *c);

/* Groups are a sequence of strings, each behind its length (2 bytes). */
struct buf;
void contact_group_add(struct buf *groups, struct str name);
bool contact_group_next(struct str *groups, struct str *ret_name);
bool contact_in_group(const struct contact *c, struct str name);

#endif
