/*
 * held.c -- the descriptors that a keeper holds
 *
 * A worker numbers its connections densely, so that an array by index is both small and
 * quick; it grows by chunks, of which there are only so many, however wild the worker.
 */
#include "master/held.h"

#include <errno.h>

#include "base/mem.h"
#include "ipc/ipc.h"

enum {
    CHUNK = 4096,
    CHUNKS = (CONN_INDEX_MAX + 1) / CHUNK
};

struct entry {
    uint32_t generation; /* 0: nothing is held */
    int fd;
};

struct held {
    unsigned slot;
    size_t n;
    struct entry *chunk[CHUNKS];
};

struct held *
held_new(unsigned slot)
{
    struct held *held = mem_zalloc(sizeof *held);

    held->slot = slot;
    return held;
}

static void
entry_clear(struct held *held, struct entry *e)
{
    if (e->generation == 0)
        return;
    close_fd(&e->fd);
    e->generation = 0;
    held->n--;
}

void
held_free(struct held **pheld)
{
    struct held *held = *pheld;

    if (!held)
        return;
    for (size_t i = 0; i < CHUNKS; i++) {
        for (size_t j = 0; held->chunk[i] && j < CHUNK; j++)
            entry_clear(held, &held->chunk[i][j]);
        mem_free_p(held->chunk[i]);
    }
    mem_free(pheld);
}

static struct entry *
entry_at(const struct held *held, uint32_t index)
{
    struct entry *chunk = held->chunk[index / CHUNK];

    return chunk ? &chunk[index % CHUNK] : NULL;
}

int
held_put(struct held *held, uint64_t conn, int fd)
{
    uint32_t index = conn_id_index(conn);
    struct entry *e;

    if (conn_id_slot(conn) != held->slot || conn_id_generation(conn) == 0) {
        close_fd(&fd);
        return -EINVAL;
    }
    if (!held->chunk[index / CHUNK])
        held->chunk[index / CHUNK] = mem_zalloc(CHUNK * sizeof(struct entry));
    e = entry_at(held, index);
    entry_clear(held, e);
    *e = (struct entry){ conn_id_generation(conn), fd };
    held->n++;
    return 0;
}

void
held_drop(struct held *held, uint64_t conn)
{
    struct entry *e = entry_at(held, conn_id_index(conn));

    if (e && conn_id_slot(conn) == held->slot &&
            e->generation == conn_id_generation(conn))
        entry_clear(held, e);
}

size_t
held_n(const struct held *held)
{
    return held->n;
}

bool
held_next(const struct held *held, uint32_t *at, uint64_t *ret_conn, int *ret_fd)
{
    while (*at <= CONN_INDEX_MAX) {
        uint32_t index = *at;
        struct entry *e = entry_at(held, index);

        if (!e) {
            *at = (index / CHUNK + 1) * CHUNK;
            continue;
        }
        ++*at;
        if (e->generation == 0)
            continue;
        *ret_conn = conn_id_of(held->slot, index, e->generation);
        *ret_fd = e->fd;
        return true;
    }
    return false;
}
