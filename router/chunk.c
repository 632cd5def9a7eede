/*
 * chunk.c -- the heap of the route table
 *
 * Classes go in steps of 32 bytes up to 512, then in eight steps to each doubling, so
 * that at most an eighth is lost. Chunks of a class are never joined: there are never
 * more of a class than were once in use together. What a restarted router finds free
 * between the sessions is cut into the largest chunks that fit, and large ones are cut
 * again when a small one is wanted.
 *
 * A reader may still be copying what was just freed. That is harmless (see route.c),
 * but it is why every word of a chunk, also the link of a free one, is stored
 * atomically.
 */
#include "router/chunk.h"

#include <assert.h>
#include <stdatomic.h>

#include "router/layout.h"
#include "shm/zone.h"

enum {
    FINE_MAX = 512, /* bytes */
    FINE_CLASSES = FINE_MAX / LAYOUT_UNIT,
    STEPS = 8,            /* a doubling */
    CUT_FACTOR = 4,       /* a chunk is cut for one that is so much smaller */
    READY_STEP = 1 << 13, /* units: memory is asked for in pieces of 256 KiB */
    WORDS_A_UNIT = LAYOUT_UNIT / sizeof(uint64_t)
};

uint32_t
chunk_units(unsigned class)
{
    unsigned doublings, step;

    assert(class < CHUNK_CLASSES);
    if (class < FINE_CLASSES)
        return class + 1;
    doublings = (class - FINE_CLASSES) / STEPS;
    step = (class - FINE_CLASSES) % STEPS + 1;
    return (uint32_t)((FINE_CLASSES << doublings) +
                      (FINE_CLASSES / STEPS << doublings) * step);
}

unsigned
chunk_class(size_t bytes)
{
    uint32_t units = (uint32_t)((bytes + LAYOUT_UNIT - 1) / LAYOUT_UNIT);
    unsigned doublings = 0, step_units;

    assert(bytes > 0 && bytes <= LAYOUT_NODE_MAX);
    if (units <= FINE_CLASSES)
        return units - 1;
    while ((uint32_t)FINE_CLASSES << (doublings + 1) < units)
        doublings++;
    step_units = (unsigned)(FINE_CLASSES / STEPS) << doublings;
    return FINE_CLASSES + doublings * STEPS +
           (units - ((unsigned)FINE_CLASSES << doublings) - 1) / step_units;
}

void
chunk_init(struct chunk_heap *h, _Atomic uint64_t *base, uint32_t start, uint32_t end)
{
    *h = (struct chunk_heap){
        .base = base, .start = start, .top = start, .ready = start, .end = end
    };
}

static _Atomic uint64_t *
first_word(struct chunk_heap *h, uint32_t at)
{
    return h->base + (uint64_t)at * WORDS_A_UNIT;
}

void
chunk_free(struct chunk_heap *h, uint32_t at, unsigned class)
{
    atomic_store_explicit(first_word(h, at), h->free[class], memory_order_release);
    h->free[class] = at;
}

static uint32_t
pop(struct chunk_heap *h, unsigned class)
{
    uint32_t at = h->free[class];

    if (at)
        h->free[class] =
                (uint32_t)atomic_load_explicit(first_word(h, at), memory_order_relaxed);
    return at;
}

void
chunk_add_gap(struct chunk_heap *h, uint32_t at, uint32_t units)
{
    unsigned class = CHUNK_CLASSES - 1;

    while (units > 0) {
        while (chunk_units(class) > units)
            class --;
        chunk_free(h, at, class);
        at += chunk_units(class);
        units -= chunk_units(class);
    }
}

/* Takes a free chunk of a much larger class and gives the rest of it back. */
static uint32_t
cut(struct chunk_heap *h, unsigned class)
{
    uint32_t units = chunk_units(class);

    for (unsigned c = class + 1; c < CHUNK_CLASSES; c++) {
        uint32_t at;

        if (!h->free[c] || chunk_units(c) < units * CUT_FACTOR)
            continue;
        at = pop(h, c);
        chunk_add_gap(h, at + units, chunk_units(c) - units);
        return at;
    }
    return 0;
}

/*
 * Takes what was never used; asks the system for memory first, so that writing is safe.
 */
static uint32_t
extend(struct chunk_heap *h, unsigned class)
{
    uint32_t at = h->top, units = chunk_units(class);

    if (h->end - h->top < units)
        return 0;
    while (h->ready < h->top + units) {
        uint32_t step = h->end - h->ready < READY_STEP ? h->end - h->ready : READY_STEP;

        if (zone_touch(first_word(h, h->ready), (size_t)step * LAYOUT_UNIT) < 0)
            return 0;
        h->ready += step;
    }
    h->top += units;
    return at;
}

uint32_t
chunk_alloc(struct chunk_heap *h, size_t bytes, unsigned *ret_class)
{
    unsigned class = chunk_class(bytes);
    uint32_t at = pop(h, class);

    if (!at)
        at = cut(h, class);
    if (!at)
        at = extend(h, class);
    while (!at && ++class < CHUNK_CLASSES)
        at = pop(h, class); /* nothing else is left: waste a little */
    if (at)
        *ret_class = class;
    return at;
}
