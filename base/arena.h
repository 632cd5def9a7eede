#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Memory with one lifetime: allocated singly, released together. Four kinds are in use,
 * and a parameter's name says which is meant: conf_arena (until the next reload),
 * stream_arena, stanza_arena (until the stanza has been routed), scratch_arena (one
 * turn of the loop).
 */
struct arena {
    struct arena_chunk *chunk;     /* newest first; the last one is kept by a reset */
    struct arena_cleanup *cleanup; /* newest first */
    char *at, *end;
    size_t chunk_size, used;
};

/* chunk_size: bytes taken from the heap at a time; the first at the first use. */
void arena_init(struct arena *a, size_t chunk_size);

/* Runs the clean-ups, keeps one chunk for the next use. */
void arena_reset(struct arena *a);

/* Runs the clean-ups, gives everything back; a may be used again as if just made. */
void arena_fini(struct arena *a);

void arena_grow(struct arena *a, size_t size); /* arena_alloc()'s, where a is full */

/* Never NULL; not cleared; for bytes. */
static inline void *
arena_alloc_unaligned(struct arena *a, size_t size)
{
    void *p;

    if ((size_t)(a->end - a->at) < size || !a->at)
        arena_grow(a, size);
    p = a->at;
    a->at += size;
    a->used += size;
    return p;
}

/* The same, aligned for any type. */
static inline void *
arena_alloc(struct arena *a, size_t size)
{
    size_t pad = (size_t)(-(uintptr_t)a->at & (alignof(max_align_t) - 1));

    if (!a->at || (size_t)(a->end - a->at) < size + pad) {
        arena_grow(a, size);
        pad = 0;
    }
    a->at += pad;
    return arena_alloc_unaligned(a, size);
}

static inline void *
arena_zalloc(struct arena *a, size_t size)
{
    return memset(arena_alloc(a, size), 0, size);
}

#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))

/* Calls fn(arg) when the arena is reset or ended, the latest first. */
void arena_on_end(struct arena *a, void (*fn)(void *arg), void *arg);

/* Bytes handed out since the last reset: what a budget is compared with. */
size_t arena_used(const struct arena *a);

#endif
