/*
 * tally.c -- counts by key, of several processes
 *
 * A region is a hash table with open addressing, of which only as much is used as its
 * keys need. A count that falls to 0 keeps its place, so that chains stay whole, until
 * the table is built anew. What others write is not trusted: their tables are only
 * read, and only so far.
 */
#include "shm/tally.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "shm/zone.h"

enum {
    BITS_LEAST = 8,
    BITS_MOST = 19, /* twice TALLY_KEYS_MAX */
    PROBES_MAX = 4096
};

struct entry {
    _Atomic uint64_t key; /* 0: never used */
    _Atomic uint32_t n;
};

struct region {
    _Atomic uint32_t bits;
    struct entry entry[1 << BITS_MOST];
};

static struct region *
region_of(const struct tally *t, unsigned i)
{
    assert(i < TALLY_REGIONS);
    return (struct region *)t->zone + i;
}

size_t
tally_size(void)
{
    return TALLY_REGIONS * sizeof(struct region);
}

static uint32_t
place_of(const struct tally *t, uint64_t key, uint32_t bits)
{
    uint64_t h = (key ^ t->secret) * UINT64_C(0xff51afd7ed558ccd);

    h = (h ^ h >> 33 ^ t->secret) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (uint32_t)((h ^ h >> 29) >> (64 - bits));
}

/*
 * The place of the key; of an unused one when it has none. NULL: there is neither,
 * which is not our doing.
 */
static struct entry *
place(const struct tally *t, struct region *r, uint64_t key)
{
    uint32_t mask = (1u << t->bits) - 1, i = place_of(t, key, t->bits);

    for (uint32_t probes = 0; probes <= mask; probes++, i = (i + 1) & mask) {
        uint64_t there = atomic_load(&r->entry[i].key);

        if (there == 0 || there == key)
            return &r->entry[i];
    }
    return NULL;
}

/*
 * Begins another table. Behind its end everything is 0, always: so bits changes last,
 * and whoever comes after a death in here clears as much again.
 */
static void
clear(struct tally *t, struct region *r, uint32_t bits)
{
    uint32_t had = atomic_load(&r->bits);
    size_t before, after = (size_t)1 << bits;

    if (had > BITS_MOST)
        had = BITS_MOST;
    before = had ? (size_t)1 << had : 0;
    memset(r->entry, 0, before * sizeof *r->entry);
    t->used = t->live = 0;
    t->bits = bits;
    atomic_store(&r->bits, bits);
    if (before > after)
        zone_discard(&r->entry[after], (before - after) * sizeof *r->entry);
}

void
tally_begin(struct tally *t, void *zone, unsigned own, uint64_t secret)
{
    *t = (struct tally){ .zone = zone, .own = own, .secret = secret };
    clear(t, region_of(t, own), BITS_LEAST);
}

/* Builds the table anew, as large as its counts need. */
static void
rebuild(struct tally *t, struct region *r)
{
    struct kept {
        uint64_t key;
        uint32_t n;
    } *kept = mem_alloc((t->live + 1) * sizeof *kept);
    uint32_t bits = BITS_LEAST, n = 0;

    for (uint32_t i = 0; i < 1u << t->bits && n < t->live; i++) {
        kept[n].key = atomic_load(&r->entry[i].key);
        kept[n].n = atomic_load(&r->entry[i].n);
        if (kept[n].key != 0 && kept[n].n > 0)
            n++;
    }
    while (bits < BITS_MOST && 1u << bits < 4 * n)
        bits++;
    clear(t, r, bits);
    for (uint32_t i = 0; i < n; i++) {
        struct entry *e = place(t, r, kept[i].key);

        if (!e)
            continue;
        atomic_store(&e->n, kept[i].n);
        atomic_store(&e->key, kept[i].key);
    }
    t->used = t->live = n;
    mem_free_p(kept);
}

void
tally_add(struct tally *t, uint64_t key)
{
    struct region *r = region_of(t, t->own);
    struct entry *e = place(t, r, key);

    assert(key != 0);
    if (!e || (atomic_load(&e->key) == 0 && t->used + 1 > 3u << (t->bits - 2))) {
        rebuild(t, r);
        e = place(t, r, key);
    }
    if (!e)
        return;
    if (atomic_fetch_add(&e->n, 1) == 0)
        t->live++;
    if (atomic_load(&e->key) == 0) {
        t->used++;
        atomic_store(&e->key, key);
    }
}

void
tally_remove(struct tally *t, uint64_t key)
{
    struct entry *e = place(t, region_of(t, t->own), key);

    if (!e || atomic_load(&e->key) != key || atomic_load(&e->n) == 0)
        return;
    if (atomic_fetch_sub(&e->n, 1) == 1 && t->live > 0)
        t->live--;
}

uint64_t
tally_count(const struct tally *t, uint64_t key, unsigned n)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n && i < TALLY_REGIONS; i++) {
        struct region *r = region_of(t, i);
        uint32_t bits = atomic_load(&r->bits), mask, at;

        if (bits < BITS_LEAST || bits > BITS_MOST)
            continue;
        mask = (1u << bits) - 1;
        at = place_of(t, key, bits);
        for (int probes = 0; probes < PROBES_MAX; probes++, at = (at + 1) & mask) {
            uint64_t there = atomic_load(&r->entry[at].key);

            if (there == key)
                sum += atomic_load(&r->entry[at].n);
            if (there == key || there == 0)
                break;
        }
    }
    return sum;
}
