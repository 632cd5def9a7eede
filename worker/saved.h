#ifndef WORKER_SAVED_H
#define WORKER_SAVED_H

#include "worker/worker.h"

/*
 * Sessions that wait for their clients (XEP-0198) while the service is down.
 */

/*
 * At a start: takes in what was saved, if it was given to this worker. true: clients are
 * to be served only when it is there, in whichever worker; then process_serve() is
 * called. Not within a transaction.
 */
bool saved_begin(struct worker *w);

/* Another worker has taken in what was saved. */
void saved_on_back(struct worker *w);

/*
 * The session has been given to its client's connection, or (ended) its stanzas are given
 * back: what the file has of it does not count any more. Within the transaction.
 */
void saved_settle(struct worker *w, struct conn *c, bool ended);

/* After everything of a turn has been sent. */
void saved_turn_end(struct worker *w);

/* --- At a stop --- */

/* Is there a file to write to, and has nothing failed? */
bool saved_can(const struct worker *w);

/* Is the session a matter for the next start, which finds it in the file? */
bool saved_keeps(const struct worker *w, const struct conn *c);

/*
 * Saves the sessions that wait, and have not been saved as they are. Those that cannot be
 * saved end, so that what they have is given back. How many these are.
 */
size_t saved_write(struct worker *w);

/* The process ends; finished: nothing is left to be stored. */
void saved_end(struct worker *w, bool finished);
void saved_free(struct worker *w);

#endif
