#ifndef ROUTER_ROUTE_H
#define ROUTER_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "shm/zone.h"

/*
 * Who is where: the reader's side of the route table, for every process but the router.
 *
 * The table is a zone that the router alone writes and everyone else maps read-only. A
 * reader takes no lock, asks nobody and keeps nobody waiting: it copies what it finds
 * and starts again when the router changed it meanwhile. Whatever bytes the zone holds,
 * a reader stays inside of it and comes back after a bounded time.
 */
enum {
    ROUTE_RESOURCES_MAX = 256, /* sessions of one bare JID */
    ROUTE_BARE_MAX = 2047,     /* local@domain */
    ROUTE_RESOURCE_MAX = 1023,
    ROUTE_REMOTE_MAX = 64,         /* longer addresses are cut */
    ROUTE_PRESENCE_MAX = 60 * 1024 /* a longer presence is kept without its bytes */
};

/* The size that the master makes the zone: sparse, so that only what is used costs. */
#define ROUTE_ZONE_SIZE ((size_t)16 << 30)

/* The answer to ROUTE_BIND. */
enum route_status {
    ROUTE_OK,       /* bound; the resource is in the answer */
    ROUTE_CONFLICT, /* the resource is in use, and resource_conflict says closenew */
    ROUTE_DENIED, /* the request makes no sense: no or too long a bare JID, resource */
    ROUTE_FULL    /* no memory for another session */
};

/* What others must know of a session to deliver to it; bits. */
enum route_flag {
    ROUTE_CARBONS = 1 << 0,      /* wants copies (XEP-0280) */
    ROUTE_CSI_INACTIVE = 1 << 1, /* nobody looks at it (XEP-0352) */
    ROUTE_FILTER = 1 << 2,       /* the account's home decides what is let in */
    ROUTE_ROSTER = 1 << 3,    /* asked for its roster: gets pushes (RFC 6121, 2.1.6) */
    ROUTE_DETACHED = 1 << 4,  /* without connection, can be resumed (XEP-0198) */
    ROUTE_BLOCKLIST = 1 << 5, /* asked for its block list: gets pushes (XEP-0191) */
    ROUTE_TLS = 1 << 6,     /* its client connection is encrypted; for administrators */
    ROUTE_ARCHIVE = 1 << 7, /* everything for the account is archived (XEP-0313) */
    ROUTE_FLEX_OFFLINE = 1 << 8, /* reads what was stored by itself (XEP-0013) */
    ROUTE_OWN_LIST = 1 << 9,     /* a privacy list of its own (XEP-0016) */
    ROUTE_USER_1 = 1 << 14,      /* free for modules */
    ROUTE_USER_2 = 1 << 15,

    /*
     * Of interest to the session's own worker alone: a change of these goes to the
     * table with the next one of something else.
     */
    ROUTE_OWN_WORKER = ROUTE_ROSTER | ROUTE_CSI_INACTIVE
};

/* One zone as this process has mapped it. Members are the functions' own. */
struct route_table {
    const void *base;
    uint64_t n_buckets, heap, end; /* derived from the size, never from the content */
};

/* -EINVAL when the zone is too small to be one. The zone must stay mapped. */
int route_open(struct route_table *t, const struct zone *zone);

struct route_entry {
    uint64_t conn;     /* conn_id_slot(conn) is the worker */
    uint64_t since_us; /* wall clock */
    struct str bare, resource, remote;
    struct str
            presence; /* as it goes to others, without `to`; empty unless asked for */
    int8_t priority;
    bool available;
    uint16_t flags; /* enum route_flag */
};

/*
 * A copy of sessions, to be used again and again: { 0 } is an empty one, and after some
 * use it allocates nothing any more. Views point into it and are valid until its next
 * use.
 */
struct route_snapshot {
    size_t n;
    struct route_entry *entry;
    size_t n_retries; /* how often the copy was started again; for tests and statistics
                       */
    /* The functions' own. */
    size_t n_entries_max, n_words, n_words_max;
    uint64_t *words;
};
void route_snapshot_fini(struct route_snapshot *snap);

enum route_want {
    ROUTE_WANT_PRESENCE = 1
};

/*
 * All sessions of a (prepared) bare JID, the latest bound first: how many, 0 when there
 * is none. -EAGAIN, very rarely: the router changes this entry too quickly for us;
 * treat it like a full mailbox and ask again in a later turn.
 */
int route_lookup(const struct route_table *t, struct str bare, unsigned want,
        struct route_snapshot *ret_snap);

/*
 * Whether a look-up made after route_stamp() would find the same again. false may come
 * for no reason; true is certain, and about as cheap as reading one word.
 */
struct route_stamp {
    uint64_t bucket, word; /* word 0: of no use */
};
struct route_stamp route_stamp(const struct route_table *t, struct str bare);
bool route_unchanged(const struct route_table *t, const struct route_stamp *stamp);

/* One session, without its texts: 1, 0 (not there) or -EAGAIN. About 0.3 us. */
struct route_hit {
    uint64_t conn, since_us;
    int8_t priority;
    bool available;
    uint16_t flags;
};
int route_lookup_full(const struct route_table *t, struct str bare, struct str resource,
        struct route_hit *ret_hit);

/*
 * All sessions of the service, a batch per call: start with *at = 0; returns how many
 * are in the batch, 0 at the end, -EAGAIN (call again with the same *at). Sessions that
 * are there during the whole walk come exactly once, in no order, those of one bare JID
 * in one batch.
 */
int route_walk(const struct route_table *t, uint64_t *at, unsigned want,
        struct route_snapshot *ret_snap);

struct route_stats {
    uint64_t sessions, users;
    uint64_t bytes;  /* in use by sessions */
    uint64_t memory; /* touched, with the directory */
};
void route_stats(const struct route_table *t, struct route_stats *ret_stats);

#endif
