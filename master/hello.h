#ifndef MASTER_HELLO_H
#define MASTER_HELLO_H

#include <stdint.h>

/*
 * The first and only packet of a connection to DIR/stanzad.adopt: who the running
 * processes are, in words that any version understands, and the control channel of the
 * holder that has answered.
 */
struct hello {
    uint64_t signature; /* hello_signature() of those who run */
    char version[64];
    int control_fd;
};

/* What a master and the processes of another one must have in common. */
uint64_t hello_signature(void);

/* Of tables that the master does not know but that are in frames: before anything else. */
void hello_add(uint64_t signature);

/* 0 or -errno; the descriptor stays the caller's. */
int hello_send(int sock, int control_fd);

/* 0; -EAGAIN: nothing came yet; -EPIPE: the other end has closed; -EPROTO. */
int hello_receive(int sock, struct hello *ret_hello);

#endif
