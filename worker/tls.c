/*
 * tls.c -- TLS of client connections: OpenSSL over memory, until its records are taken
 * over
 */
#include "worker/tls_inside.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "worker/conn.h"
#include "worker/ktls.h"
#include "worker/out.h"

enum {
    TLS_READ_SIZE = 2048
};

int
tls_begin(struct worker *w, struct conn *c, const struct conf_host *host, bool direct)
{
    struct live *l = live_of(w, c);
    SSL_CTX *ctx =
            tls_context_for(w, host ? host : &w->proc->conf->hosts[0], c->listener);
    struct tls *t;

    if (!ctx)
        return -ENOENT;
    t = mem_zalloc(sizeof *t);
    t->ssl = SSL_new(ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    t->worker = w;
    t->conn = c;
    t->direct = direct;
    BIO_set_mem_eof_return(t->in, -1);
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_app_data(t->ssl, t);
    SSL_set_accept_state(t->ssl);
    l->tls = t;
    return 0;
}

void
tls_free(struct tls **pt)
{
    struct tls *t = *pt;

    if (!t)
        return;
    SSL_free(t->ssl);
    ERR_clear_error();
    mem_wipe(&t->secrets, sizeof t->secrets);
    mem_free(pt);
}

/*
 * What OpenSSL has written goes into the slot, to be sent at the turn's end. Returns
 * how many records that was.
 */
static unsigned
drain(struct worker *w, struct conn *c, struct tls *t)
{
    unsigned records = 0;
    char *p;
    long n = BIO_get_mem_data(t->out, &p);

    if (n <= 0)
        return 0;
    for (long at = 0; at + RECORD_HEADER <= n; records++)
        at += RECORD_HEADER + ((uint8_t)p[at + 3] << 8 | (uint8_t)p[at + 4]);
    worker_begin(w, NULL);
    out_add_wire(w, c, (struct str){ p, (size_t)n });
    worker_commit(w);
    BIO_reset(t->out);
    return records;
}

bool
tls_take_input(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    struct chunk *k = c->in;

    if (!k || c->tls_state)
        return true;
    if (!l->tls || BIO_write(l->tls->in, k->data, (int)k->len) != (int)k->len) {
        conn_close(w, c, "no TLS on this connection");
        return false;
    }
    worker_begin(w, NULL);
    SET(w, c->in, NULL);
    if (k != w->read_chunk)
        slot_free(w, k);
    worker_commit(w);
    return true;
}

static bool
kernel_offers(int fd)
{
    static bool told;
    int r = ktls_attach(fd);

    if (r < 0 && !told) {
        told = true;
        log_notice(NULL, "tls_ktls: the kernel makes no TLS records (%s); OpenSSL does",
                strerror(-r));
    }
    return r == 0;
}

int
tls_handshake(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    struct tls *t = l->tls;
    unsigned records;
    int r, e;

    tls_secrets_watch(&t->secrets);
    r = SSL_do_handshake(t->ssl);
    tls_secrets_watch(NULL);
    e = SSL_get_error(t->ssl, r);
    records = drain(w, c, t);
    if (r == 1) {
        SET(w, c->tls, SSL_version(t->ssl) == TLS1_3_VERSION ? CONN_TLS13 : CONN_TLS12);
        if (w->proc->conf->tls_takeover)
            tls_own_take_over(w, c, records, false);
        else if (w->proc->conf->tls_ktls && kernel_offers(l->fd))
            tls_own_take_over(w, c, records, true);
        return 1;
    }
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return 0;
    log_info(conn_ctx(w, c), "TLS handshake failed: %s",
            ERR_peek_error() ? ERR_reason_error_string(ERR_peek_error()) : "closed");
    ERR_clear_error();
    SET(w, c->tls, CONN_TLS12); /* the alert is in the queue of the wire */
    return -EPROTO;
}

size_t
tls_next_size(struct worker *w, struct conn *c)
{
    (void)w;
    return c->tls_state ? tls_own_next_size(c) : TLS_READ_SIZE;
}

int
tls_open(struct worker *w, struct conn *c, char *ret_bytes, size_t n)
{
    struct tls *t = live_of(w, c)->tls;
    int r, e;

    if (c->tls_state)
        return tls_own_open(w, c, ret_bytes, n);
    if (!t)
        return -EPROTO;
    r = SSL_read(t->ssl, ret_bytes, n > INT32_MAX ? INT32_MAX : (int)n);
    if (t->flooded) {
        log_info(conn_ctx(w, c), "TLS: the connection is ended: too many key updates");
        return -EPROTO;
    }
    if (r > 0)
        return r;
    e = SSL_get_error(t->ssl, r);
    drain(w, c, t);
    ERR_clear_error();
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return 0;
    return e == SSL_ERROR_ZERO_RETURN ? -EPIPE : -EPROTO;
}

int
tls_seal(struct worker *w, struct conn *c, struct str bytes)
{
    struct tls *t = live_of(w, c)->tls;

    if (c->tls_state)
        return tls_own_seal(w, c, bytes);
    while (bytes.n > 0) {
        int r = t ? SSL_write(t->ssl, bytes.p, (int)bytes.n) : -1;

        if (r <= 0) {
            ERR_clear_error();
            return -EPROTO;
        }
        bytes.p += r;
        bytes.n -= (size_t)r;
    }
    drain(w, c, t);
    return 0;
}

int
tls_flush_kernel(struct worker *w, struct conn *c, size_t sent)
{
    struct live *l = live_of(w, c);
    int r;

    if (l->flags & LIVE_KTLS)
        return sent > 0 ? tls_own_sent(w, c, sent) : 0;
    r = ktls_send_keys(l->fd, c->tls_state);
    if (r < 0) {
        log_info(conn_ctx(w, c), "tls_ktls: the kernel refuses %s: %s",
                tls_describe(w, c), strerror(-r));
        SET(w, c->flags, c->flags & ~(unsigned)CONN_KTLS);
        return 0;
    }
    l->flags |= LIVE_KTLS;
    return 0;
}

void
tls_close(struct worker *w, struct conn *c)
{
    struct tls *t = live_of(w, c)->tls;

    if (c->tls_state) {
        tls_own_close(w, c);
    } else if (t) {
        SSL_shutdown(t->ssl);
        ERR_clear_error();
        drain(w, c, t);
    }
}

/* RFC 5929, 4.1: the digest of the certificate's signature, SHA-256 for weaker ones. */
static size_t
certificate_digest(X509 *cert, char ret_digest[TLS_BINDING_MAX])
{
    const EVP_MD *md = EVP_sha256();
    unsigned n = 0;
    int nid;

    if (!X509_get_signature_info(cert, &nid, NULL, NULL, NULL))
        return 0;
    if (nid != NID_undef && nid != NID_md5 && nid != NID_sha1 &&
            EVP_get_digestbynid(nid))
        md = EVP_get_digestbynid(nid);
    return X509_digest(cert, md, (unsigned char *)ret_digest, &n) == 1 ? n : 0;
}

/* Most connections have the same certificate as the one before. */
static size_t
endpoint_digest(SSL *ssl, char ret_digest[TLS_BINDING_MAX])
{
    static X509 *last;
    static char digest[TLS_BINDING_MAX];
    static size_t n;
    X509 *cert = SSL_get_certificate(ssl);

    if (!cert)
        return 0;
    if (cert != last) {
        X509_free(last);
        X509_up_ref(cert);
        last = cert;
        n = certificate_digest(cert, digest);
    }
    memcpy(ret_digest, digest, n);
    return n;
}

void
tls_read_bindings(const struct tls *t, struct tls_bindings *ret_cb)
{
    SSL *ssl = t->ssl;

    *ret_cb = (struct tls_bindings){ 0 };
    ret_cb->endpoint_n = endpoint_digest(ssl, ret_cb->endpoint);
    if (SSL_version(ssl) == TLS1_3_VERSION) {
        if (tls_secrets_export(&t->secrets, STR("EXPORTER-Channel-Binding"),
                    (uint8_t *)ret_cb->exporter, sizeof ret_cb->exporter) == 0)
            ret_cb->exporter_n = sizeof ret_cb->exporter;
    } else if (SSL_get_extms_support(ssl) == 1) {
        /* The client's Finished, or the server's when the session was resumed. */
        size_t n = SSL_session_reused(ssl) ? SSL_get_finished(ssl, ret_cb->unique,
                                                     sizeof ret_cb->unique)
                                           : SSL_get_peer_finished(ssl, ret_cb->unique,
                                                     sizeof ret_cb->unique);

        ret_cb->unique_n = n <= sizeof ret_cb->unique ? n : 0;
    }
    ERR_clear_error();
}

void
tls_get_bindings(struct worker *w, struct conn *c, struct tls_bindings *ret_cb)
{
    struct tls *t = live_of(w, c)->tls;

    *ret_cb = (struct tls_bindings){ 0 };
    if (c->bindings)
        *ret_cb = *c->bindings;
    else if (t)
        tls_read_bindings(t, ret_cb);
}

const char *
tls_describe(struct worker *w, struct conn *c)
{
    static char text[80];
    struct tls *t = live_of(w, c)->tls;

    if (c->tls_state)
        return record_cipher_name((enum record_cipher)c->tls_state->cipher);
    if (!t)
        return "no TLS";
    snprintf(text, sizeof text, "%s %s", SSL_get_version(t->ssl),
            SSL_get_cipher(t->ssl));
    return text;
}
