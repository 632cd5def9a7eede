/*
 * tls_secrets.c -- the key schedule within OpenSSL's handshakes, against a client that
 * uses OpenSSL's own, and where that of the server is OpenSSL's, too
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "worker/tls_secrets.h"

static const char *const suites[] = { "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256" };

/* What the client logs, by which the server's are judged. */
static struct tls_secrets told;
static SSL_SESSION *session;

static void
on_client_log(const SSL *ssl, const char *line)
{
    const char *hex = strrchr(line, ' ') + 1;
    uint8_t *to;
    size_t n = strlen(hex) / 2;
    unsigned v;

    (void)ssl;
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0) {
        to = told.client;
        told.client_n = n;
    } else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0) {
        to = told.server;
        told.server_n = n;
    } else if (strncmp(line, "EXPORTER_SECRET ", 16) == 0) {
        to = told.exporter;
        told.exporter_n = n;
    } else {
        return;
    }
    for (size_t i = 0; i < n && sscanf(hex + 2 * i, "%2x", &v) == 1; i++)
        to[i] = (uint8_t)v;
}

static int
on_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = s;
    return 1;
}

static void
certify(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void
carry(SSL *from, SSL *to)
{
    char bytes[16384];
    int n = BIO_read(SSL_get_wbio(from), bytes, sizeof bytes);

    if (n > 0)
        assert_int_equal(BIO_write(SSL_get_rbio(to), bytes, n), n);
}

static SSL *
end_new(SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);

    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

/* A handshake and a byte each way; what the server's side is told goes to *ret_s. */
static void
shake(SSL_CTX *server_ctx, SSL_CTX *client_ctx, bool resumed, struct tls_secrets *ret_s,
        uint8_t ret_exported[32])
{
    SSL *server = end_new(server_ctx), *client = end_new(client_ctx);
    char byte;

    memset(&told, 0, sizeof told);
    memset(ret_s, 0, sizeof *ret_s);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    if (resumed)
        assert_int_equal(SSL_set_session(client, session), 1);
    for (int i = 0; i < 4; i++) {
        SSL_do_handshake(client);
        carry(client, server);
        tls_secrets_watch(ret_s);
        SSL_do_handshake(server);
        tls_secrets_watch(NULL);
        carry(server, client);
    }
    assert_int_equal(SSL_write(server, "s", 1), 1);
    carry(server, client);
    assert_int_equal(SSL_read(client, &byte, 1), 1); /* the tickets, too */
    assert_int_equal(SSL_write(client, "c", 1), 1);
    carry(client, server);
    assert_int_equal(SSL_read(server, &byte, 1), 1);
    assert_int_equal(SSL_session_reused(server), resumed);
    assert_int_equal(SSL_export_keying_material(client, ret_exported, 32, "EXPORTER-x",
                             10, (const unsigned char *)"", 0, 1),
            1);
    SSL_shutdown(client); /* else its session cannot be resumed */
    SSL_free(server);
    SSL_free(client);
}

static void
expect_told(const struct tls_secrets *s, const uint8_t want_exported[32])
{
    uint8_t exported[32];

    assert_true(told.client_n > 0);
    assert_int_equal(s->client_n, told.client_n);
    assert_int_equal(s->server_n, told.server_n);
    assert_int_equal(s->exporter_n, told.exporter_n);
    assert_memory_equal(s->client, told.client, told.client_n);
    assert_memory_equal(s->server, told.server, told.server_n);
    assert_memory_equal(s->exporter, told.exporter, told.exporter_n);
    assert_int_equal(tls_secrets_export(s, STR("EXPORTER-x"), exported, 32), 0);
    assert_memory_equal(exported, want_exported, 32);
}

/* Whole handshakes, one with HelloRetryRequest, and one that resumes. */
static void
all_suites(void)
{
    for (size_t i = 0; i < 3 * 2; i++) {
        SSL_CTX *server = tls_secrets_ctx(), *client = SSL_CTX_new(TLS_client_method());
        struct tls_secrets s;
        uint8_t exported[32];

        certify(server);
        if (i >= 3) /* what the client offers first is not what the server takes */
            assert_int_equal(SSL_CTX_set1_groups_list(server, "P-384"), 1);
        SSL_CTX_set_ciphersuites(client, suites[i % 3]);
        SSL_CTX_set_keylog_callback(client, on_client_log);
        SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
        SSL_CTX_sess_set_new_cb(client, on_session);
        shake(server, client, false, &s, exported);
        expect_told(&s, exported);
        assert_non_null(session);
        shake(server, client, true, &s, exported);
        expect_told(&s, exported);
        SSL_SESSION_free(session);
        session = NULL;
        SSL_CTX_free(server);
        SSL_CTX_free(client);
    }
}

static void
by_our_schedule(void **state)
{
    (void)state;
    assert_true(tls_secrets_ours());
    all_suites();
}

/* As a configuration of OpenSSL may have it, for FIPS above all. */
static void
by_openssl_s_schedule(void **state)
{
    (void)state;
    assert_int_equal(EVP_set_default_properties(NULL, "provider=default"), 1);
    assert_false(tls_secrets_ours());
    all_suites();
    assert_int_equal(EVP_set_default_properties(NULL, NULL), 1);
    assert_true(tls_secrets_ours());
}

static void
nothing_is_exported_before(void **state)
{
    struct tls_secrets s = { .exporter_n = 0 };
    uint8_t bytes[32];

    (void)state;
    assert_int_equal(tls_secrets_export(&s, STR("x"), bytes, 32), -ENODATA);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_our_schedule),
        cmocka_unit_test(by_openssl_s_schedule),
        cmocka_unit_test(nothing_is_exported_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
