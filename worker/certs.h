#ifndef WORKER_CERTS_H
#define WORKER_CERTS_H

#include <openssl/ssl.h>

#include "base/str.h"

/*
 * The certificates and keys of certfiles: any number of PEM texts in any order, one
 * after the other. Chains are put together from issuers, keys found by their public
 * key.
 */
struct certs;

struct certs *certs_load(struct str pem);
void certs_free(struct certs **certs);
size_t certs_count(const struct certs *certs); /* of those that have a key */

/*
 * Puts the chain and key for a domain (A-labels) into ctx: the valid one that names it,
 * exact names before wildcards, the longest-lived first; otherwise any, and *ret_fits
 * is false. 0, or -ENOENT when there is none at all.
 */
int certs_use(
        const struct certs *certs, SSL_CTX *ctx, const char *domain, bool *ret_fits);

/* What the chosen certificate is called, for logs: its subject and end. */
const char *certs_describe(const struct certs *certs, const char *domain);

#endif
