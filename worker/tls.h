#ifndef WORKER_TLS_H
#define WORKER_TLS_H

#include "worker/worker.h"

/*
 * TLS of client connections. OpenSSL does the handshake over memory; the records are
 * its too, unless they were taken over (worker/record.h). All of it works on the bytes
 * in c->in and writes to the queue c->wire; nothing here touches the socket.
 */

/* Contexts for all hosts and listeners, from the configuration and the certificates. */
void tls_contexts_load(struct worker *w);
void tls_contexts_free(struct worker *w);

/* Is there a certificate, so that TLS can be offered? */
bool tls_available(const struct worker *w);

/*
 * Begins the server's side; host NULL: as SNI says, else the first. direct: from the
 * first byte, so that ALPN counts (XEP-0368). 0 or -errno.
 */
int tls_begin(
        struct worker *w, struct conn *c, const struct conf_host *host, bool direct);

/* Moves what was received into OpenSSL's hands. false: the connection was closed. */
bool tls_take_input(struct worker *w, struct conn *c);

/* 1: done; 0: more is needed; -errno: failed, an alert is in the queue. */
int tls_handshake(struct worker *w, struct conn *c);

/* How much room tls_open() needs for the next record; 0: it is not complete. */
size_t tls_next_size(struct worker *w, struct conn *c);

/*
 * Decrypts up to n bytes, within a transaction. > 0: so many; 0: more input is needed
 * (or a record brought no text: ask again while tls_next_size() is not 0); -EPIPE: the
 * client has closed its side; -EPROTO: broken.
 */
int tls_open(struct worker *w, struct conn *c, char *ret_bytes, size_t n);

/* Encrypts into the queue c->wire, within a transaction. 0 or -EPROTO. */
int tls_seal(struct worker *w, struct conn *c, struct str bytes);

/*
 * Of a connection with CONN_KTLS, whose queue c->wire is empty: gives the kernel the
 * keys if it has none (it may refuse: then the flag is gone), and notes how much text
 * it was sent. 0 or -EPROTO.
 */
int tls_flush_kernel(struct worker *w, struct conn *c, size_t sent);

/* Adds close_notify to the queue c->wire. */
void tls_close(struct worker *w, struct conn *c);

/* Channel bindings; an empty one is not available. */
enum {
    TLS_BINDING_MAX = 64
};
struct tls_bindings {
    char exporter[32], endpoint[TLS_BINDING_MAX], unique[TLS_BINDING_MAX];
    size_t exporter_n, endpoint_n, unique_n;
};
void tls_get_bindings(struct worker *w, struct conn *c, struct tls_bindings *ret_cb);

/* For logs: "TLSv1.3 TLS_AES_256_GCM_SHA384". */
const char *tls_describe(struct worker *w, struct conn *c);

void tls_free(struct tls **tls);

#endif
