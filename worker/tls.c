/*
 * tls.c -- TLS of client connections, by OpenSSL over memory
 *
 * A context is made per host and listener when it is first needed, because an
 * installation may have thousands of hosts. A reload drops them all; connections keep
 * the one they began with.
 */
#include "worker/tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "worker/certs.h"
#include "worker/conn.h"
#include "worker/out.h"
#include "worker/record.h"

enum { TLS_READ_SIZE = 2048, RECORDS_PER_KEY = 1 << 23 /* AES-GCM: RFC 8446, 5.5 */ };

#define CIPHERS_DEFAULT \
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!eNULL:!PSK:!SRP"

struct tls {
    SSL *ssl;
    BIO *in, *out; /* the SSL's */
    struct worker *worker;
    struct conn *conn;
    bool direct;
    uint8_t client_secret[RECORD_SECRET_MAX], server_secret[RECORD_SECRET_MAX];
    size_t client_secret_n, server_secret_n;
};

struct tls_contexts {
    struct certs *certs;
    struct arena arena; /* keys of the map */
    struct map by_key;  /* "listener host" → SSL_CTX */
    struct map warned;
};

static const struct conf_host *
host_of_sni(const struct worker *w, const char *name)
{
    struct arena arena;
    struct str prepared;
    const struct conf_host *host = NULL;

    arena_init(&arena, 512);
    if (name && jid_prep_domain(&arena, str_from(name), &prepared) == 0)
        host = conf_host_find(w->proc->conf, prepared);
    arena_fini(&arena);
    return host;
}

static SSL_CTX *context_for(
        struct worker *w, const struct conf_host *host, uint16_t listener);

/* SNI comes before anything that depends on the host: the certificate above all. */
static int
on_servername(SSL *ssl, int *alert, void *arg)
{
    struct tls *t = SSL_get_app_data(ssl);
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct conf_host *host = host_of_sni(t->worker, name);
    SSL_CTX *ctx;

    (void)alert, (void)arg;
    if (!host)
        return SSL_TLSEXT_ERR_NOACK;
    ctx = context_for(t->worker, host, t->conn->listener);
    if (ctx)
        SSL_set_SSL_CTX(ssl, ctx);
    return SSL_TLSEXT_ERR_OK;
}

static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
        unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\013xmpp-client";
    struct tls *t = SSL_get_app_data(ssl);
    unsigned char *chosen;

    (void)arg;
    if (SSL_select_next_proto(&chosen, out_n, ours, sizeof ours - 1, in, in_n) ==
            OPENSSL_NPN_NEGOTIATED) {
        *out = chosen;
        return SSL_TLSEXT_ERR_OK;
    }
    return t->direct ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

static size_t
unhex(const char *hex, uint8_t *out, size_t size)
{
    size_t n = 0;
    unsigned v;

    while (n < size && sscanf(hex + 2 * n, "%2x", &v) == 1)
        out[n++] = (uint8_t)v;
    return n;
}

/* The secrets under which the records after the handshake are (7.1). */
static void
on_keylog(const SSL *ssl, const char *line)
{
    struct tls *t = SSL_get_app_data(ssl);
    const char *hex = strrchr(line, ' ');

    if (!hex)
        return;
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
        t->client_secret_n = unhex(hex + 1, t->client_secret, sizeof t->client_secret);
    else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
        t->server_secret_n = unhex(hex + 1, t->server_secret, sizeof t->server_secret);
}

/* The same keys in all workers, and others after each start of the service. */
static void
set_ticket_keys(const struct worker *w, SSL_CTX *ctx)
{
    unsigned char keys[80];
    unsigned n = 0;

    for (unsigned char i = 0; i < 2; i++) {
        char label[64];
        unsigned char digest[64];

        snprintf(label, sizeof label, "tickets %u %s", i, w->proc->instance);
        HMAC(EVP_sha512(), w->proc->secret, sizeof w->proc->secret,
                (const unsigned char *)label, strlen(label), digest, &n);
        memcpy(keys + 40 * i, digest, 40);
    }
    SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof keys);
    mem_wipe(keys, sizeof keys);
}

static void
set_versions(SSL_CTX *ctx, const struct conf_tls *conf)
{
    uint32_t no = conf->protocol_options;

    SSL_CTX_set_min_proto_version(ctx,
            no & CONF_TLS_NO_TLSV1_2 ? TLS1_3_VERSION : TLS1_2_VERSION);
    if (no & CONF_TLS_NO_TLSV1_3)
        SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (no & CONF_TLS_NO_TICKET)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
}

static SSL_CTX *
context_new(struct worker *w, const struct conf_host *host, uint16_t listener)
{
    const struct conf_listener *ln = &w->proc->conf->listeners[listener];
    struct conf_tls conf = conf_tls_for(host, ln);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct arena arena;
    struct str ascii = host->name;
    const char *ciphers = conf.ciphers.n ? conf.ciphers.p : CIPHERS_DEFAULT;
    bool fits = false;
    int r;

    set_versions(ctx, &conf);
    if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1) {
        log_error(NULL, "ciphers \"%s\" name nothing that OpenSSL knows; using the default",
                ciphers);
        SSL_CTX_set_cipher_list(ctx, CIPHERS_DEFAULT);
    }
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"stanzad", 7);
    SSL_CTX_set_num_tickets(ctx, 1);
    if (w->proc->conf->tls_takeover)
        SSL_CTX_set_keylog_callback(ctx, on_keylog);
    set_ticket_keys(w, ctx);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_servername);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    arena_init(&arena, 512);
    jid_domain_ascii(&arena, host->name, &ascii);
    ascii = str_dup(&arena, ascii);
    r = certs_use(w->tls->certs, ctx, ascii.p, &fits);
    if (r == 0 && !fits && !map_get(&w->tls->warned, host->name)) {
        map_set(&w->tls->warned, str_dup(&w->tls->arena, host->name), w);
        log_warning(NULL, "no valid certificate names %s; using %s: add one to certfiles",
                ascii.p, certs_describe(w->tls->certs, ascii.p));
    }
    arena_fini(&arena);
    ERR_clear_error();
    if (r < 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static SSL_CTX *
context_for(struct worker *w, const struct conf_host *host, uint16_t listener)
{
    char text[64];
    struct buf key = { 0 };
    SSL_CTX *ctx;

    if (listener >= w->proc->conf->n_listeners)
        listener = 0;
    snprintf(text, sizeof text, "%u ", listener);
    buf_add_c(&key, text);
    buf_add_str(&key, host->name);
    ctx = map_get(&w->tls->by_key, buf_str(&key));
    if (!ctx) {
        ctx = context_new(w, host, listener);
        if (ctx)
            map_set(&w->tls->by_key, str_dup(&w->tls->arena, buf_str(&key)), ctx);
    }
    buf_fini(&key);
    return ctx;
}

void
tls_contexts_load(struct worker *w)
{
    struct str pem = { w->proc->certs, w->proc->certs_size };

    tls_contexts_free(w);
    w->tls = mem_zalloc(sizeof *w->tls);
    arena_init(&w->tls->arena, 4096);
    w->tls->certs = certs_load(pem);
}

void
tls_contexts_free(struct worker *w)
{
    struct map_entry *e;
    size_t at = 0;

    if (!w->tls)
        return;
    while ((e = map_next(&w->tls->by_key, &at)))
        SSL_CTX_free(e->value);
    map_fini(&w->tls->by_key);
    map_fini(&w->tls->warned);
    certs_free(&w->tls->certs);
    arena_fini(&w->tls->arena);
    mem_free(&w->tls);
}

bool
tls_available(const struct worker *w)
{
    return w->tls && certs_count(w->tls->certs) > 0;
}

int
tls_begin(struct worker *w, struct conn *c, const struct conf_host *host, bool direct)
{
    struct live *l = live_of(w, c);
    SSL_CTX *ctx =
            context_for(w, host ? host : &w->proc->conf->hosts[0], c->listener);
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
    mem_wipe(t->client_secret, sizeof t->client_secret);
    mem_wipe(t->server_secret, sizeof t->server_secret);
    mem_free(pt);
}

/*
 * What OpenSSL has written goes into the slot, to be sent at the turn's end. Returns how
 * many records that was.
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

static void bindings_read(SSL *ssl, struct tls_bindings *ret_cb);

/* What the client sent behind its Finished, unread by OpenSSL, is ours to open. */
static void
take_back_input(struct worker *w, struct conn *c, struct tls *t)
{
    char *p;
    long n = BIO_get_mem_data(t->in, &p);
    struct chunk *k;

    if (n <= 0)
        return;
    k = slot_alloc(w, sizeof *k + (size_t)n);
    k->next = NULL;
    k->size = (uint32_t)(slab_size(w->slab, k) - sizeof *k);
    k->len = (uint32_t)n;
    memcpy(k->data, p, (size_t)n);
    SET(w, c->in, k);
    SET(w, c->in_done, 0);
}

/*
 * Takes the record layer over. The records that OpenSSL wrote after the client's Finished
 * are session tickets: they were the first ones under the server's traffic keys.
 */
static void
take_over(struct worker *w, struct conn *c, struct live *l, unsigned tickets)
{
    struct tls *t = l->tls;
    enum record_cipher cipher;
    struct tls_state *st;
    uint8_t secret_size;

    if (!w->proc->conf->tls_takeover || SSL_version(t->ssl) != TLS1_3_VERSION ||
            record_cipher_from(SSL_get_cipher(t->ssl), &cipher, &secret_size) < 0 ||
            t->client_secret_n != secret_size || t->server_secret_n != secret_size ||
            SSL_pending(t->ssl) > 0)
        return;
    st = slot_alloc(w, sizeof *st);
    memset(st, 0, sizeof *st);
    st->cipher = (uint8_t)cipher;
    st->secret_size = secret_size;
    if (record_half_init(st, &st->rd, t->client_secret, 0) < 0 ||
            record_half_init(st, &st->wr, t->server_secret, tickets) < 0) {
        slab_free(w->slab, st);
        return;
    }
    take_back_input(w, c, t);
    SET(w, c->bindings, slot_alloc(w, sizeof *c->bindings));
    bindings_read(t->ssl, c->bindings);
    SET(w, c->tls_state, st);
    tls_free(&l->tls);
}

int
tls_handshake(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    struct tls *t = l->tls;
    int r = SSL_do_handshake(t->ssl), e = SSL_get_error(t->ssl, r);
    unsigned records = drain(w, c, t);

    if (r == 1) {
        SET(w, c->tls, SSL_version(t->ssl) == TLS1_3_VERSION ? CONN_TLS13 : CONN_TLS12);
        take_over(w, c, l, records);
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

static struct str
next_record(const struct conn *c)
{
    struct str in = STR_NULL;
    int n;

    if (c->in)
        in = (struct str){ c->in->data + c->in_done, c->in->len - c->in_done };
    n = record_length(in);
    if (n == 0 || (n > 0 && (size_t)n > in.n))
        return STR_NULL;
    return (struct str){ in.p, n < 0 ? 0 : (size_t)n };
}

size_t
tls_next_size(struct worker *w, struct conn *c)
{
    struct str record;

    (void)w;
    if (!c->tls_state)
        return TLS_READ_SIZE;
    record = next_record(c);
    return record.p ? record.n + 1 : 0; /* broken ones too: tls_open() will say so */
}

static int
seal(struct worker *w, struct conn *c, enum record_type type, const void *p, size_t n)
{
    struct tls_state *st = c->tls_state;
    char *at = out_wire_room(w, c, n + RECORD_OVERHEAD);
    int len = record_seal(st, &st->wr, type, p, n, at);

    if (len < 0)
        return -EPROTO;
    SET(w, st->wr.sequence, st->wr.sequence + 1);
    out_wire_added(w, c, (size_t)len);
    return 0;
}

/* The keys of a direction are replaced as a whole: by another state of the record layer. */
static int
update_keys(struct worker *w, struct conn *c, bool reading)
{
    struct tls_state *st = slot_alloc(w, sizeof *st), *old = c->tls_state;

    *st = *old;
    if (record_half_update(st, reading ? &st->rd : &st->wr) < 0) {
        slab_free(w->slab, st);
        return -EPROTO;
    }
    SET(w, c->tls_state, st);
    slot_free(w, old);
    return 0;
}

static int
send_key_update(struct worker *w, struct conn *c)
{
    static const uint8_t message[5] = { 24, 0, 0, 1, 0 };
    int r = seal(w, c, RECORD_HANDSHAKE, message, sizeof message);

    return r < 0 ? r : update_keys(w, c, false);
}

static int
fatal(struct worker *w, struct conn *c, uint8_t description)
{
    uint8_t alert[2] = { 2, description };

    seal(w, c, RECORD_ALERT, alert, sizeof alert);
    return -EPROTO;
}

/* 4.6.3: the only handshake message a client may send now, alone in its record. */
static int
on_key_update(struct worker *w, struct conn *c, const uint8_t *p, size_t n)
{
    int r;

    if (n != 5 || p[0] != 24 || p[1] || p[2] || p[3] != 1)
        return fatal(w, c, 10 /* unexpected_message */);
    if (p[4] > 1)
        return fatal(w, c, 47 /* illegal_parameter */);
    r = update_keys(w, c, true);
    if (r == 0 && p[4] == 1)
        r = send_key_update(w, c);
    return r;
}

static int
on_alert(const uint8_t *p, size_t n)
{
    enum { CLOSE_NOTIFY = 0, USER_CANCELED = 90 };

    if (n != 2)
        return -EPROTO;
    return p[1] == CLOSE_NOTIFY ? -EPIPE : p[1] == USER_CANCELED ? 0 : -EPROTO;
}

static int
open_own(struct worker *w, struct conn *c, char *ret_bytes, size_t n)
{
    struct tls_state *st = c->tls_state;
    struct str record = next_record(c);
    uint8_t type = 0;
    int len;

    if (!record.p)
        return 0;
    if (record.n == 0)
        return fatal(w, c, 10);
    assert(n >= record.n);
    len = record_open(st, &st->rd, record, ret_bytes, &type);
    if (len < 0)
        return fatal(w, c, 20 /* bad_record_mac */);
    SET(w, st->rd.sequence, st->rd.sequence + 1);
    SET(w, c->in_done, c->in_done + (uint32_t)record.n);
    switch (type) {
    case RECORD_DATA:
        return len;
    case RECORD_HANDSHAKE:
        return on_key_update(w, c, (uint8_t *)ret_bytes, (size_t)len);
    case RECORD_ALERT:
        return on_alert((uint8_t *)ret_bytes, (size_t)len);
    default:
        return fatal(w, c, 10);
    }
}

int
tls_open(struct worker *w, struct conn *c, char *ret_bytes, size_t n)
{
    struct tls *t = live_of(w, c)->tls;
    int r, e;

    if (c->tls_state)
        return open_own(w, c, ret_bytes, n);
    if (!t)
        return -EPROTO;
    r = SSL_read(t->ssl, ret_bytes, n > INT32_MAX ? INT32_MAX : (int)n);
    if (r > 0)
        return r;
    e = SSL_get_error(t->ssl, r);
    drain(w, c, t);
    ERR_clear_error();
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return 0;
    return e == SSL_ERROR_ZERO_RETURN ? -EPIPE : -EPROTO;
}

static int
seal_own(struct worker *w, struct conn *c, struct str bytes)
{
    int r = 0;

    while (bytes.n > 0 && r == 0) {
        size_t n = bytes.n < RECORD_PLAIN_MAX ? bytes.n : RECORD_PLAIN_MAX;

        if (c->tls_state->wr.sequence >= RECORDS_PER_KEY) /* 5.5 */
            r = send_key_update(w, c);
        if (r == 0)
            r = seal(w, c, RECORD_DATA, bytes.p, n);
        bytes.p += n;
        bytes.n -= n;
    }
    return r;
}

int
tls_seal(struct worker *w, struct conn *c, struct str bytes)
{
    struct tls *t = live_of(w, c)->tls;

    if (c->tls_state)
        return seal_own(w, c, bytes);
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

void
tls_close(struct worker *w, struct conn *c)
{
    static const uint8_t close_notify[2] = { 1, 0 };
    struct tls *t = live_of(w, c)->tls;

    if (c->tls_state) {
        seal(w, c, RECORD_ALERT, close_notify, sizeof close_notify);
    } else if (t) {
        SSL_shutdown(t->ssl);
        ERR_clear_error();
        drain(w, c, t);
    }
}

/* RFC 5929, 4.1: the digest of the certificate's signature, SHA-256 for weaker ones. */
static size_t
endpoint_digest(SSL *ssl, char ret_digest[TLS_BINDING_MAX])
{
    X509 *cert = SSL_get_certificate(ssl);
    const EVP_MD *md = EVP_sha256();
    unsigned n = 0;
    int nid;

    if (!cert || !X509_get_signature_info(cert, &nid, NULL, NULL, NULL))
        return 0;
    if (nid != NID_undef && nid != NID_md5 && nid != NID_sha1 && EVP_get_digestbynid(nid))
        md = EVP_get_digestbynid(nid);
    return X509_digest(cert, md, (unsigned char *)ret_digest, &n) == 1 ? n : 0;
}

static void
bindings_read(SSL *ssl, struct tls_bindings *ret_cb)
{
    *ret_cb = (struct tls_bindings){ 0 };
    ret_cb->endpoint_n = endpoint_digest(ssl, ret_cb->endpoint);
    if (SSL_version(ssl) == TLS1_3_VERSION) {
        if (SSL_export_keying_material(ssl, (unsigned char *)ret_cb->exporter,
                    sizeof ret_cb->exporter, "EXPORTER-Channel-Binding", 24,
                    (const unsigned char *)"", 0, 1) == 1)
            ret_cb->exporter_n = sizeof ret_cb->exporter;
    } else if (SSL_get_extms_support(ssl) == 1) {
        /* The client's Finished, or the server's when the session was resumed. */
        size_t n = SSL_session_reused(ssl)
                ? SSL_get_finished(ssl, ret_cb->unique, sizeof ret_cb->unique)
                : SSL_get_peer_finished(ssl, ret_cb->unique, sizeof ret_cb->unique);

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
        bindings_read(t->ssl, ret_cb);
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
    snprintf(text, sizeof text, "%s %s", SSL_get_version(t->ssl), SSL_get_cipher(t->ssl));
    return text;
}
