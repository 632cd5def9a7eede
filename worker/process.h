#ifndef WORKER_PROCESS_H
#define WORKER_PROCESS_H

#include "proc/proc.h"

/* The worker process: client connections, sessions, delivery. */
extern const struct proc_role_ops worker_ops;

/* What it does with the frames of others: worker/frames.c. */
extern const ipc_handler_fn worker_handlers[IPC_TYPES];

struct worker;

/* Begins to accept clients; not twice, and not when the process stops. */
void process_serve(struct worker *w);

/* Others give us what is to be stored, or back what is of no use: a stop waits for it.
 */
void process_note_work(struct worker *w);

/* Something is left for a turn's end, and one is to come, at once if none is under way. */
void process_turn_due(struct worker *w);

#endif
