/*
 * roles.c -- the one place that knows what every role is
 */
#include "master/roles.h"

#include "master/keeper.h"

extern const struct proc_role_ops worker_ops __attribute__((weak));
extern const struct proc_role_ops router_ops __attribute__((weak));
extern const struct proc_role_ops auth_ops __attribute__((weak));
extern const struct proc_role_ops sql_ops __attribute__((weak));
extern const struct proc_role_ops admin_ops __attribute__((weak));

const struct proc_role_ops *const roles[PROC_ROLES] = {
    [PROC_KEEPER] = &keeper_ops,
    [PROC_WORKER] = &worker_ops,
    [PROC_ROUTER] = &router_ops,
    [PROC_AUTH] = &auth_ops,
    [PROC_SQL] = &sql_ops,
    [PROC_ADMIN] = &admin_ops,
};
