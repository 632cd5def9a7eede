/*
 * ktls_other.c -- systems whose kernels make no TLS records, or not so that we know
 */
#include "worker/ktls.h"

#if !defined(__linux__)

#include <errno.h>

int
ktls_attach(int fd)
{
    (void)fd;
    return -EOPNOTSUPP;
}

int
ktls_send_keys(int fd, const struct tls_state *st)
{
    (void)fd, (void)st;
    return -EOPNOTSUPP;
}

int
ktls_send_record(int fd, enum record_type type, const void *p, size_t n)
{
    (void)fd, (void)type, (void)p, (void)n;
    return -EOPNOTSUPP;
}

size_t
ktls_keys(const struct tls_state *st, void *ret_keys)
{
    (void)st, (void)ret_keys;
    return 0;
}

#endif
