#ifndef WORKER_QUARANTINE_H
#define WORKER_QUARANTINE_H

#include "worker/worker.h"

/*
 * Gives the master what workers in a row died of, for a file (master/quarantine.c);
 * within the transaction that takes it out of the way. id and size are set here.
 */
void quarantine_send(struct worker *w, struct ipc_quarantine *q);

#endif
