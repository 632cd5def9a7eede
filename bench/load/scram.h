#ifndef BENCH_LOAD_SCRAM_H
#define BENCH_LOAD_SCRAM_H

#include "base/buf.h"
#include "base/str.h"

/*
 * SCRAM-SHA-1 (RFC 5802), the client's side; the server's signature is not checked.
 * Both give what goes into the element, in base64.
 *
 * What PBKDF2 makes of the password is remembered per salt and number of rounds, as
 * clients do: it would cost more than the server's whole part.
 */
void scram_first(struct buf *ret_b64, struct buf *ret_bare, const char *user);
int scram_final(struct buf *ret_b64, const struct buf *bare, struct str challenge_b64,
        const char *password);

#endif
