#ifndef WORKER_PROCESS_H
#define WORKER_PROCESS_H

#include "proc/proc.h"

/* The worker process: client connections, sessions, delivery. */
extern const struct proc_role_ops worker_ops;

struct worker;

/* Begins to accept clients; not twice, and not when the process stops. */
void process_serve(struct worker *w);

#endif
