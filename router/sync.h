#ifndef ROUTER_SYNC_H
#define ROUTER_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/ipc.h"
#include "router/table.h"

/*
 * Which sessions the workers still have. A worker is asked, in a new epoch; what it
 * names or does from then on gets that epoch; when it has named all, the rest of its
 * sessions is removed, some buckets at a time.
 */
struct sync {
    unsigned n_workers; /* sessions of other slots have nobody and are removed, too */
    uint32_t epoch[IPC_SLOTS_MAX];
    bool wanted[IPC_SLOTS_MAX]; /* has named all; to be swept in the next pass */
    bool swept[IPC_SLOTS_MAX];  /* is being swept in this pass */
    bool sweeping, again;
    uint64_t at, n_removed;
};

/* All workers, at the start of a router: returns the epoch to ask them with. */
uint32_t sync_begin(struct sync *s, struct table *t, unsigned n_workers);

/* One worker, because it was started again. */
uint32_t sync_ask(struct sync *s, struct table *t, unsigned slot);

/*
 * The worker has named all: false when it was asked again since, and this is not all.
 */
bool sync_complete(struct sync *s, unsigned slot, uint64_t epoch);

/* What a session of that worker is marked with now. */
uint32_t sync_epoch(const struct sync *s, unsigned slot);

/* Removes a part of what is to be removed: true when there is more to do. */
bool sync_step(struct sync *s, struct table *t, uint64_t n_buckets);

#endif
