/*
 * hash.c -- a keyed hash, and a map from names to pointers
 *
 * The map uses open addressing with linear probing and a key drawn once per process.
 * A removed entry leaves a mark (key.p NULL, hash 1) until the next growth.
 */
#include "base/hash.h"

#include <string.h>

#include "base/mem.h"
#include "base/rand.h"

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

/* A macro, as compilers keep an array in memory and a function out of line. */
#define SIP_ROUND                                            \
    do {                                                     \
        v0 += v1, v1 = ROTL(v1, 13) ^ v0, v0 = ROTL(v0, 32); \
        v2 += v3, v3 = ROTL(v3, 16) ^ v2;                    \
        v0 += v3, v3 = ROTL(v3, 21) ^ v0;                    \
        v2 += v1, v1 = ROTL(v1, 17) ^ v2, v2 = ROTL(v2, 32); \
    } while (0)

/* Up to 7 bytes, the first one lowest. */
static uint64_t
sip_rest(const unsigned char *p, size_t n)
{
    uint64_t rest = 0;
    uint32_t word;

    if (n & 4) {
        memcpy(&word, p, 4);
        rest = word;
    }
    for (size_t i = n & 4; i < n; i++)
        rest |= (uint64_t)p[i] << (8 * i);
    return rest;
}

uint64_t
hash_bytes(const struct hash_key *key, const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t v0 = key->k[0] ^ 0x736f6d6570736575u, v1 = key->k[1] ^ 0x646f72616e646f6du,
             v2 = key->k[0] ^ 0x6c7967656e657261u, v3 = key->k[1] ^ 0x7465646279746573u;
    uint64_t last = (uint64_t)n << 56, m;

    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&m, p, 8);
        v3 ^= m;
        SIP_ROUND;
        v0 ^= m;
    }
    last |= sip_rest(p, n);
    v3 ^= last;
    SIP_ROUND;
    v0 ^= last;
    v2 ^= 0xff;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

static uint64_t
map_hash(struct str key)
{
    static struct hash_key process_key;

    if (process_key.k[0] == 0) {
        rand_bytes(&process_key, sizeof process_key);
        process_key.k[0] |= 1;
    }
    return hash_bytes(&process_key, key.p, key.n) | 2; /* 0 empty, 1 removed */
}

void
map_fini(struct map *m)
{
    mem_free_p(m->entry);
    *m = (struct map){ 0 };
}

static struct map_entry *
map_find(const struct map *m, struct str key, uint64_t hash)
{
    if (m->size == 0)
        return NULL;
    for (size_t i = hash & (m->size - 1);; i = (i + 1) & (m->size - 1)) {
        struct map_entry *e = &m->entry[i];

        if (e->hash == 0)
            return NULL;
        if (e->hash == hash && str_eq(e->key, key))
            return e;
    }
}

void *
map_get(const struct map *m, struct str key)
{
    struct map_entry *e = map_find(m, key, map_hash(key));

    return e ? e->value : NULL;
}

static void
map_put(struct map *m, struct map_entry e)
{
    size_t i = e.hash & (m->size - 1);

    while (m->entry[i].hash > 1)
        i = (i + 1) & (m->size - 1);
    if (m->entry[i].hash == 1)
        m->n_dead--;
    m->entry[i] = e;
    m->n++;
}

static void
map_grow(struct map *m)
{
    struct map old = *m;

    m->size = 16;
    while (m->size < old.n * 3)
        m->size *= 2;
    m->entry = mem_zalloc(m->size * sizeof *m->entry);
    m->n = m->n_dead = 0;
    for (size_t i = 0; i < old.size; i++) {
        if (old.entry[i].hash > 1)
            map_put(m, old.entry[i]);
    }
    mem_free_p(old.entry);
}

void *
map_set(struct map *m, struct str key, void *value)
{
    uint64_t hash = map_hash(key);
    struct map_entry *e = map_find(m, key, hash);

    if (e) {
        void *before = e->value;

        e->key = key;
        e->value = value;
        return before;
    }
    if ((m->n + m->n_dead + 1) * 4 > m->size * 3)
        map_grow(m);
    map_put(m, (struct map_entry){ key, value, hash });
    return NULL;
}

void *
map_del(struct map *m, struct str key)
{
    struct map_entry *e = map_find(m, key, map_hash(key));
    void *value;

    if (!e)
        return NULL;
    value = e->value;
    *e = (struct map_entry){ .hash = 1 };
    m->n--;
    m->n_dead++;
    return value;
}

struct map_entry *
map_next(const struct map *m, size_t *at)
{
    while (*at < m->size) {
        struct map_entry *e = &m->entry[(*at)++];

        if (e->hash > 1)
            return e;
    }
    return NULL;
}
