/*
 * table.c -- writing the route table
 *
 * A chain changes by one store: into the bucket, or into the link of the session
 * before. The bucket's count goes up with it (in the same word) or right after it, and
 * only then is the memory of what was unlinked used again. So whatever instruction a
 * router dies at, the chains are right; what is lost is the list of what is free, and
 * perhaps the last count. Its successor therefore walks all chains once: it checks
 * every session as if it came from a stranger, cuts a chain where it makes no sense
 * (the workers will name those sessions again), raises the count of every bucket, and
 * takes as free what it has not met. Readers go on with the table all the time; there
 * is no second one to switch to.
 *
 * Only the link and the state of a session change in place, each a single word.
 */
#include "router/table.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"
#include "base/killpoint.h"
#include "base/mem.h"
#include "base/rand.h"
#include "router/chunk.h"
#include "router/layout.h"
#include "router/route.h"

enum {
    WORDS_A_UNIT = LAYOUT_UNIT / sizeof(uint64_t)
};

typedef _Atomic uint64_t shared_word;

struct table {
    shared_word *header, *directory;
    uint64_t n_buckets;
    struct hash_key key;
    struct chunk_heap heap;
    /* While the successor looks around: one bit per unit that is in use. */
    uint64_t *used;
    size_t n_used_words;
};

static uint64_t
load(const shared_word *w)
{
    return atomic_load_explicit(w, memory_order_relaxed); /* our own stores */
}

static void
store(shared_word *w, uint64_t value)
{
    atomic_store_explicit(w, value, memory_order_release);
}

static void
add(struct table *t, unsigned header_word, uint64_t n)
{
    store(&t->header[header_word], load(&t->header[header_word]) + n);
}

static shared_word *
node_at(const struct table *t, uint32_t at)
{
    return t->header + (uint64_t)at * WORDS_A_UNIT;
}

/* The texts of a session where they are; only atomic stores change them. */
static const char *
node_text(const shared_word *node)
{
    return (const char *)(uintptr_t)(node + NODE_HEAD_WORDS);
}

static shared_word *
bucket_of(const struct table *t, uint64_t hash)
{
    return &t->directory[hash & (t->n_buckets - 1)];
}

static uint64_t
hash_of(const struct table *t, struct str bare)
{
    return hash_bytes(&t->key, bare.p, bare.n);
}

/*
 * Where in a chain: at is the session, before the one that links to it (0: the bucket).
 */
struct place {
    shared_word *bucket;
    uint32_t before, at;
};

static struct place
chain_start(shared_word *bucket)
{
    return (struct place){ .bucket = bucket, .at = BUCKET_HEAD(load(bucket)) };
}

static void
chain_next(const struct table *t, struct place *p)
{
    p->before = p->at;
    p->at = LINK_NEXT(load(&node_at(t, p->at)[NODE_LINK]));
}

/* From here on readers find `next` in this place. */
static void
chain_set(struct table *t, const struct place *p, uint32_t next)
{
    uint64_t bucket = load(p->bucket), link;

    if (!p->before) {
        store(p->bucket, BUCKET(BUCKET_COUNT(bucket) + 1, next));
        return;
    }
    link = load(&node_at(t, p->before)[NODE_LINK]);
    store(&node_at(t, p->before)[NODE_LINK],
            LINK(next, LINK_WORDS(link), LINK_CLASS(link)));
    store(p->bucket, BUCKET(BUCKET_COUNT(bucket) + 1, BUCKET_HEAD(bucket)));
}

static void
node_free(struct table *t, uint32_t at, unsigned class)
{
    add(t, HEADER_BYTES, -(uint64_t)chunk_units(class) * LAYOUT_UNIT);
    chunk_free(&t->heap, at, class);
}

static bool
node_is_of(const shared_word *node, uint64_t hash, struct str bare)
{
    return load(&node[NODE_HASH]) == hash &&
           LENS_BARE(load(&node[NODE_LENS])) == bare.n &&
           memcmp(node_text(node), bare.p, bare.n) == 0;
}

/*
 * The session of a connection; how many of the bare JID there are, and the chain's
 * length.
 */
static struct place
find(const struct table *t, uint64_t hash, struct str bare, uint64_t conn,
        unsigned *ret_n_bare, unsigned *ret_n_chain)
{
    struct place found = { .bucket = bucket_of(t, hash) };
    struct place p = chain_start(found.bucket);

    *ret_n_bare = *ret_n_chain = 0;
    for (; p.at; chain_next(t, &p)) {
        const shared_word *node = node_at(t, p.at);

        ++*ret_n_chain;
        if (!node_is_of(node, hash, bare))
            continue;
        ++*ret_n_bare;
        if (load(&node[NODE_CONN]) == conn && !found.at)
            found = p;
    }
    return found;
}

static void
node_read(const shared_word *node, struct table_session *ret)
{
    uint64_t lens = load(&node[NODE_LENS]), state = load(&node[NODE_STATE]);
    uint64_t serial = load(&node[NODE_SERIAL]);
    const char *text = node_text(node);

    *ret = (struct table_session){
        .conn = load(&node[NODE_CONN]),
        .since_us = load(&node[NODE_SINCE]),
        .serial = SERIAL_NUMBER(serial),
        .was_available = SERIAL_WAS(serial),
        .priority = STATE_PRIORITY(state),
        .available = STATE_AVAILABLE(state),
        .flags = STATE_FLAGS(state),
        .epoch = STATE_EPOCH(state),
        .bare = { text, LENS_BARE(lens) },
    };
    ret->resource = (struct str){ ret->bare.p + ret->bare.n, LENS_RESOURCE(lens) };
    ret->remote = (struct str){ ret->resource.p + ret->resource.n, LENS_REMOTE(lens) };
    ret->presence = (struct str){ ret->remote.p + ret->remote.n, LENS_PRESENCE(lens) };
}

size_t
table_sessions(
        const struct table *t, struct str bare, struct table_session *ret, size_t n_max)
{
    uint64_t hash = hash_of(t, bare);
    size_t n = 0;

    for (struct place p = chain_start(bucket_of(t, hash)); p.at && n < n_max;
            chain_next(t, &p)) {
        const shared_word *node = node_at(t, p.at);

        if (node_is_of(node, hash, bare))
            node_read(node, &ret[n++]);
    }
    return n;
}

/* Gathers bytes into words and stores these. */
struct word_writer {
    shared_word *at;
    uint64_t word;
    unsigned n;
};

static void
put_str(struct word_writer *w, struct str s)
{
    size_t i = 0;

    while (i < s.n) {
        size_t n = sizeof w->word - w->n < s.n - i ? sizeof w->word - w->n : s.n - i;

        memcpy((char *)&w->word + w->n, s.p + i, n);
        w->n += (unsigned)n;
        i += n;
        if (w->n == sizeof w->word) {
            store(w->at++, w->word);
            *w = (struct word_writer){ .at = w->at };
        }
    }
}

static void
node_write(
        shared_word *node, uint64_t hash, uint64_t link, const struct table_session *s)
{
    struct word_writer w = { .at = node + NODE_HEAD_WORDS };

    store(&node[NODE_HASH], hash);
    store(&node[NODE_LINK], link);
    store(&node[NODE_LENS], LENS(s->bare.n, s->resource.n, s->remote.n, s->presence.n));
    store(&node[NODE_CONN], s->conn);
    store(&node[NODE_STATE], STATE(s->priority, s->available, s->flags, s->epoch));
    store(&node[NODE_SINCE], s->since_us);
    store(&node[NODE_SERIAL], SERIAL(s->serial, s->was_available));
    put_str(&w, s->bare);
    put_str(&w, s->resource);
    put_str(&w, s->remote);
    put_str(&w, s->presence);
    if (w.n > 0)
        store(w.at, w.word);
}

int
table_put(struct table *t, const struct table_session *s, uint64_t instead)
{
    size_t n_text = s->bare.n + s->resource.n + s->remote.n + s->presence.n;
    size_t words = NODE_HEAD_WORDS + (n_text + sizeof(uint64_t) - 1) / sizeof(uint64_t);
    unsigned n_bare, n_chain, class, old_class;
    uint32_t at, next;
    struct place p;
    uint64_t hash;

    if (s->bare.n == 0 || s->bare.n > ROUTE_BARE_MAX || s->resource.n == 0 ||
            s->resource.n > ROUTE_RESOURCE_MAX || s->remote.n > ROUTE_REMOTE_MAX ||
            s->presence.n > ROUTE_PRESENCE_MAX || s->conn == 0)
        return -EINVAL;
    hash = hash_of(t, s->bare);
    p = find(t, hash, s->bare, instead, &n_bare, &n_chain);
    if (!p.at && (n_bare >= ROUTE_RESOURCES_MAX || n_chain >= LAYOUT_CHAIN_MAX))
        return -ENOSPC;
    at = chunk_alloc(&t->heap, words * sizeof(uint64_t), &class);
    if (!at)
        return -ENOSPC;
    next = p.at ? LINK_NEXT(load(&node_at(t, p.at)[NODE_LINK]))
                : BUCKET_HEAD(load(p.bucket));
    node_write(node_at(t, at), hash, LINK(next, words, class), s);
    killpoint(ROUTE_WRITTEN);
    chain_set(t, &p, at);
    killpoint(ROUTE_LINKED);
    add(t, HEADER_BYTES, (uint64_t)chunk_units(class) * LAYOUT_UNIT);
    store(&t->header[HEADER_TOP], t->heap.top);
    if (p.at) {
        old_class = LINK_CLASS(load(&node_at(t, p.at)[NODE_LINK]));
        node_free(t, p.at, old_class);
    } else {
        add(t, HEADER_SESSIONS, 1);
        add(t, HEADER_USERS, n_bare == 0);
    }
    return 0;
}

bool
table_set(struct table *t, struct str bare, uint64_t conn, int8_t priority,
        bool available, uint16_t flags, uint32_t epoch)
{
    unsigned n_bare, n_chain;
    struct place p = find(t, hash_of(t, bare), bare, conn, &n_bare, &n_chain);
    uint64_t bucket;

    if (!p.at)
        return false;
    store(&node_at(t, p.at)[NODE_STATE], STATE(priority, available, flags, epoch));
    killpoint(ROUTE_CHANGED);
    /* For those who remember what they found (route_unchanged). */
    bucket = load(p.bucket);
    store(p.bucket, BUCKET(BUCKET_COUNT(bucket) + 1, BUCKET_HEAD(bucket)));
    return true;
}

static void
remove_at(struct table *t, const struct place *p, bool last_of_user)
{
    uint64_t link = load(&node_at(t, p->at)[NODE_LINK]);

    chain_set(t, p, LINK_NEXT(link));
    killpoint(ROUTE_CUT);
    node_free(t, p->at, LINK_CLASS(link));
    add(t, HEADER_SESSIONS, -(uint64_t)1);
    add(t, HEADER_USERS, -(uint64_t)last_of_user);
}

bool
table_remove(struct table *t, struct str bare, uint64_t conn)
{
    unsigned n_bare, n_chain;
    struct place p = find(t, hash_of(t, bare), bare, conn, &n_bare, &n_chain);

    if (!p.at)
        return false;
    remove_at(t, &p, n_bare == 1);
    return true;
}

/* Is there another session of the same bare JID in the chain? */
static bool
has_sibling(const struct table *t, const struct place *of)
{
    struct table_session s;

    node_read(node_at(t, of->at), &s);
    for (struct place p = chain_start(of->bucket); p.at; chain_next(t, &p)) {
        if (p.at != of->at && node_is_of(node_at(t, p.at),
                                      load(&node_at(t, of->at)[NODE_HASH]), s.bare))
            return true;
    }
    return false;
}

bool
table_sweep(struct table *t, uint64_t *at, uint64_t n_buckets,
        bool (*gone)(void *arg, uint64_t conn, uint32_t epoch), void *arg,
        uint64_t *ret_removed)
{
    for (; n_buckets > 0 && *at < t->n_buckets; ++*at, n_buckets--) {
        struct place p = chain_start(&t->directory[*at]);

        while (p.at) {
            const shared_word *node = node_at(t, p.at);

            if (!gone(arg, load(&node[NODE_CONN]),
                        STATE_EPOCH(load(&node[NODE_STATE])))) {
                chain_next(t, &p);
                continue;
            }
            remove_at(t, &p, !has_sibling(t, &p));
            ++*ret_removed;
            p.at = p.before ? LINK_NEXT(load(&node_at(t, p.before)[NODE_LINK]))
                            : BUCKET_HEAD(load(p.bucket));
        }
    }
    return *at < t->n_buckets;
}

uint32_t
table_next_epoch(struct table *t)
{
    add(t, HEADER_EPOCH, 1);
    return (uint32_t)load(&t->header[HEADER_EPOCH]);
}

/* Marks units as in use: false when some are already. */
static bool
mark(struct table *t, uint32_t at, uint32_t units)
{
    size_t n = ((size_t)at + units + 63) / 64;

    if (n > t->n_used_words) {
        size_t size = n * 2 + 1024;

        t->used = mem_realloc(t->used, size * sizeof *t->used);
        memset(t->used + t->n_used_words, 0,
                (size - t->n_used_words) * sizeof *t->used);
        t->n_used_words = size;
    }
    for (uint32_t i = at; i < at + units; i++) {
        if (t->used[i / 64] & (uint64_t)1 << i % 64)
            return false;
    }
    for (uint32_t i = at; i < at + units; i++)
        t->used[i / 64] |= (uint64_t)1 << i % 64;
    return true;
}

/* Could we have written this session here? If so, its memory is marked as in use. */
static bool
node_check(struct table *t, uint32_t at, uint64_t i_bucket)
{
    const shared_word *node = node_at(t, at);
    struct table_session s;
    uint64_t link, n_text;
    uint32_t units;

    if (at < t->heap.start || at >= t->heap.end - NODE_HEAD_WORDS / WORDS_A_UNIT)
        return false;
    link = load(&node[NODE_LINK]);
    if (LINK_CLASS(link) >= CHUNK_CLASSES)
        return false;
    units = chunk_units(LINK_CLASS(link));
    if (t->heap.end - at < units || LINK_WORDS(link) > units * WORDS_A_UNIT)
        return false;
    node_read(node, &s);
    n_text = s.bare.n + s.resource.n + s.remote.n + s.presence.n;
    if (LINK_WORDS(link) < NODE_HEAD_WORDS || s.conn == 0 || s.bare.n == 0 ||
            s.resource.n == 0)
        return false;
    if (n_text > (LINK_WORDS(link) - (uint64_t)NODE_HEAD_WORDS) * sizeof(uint64_t))
        return false;
    if (load(&node[NODE_HASH]) != hash_of(t, s.bare) ||
            (load(&node[NODE_HASH]) & (t->n_buckets - 1)) != i_bucket)
        return false;
    return mark(t, at, units);
}

/*
 * Checks a chain, cuts it at the first thing that makes no sense, counts what is in it.
 */
static void
chain_take_over(struct table *t, uint64_t i_bucket, struct table_found *found)
{
    shared_word *bucket = &t->directory[i_bucket];
    struct place p = chain_start(bucket);
    unsigned n = 0;

    store(bucket, BUCKET(BUCKET_COUNT(load(bucket)) + 1, p.at));
    while (p.at) {
        uint32_t class;

        if (n++ == LAYOUT_CHAIN_MAX || !node_check(t, p.at, i_bucket)) {
            chain_set(t, &p, 0);
            found->damaged++;
            return;
        }
        class = LINK_CLASS(load(&node_at(t, p.at)[NODE_LINK]));
        if (p.at + chunk_units(class) > t->heap.top)
            t->heap.top = p.at + chunk_units(class);
        add(t, HEADER_BYTES, (uint64_t)chunk_units(class) * LAYOUT_UNIT);
        found->sessions++;
        chain_next(t, &p);
    }
    for (p = chain_start(bucket); p.at; chain_next(t, &p))
        found->users++;
    if (n > 1) {
        /* Count a user at the last of its sessions only. */
        for (p = chain_start(bucket); p.at; chain_next(t, &p)) {
            struct place later = p;
            struct table_session s;

            node_read(node_at(t, p.at), &s);
            for (chain_next(t, &later); later.at; chain_next(t, &later)) {
                if (node_is_of(node_at(t, later.at), load(&node_at(t, p.at)[NODE_HASH]),
                            s.bare)) {
                    found->users--;
                    break;
                }
            }
        }
    }
}

static void
gaps_take_over(struct table *t)
{
    uint32_t gap = 0;

    for (uint32_t i = t->heap.start; i < t->heap.top; i++) {
        if (t->used[i / 64] & (uint64_t)1 << i % 64) {
            if (gap)
                chunk_add_gap(&t->heap, i - gap, gap);
            gap = 0;
        } else {
            gap++;
        }
    }
    mem_free(&t->used);
    t->n_used_words = 0;
}

static void
take_over(struct table *t, struct table_found *found)
{
    t->key.k[0] = load(&t->header[HEADER_KEY0]);
    t->key.k[1] = load(&t->header[HEADER_KEY1]);
    store(&t->header[HEADER_BYTES], 0);
    for (uint64_t i = 0; i < t->n_buckets; i++) {
        if (BUCKET_HEAD(load(&t->directory[i])))
            chain_take_over(t, i, found);
    }
    t->heap.ready = t->heap.top;
    gaps_take_over(t);
    store(&t->header[HEADER_SESSIONS], found->sessions);
    store(&t->header[HEADER_USERS], found->users);
    store(&t->header[HEADER_TOP], t->heap.top);
}

/* A new zone is all zeros; in one of another layout nothing must be found any more. */
static void
begin(struct table *t)
{
    for (uint64_t i = 0; i < t->n_buckets; i++) {
        uint64_t bucket = load(&t->directory[i]);

        if (bucket)
            store(&t->directory[i], BUCKET(BUCKET_COUNT(bucket) + 1, 0));
    }
    rand_bytes(&t->key, sizeof t->key);
    store(&t->header[HEADER_KEY0], t->key.k[0]);
    store(&t->header[HEADER_KEY1], t->key.k[1]);
    store(&t->header[HEADER_SESSIONS], 0);
    store(&t->header[HEADER_USERS], 0);
    store(&t->header[HEADER_BYTES], 0);
    store(&t->header[HEADER_TOP], t->heap.top);
    store(&t->header[HEADER_MAGIC], LAYOUT_MAGIC);
}

int
table_open(const struct zone *zone, struct table **ret, struct table_found *ret_found)
{
    struct table_found found = { 0 };
    struct route_table shape;
    struct table *t;
    int r = route_open(&shape, zone);

    if (r == 0)
        r = zone_touch(
                zone->base, shape.heap * LAYOUT_UNIT); /* readers need all of it */
    if (r < 0)
        return r;
    t = mem_zalloc(sizeof *t);
    t->header = zone->base;
    t->directory = t->header + LAYOUT_DIRECTORY / sizeof(uint64_t);
    t->n_buckets = shape.n_buckets;
    chunk_init(&t->heap, t->header, (uint32_t)shape.heap, (uint32_t)shape.end);
    found.fresh = load(&t->header[HEADER_MAGIC]) != LAYOUT_MAGIC;
    if (found.fresh)
        begin(t);
    else
        take_over(t, &found);
    *ret = t;
    *ret_found = found;
    return 0;
}

void
table_free(struct table **t)
{
    mem_free(t);
}
