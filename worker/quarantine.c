/*
 * quarantine.c -- what workers died of goes to the master, unread
 */
#include "worker/quarantine.h"

#include "base/clock.h"
#include "worker/outbox.h"

enum {
    BYTES_MAX = 48 * 1024 /* in one packet, with its headers */
};

void
quarantine_send(struct worker *w, struct ipc_quarantine *q)
{
    q->id = clock_wall_us();
    q->size = q->bytes.n;
    if (q->bytes.n > BYTES_MAX)
        q->bytes.n = BYTES_MAX;
    outbox_send(w, ipc_addr_of(PROC_MASTER, 0), IPC_QUARANTINE, q);
}
