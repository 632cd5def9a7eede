#ifndef WORKER_IN_H
#define WORKER_IN_H

#include "worker/worker.h"

/*
 * Reads what the client has sent and handles it, as far as limits, shapers and the
 * stream's state allow; the rest is read when in_resume() or a timer says so.
 */
void in_read(struct worker *w, struct conn *c);

/*
 * Something that reading waited for has come (an answer of another process): goes on at
 * the end of the turn, not within the transaction of the frame that brought it.
 */
void in_resume(struct worker *w, struct conn *c);
void in_resume_all(struct worker *w); /* at the turn's end */

/* The stream starts again behind the element being handled: another parser then. */
void in_restart(struct worker *w, struct conn *c);

/* Reading that paused for a while (shapers, back-pressure) goes on. */
void in_resume_paused(struct worker *w);

#endif
