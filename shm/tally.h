#ifndef SHM_TALLY_H
#define SHM_TALLY_H

#include <stddef.h>
#include <stdint.h>

/*
 * How often each key is there, counted by several processes together. Each counts in a
 * region of the zone that it alone writes, and adds up what it reads in all of them; so
 * no lock is needed, and a process that has died is recounted by its successor, who
 * knows what it had. While a region is rebuilt others may read too little of it. One
 * who writes where it should not can make all counts wrong, and do nothing else.
 *
 * The same secret number goes into the hash in all of them, so that nobody outside can
 * choose keys that collide.
 */
enum {
    TALLY_REGIONS = 256,
    TALLY_KEYS_MAX = 1 << 18 /* of one region, at the same time */
};

struct tally {
    void *zone;
    unsigned own;
    uint64_t secret;
    uint32_t bits;       /* of its own table; */
    uint32_t used, live; /* places with a key there, and such whose count is not 0 */
};

/* Bytes of a zone (sparse). */
size_t tally_size(void);

/* Its own region begins at nothing. */
void tally_begin(struct tally *t, void *zone, unsigned own, uint64_t secret);

/* Keys are not 0. */
void tally_add(struct tally *t, uint64_t key);
void tally_remove(struct tally *t, uint64_t key);

/* In the first n regions together. */
uint64_t tally_count(const struct tally *t, uint64_t key, unsigned n);

#endif
