#ifndef ADMIN_PROCESS_H
#define ADMIN_PROCESS_H

#include "proc/proc.h"

/*
 * The admin process: answers stanzactl over DIR/stanzad.sock (its listener 0) by asking
 * the master, auth and sql, and by reading the route table and the status pages.
 */
extern const struct proc_role_ops admin_ops;

#endif
