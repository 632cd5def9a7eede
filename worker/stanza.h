#ifndef WORKER_STANZA_H
#define WORKER_STANZA_H

#include <stdint.h>

#include "base/str.h"
#include "xml/el.h"
#include "xmpp/jid.h"
#include "xmpp/stanza.h"

/*
 * A stanza on its way. Its bytes were serialised once, for any jabber:client stream;
 * the tree is there in the worker that parsed it.
 */
enum {
    DELIVER_FIRST = 254, /* of several copies that which is looked up again, if nobody
                            else is there */
    DELIVER_ONCE = 255   /* the others: not looked up again, or somebody gets two */
};

enum stanza_flag {
    STANZA_FILTERED = 1 << 0, /* the account's home has let it in */
    STANZA_STORED = 1 << 1, /* HOOK_USER_RECEIVE has had it: not to be archived again */
    STANZA_COPY = 1 << 2,   /* a carbon or the like: no copies of it */
    STANZA_ARCHIVED = 1 << 3,  /* it is in its recipient's archive (XEP-0313) */
    STANZA_OLDER = 1 << 4,     /* messages that come live wait for it: worker/late.c */
    STANZA_KEEP = 1 << 5,      /* nobody was there: it takes its place in the store */
    STANZA_OURS = 1 << 6,      /* of the server itself: no list is about it */
    STANZA_OWN_LISTS = 1 << 7, /* only for sessions that carry ROUTE_OWN_LIST */
    STANZA_SHARED = 1 << 8,    /* comes live, to all sessions of its account at once, */
    STANZA_COPIED = 1 << 9     /* as a copy to those that want copies */
};

/*
 * A message that was given to a session before, live, and comes back from its end. Who
 * was there then has it. (On its way there it is STANZA_SHARED, and only s is known.)
 */
enum given_to {
    GIVEN_BY_PRIORITY = 1 << 0, /* to those of this priority, and above */
    GIVEN_AS_COPY = 1 << 1      /* to those that carry ROUTE_CARBONS */
};
struct given {
    uint32_t s; /* when it was looked up who is there (wall clock) */
    int8_t priority;
    uint8_t to; /* enum given_to; 0: to that session alone */
};

struct stanza {
    enum stanza_kind kind;
    uint8_t type;   /* message_type, presence_type or iq_type */
    uint8_t hops;   /* how often it was looked up again; or DELIVER_… */
    uint16_t flags; /* enum stanza_flag */
    struct given given;
    uint64_t traits; /* of a message: xmpp/traits.h */
    uint64_t conn;   /* the session it comes from; 0: none */
    struct jid from, to;
    struct str bytes;
    struct xml_el *el; /* NULL: only the bytes */
};

#endif
