#ifndef AUTH_LIMIT_H
#define AUTH_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/*
 * How often somebody may fail: a token bucket per key (an address, an account), in a
 * table of fixed size that forgets who has not failed for longest. It says how long an
 * answer has to wait; waiting is up to the caller. The clock is an argument.
 */
struct limit; /* opaque */

struct limit_params {
    uint32_t burst;        /* failures without consequence */
    uint32_t interval_ms;  /* one more is forgiven each time that this has passed */
    uint32_t delay_max_ms; /* debts do not grow beyond: nobody waits longer */
    uint32_t n_max;        /* keys in the table, 48 bytes each */
};

struct limit *limit_new(const struct limit_params *params);
void limit_free(struct limit **limit);

/* The key of what has no limit. */
#define LIMIT_NOBODY UINT64_C(0)

/* Keys are keyed hashes: 64 bits that nobody outside can make collide. */
uint64_t limit_key(const struct limit *limit, struct str a, struct str b);

/*
 * Of a network address as text, with or without port: IPv4 (mapped into IPv6 or not) as
 * it is, IPv6 by its /64, because a subscriber has at least as many. Anything else as the
 * text that it is. Loopback, and the zeros that stand for a Unix socket, give
 * LIMIT_NOBODY: that is a proxy as a rule, and limiting it would shut everybody out.
 */
uint64_t limit_key_of_address(const struct limit *limit, struct str address);

void limit_on_failure(struct limit *limit, uint64_t key, uint64_t now_ms);

/* How long an answer must wait because of the failures up to now. 0: not at all. */
uint64_t limit_delay_ms(const struct limit *limit, uint64_t key, uint64_t now_ms);

/*
 * Would one more failure be more than anybody may owe? Who is refused then fails no
 * more often than once per interval in the long run, however many try at once.
 */
bool limit_is_over(const struct limit *limit, uint64_t key, uint64_t now_ms);

size_t limit_n(const struct limit *limit);           /* keys in the table */
uint64_t limit_n_evicted(const struct limit *limit); /* forgotten too early */

#endif
