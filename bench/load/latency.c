/*
 * latency.c -- a histogram of microseconds
 *
 * Values below LATENCY_STEPS have a counter each; above, each power of two has
 * LATENCY_STEPS counters of the same width.
 */
#include "bench/load/latency.h"

static unsigned
index_of(uint64_t us)
{
    unsigned power, i;

    if (us < LATENCY_STEPS)
        return (unsigned)us;
    power = 63u - (unsigned)__builtin_clzll(us) - LATENCY_SHIFT;
    i = LATENCY_STEPS * (power + 1) + (unsigned)(us >> power) - LATENCY_STEPS;
    return i < LATENCY_N ? i : LATENCY_N - 1;
}

/* The middle of what is counted there. */
static uint64_t
value_of(unsigned i)
{
    unsigned power;

    if (i < LATENCY_STEPS)
        return i;
    power = i / LATENCY_STEPS - 1;
    return ((uint64_t)(LATENCY_STEPS + i % LATENCY_STEPS) << power) +
           (((uint64_t)1 << power) >> 1);
}

void
latency_add(struct latency *l, uint64_t us)
{
    l->n++;
    l->count[index_of(us)]++;
    if (us > l->max_us)
        l->max_us = us;
}

void
latency_merge(struct latency *into, const struct latency *l)
{
    into->n += l->n;
    if (l->max_us > into->max_us)
        into->max_us = l->max_us;
    for (unsigned i = 0; i < LATENCY_N; i++)
        into->count[i] += l->count[i];
}

uint64_t
latency_percentile(const struct latency *l, double p)
{
    uint64_t before = 0, wanted = (uint64_t)((double)l->n * p);

    if (wanted >= l->n)
        return l->max_us;
    for (unsigned i = 0; i < LATENCY_N; i++) {
        before += l->count[i];
        if (before > wanted)
            return value_of(i);
    }
    return l->max_us;
}
