#ifndef WORKER_KEEP_H
#define WORKER_KEEP_H

#include "worker/worker.h"

/* Gives the keeper a duplicate of a connection's socket. */
void keep_socket(struct worker *w, struct conn *c, int fd);

/* The keeper is to close that; soon, but it is not woken for one. */
void keep_release(struct worker *w, uint64_t conn);

/* Tells it now of all that keep_release() has put off. */
void keep_flush(struct worker *w);

#endif
