/*
 * tls_context.c -- OpenSSL's contexts: which certificate, which versions and ciphers
 *
 * A context is made per host and listener when it is first needed, because an
 * installation may have thousands of hosts. A reload drops them all; connections keep
 * the one they began with.
 */
#include "worker/tls_inside.h"

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "worker/certs.h"
#include "worker/conn.h"

#define CIPHERS_DEFAULT \
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!eNULL:!PSK:!SRP"

/*
 * TLS 1.3: 128 bits are as strong as the key exchange (X25519, P-256), and SHA-256 is
 * what processors have instructions for.
 */
#define CIPHERSUITES \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

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
    ctx = tls_context_for(t->worker, host, t->conn->listener);
    if (ctx)
        SSL_set_SSL_CTX(ssl, ctx);
    return SSL_TLSEXT_ERR_OK;
}

static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
        const unsigned char *in, unsigned in_n, void *arg)
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

/* OpenSSL takes any number of key updates; those of one read are few enough. */
static void
on_message(int sent, int version, int type, const void *message, size_t n, SSL *ssl,
        void *arg)
{
    struct tls *t = SSL_get_app_data(ssl);

    (void)version, (void)arg;
    if (type != SSL3_RT_HANDSHAKE || n == 0)
        return;
    if (!sent && *(const uint8_t *)message == SSL3_MT_KEY_UPDATE &&
            !tls_own_pay_update(t->updates_s, t->worker->now_s, &t->updates_s))
        t->flooded = true;
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

    SSL_CTX_set_min_proto_version(
            ctx, no & CONF_TLS_NO_TLSV1_2 ? TLS1_3_VERSION : TLS1_2_VERSION);
    if (no & CONF_TLS_NO_TLSV1_3)
        SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_ciphersuites(ctx, CIPHERSUITES);
    if (no & CONF_TLS_NO_TICKET)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
}

static SSL_CTX *
context_new(struct worker *w, const struct conf_host *host, uint16_t listener)
{
    const struct conf_listener *ln = &w->proc->conf->listeners[listener];
    struct conf_tls conf = conf_tls_for(host, ln);
    SSL_CTX *ctx = tls_secrets_ctx();
    struct arena arena;
    struct str ascii = host->name;
    const char *ciphers = conf.ciphers.n ? conf.ciphers.p : CIPHERS_DEFAULT;
    bool fits = false;
    int r;

    set_versions(ctx, &conf);
    if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1) {
        log_error(NULL,
                "ciphers \"%s\" name nothing that OpenSSL knows; using the default",
                ciphers);
        SSL_CTX_set_cipher_list(ctx, CIPHERS_DEFAULT);
    }
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"stanzad", 7);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_msg_callback(ctx, on_message);
    set_ticket_keys(w, ctx);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_servername);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    arena_init(&arena, 512);
    jid_domain_ascii(&arena, host->name, &ascii);
    ascii = str_dup(&arena, ascii);
    r = certs_use(w->tls->certs, ctx, ascii.p, &fits);
    if (r == 0 && !fits && !map_get(&w->tls->warned, host->name)) {
        map_set(&w->tls->warned, str_dup(&w->tls->arena, host->name), w);
        log_warning(NULL,
                "no valid certificate names %s; using %s: add one to certfiles",
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

SSL_CTX *
tls_context_for(struct worker *w, const struct conf_host *host, uint16_t listener)
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

    if (w->proc->conf->tls_ktls && w->proc->conf->tls_takeover && w->proc->slot == 0)
        log_warning(NULL, "tls_ktls has no effect without tls_takeover: false");
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
