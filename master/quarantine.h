#ifndef MASTER_QUARANTINE_H
#define MASTER_QUARANTINE_H

#include "ipc/ipc.h"

/* The handler of IPC_QUARANTINE; ctx is the struct child of the worker. */
void quarantine_on_frame(void *ctx, ipc_addr from, const void *msg, int *fd);

#endif
