#ifndef AUTH_RECENT_H
#define AUTH_RECENT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Who has done what may be done once in a while, in a table of fixed size. Keys are of
 * limit_key(). The clock is an argument.
 */
struct recent; /* opaque */

struct recent *recent_new(void);
void recent_free(struct recent **recent);

/*
 * Notes that key does it now, and until when it may not do it again: true; false: it
 * may not yet. id names what is done: the same may be asked for again.
 */
bool recent_begin(struct recent *recent, uint64_t key, uint64_t id, uint64_t now_ms,
        uint64_t until_ms);

/* That came to nothing. */
void recent_undo(struct recent *recent, uint64_t key, uint64_t id);

#endif
