#ifndef WORKER_SHAPER_H
#define WORKER_SHAPER_H

#include "worker/worker.h"

/*
 * How many bytes may be read from the client now; 0: reading pauses, and goes on by
 * itself when the shaper allows it. The kernel's window then slows the client for us.
 */
size_t shaper_allow(struct worker *w, struct conn *c);

/* So many were read. */
void shaper_spend(struct worker *w, struct conn *c, size_t n);

/* Chooses the shaper that the listener's rule gives to this client, as now known. */
void shaper_choose(struct worker *w, struct conn *c);

/* Reading of this connection pauses for so long; 0: until the next turn. */
void shaper_pause(struct worker *w, struct conn *c, uint32_t ms);

/* Sets the timer for the connections that pause. */
void shaper_rearm(struct worker *w);

#endif
