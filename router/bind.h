#ifndef ROUTER_BIND_H
#define ROUTER_BIND_H

#include "ipc/ipc.h"
#include "router/route.h"
#include "router/table.h"

/* What came of a bind: the answer, and who has to go for it. */
struct bind_outcome {
    enum route_status status;
    struct str resource; /* with ROUTE_OK; a view of text */
    char text[ROUTE_RESOURCE_MAX];
    uint64_t
            ended[ROUTE_RESOURCES_MAX + 1]; /* connections; they are out of the table */
    unsigned n_ended;
    bool was_available; /* of bind_again: before the presence that it brought */
};

/*
 * Binds a resource as the request and its conflict policy say; the table is committed
 * on return. The same request again has the same outcome.
 */
void bind_new(struct table *t, const struct ipc_route_bind *m, uint32_t epoch,
        struct bind_outcome *ret);

/*
 * Takes in what a worker says of a session that was bound before (resync). Of two that
 * claim one resource the later one wins, in whatever order they are named. The loser,
 * and one that there is no room for, are among the ended.
 */
void bind_again(struct table *t, const struct ipc_route_bind *m, uint32_t epoch,
        struct bind_outcome *ret);

#endif
