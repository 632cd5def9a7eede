#ifndef PROC_GIVEN_H
#define PROC_GIVEN_H

#include "proc/proc.h"

/* Shared by given.c and proc.c; nobody else includes it. */

/* Handlers of the frames that every process understands; NULL: the role's. */
extern const ipc_handler_fn given_handlers[IPC_TYPES];

/* proc.c: the process is asked to end in order. */
void proc_stop(struct proc *p);

#endif
