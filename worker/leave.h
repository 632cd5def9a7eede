#ifndef WORKER_LEAVE_H
#define WORKER_LEAVE_H

#include "worker/worker.h"

/*
 * A planned end: everything stays in the slot for a successor. _begin stops accepting;
 * _try, at the end of each turn, ends the process when nothing is under way that would
 * die with it, or when that takes too long. It does not return then.
 */
void leave_begin(struct worker *w);
void leave_try(struct worker *w);

#endif
