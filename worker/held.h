#ifndef WORKER_HELD_H
#define WORKER_HELD_H

#include "worker/module.h"
#include "worker/worker.h"

/* The session ends: what session_hold() has kept back is dropped, and counted. */
void held_drop_all(struct worker *w, struct conn *c);

#endif
