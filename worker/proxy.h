#ifndef WORKER_PROXY_H
#define WORKER_PROXY_H

#include "worker/worker.h"

/*
 * Reads the PROXY protocol header (versions 1 and 2) that a load balancer sends first
 * on listeners with use_proxy_protocol, and takes the client's address from it. true:
 * it is complete, the connection has gone on to its next state; false: more is needed,
 * or the connection was closed because the header is wrong.
 */
bool proxy_handle(struct worker *w, struct conn *c);

/*
 * The parsing alone: bytes used (> 0), 0 when more is needed, -EINVAL. *ret_local: the
 * balancer speaks for itself, the address of the connection stays.
 */
int proxy_parse(
        struct str in, uint8_t ret_addr[16], uint16_t *ret_port, bool *ret_local);

#endif
