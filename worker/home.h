#ifndef WORKER_HOME_H
#define WORKER_HOME_H

#include "worker/module.h"
#include "worker/worker.h"

/*
 * Each account has one worker, its home (account_home), in which all that changes it is
 * done, one after the other. These are the frames that lead there and back.
 */
void home_on_frame(struct worker *w, const struct ipc_home *m);
void notify_on_frame(struct worker *w, const struct ipc_notify *m);

#endif
