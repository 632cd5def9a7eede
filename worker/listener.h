#ifndef WORKER_LISTENER_H
#define WORKER_LISTENER_H

#include "worker/worker.h"

/* Begins to accept on a listener that the master has bound for this worker. */
int listener_open(struct worker *w, unsigned place);

/* Stops accepting; the socket is closed, the master keeps its own. */
void listener_close(struct worker *w, uint16_t index);
void listener_close_all(struct worker *w);

/* After a reload: the places of listeners and their connections in the new settings. */
void listener_renumber(struct worker *w);

/* After a reload, or when descriptors are to be had again. */
void listener_accept_all(struct worker *w);

#endif
