#ifndef SHM_SLAB_H
#define SHM_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Memory of a slot segment in chunks of a few sizes. Which chunks are free is known on
 * the heap of the occupant only: an allocation becomes lasting when a committed word
 * points to it, and a successor finds out what is in use by walking what it can reach
 * (slab_mark) and takes the rest as free. So nothing leaks through a death.
 *
 * What is shared is one byte per page of 64 KiB: the size class of its chunks.
 */
enum {
    SLAB_PAGE = 64 * 1024,
    SLAB_CHUNK_MIN = 32,
    SLAB_CHUNK_MAX = 16 << 20, /* larger than a page: a run of whole pages */
    SLAB_RUN_MAX = SLAB_CHUNK_MAX + SLAB_PAGE /* for what comes from another layout */
};

struct slab;

/*
 * base: SLAB_PAGE-aligned memory of n_pages pages; page_class: n_pages bytes in the
 * slot, all 0 the first time. fresh: forget what was there.
 */
struct slab *slab_new(void *base, uint32_t n_pages, uint8_t *page_class, bool fresh);
void slab_free_all(struct slab **slab); /* the heap part */

/* Not cleared; NULL when the segment is exhausted. */
void *slab_alloc(struct slab *slab, size_t size);
void slab_free(struct slab *slab, void *p);

/* How many bytes the chunk really has. */
size_t slab_size(const struct slab *slab, const void *p);

/* Recovery: after slab_new(fresh false) mark all that is in use, then sweep. */
void slab_mark(struct slab *slab, const void *p);
void slab_sweep(struct slab *slab);

struct slab_stats {
    uint64_t bytes_used; /* in chunks handed out */
    uint32_t pages_used;
};
void slab_get_stats(const struct slab *slab, struct slab_stats *ret_stats);

#endif
