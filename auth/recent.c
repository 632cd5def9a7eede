/*
 * recent.c -- what may be done once in a while
 *
 * Keys are hashes, which choose a row of a few places; a full row forgets whose time
 * comes first. Whoever can fill rows has as many addresses, and so could do it as often
 * in any case.
 */
#include "auth/recent.h"

#include "base/mem.h"

enum {
    ROWS = 4096,
    PLACES = 4
};

struct place {
    uint64_t key, id, until_ms; /* key 0: free */
};

struct recent {
    struct place place[ROWS][PLACES];
};

struct recent *
recent_new(void)
{
    return mem_zalloc(sizeof(struct recent));
}

void
recent_free(struct recent **recent)
{
    mem_free(recent);
}

/* Where the key is, or goes to. */
static struct place *
place_of(struct recent *r, uint64_t key)
{
    struct place *row = r->place[key % ROWS], *oldest = row;

    for (unsigned i = 0; i < PLACES; i++) {
        if (row[i].key == key)
            return &row[i];
        if (row[i].until_ms < oldest->until_ms)
            oldest = &row[i];
    }
    return oldest;
}

bool
recent_begin(
        struct recent *r, uint64_t key, uint64_t id, uint64_t now_ms, uint64_t until_ms)
{
    struct place *p = place_of(r, key);

    if (p->key == key && p->id != id && p->until_ms > now_ms)
        return false;
    *p = (struct place){ .key = key, .id = id, .until_ms = until_ms };
    return true;
}

void
recent_undo(struct recent *r, uint64_t key, uint64_t id)
{
    struct place *p = place_of(r, key);

    if (p->key == key && p->id == id)
        *p = (struct place){ .key = 0 };
}
