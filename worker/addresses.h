#ifndef WORKER_ADDRESSES_H
#define WORKER_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/worker.h"

/*
 * Connections by the client's address (c2s_connections_per_ip), over all workers: an
 * IPv4 address, or an IPv6 network of 64 bits, which is what one client has.
 */

/* Counts what the slot has; at the start, behind recover_begin(), and at a reload. */
void addresses_load(struct worker *w);

/*
 * One more, whose address is now known. false: that is one too many, and the caller
 * closes it; counted and logged.
 */
bool addresses_admit(struct worker *w, struct conn *c);

/* Its socket has gone, or will not come any more; may be called twice. */
void addresses_leave(struct worker *w, struct conn *c);

/* Every second: says how many more were refused in the minute that is over. */
void addresses_tick(struct worker *w);

/* The key of an address; never 0. */
uint64_t address_key(const uint8_t addr[16]);

enum {
    ADDRESS_TEXT_SIZE = 48
};
/* "192.0.2.7", "2001:db8:1:2::/64" */
const char *address_text(uint64_t key, char ret_text[ADDRESS_TEXT_SIZE]);

/*
 * Who was refused lately, so that each address costs the log a line a minute. Of two
 * that meet in one place the older is forgotten: the table is as large as it is.
 */
enum {
    REFUSALS_PLACES = 256,
    REFUSALS_EVERY_S = 60
};
struct refusals {
    struct refusal {
        uint64_t key;
        uint32_t told_s, n; /* not told since */
    } place[REFUSALS_PLACES];
};

/*
 * Notes a refusal. true: to be told now. *ret_before is about whom the place was
 * before, if n of it were never told; else its n is 0.
 */
bool refusal_note(
        struct refusals *r, uint64_t key, uint32_t now_s, struct refusal *ret_before);

/* The next one whose minute is over with some untold, and now they are. */
bool refusal_next(struct refusals *r, size_t *at, uint32_t now_s, struct refusal *ret);

#endif
