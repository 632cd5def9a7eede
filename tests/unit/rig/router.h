#ifndef TESTS_UNIT_RIG_ROUTER_H
#define TESTS_UNIT_RIG_ROUTER_H

#include "base/buf.h"
#include "conf/conf.h"
#include "ipc/mailbox.h"
#include "proc/proc.h"
#include "router/route.h"

enum {
    WORKERS = 2,
    ENDS = WORKERS + 2
};

struct end {
    int fd; /* for reading */
    struct mailbox_reader reader;
    struct world *world;
    unsigned number;
};

struct world {
    struct proc p;
    struct status_page status;
    struct zone ro;
    struct route_table route;
    struct route_snapshot snap;
    struct end end[ENDS]; /* workers, admin, master */
    struct buf said;      /* what was sent since it was looked at */
};

void world_open(struct world *w);
void world_close(struct world *w);

/* A router process begins; the zone and the mailboxes are what they were. */
void router_begin(struct world *w);
/* It is gone, and what it had not sent yet with it. */
void router_dies(struct world *w);

ipc_addr addr_of(unsigned end);
void tell(struct world *w, unsigned worker, enum ipc_type type, const void *msg);

/* Lets the router do what it has left for later, and looks at what it said. */
const char *said(struct world *w);
#define EXPECT(w, text) assert_string_equal(said(w), text)

/* Connections are numbered; the hundreds say which worker has it. */
uint64_t conn(unsigned n);

struct bind {
    unsigned conn;
    const char *resource;
    enum conf_resource_conflict conflict;
    uint32_t sessions_max;
    uint64_t since_us; /* 0: as the connection is numbered */
    bool resync;
    const char *presence;
    uint32_t serial;
};
void bind_as(struct world *w, const char *bare, struct bind b);
/* BIND(world, connection, resource, further members of struct bind) */
#define BIND(w, n, ...)               \
    bind_as((w), "romeo@example.net", \
            (struct bind){ .conn = (n), .resource = __VA_ARGS__ })

void presence(
        struct world *w, unsigned n, uint32_t serial, bool available, const char *text);
void unbind(struct world *w, unsigned n);
void synced(struct world *w, unsigned worker, uint64_t epoch);

/* "101/garden+ 1/orchard", + when available, in the order of the table. */
const char *table(struct world *w);
#define TABLE(w, text) assert_string_equal(table(w), text)

#endif
