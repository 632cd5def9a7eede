#ifndef BENCH_LOAD_LATENCY_H
#define BENCH_LOAD_LATENCY_H

#include <stdint.h>

/*
 * A histogram of microseconds with steps of less than one per cent: it needs no memory
 * per value, and those of several processes can be added up.
 */
enum {
    LATENCY_SHIFT = 7,
    LATENCY_STEPS = 1 << LATENCY_SHIFT, /* for each power of two */
    LATENCY_N = LATENCY_STEPS * 26
};

struct latency {
    uint64_t n, max_us;
    uint64_t count[LATENCY_N];
};

void latency_add(struct latency *l, uint64_t us);
void latency_merge(struct latency *into, const struct latency *l);
uint64_t latency_percentile(const struct latency *l, double p); /* 0.5 is the median */

#endif
