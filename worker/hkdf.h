#ifndef WORKER_HKDF_H
#define WORKER_HKDF_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* HKDF (RFC 5869) as TLS 1.3 uses it (RFC 8446, 7.1). */
enum hkdf_digest {
    HKDF_SHA256,
    HKDF_SHA384,
    HKDF_DIGESTS
};

enum {
    HKDF_SIZE_MAX = 48,
    HKDF_LABEL_MAX = 249 /* RFC 8446, 7.1: 255 with "tls13 " */
};

/* From one of OpenSSL's names: 0, or -ENOTSUP for other digests. */
int hkdf_digest_from(const char *name, enum hkdf_digest *ret_digest);

size_t hkdf_size(enum hkdf_digest d);

/* The digest of nothing, or of everything in `data`. 0 or -EIO. */
int hkdf_hash(enum hkdf_digest d, struct str data, uint8_t *ret_hash);

/* HKDF-Extract: hkdf_size() bytes. 0 or -EIO. */
int hkdf_extract(
        enum hkdf_digest d, struct str salt, struct str secret, uint8_t *ret_secret);

/*
 * HKDF-Expand-Label with a label that lacks its "tls13 ": n bytes. 0, -EIO, or -EINVAL:
 * the label, the context or n is too long.
 */
int hkdf_expand_label(enum hkdf_digest d, struct str secret, struct str label,
        struct str context, uint8_t *ret_bytes, size_t n);

#endif
