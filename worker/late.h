#ifndef WORKER_LATE_H
#define WORKER_LATE_H

#include "worker/module.h"
#include "worker/worker.h"

/*
 * Stanzas that come live while older ones are on their way to the same session
 * (session_older_begin, late_moved). Within a transaction, but for the tick.
 */

/* true: the stanza waits. */
bool late_keep(struct worker *w, struct conn *c, const struct stanza *s);

/* Once a second: not for ever. */
void late_tick(struct worker *w, struct conn *c);

/* The session is over: what waits was not delivered. Afterwards there is nothing left. */
void late_give_back(struct worker *w, struct conn *c);

/* Waits for nothing more: what has waited goes out. */
void late_end(struct worker *w, struct conn *c);

/*
 * The session has come from a connection of another worker, by way of which stanzas may
 * still come; the router is about to be told. Then: the new route is in force; a worker
 * is asked to send word by the old way; word has come.
 */
void late_moved(struct worker *w, struct conn *c, uint64_t old);
void late_on_route(struct worker *w, struct conn *c);
void late_on_barrier(struct worker *w, const struct ipc_sm_barrier *m);
void late_on_pass(struct worker *w, const struct ipc_sm_barrier *m);

#endif
