#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

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

/* Never NULL; aligned for any type; not cleared. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_alloc_unaligned(struct arena *a, size_t size); /* for bytes */
void *arena_zalloc(struct arena *a, size_t size);
#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))

/* Calls fn(arg) when the arena is reset or ended, the latest first. */
void arena_on_end(struct arena *a, void (*fn)(void *arg), void *arg);

/* Bytes handed out since the last reset: what a budget is compared with. */
size_t arena_used(const struct arena *a);

#endif
