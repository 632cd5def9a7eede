/*
 * backoff.c -- restarting at once, but not in a tight circle
 */
#include "master/backoff.h"

enum { STEPS_MAX = 8 }; /* doublings from the first delay to the longest */

uint64_t
backoff_delay_ms(struct backoff *b, uint64_t lived_ms, bool faulted)
{
    const uint64_t most = (BACKOFF_FREE + STEPS_MAX) * (uint64_t)BACKOFF_FORGIVE_MS;
    uint64_t delay, steps;

    b->debt_ms -= b->debt_ms < lived_ms ? b->debt_ms : lived_ms;
    b->debt_ms += faulted ? BACKOFF_FORGIVE_MS : BACKOFF_KILLED_MS;
    if (b->debt_ms > most)
        b->debt_ms = most;
    if (b->debt_ms <= BACKOFF_FREE * (uint64_t)BACKOFF_FORGIVE_MS)
        return 0;
    steps = (b->debt_ms - 1) / BACKOFF_FORGIVE_MS - BACKOFF_FREE;
    delay = (uint64_t)BACKOFF_FIRST_MS << steps;
    return delay < BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS;
}
