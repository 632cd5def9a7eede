#ifndef WORKER_OUT_H
#define WORKER_OUT_H

#include "worker/worker.h"

/*
 * Adds bytes for the client, within a transaction; they are sent at the end of the
 * turn, all that came together by one system call. A client that lets too much wait is
 * cut at the turn's end (its listener's max_fsm_queue stanzas, or OUT_BYTES_MAX).
 */
enum {
    OUT_BYTES_MAX = 16 << 20
};
void out_add(struct worker *w, struct conn *c, struct str bytes);

/* The same for one stanza, which is counted. */
void out_add_stanza(struct worker *w, struct conn *c, struct str bytes);

/*
 * May the session be given a message of n bytes? Where memory is too short for that, it
 * ends, and the message is to be delivered as if it were not there. Within a
 * transaction.
 */
bool out_takes(struct worker *w, struct conn *c, size_t n);

/* Something for the client was dropped: the connection is cut, the session is not
 * resumed. */
void out_lost(struct worker *w, struct conn *c);

/* Records that are ready for the wire (TLS); likewise within a transaction. */
void out_add_wire(struct worker *w, struct conn *c, struct str bytes);

/* The same in place: room for n bytes in the queue c->wire; then how many there are. */
char *out_wire_room(struct worker *w, struct conn *c, size_t n);
void out_wire_added(struct worker *w, struct conn *c, size_t n);

/* Takes n bytes off the front of a queue; likewise. */
void out_drop(struct worker *w, struct queue *q, size_t n);

/* To be flushed at the end of the turn. */
void out_dirty(struct worker *w, struct conn *c);

/* At the end of the turn: sends for all connections that have something to send. */
void out_flush_all(struct worker *w);

/* Is there anything that the client has not taken yet? */
bool out_pending(const struct conn *c);

#endif
