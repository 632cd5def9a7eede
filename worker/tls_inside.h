#ifndef WORKER_TLS_INSIDE_H
#define WORKER_TLS_INSIDE_H

#include <openssl/ssl.h>

#include "worker/record.h"
#include "worker/tls.h"
#include "worker/tls_secrets.h"

/* Shared by tls.c, tls_context.c and tls_own.c; nobody else includes it. */

/* OpenSSL's half of a connection. */
struct tls {
    SSL *ssl;
    BIO *in, *out; /* the SSL's */
    struct worker *worker;
    struct conn *conn;
    bool direct;
    struct tls_secrets secrets; /* of TLS 1.3 */
    uint32_t updates_s;         /* as in struct tls_state */
    bool flooded;               /* by more key updates than that allows */
};

/*
 * The context for a host on a listener, made when it is first needed; NULL: no
 * certificate.
 */
SSL_CTX *tls_context_for(
        struct worker *w, const struct conf_host *host, uint16_t listener);

/* The channel bindings of a connection that OpenSSL still holds. */
void tls_read_bindings(const struct tls *t, struct tls_bindings *ret_cb);

/*
 * worker/tls_own.c: the record layer taken over from OpenSSL. tickets: how many records
 * it has written after the client's Finished. kernel: which makes the records to the
 * client. Does nothing where it cannot be done.
 */
void tls_own_take_over(struct worker *w, struct conn *c, unsigned tickets, bool kernel);
size_t tls_own_next_size(const struct conn *c);
int tls_own_open(struct worker *w, struct conn *c, char *ret_bytes, size_t n);
int tls_own_seal(struct worker *w, struct conn *c, struct str bytes);
void tls_own_close(struct worker *w, struct conn *c);
/* The kernel was given so much text. 0 or -EPROTO. */
int tls_own_sent(struct worker *w, struct conn *c, size_t n);

/* May a client whose key updates are paid for until updates_s renew its keys again? */
bool tls_own_pay_update(uint32_t updates_s, uint32_t now_s, uint32_t *ret_updates_s);

#endif
