#ifndef WORKER_TICK_H
#define WORKER_TICK_H

#include "worker/worker.h"

/*
 * Time-outs of streams, of answers and of clients that do not read; pings (XEP-0199).
 */
void tick_begin(struct worker *w);

/* What mod_ping of each host says; again after a reload. */
void tick_load(struct worker *w);

#endif
