#ifndef MASTER_SAVED_H
#define MASTER_SAVED_H

#include "master/master.h"

/*
 * Sends a new worker its file for the sessions that wait at a stop, and worker 0 those of
 * starts of the service before this one. Failures are logged: a worker without a file
 * gives back what it cannot save.
 */
void saved_send(struct child *c);

#endif
