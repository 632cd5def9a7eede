#ifndef BENCH_LOAD_PAIR_H
#define BENCH_LOAD_PAIR_H

#include "bench/load/client.h"

/*
 * Clients 2k and 2k+1 are partners. What each sends to the other carries the time and
 * 1, 2, 3 …, so that it is seen how long it took, what is lost, and what comes twice.
 */
struct pair_message {
    uint64_t sent_us;
};

struct client *pair_partner(struct client *c);
void pair_send(struct client *c, uint64_t us);

/* Whether this element was a message of the partner. Counts what is wrong with its
 * number. */
bool pair_receive(struct client *c, struct str name, struct str element,
        struct pair_message *ret_message);
/* The same, and its latency is counted. */
bool pair_measure(
        struct client *c, struct str name, struct str element, uint64_t *ret_now_us);

#endif
