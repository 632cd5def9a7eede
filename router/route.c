/*
 * route.c -- reading the route table
 *
 * A session in the table is a node that never changes while it can be found, except for
 * two words. The router publishes, replaces or removes one with a single store into its
 * predecessor; then it counts the change in the bucket, and only then the memory of the
 * old node may be used again. So a reader that found the same count before and after it
 * walked the chain has seen no memory that was used again, whatever happened meanwhile;
 * and a router that is killed at any instruction leaves a table that is right: there is
 * no state in between, and nobody waits for it.
 *
 * (Loads are acquiring and the router's stores releasing: who sees a word of a new
 * session in old memory also sees the bucket's new count. On most machines this costs
 * nothing, and unlike fences it is understood by tools that look for races.)
 *
 * Nothing is believed: offsets and lengths are checked after they were copied out, the
 * shape of the zone comes from its size, and both chains and retries have an end.
 */
#include "router/route.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "router/layout.h"

enum {
    TRIES = 32,
    ROUNDS = 4
};

typedef const _Atomic uint64_t shared_word; /* as the compiler must see it */

static uint64_t
load(shared_word *w)
{
    return atomic_load_explicit(w, memory_order_acquire);
}

int
route_open(struct route_table *t, const struct zone *zone)
{
    uint64_t n = LAYOUT_BUCKETS_MIN, heap, end;

    while (n < LAYOUT_BUCKETS_MAX && n * 2 * LAYOUT_BYTES_A_BUCKET <= zone->size)
        n *= 2;
    heap = LAYOUT_DIRECTORY + n * sizeof(uint64_t);
    end = zone->size / LAYOUT_UNIT;
    if (end > UINT32_MAX)
        end = UINT32_MAX;
    if (!zone->base || heap / LAYOUT_UNIT + LAYOUT_NODE_MAX / LAYOUT_UNIT > end)
        return -EINVAL;
    *t = (struct route_table){
        .base = zone->base,
        .n_buckets = n,
        .heap = heap / LAYOUT_UNIT,
        .end = end,
    };
    return 0;
}

void
route_snapshot_fini(struct route_snapshot *snap)
{
    mem_free_p(snap->entry);
    mem_free_p(snap->words);
    *snap = (struct route_snapshot){ 0 };
}

static shared_word *
bucket_of(const struct route_table *t, uint64_t hash)
{
    shared_word *directory =
            (shared_word *)t->base + LAYOUT_DIRECTORY / sizeof(uint64_t);

    return &directory[hash & (t->n_buckets - 1)];
}

static uint64_t
hash_of(const struct route_table *t, struct str bare)
{
    shared_word *header = t->base;
    struct hash_key key = { { load(&header[HEADER_KEY0]),
            load(&header[HEADER_KEY1]) } };

    return hash_bytes(&key, bare.p, bare.n);
}

/* The words of a node; NULL when there cannot be one. */
static shared_word *
node_at(const struct route_table *t, uint32_t at)
{
    if (at < t->heap ||
            at > t->end - NODE_HEAD_WORDS * sizeof(uint64_t) / LAYOUT_UNIT - 1)
        return NULL;
    return (shared_word *)t->base + (uint64_t)at * (LAYOUT_UNIT / sizeof(uint64_t));
}

/* Do so many words of a node that is at `at` lie inside of the heap? */
static bool
node_fits(const struct route_table *t, uint32_t at, size_t words)
{
    return words <= LAYOUT_NODE_MAX / sizeof(uint64_t) &&
           at + (words * sizeof(uint64_t) + LAYOUT_UNIT - 1) / LAYOUT_UNIT <= t->end;
}

static size_t
words_for(size_t bytes)
{
    return (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

static void
words_copy(uint64_t *to, shared_word *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = load(&from[i]);
}

static void
snapshot_reserve(struct route_snapshot *snap, size_t words)
{
    if (snap->n == snap->n_entries_max) {
        snap->n_entries_max = snap->n_entries_max ? snap->n_entries_max * 2 : 8;
        snap->entry =
                mem_realloc(snap->entry, snap->n_entries_max * sizeof *snap->entry);
    }
    if (snap->n_words + words >= snap->n_words_max) {
        snap->n_words_max = (snap->n_words + words) * 2 + 128;
        snap->words = mem_realloc(snap->words, snap->n_words_max * sizeof *snap->words);
    }
}

/*
 * Copies one session behind those that are there already; texts get their place in the
 * end, because their memory may still move. -EAGAIN when this is no session; 0 when it
 * is somebody else's.
 */
static int
node_copy(const struct route_table *t, uint32_t at, shared_word *node,
        const struct str *bare, unsigned want, struct route_snapshot *snap)
{
    uint64_t head[NODE_HEAD_WORDS];
    struct route_entry e = { 0 };
    size_t n_text;

    words_copy(head, node, NODE_HEAD_WORDS);
    e.bare.n = LENS_BARE(head[NODE_LENS]);
    e.resource.n = LENS_RESOURCE(head[NODE_LENS]);
    e.remote.n = LENS_REMOTE(head[NODE_LENS]);
    if (want & ROUTE_WANT_PRESENCE)
        e.presence.n = LENS_PRESENCE(head[NODE_LENS]);
    n_text = words_for(e.bare.n + e.resource.n + e.remote.n + e.presence.n);
    if (!node_fits(t, at, NODE_HEAD_WORDS + n_text))
        return -EAGAIN;
    if (bare && e.bare.n != bare->n)
        return 0;
    snapshot_reserve(snap, n_text);
    words_copy(&snap->words[snap->n_words], node + NODE_HEAD_WORDS, n_text);
    if (bare && memcmp(&snap->words[snap->n_words], bare->p, bare->n) != 0)
        return 0;
    e.conn = head[NODE_CONN];
    e.since_us = head[NODE_SINCE];
    e.priority = STATE_PRIORITY(head[NODE_STATE]);
    e.available = STATE_AVAILABLE(head[NODE_STATE]);
    e.flags = STATE_FLAGS(head[NODE_STATE]);
    snap->entry[snap->n++] = e;
    snap->n_words += n_text;
    return 1;
}

/* Copies the sessions of hash's bucket, all or those of one bare JID: 0 or -EAGAIN. */
static int
bucket_copy(const struct route_table *t, uint64_t hash, const struct str *bare,
        unsigned want, struct route_snapshot *snap)
{
    shared_word *b = bucket_of(t, hash);
    uint64_t before = load(b);
    uint32_t at = BUCKET_HEAD(before);
    size_t n_max = snap->n + (bare ? ROUTE_RESOURCES_MAX : LAYOUT_CHAIN_MAX);

    for (int steps = 0; at != 0; steps++) {
        shared_word *node = node_at(t, at);

        if (!node || steps == LAYOUT_CHAIN_MAX)
            return -EAGAIN;
        if (!bare || load(&node[NODE_HASH]) == hash) {
            if (snap->n == n_max || node_copy(t, at, node, bare, want, snap) < 0)
                return -EAGAIN;
        }
        at = LINK_NEXT(load(&node[NODE_LINK]));
    }
    return load(b) == before ? 0 : -EAGAIN;
}

/* The same until it was undisturbed. What was in the snapshot before stays. */
static int
bucket_copy_again(const struct route_table *t, uint64_t hash, const struct str *bare,
        unsigned want, struct route_snapshot *snap)
{
    size_t n = snap->n, n_words = snap->n_words;

    for (int i = 0; i < TRIES * ROUNDS; i++) {
        if (bucket_copy(t, hash, bare, want, snap) == 0)
            return 0;
        snap->n = n;
        snap->n_words = n_words;
        snap->n_retries++;
        if (i % TRIES == TRIES - 1)
            sched_yield();
    }
    return -EAGAIN;
}

/* Now that the copy is complete and stays where it is, the entries get their texts. */
static void
snapshot_finish(struct route_snapshot *snap)
{
    size_t at = 0;

    for (size_t i = 0; i < snap->n; i++) {
        struct route_entry *e = &snap->entry[i];

        e->bare.p = (const char *)&snap->words[at];
        e->resource.p = e->bare.p + e->bare.n;
        e->remote.p = e->resource.p + e->resource.n;
        e->presence.p = e->remote.p + e->remote.n;
        at += words_for(e->bare.n + e->resource.n + e->remote.n + e->presence.n);
    }
}

int
route_lookup(const struct route_table *t, struct str bare, unsigned want,
        struct route_snapshot *snap)
{
    int r;

    snap->n = snap->n_words = 0;
    if (bare.n == 0 || bare.n > ROUTE_BARE_MAX)
        return 0;
    r = bucket_copy_again(t, hash_of(t, bare), &bare, want, snap);
    if (r < 0)
        return r;
    snapshot_finish(snap);
    return (int)snap->n;
}

struct route_stamp
route_stamp(const struct route_table *t, struct str bare)
{
    uint64_t bucket = hash_of(t, bare) & (t->n_buckets - 1);

    return (struct route_stamp){ bucket, load(bucket_of(t, bucket)) };
}

bool
route_unchanged(const struct route_table *t, const struct route_stamp *stamp)
{
    return stamp->word && stamp->bucket < t->n_buckets &&
           load(bucket_of(t, stamp->bucket)) == stamp->word;
}

/* 1: it is this one, 0: it is not, -EAGAIN: it is no session at all. */
static int
node_match(const struct route_table *t, uint32_t at, shared_word *node, struct str bare,
        struct str resource, struct route_hit *ret_hit)
{
    uint64_t text[(ROUTE_BARE_MAX + ROUTE_RESOURCE_MAX + 7) / sizeof(uint64_t)], state;
    uint64_t lens = load(&node[NODE_LENS]);
    size_t n_text = words_for(bare.n + resource.n);

    if (LENS_BARE(lens) != bare.n || LENS_RESOURCE(lens) != resource.n)
        return 0;
    if (!node_fits(t, at, NODE_HEAD_WORDS + n_text))
        return -EAGAIN;
    words_copy(text, node + NODE_HEAD_WORDS, n_text);
    if (memcmp(text, bare.p, bare.n) != 0 ||
            memcmp((char *)text + bare.n, resource.p, resource.n) != 0)
        return 0;
    state = load(&node[NODE_STATE]);
    *ret_hit = (struct route_hit){
        .conn = load(&node[NODE_CONN]),
        .since_us = load(&node[NODE_SINCE]),
        .priority = STATE_PRIORITY(state),
        .available = STATE_AVAILABLE(state),
        .flags = STATE_FLAGS(state),
    };
    return 1;
}

static int
bucket_match(const struct route_table *t, uint64_t hash, struct str bare,
        struct str resource, struct route_hit *ret_hit)
{
    shared_word *b = bucket_of(t, hash);
    uint64_t before = load(b);
    uint32_t at = BUCKET_HEAD(before);
    int r = 0;

    for (int steps = 0; at != 0 && r == 0; steps++) {
        shared_word *node = node_at(t, at);

        if (!node || steps == LAYOUT_CHAIN_MAX)
            return -EAGAIN;
        if (load(&node[NODE_HASH]) == hash)
            r = node_match(t, at, node, bare, resource, ret_hit);
        at = LINK_NEXT(load(&node[NODE_LINK]));
    }
    return load(b) == before ? r : -EAGAIN;
}

int
route_lookup_full(const struct route_table *t, struct str bare, struct str resource,
        struct route_hit *ret_hit)
{
    struct route_hit hit;
    uint64_t hash;

    if (bare.n == 0 || bare.n > ROUTE_BARE_MAX || resource.n == 0 ||
            resource.n > ROUTE_RESOURCE_MAX)
        return 0;
    hash = hash_of(t, bare);
    for (int i = 0; i < TRIES * ROUNDS; i++) {
        int r = bucket_match(t, hash, bare, resource, &hit);

        if (r == 1)
            *ret_hit = hit;
        if (r >= 0)
            return r;
        if (i % TRIES == TRIES - 1)
            sched_yield();
    }
    return -EAGAIN;
}

int
route_walk(const struct route_table *t, uint64_t *at, unsigned want,
        struct route_snapshot *snap)
{
    uint64_t next = *at;

    snap->n = snap->n_words = 0;
    while (next < t->n_buckets && snap->n < ROUTE_RESOURCES_MAX) {
        if (BUCKET_HEAD(load(bucket_of(t, next))) != 0) {
            int r = bucket_copy_again(t, next, NULL, want, snap);

            if (r < 0)
                return r;
        }
        next++;
    }
    *at = next;
    snapshot_finish(snap);
    return (int)snap->n;
}

void
route_stats(const struct route_table *t, struct route_stats *ret_stats)
{
    shared_word *header = t->base;

    *ret_stats = (struct route_stats){
        .sessions = load(&header[HEADER_SESSIONS]),
        .users = load(&header[HEADER_USERS]),
        .bytes = load(&header[HEADER_BYTES]),
        .memory = load(&header[HEADER_TOP]) * LAYOUT_UNIT,
    };
}
