#ifndef WORKER_PROCESS_H
#define WORKER_PROCESS_H

#include "proc/proc.h"

/* The worker process: client connections, sessions, delivery. */
extern const struct proc_role_ops worker_ops;

#endif
