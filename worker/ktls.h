#ifndef WORKER_KTLS_H
#define WORKER_KTLS_H

#include <stddef.h>

#include "worker/record.h"

/*
 * Records to the client made by the kernel (option tls_ktls). Those from the client
 * stay ours: the kernel could not be asked after a key update, or a partial record,
 * whose text it has given out already.
 */

/* Prepares the socket; nothing changes yet. 0, or -errno: the kernel does not offer it.
 */
int ktls_attach(int fd);

/* From the next byte on what is sent becomes records, under st->wr. 0 or -errno. */
int ktls_send_keys(int fd, const struct tls_state *st);

/* One record that is not text. 0 or -errno. */
int ktls_send_record(int fd, enum record_type type, const void *p, size_t n);

/* What ktls_send_keys() tells the kernel; how many bytes, 0: no such thing here. */
enum {
    KTLS_KEYS_MAX = 64
};
size_t ktls_keys(const struct tls_state *st, void *ret_keys);

#endif
