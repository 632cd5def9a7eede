#ifndef MASTER_ROLES_H
#define MASTER_ROLES_H

#include "proc/proc.h"

/* What each role does; NULL for the master, which is not started like this. */
extern const struct proc_role_ops *const roles[PROC_ROLES];

#endif
