#ifndef MASTER_KEEPER_H
#define MASTER_KEEPER_H

#include "proc/proc.h"

/*
 * The keeper of a worker slot: holds a duplicate of every client socket of that slot
 * and gives them to the worker's successor.
 */
extern const struct proc_role_ops keeper_ops;

#endif
