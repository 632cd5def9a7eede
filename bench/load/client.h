#ifndef BENCH_LOAD_CLIENT_H
#define BENCH_LOAD_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "bench/load/cut.h"
#include "bench/load/link.h"

enum client_state {
    CLIENT_CLOSED,
    CLIENT_HANDSHAKE,
    CLIENT_FEATURES, /* waits for the server's features, before anything else */
    CLIENT_PROCEED,
    CLIENT_CHALLENGE,
    CLIENT_SUCCESS,
    CLIENT_BIND_FEATURES,
    CLIENT_BIND,
    CLIENT_ROSTER,
    CLIENT_SM,
    CLIENT_ONLINE,
    CLIENT_LEAVING, /* waits for the end of the server's stream */
    CLIENT_LEFT
};

struct client {
    struct link link;
    struct buf in; /* what has been read of an element that is not complete */
    struct cut cut;
    struct buf scram; /* during the dialogue */
    char *jid;        /* full, from the server */
    int index, account;
    enum client_state state;
    uint32_t sm_in; /* stanzas received since <enabled/>; counts with sm only */
    uint32_t sent, received; /* messages with the partner, each way in order */
    uint64_t last_us;        /* when something of the scenario came */
    uint64_t due_us;         /* when something is to be done; 0: nothing */
};

/* Connects and logs in; scenario->online() follows. */
void client_open(struct client *c);

/* Its socket is ready: reads, handles what came, writes. */
void client_ready(struct client *c);

/* Ends its stream in order; scenario->closed() follows. */
void client_leave(struct client *c);

void client_say(struct client *c, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Says what happened to whom, and ends the process: figures with errors are none. */
void client_fail(struct client *c, const char *what) __attribute__((noreturn));

#endif
