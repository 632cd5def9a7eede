#ifndef WORKER_UNDELIVERED_H
#define WORKER_UNDELIVERED_H

#include "worker/worker.h"

/*
 * A stanza that was for this session, which is over, and that its client has not got:
 * to the account's other resources or its offline storage, once. at_us: when it came
 * (wall clock). Within a transaction.
 */
void undelivered(struct worker *w, struct conn *c, struct str bytes, uint64_t at_us);

#endif
