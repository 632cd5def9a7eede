#ifndef MASTER_HELD_H
#define MASTER_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct held; /* opaque: descriptors by connection id, for one worker slot */

struct held *held_new(unsigned slot);

/* Closes all that is held. */
void held_free(struct held **held);

/*
 * Holds fd, which becomes its to close, in place of what was held at the same index. 0;
 * -EINVAL for a connection of another slot (fd is closed).
 */
int held_put(struct held *held, uint64_t conn, int fd);

/* Closes what is held for exactly this connection; anything else is left alone. */
void held_drop(struct held *held, uint64_t conn);

size_t held_n(const struct held *held);

/*
 * Walks in the order of indices: start with *at = 0; false at the end. What is put or
 * dropped meanwhile is met or not.
 */
bool held_next(const struct held *held, uint32_t *at, uint64_t *ret_conn, int *ret_fd);

#endif
