#ifndef ROUTER_CHUNK_H
#define ROUTER_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where in the heap of the route table there is room: known to the router alone, and
 * made anew from the sessions that it finds when it starts. Offsets count units
 * (layout.h).
 */
enum {
    CHUNK_CLASSES = 72
};

struct chunk_heap {
    _Atomic uint64_t *base;       /* of the zone */
    uint32_t start, top, end;     /* units; from top on it was never used */
    uint32_t ready;               /* units up to which the system has given us memory */
    uint32_t free[CHUNK_CLASSES]; /* chains of free chunks through their first words */
};

/*
 * The smallest class for so many bytes (1..LAYOUT_NODE_MAX), and how large a class is.
 */
unsigned chunk_class(size_t bytes);
uint32_t chunk_units(unsigned class);

/* An empty heap between two offsets. */
void chunk_init(
        struct chunk_heap *h, _Atomic uint64_t *base, uint32_t start, uint32_t end);

/*
 * Room for so many bytes: the offset, and in *ret_class what chunk_free wants to know.
 * 0 when there is none.
 */
uint32_t chunk_alloc(struct chunk_heap *h, size_t bytes, unsigned *ret_class);
void chunk_free(struct chunk_heap *h, uint32_t at, unsigned class);

/* Makes units between two sessions usable; top must be behind them. */
void chunk_add_gap(struct chunk_heap *h, uint32_t at, uint32_t units);

#endif
