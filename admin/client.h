#ifndef ADMIN_CLIENT_H
#define ADMIN_CLIENT_H

#include "admin/request.h"

/* The control socket and who is connected to it: bounded in number, size and time. */
enum {
    CLIENTS_MAX = 64,
    CLIENT_REQUEST_MS = 10 * 1000, /* from accept to the complete request */
    CLIENT_STALL_MS = 60 * 1000,   /* takes nothing of an answer for so long */
    CLIENT_OUT_HIGH = 256 * 1024   /* a long answer pauses when so much waits */
};

struct clients {
    struct admin *admin;
    struct proc *p;
    struct loop_io listen_io;
    struct loop_timer retry; /* accepting again after a failure */
    struct loop_turn turn;
    struct list list; /* struct client */
    unsigned n;
    void (*idle)(void *arg); /* the last one has gone, while ending */
    void *idle_arg;
    bool ending;
};

/* fd: listening, not blocking; becomes the clients' to close. 0 or -errno. */
int clients_start(struct clients *cs, struct admin *admin, struct proc *p, int fd);

/* No new ones; calls idle(arg) when the ones that are there have their answers. */
void clients_end(struct clients *cs, void (*idle)(void *arg), void *arg);
void clients_fini(struct clients *cs);

#endif
