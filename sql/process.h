#ifndef SQL_PROCESS_H
#define SQL_PROCESS_H

#include "proc/proc.h"

/* The sql process: answers SQL_REQUESTs with what is in the hosts' databases. */
extern const struct proc_role_ops sql_ops;

#endif
