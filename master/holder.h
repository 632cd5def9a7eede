#ifndef MASTER_HOLDER_H
#define MASTER_HOLDER_H

#include "proc/proc.h"

/*
 * A holder: has a duplicate of everything that a master holds, so that a master may die
 * and another one go on with the same processes.
 */
extern const struct proc_role_ops holder_ops;

#endif
