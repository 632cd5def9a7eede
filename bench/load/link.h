#ifndef BENCH_LOAD_LINK_H
#define BENCH_LOAD_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * A connection, plain or under TLS. After a TLS 1.3 handshake OpenSSL's state may be
 * dropped: then what is left is keys and counters (worker/record.h), 200 bytes instead
 * of 20,000.
 */
struct link {
    int fd;
    bool secure, shaking, drop;
    struct ssl_st *ssl;
    struct tls_state *records; /* instead of ssl */
    struct buf raw;            /* with records: a part of the next one */
    struct buf out; /* what could not be sent yet, as it goes to the socket */
};

/* Once per process. */
void link_init(void);

/* From 127.0.x.1, which `index` chooses: one address has 28,000 ports. 0 or -errno. */
int link_open(struct link *l, const char *address, int port, unsigned index);

void link_start_tls(struct link *l, const char *domain, bool drop);

/* 1: done, 0: waits for more, -1: failed (link_error()). */
int link_handshake(struct link *l);
const char *link_error(void);

/* Adds what has come to `text`. 1: perhaps there is more, 0: there is none, -1: closed.
 */
int link_receive(struct link *l, struct buf *text);

void link_send(struct link *l, struct str text);
void link_flush(struct link *l);

void link_close(struct link *l);

#endif
