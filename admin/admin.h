#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "admin/client.h"

struct sql_client;
struct xml_pool;

/* The state of the admin process. */
struct admin {
    struct proc *p;
    struct clients clients;
    uint64_t next_call_id;
    struct list calls; /* struct call, of all requests */
    struct route_table routes;
    bool has_routes;
    struct sql_client *sql;
    struct xml_pool *xml; /* for presences */
    char node[300];
    struct loop_timer stop_timer;
};

#endif
