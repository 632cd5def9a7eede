/*
 * limit.c -- token buckets in a bounded table
 *
 * A bucket is one number, the time at which it will be full again ("full_ms"): a
 * failure moves it by one interval, and what it lies ahead of now, minus the burst, is
 * the debt. No bucket is ever refilled by hand, and one whose time has come is the same
 * as none.
 *
 * Buckets are in a fixed array, found through chains of indices, and in a ring in the
 * order of their last failure; a full table reuses the oldest. A botnet with more
 * addresses than there are buckets can so make us forget; it had one free burst per
 * address in any case.
 */
#include "auth/limit.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/rand.h"

enum {
    NONE = UINT32_MAX
};

struct bucket {
    struct list age; /* in limit.ring, the oldest failure first */
    uint64_t key, full_ms;
    uint32_t next; /* in its chain */
};

struct limit {
    struct limit_params params;
    struct hash_key hash_key;
    struct bucket *bucket;
    uint32_t *chain; /* heads; as many as there are buckets */
    uint32_t n;
    struct list ring;
    uint64_t n_evicted;
};

struct limit *
limit_new(const struct limit_params *params)
{
    struct limit *l = mem_zalloc(sizeof *l);

    assert(params->n_max > 0 && params->n_max < NONE && params->interval_ms > 0);
    l->params = *params;
    rand_bytes(&l->hash_key, sizeof l->hash_key);
    l->bucket = mem_zalloc(params->n_max * sizeof *l->bucket);
    l->chain = mem_alloc(params->n_max * sizeof *l->chain);
    for (uint32_t i = 0; i < params->n_max; i++)
        l->chain[i] = NONE;
    list_init(&l->ring);
    return l;
}

void
limit_free(struct limit **limit)
{
    if (!*limit)
        return;
    mem_free(&(*limit)->bucket);
    mem_free(&(*limit)->chain);
    mem_free(limit);
}

uint64_t
limit_key(const struct limit *l, struct str a, struct str b)
{
    struct hash_key second = l->hash_key;

    second.k[0] ^= hash_bytes(&l->hash_key, a.p, a.n);
    return hash_bytes(&second, b.p, b.n) | 1; /* not LIMIT_NOBODY */
}

/* Without "[…]:port" and ":port"; an IPv6 address alone stays as it is. */
static struct str
address_only(struct str text)
{
    const char *colon = text.n ? memchr(text.p, ':', text.n) : NULL;
    const char *bracket = text.n ? memchr(text.p, ']', text.n) : NULL;

    if (text.n && text.p[0] == '[' && bracket)
        return (struct str){ text.p + 1, (size_t)(bracket - text.p) - 1 };
    if (colon && !memchr(colon + 1, ':', text.n - (size_t)(colon + 1 - text.p)))
        return (struct str){ text.p, (size_t)(colon - text.p) };
    return text;
}

static uint64_t
limit_key_of_ipv4(const struct limit *l, struct in_addr in)
{
    if (ntohl(in.s_addr) >> 24 == IN_LOOPBACKNET || in.s_addr == INADDR_ANY)
        return LIMIT_NOBODY;
    return limit_key(l, STR("ip"), (struct str){ (const char *)&in, sizeof in });
}

uint64_t
limit_key_of_address(const struct limit *l, struct str address)
{
    struct str text = address_only(address);
    char cstr[INET6_ADDRSTRLEN + 1];
    struct in_addr in;
    struct in6_addr in6;

    if (text.n == 0 || text.n >= sizeof cstr)
        return limit_key(l, STR("other"), address);
    memcpy(cstr, text.p, text.n);
    cstr[text.n] = '\0';
    if (inet_pton(AF_INET, cstr, &in) == 1)
        return limit_key_of_ipv4(l, in);
    if (inet_pton(AF_INET6, cstr, &in6) != 1)
        return limit_key(l, STR("other"), address);
    if (IN6_IS_ADDR_LOOPBACK(&in6) || IN6_IS_ADDR_UNSPECIFIED(&in6))
        return LIMIT_NOBODY;
    if (IN6_IS_ADDR_V4MAPPED(&in6)) {
        memcpy(&in, &in6.s6_addr[12], sizeof in);
        return limit_key_of_ipv4(l, in);
    }
    return limit_key(l, STR("ip6"), (struct str){ (const char *)in6.s6_addr, 8 });
}

static struct bucket *
bucket_find(const struct limit *l, uint64_t key)
{
    uint32_t i = l->chain[key % l->params.n_max];

    while (i != NONE && l->bucket[i].key != key)
        i = l->bucket[i].next;
    return i == NONE ? NULL : &l->bucket[i];
}

static void
bucket_unchain(struct limit *l, struct bucket *b)
{
    uint32_t *at = &l->chain[b->key % l->params.n_max];
    uint32_t i = (uint32_t)(b - l->bucket);

    while (*at != i)
        at = &l->bucket[*at].next;
    *at = b->next;
}

static struct bucket *
bucket_take(struct limit *l, uint64_t key, uint64_t now_ms)
{
    struct bucket *b;
    uint32_t *head = &l->chain[key % l->params.n_max];

    if (l->n < l->params.n_max) {
        b = &l->bucket[l->n++];
    } else {
        b = list_entry(l->ring.next, struct bucket, age);
        list_del(&b->age);
        bucket_unchain(l, b);
        l->n_evicted += b->full_ms > now_ms;
    }
    b->key = key;
    b->full_ms = now_ms;
    b->next = *head;
    *head = (uint32_t)(b - l->bucket);
    list_add(&l->ring, &b->age);
    return b;
}

void
limit_on_failure(struct limit *l, uint64_t key, uint64_t now_ms)
{
    uint64_t free_ms = now_ms + (uint64_t)l->params.burst * l->params.interval_ms;
    struct bucket *b = bucket_find(l, key);

    if (key == LIMIT_NOBODY)
        return;
    if (b) {
        list_del(&b->age);
        list_add(&l->ring, &b->age);
    } else {
        b = bucket_take(l, key, now_ms);
    }
    if (b->full_ms < now_ms)
        b->full_ms = now_ms;
    b->full_ms += l->params.interval_ms;
    if (b->full_ms > free_ms + l->params.delay_max_ms)
        b->full_ms = free_ms + l->params.delay_max_ms;
}

uint64_t
limit_delay_ms(const struct limit *l, uint64_t key, uint64_t now_ms)
{
    uint64_t free_ms = now_ms + (uint64_t)l->params.burst * l->params.interval_ms;
    const struct bucket *b = bucket_find(l, key);

    return b && b->full_ms > free_ms ? b->full_ms - free_ms : 0;
}

bool
limit_is_over(const struct limit *l, uint64_t key, uint64_t now_ms)
{
    return key != LIMIT_NOBODY &&
           limit_delay_ms(l, key, now_ms) + l->params.interval_ms >
                   l->params.delay_max_ms;
}

size_t
limit_n(const struct limit *l)
{
    return l->n;
}

uint64_t
limit_n_evicted(const struct limit *l)
{
    return l->n_evicted;
}
