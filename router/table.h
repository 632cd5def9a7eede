#ifndef ROUTER_TABLE_H
#define ROUTER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "shm/zone.h"

/*
 * The route table from its writer's side: the router alone. Every function leaves it
 * right for readers, and for a successor, at each single instruction.
 */
struct table; /* opaque: the writer's private knowledge of the zone */

struct table_session {
    uint64_t conn, since_us;
    struct str bare, resource, remote, presence;
    uint32_t serial;    /* of the last presence, 0: none */
    bool was_available; /* before that one */
    int8_t priority;
    bool available;
    uint16_t flags;
    uint32_t epoch; /* when its worker last said that it is there */
};

/* What was found at the start. */
struct table_found {
    uint64_t sessions, users;
    uint64_t damaged; /* places where a chain had to be cut */
    bool fresh;       /* there was no table */
};

/*
 * Takes over what is in the (writable) zone, whatever state a predecessor left it in,
 * or begins a new table. 0, -EINVAL (too small), -ENOMEM.
 */
int table_open(
        const struct zone *zone, struct table **ret, struct table_found *ret_found);
void table_free(struct table **t);

/* A number that no earlier router of this table has used. */
uint32_t table_next_epoch(struct table *t);

/*
 * The sessions of a bare JID, at most n_max; how many. The views are into the table:
 * valid until it is changed.
 */
size_t table_sessions(const struct table *t, struct str bare, struct table_session *ret,
        size_t n_max);

/*
 * Adds a session, in the place of connection `instead` when that has one of the same
 * bare JID (one step for readers); the caller sees to it that there is at most one of a
 * connection or resource. Views of s may be into the table. 0, -ENOSPC, or -EINVAL (a
 * part too long).
 */
int table_put(struct table *t, const struct table_session *s, uint64_t instead);

/* Changes what needs no memory. False when the connection has no session. */
bool table_set(struct table *t, struct str bare, uint64_t conn, int8_t priority,
        bool available, uint16_t flags, uint32_t epoch);

bool table_remove(struct table *t, struct str bare, uint64_t conn);

/*
 * Looks at the sessions of the next n_buckets buckets from *at (start with 0) and
 * removes those for which gone() is true; false when it has come to the end.
 * *ret_removed counts on.
 */
bool table_sweep(struct table *t, uint64_t *at, uint64_t n_buckets,
        bool (*gone)(void *arg, uint64_t conn, uint32_t epoch), void *arg,
        uint64_t *ret_removed);

#endif
