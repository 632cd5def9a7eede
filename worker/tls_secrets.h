#ifndef WORKER_TLS_SECRETS_H
#define WORKER_TLS_SECRETS_H

#include <openssl/ssl.h>

#include "worker/hkdf.h"

/* What a handshake of TLS 1.3 ends with (RFC 8446, 7.1), of one digest's size. */
struct tls_secrets {
    uint8_t client[HKDF_SIZE_MAX], server[HKDF_SIZE_MAX], exporter[HKDF_SIZE_MAX];
    size_t client_n, server_n, exporter_n; /* 0: not known yet */
};

/* A context for servers, whose handshakes' secrets can be had. NULL: no memory. */
SSL_CTX *tls_secrets_ctx(void);

/* Where those go that are made from now on; NULL: nowhere. */
void tls_secrets_watch(struct tls_secrets *to);

/* RFC 8446, 7.5, of an empty context: n bytes. 0 or -errno. */
int tls_secrets_export(
        const struct tls_secrets *s, struct str label, uint8_t *ret_bytes, size_t n);

/* Are they made by our own key schedule, not asked of OpenSSL's? */
bool tls_secrets_ours(void);

#endif
