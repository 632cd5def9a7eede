/*
 * arena.c -- memory with one lifetime
 *
 * Chunks are chained newest first. A request larger than a chunk gets a chunk of its
 * own. A reset keeps only the oldest chunk of the normal size, so that an arena that
 * once held something huge does not keep it for ever.
 */
#include "base/arena.h"

#include <stdalign.h>

#include "base/mem.h"

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    alignas(max_align_t) char data[];
};

struct arena_cleanup {
    struct arena_cleanup *next;
    void (*fn)(void *);
    void *arg;
};

void
arena_init(struct arena *a, size_t chunk_size)
{
    *a = (struct arena){ .chunk_size = chunk_size };
}

void
arena_grow(struct arena *a, size_t size)
{
    size_t n = size > a->chunk_size ? size : a->chunk_size;
    struct arena_chunk *c = mem_alloc(sizeof *c + n);

    c->size = n;
    c->next = a->chunk;
    a->chunk = c;
    a->at = c->data;
    a->end = c->data + n;
}

void
arena_on_end(struct arena *a, void (*fn)(void *arg), void *arg)
{
    struct arena_cleanup *c = arena_alloc(a, sizeof *c);

    c->fn = fn;
    c->arg = arg;
    c->next = a->cleanup;
    a->cleanup = c;
}

static void
arena_release(struct arena *a, bool keep_one)
{
    struct arena_chunk *kept = NULL;

    for (struct arena_cleanup *c = a->cleanup; c; c = c->next)
        c->fn(c->arg);
    for (struct arena_chunk *c = a->chunk, *next; c; c = next) {
        next = c->next;
        if (keep_one && !next && c->size <= a->chunk_size)
            kept = c;
        else
            mem_free_p(c);
    }
    if (kept)
        kept->next = NULL;
    a->cleanup = NULL;
    a->chunk = kept;
    a->at = kept ? kept->data : NULL;
    a->end = kept ? kept->data + kept->size : NULL;
    a->used = 0;
}

void
arena_reset(struct arena *a)
{
    arena_release(a, true);
}

void
arena_fini(struct arena *a)
{
    arena_release(a, false);
}

size_t
arena_used(const struct arena *a)
{
    return a->used;
}
