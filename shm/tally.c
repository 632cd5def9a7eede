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
    uint32_t used; /* places with a key */
    uint32_t live; /* of them such whose count is not 0 */
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

/* The place of the key; of an unused one when it has none. Our own table has both. */
static struct entry *
place(const struct tally *t, struct region *r, uint64_t key)
{
    uint32_t bits = r->bits, mask = (1u << bits) - 1, i = place_of(t, key, bits);

    while (r->entry[i].key != 0 && r->entry[i].key != key)
        i = (i + 1) & mask;
    return &r->entry[i];
}

/*
 * Begins another table. Behind its end everything is 0, always: so bits changes last,
 * and whoever comes after a death in here clears as much again.
 */
static void
clear(struct region *r, uint32_t bits)
{
    size_t before = r->bits ? (size_t)1 << r->bits : 0, after = (size_t)1 << bits;

    memset(r->entry, 0, before * sizeof *r->entry);
    r->used = r->live = 0;
    atomic_store(&r->bits, bits);
    if (before > after)
        zone_discard(&r->entry[after], (before - after) * sizeof *r->entry);
}

void
tally_begin(struct tally *t, void *zone, unsigned own, uint64_t secret)
{
    struct region *r;

    *t = (struct tally){ .zone = zone, .own = own, .secret = secret };
    r = region_of(t, own);
    if (r->bits > BITS_MOST)
        r->bits = BITS_MOST;
    clear(r, BITS_LEAST);
}

/* Builds the table anew, as large as its counts need. */
static void
rebuild(struct tally *t, struct region *r)
{
    struct kept {
        uint64_t key;
        uint32_t n;
    } *kept = mem_alloc((r->live + 1) * sizeof *kept);
    uint32_t bits = BITS_LEAST, n = 0;

    for (uint32_t i = 0; i < 1u << r->bits; i++) {
        if (r->entry[i].n > 0)
            kept[n++] = (struct kept){ r->entry[i].key, r->entry[i].n };
    }
    while (bits < BITS_MOST && 1u << bits < 4 * n)
        bits++;
    clear(r, bits);
    for (uint32_t i = 0; i < n; i++) {
        struct entry *e = place(t, r, kept[i].key);

        e->n = kept[i].n;
        e->key = kept[i].key;
    }
    r->used = r->live = n;
    mem_free_p(kept);
}

void
tally_add(struct tally *t, uint64_t key)
{
    struct region *r = region_of(t, t->own);
    struct entry *e = place(t, r, key);

    assert(key != 0);
    if (e->key == 0 && r->used + 1 > 3u << (r->bits - 2)) {
        rebuild(t, r);
        e = place(t, r, key);
    }
    if (e->n == 0)
        r->live++;
    assert(r->live <= TALLY_KEYS_MAX);
    atomic_fetch_add(&e->n, 1);
    if (e->key == 0) {
        r->used++;
        atomic_store(&e->key, key);
    }
}

void
tally_remove(struct tally *t, uint64_t key)
{
    struct region *r = region_of(t, t->own);
    struct entry *e = place(t, r, key);

    assert(e->key == key && e->n > 0);
    if (atomic_fetch_sub(&e->n, 1) == 1)
        r->live--;
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
