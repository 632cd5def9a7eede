#ifndef WORKER_GATE_H
#define WORKER_GATE_H

#include "worker/module.h"
#include "worker/worker.h"

/* Within a transaction. */

/*
 * For a session with lists, of its own or of its account: true, it must not have the
 * stanza, or its home decides; what is to be done is done.
 */
bool gate_filters(struct worker *w, struct conn *c, const struct stanza *s);

/* For one with ROUTE_CSI_INACTIVE: true, a module has taken the stanza. */
bool gate_holds_back(struct worker *w, struct conn *c, const struct stanza *s);

#endif
