#ifndef WORKER_HELD_H
#define WORKER_HELD_H

#include "worker/module.h"
#include "worker/worker.h"

/* The session ends: what session_hold() has kept back is dropped, and counted. */
void held_drop_all(struct worker *w, struct conn *c);

/* Puts one, of slot memory, behind the others of a list, which is made if need be. */
void held_append(struct worker *w, struct held_list **at, struct held *h);

#endif
