/*
 * backoff.c -- restarting at once, but not in a tight circle
 */
#include "master/backoff.h"

uint64_t
backoff_delay_ms(struct backoff *b, uint64_t lived_ms)
{
    uint64_t delay;

    if (lived_ms >= BACKOFF_HEALTHY_MS)
        b->n_early = 0;
    if (b->n_early == 0) {
        b->n_early = 1;
        return 0;
    }
    delay = BACKOFF_FIRST_MS;
    for (unsigned i = 1; i < b->n_early && delay < BACKOFF_MAX_MS; i++)
        delay *= 2;
    if (delay > BACKOFF_MAX_MS)
        delay = BACKOFF_MAX_MS;
    else
        b->n_early++;
    return delay;
}
