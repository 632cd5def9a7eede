/*
 * sync.c -- agreeing with the workers after somebody died
 *
 * The table is right for readers all the time, but it may hold sessions that ended
 * while there was no router, or with a worker that lost them. Epochs come from the
 * table itself, so that a router never reuses the number of a predecessor that died
 * while it asked.
 */
#include "router/sync.h"

uint32_t
sync_begin(struct sync *s, struct table *t, unsigned n_workers)
{
    uint32_t epoch = table_next_epoch(t);

    *s = (struct sync){ .n_workers = n_workers, .again = true };
    for (unsigned i = 0; i < IPC_SLOTS_MAX; i++)
        s->epoch[i] = epoch;
    return epoch;
}

uint32_t
sync_ask(struct sync *s, struct table *t, unsigned slot)
{
    s->wanted[slot] = s->swept[slot] = false;
    s->epoch[slot] = table_next_epoch(t);
    return s->epoch[slot];
}

bool
sync_complete(struct sync *s, unsigned slot, uint64_t epoch)
{
    if (epoch != s->epoch[slot])
        return false;
    s->wanted[slot] = s->again = true;
    return true;
}

uint32_t
sync_epoch(const struct sync *s, unsigned slot)
{
    return s->epoch[slot];
}

static bool
is_gone(void *arg, uint64_t conn, uint32_t epoch)
{
    const struct sync *s = arg;
    unsigned slot = conn_id_slot(conn);

    return slot >= s->n_workers || (s->swept[slot] && epoch != s->epoch[slot]);
}

bool
sync_step(struct sync *s, struct table *t, uint64_t n_buckets)
{
    if (!s->sweeping && s->again) {
        for (unsigned i = 0; i < IPC_SLOTS_MAX; i++) {
            s->swept[i] = s->wanted[i];
            s->wanted[i] = false;
        }
        s->sweeping = true;
        s->again = false;
        s->at = 0;
    }
    if (s->sweeping)
        s->sweeping = table_sweep(t, &s->at, n_buckets, is_gone, s, &s->n_removed);
    return s->sweeping || s->again;
}
