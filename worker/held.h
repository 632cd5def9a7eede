#ifndef WORKER_HELD_H
#define WORKER_HELD_H

#include "worker/module.h"
#include "worker/worker.h"

/*
 * What session_hold() has kept back for a session: sent as it is, when the module that
 * held it has gone; or dropped and counted, when the session ends. Within a
 * transaction.
 */
void held_send_all(struct worker *w, struct conn *c);
void held_drop_all(struct worker *w, struct conn *c);

#endif
