#ifndef WORKER_LATE_H
#define WORKER_LATE_H

#include "worker/module.h"
#include "worker/worker.h"

/*
 * Messages that come live while older ones are on their way to the same session
 * (session_older_begin). Within a transaction, but for the tick.
 */

/* true: the stanza waits. */
bool late_keep(struct worker *w, struct conn *c, const struct stanza *s);

/* Once a second: not for ever. */
void late_tick(struct worker *w, struct conn *c);

/* The session is over: what waits was not delivered. Afterwards there is nothing left. */
void late_give_back(struct worker *w, struct conn *c);

#endif
