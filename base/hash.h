#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct hash_key {
    uint64_t k[2];
};

/* SipHash-1-3: keyed, so that nobody outside can choose colliding names. */
uint64_t hash_bytes(const struct hash_key *key, const void *p, size_t n);

/* A map from names to pointers. { 0 } is an empty map; it copies neither. */
struct map_entry {
    struct str key;
    void *value;
    uint64_t hash;
};

struct map {
    struct map_entry *entry;
    size_t n, n_dead, size;
};

void map_fini(struct map *m);
void *map_get(const struct map *m, struct str key); /* NULL when absent */

/* Sets or replaces; key must live as long as the entry. Returns the value before. */
void *map_set(struct map *m, struct str key, void *value);
void *map_del(struct map *m, struct str key); /* returns what was removed, or NULL */

/* Walks in no order: start with *at = 0; NULL at the end. The map must not change. */
struct map_entry *map_next(const struct map *m, size_t *at);

#endif
