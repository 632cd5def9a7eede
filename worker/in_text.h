#ifndef WORKER_IN_TEXT_H
#define WORKER_IN_TEXT_H

#include "worker/worker.h"

enum {
    IN_PEER_LOOK_MS = 10 /* until a process that was behind is looked at again */
};

/* Where its text is: what was received, or what TLS has made of that. */
struct chunk **in_text_of(struct conn *c);

/* Handles it, element by element; false: the connection is not to go on. */
bool in_text_handle(struct worker *w, struct conn *c);

/* Drops what has been handled; a closing stream drops everything. */
void in_text_trim(struct worker *w, struct conn *c);

/* worker/in.c: may its client be read now, by the stream's state and by ours? */
bool in_may_read(struct worker *w, const struct conn *c);

/*
 * worker/in.c: forgets the first `done` bytes of a chunk, which may be the one lent;
 * what is left goes into a chunk that fits.
 */
void in_chunk_trim(
        struct worker *w, struct chunk **at, struct chunk *lent, uint32_t done);

#endif
