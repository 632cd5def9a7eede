#ifndef WORKER_OUTBOX_H
#define WORKER_OUTBOX_H

#include "worker/worker.h"

/*
 * Sends a frame to another process as part of the transaction under way: it is kept in
 * the slot until it has been sent, so that a commit is a promise. The receiver drops it
 * should it come twice.
 */
void outbox_send(struct worker *w, ipc_addr to, enum ipc_type type, const void *msg);

/* A transaction has been committed: its frames may go, should there be many of them. */
void outbox_committed(struct worker *w);

/* At the end of a turn, after the post was flushed: forgets what has been sent. */
void outbox_settle(struct worker *w);

/*
 * Is there so much in it that who has more to send, and time, should wait? What one
 * session gives back still fits then.
 */
bool outbox_is_crowded(const struct worker *w);

/*
 * Now and then: an outbox that has been large and is empty gives its memory back.
 * true: it was.
 */
bool outbox_trim(struct worker *w);

/* A successor: sends again what its predecessor may not have sent. How many frames. */
unsigned outbox_resume(struct worker *w);

/*
 * And notes whose homes are still to get a stanza (w->behind): what comes next for one of
 * them must not overtake it. After some seconds, and at the end, that is forgotten.
 */
void outbox_behind_end(struct worker *w);

/*
 * Does much wait for that process? A client whose stanza led to a frame for it (worker.
 * to_slow, slow_peer) is not read until it does not: so those who cause work for a slow
 * process wait, and others go on.
 */
bool outbox_is_slow(const struct worker *w, ipc_addr to);

#endif
