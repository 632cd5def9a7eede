#ifndef AUTH_DIGEST_H
#define AUTH_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum digest {
#define DIGEST(ID, ossl, size, name, prefix) DIGEST_##ID,
#include "auth/digest.def"
#undef DIGEST
    DIGESTS
};

enum {
    DIGEST_SIZE_MAX = 64
};

/*
 * Fetches the algorithms from OpenSSL, once per process; before the privileges fall, so
 * that nothing has to be loaded later. 0 or -ENOSYS. The others assert that it was
 * done.
 */
int digest_init(void);
void digest_fini(void);

const char *digest_name(enum digest d); /* as in auth_scram_hash */
size_t digest_size(enum digest d);

void digest_hash(enum digest d, struct str data, uint8_t *ret_hash);

/* HMAC over up to four parts as if they were one; key.n may be 0. */
void digest_hmac(enum digest d, struct str key, const struct str *parts, size_t n_parts,
        uint8_t *ret_mac);

/*
 * PBKDF2-HMAC with one block of output: Hi() of RFC 5802. About 0.2 us per iteration.
 */
void digest_pbkdf2(enum digest d, struct str password, struct str salt,
        uint32_t iterations, uint8_t *ret_key);

/*
 * How often digest_pbkdf2 was called in this process: what the tests compare, not time.
 */
uint64_t digest_n_pbkdf2(void);

#endif
