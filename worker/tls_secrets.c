/*
 * tls_secrets.c -- TLS 1.3's key schedule in OpenSSL's handshakes, and what it yields
 *
 * OpenSSL derives some twenty secrets in a handshake, each by an EVP_KDF, and has no
 * function that tells the two of them that the record layer needs: only a log for
 * debuggers, digit by digit. Together that takes a quarter of the handshake. So the
 * process brings a provider with this one KDF: worker/hkdf.h does the work and a
 * handshake's last secrets are noted on the way. Everything else is the default
 * provider's.
 *
 * Where OpenSSL is told to take another provider's (fips=yes), that counts, and the
 * secrets come from the log.
 */
#include "worker/tls_secrets.h"

#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <string.h>

#include "base/mem.h"

#define PROVIDER "stanzad"

/* A property of its own: who sets `provider` or `fips` is obeyed. */
#define PROPERTY "stanzad.ours=yes"
#define QUERY    "?" PROPERTY /* ours where there is one, else any */

static struct tls_secrets *watched; /* the process has one thread */

void
tls_secrets_watch(struct tls_secrets *to)
{
    watched = to;
}

static void
keep(const void *secret, size_t n, uint8_t *ret_secret, size_t *ret_n)
{
    if (n > HKDF_SIZE_MAX)
        return;
    memcpy(ret_secret, secret, n);
    *ret_n = n;
}

static void
note(struct str label, const void *secret, size_t n)
{
    struct tls_secrets *s = watched;

    if (!s)
        return;
    if (str_eq(label, STR("c ap traffic")))
        keep(secret, n, s->client, &s->client_n);
    else if (str_eq(label, STR("s ap traffic")))
        keep(secret, n, s->server, &s->server_n);
    else if (str_eq(label, STR("exp master")))
        keep(secret, n, s->exporter, &s->exporter_n);
}

/* What libssl passes to a derivation. */
struct step {
    int mode;
    const char *digest;
    struct str key, salt, prefix, label, data;
};

static bool
step_bytes(const OSSL_PARAM *p, struct str *ret_bytes)
{
    if (p->data_type != OSSL_PARAM_OCTET_STRING)
        return false;
    *ret_bytes = (struct str){ p->data, p->data_size };
    return true;
}

/* false: it is not of its type. What we do not know is left out, as providers do. */
static bool
step_take(struct step *s, const OSSL_PARAM *p)
{
    if (strcmp(p->key, OSSL_KDF_PARAM_MODE) == 0)
        return OSSL_PARAM_get_int(p, &s->mode) == 1;
    if (strcmp(p->key, OSSL_KDF_PARAM_DIGEST) == 0)
        return OSSL_PARAM_get_utf8_string_ptr(p, &s->digest) == 1;
    if (strcmp(p->key, OSSL_KDF_PARAM_KEY) == 0)
        return step_bytes(p, &s->key);
    if (strcmp(p->key, OSSL_KDF_PARAM_SALT) == 0)
        return step_bytes(p, &s->salt);
    if (strcmp(p->key, OSSL_KDF_PARAM_PREFIX) == 0)
        return step_bytes(p, &s->prefix);
    if (strcmp(p->key, OSSL_KDF_PARAM_LABEL) == 0)
        return step_bytes(p, &s->label);
    if (strcmp(p->key, OSSL_KDF_PARAM_DATA) == 0)
        return step_bytes(p, &s->data);
    return true;
}

/* The next of the three stages' secrets, from the one before (salt) and the input. */
static int
extract(const struct step *s, enum hkdf_digest d, uint8_t *ret_secret)
{
    static const char zeros[HKDF_SIZE_MAX];
    struct str key = s->key.p ? s->key : (struct str){ zeros, hkdf_size(d) },
               salt = STR_NULL;
    uint8_t hash[HKDF_SIZE_MAX], derived[HKDF_SIZE_MAX];
    int r = 0;

    if (s->salt.p) {
        r = hkdf_hash(d, STR_NULL, hash);
        salt = (struct str){ (char *)derived, hkdf_size(d) };
        if (r == 0)
            r = hkdf_expand_label(d, s->salt, s->label,
                    (struct str){ (char *)hash, hkdf_size(d) }, derived, hkdf_size(d));
    }
    if (r == 0)
        r = hkdf_extract(d, salt, key, ret_secret);
    mem_wipe(derived, sizeof derived);
    return r;
}

static int
kdf_derive(void *kdf, unsigned char *out, size_t n, const OSSL_PARAM params[])
{
    struct step s = { .mode = -1 };
    enum hkdf_digest d;

    (void)kdf;
    for (const OSSL_PARAM *p = params; p && p->key; p++) {
        if (!step_take(&s, p))
            return 0;
    }
    if (!s.digest || hkdf_digest_from(s.digest, &d) < 0 ||
            !str_eq(s.prefix, STR("tls13 ")))
        return 0;
    if (s.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY)
        return n == hkdf_size(d) && extract(&s, d, out) == 0;
    if (s.mode != EVP_KDF_HKDF_MODE_EXPAND_ONLY || !s.key.p ||
            hkdf_expand_label(d, s.key, s.label, s.data, out, n) < 0)
        return 0;
    note(s.label, out, n);
    return 1;
}

/* All that a derivation needs comes with it: there is nothing to keep. */
static void *
kdf_new(void *provider)
{
    return provider;
}

static void
kdf_free(void *kdf)
{
    (void)kdf;
}

static const OSSL_DISPATCH kdf[] = {
    { OSSL_FUNC_KDF_NEWCTX, (void (*)(void))kdf_new },
    { OSSL_FUNC_KDF_FREECTX, (void (*)(void))kdf_free },
    { OSSL_FUNC_KDF_DERIVE, (void (*)(void))kdf_derive },
    { 0, NULL },
};

static const OSSL_ALGORITHM *
provider_query(void *provider, int operation, int *ret_no_cache)
{
    static const OSSL_ALGORITHM kdfs[] = {
        { OSSL_KDF_NAME_TLS1_3_KDF, PROPERTY, kdf, "TLS 1.3" },
        { NULL, NULL, NULL, NULL },
    };

    (void)provider;
    *ret_no_cache = 0;
    return operation == OSSL_OP_KDF ? kdfs : NULL;
}

static int
provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
        const OSSL_DISPATCH **ret_out, void **ret_provider)
{
    static const OSSL_DISPATCH out[] = {
        { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))provider_query },
        { 0, NULL },
    };
    static char self;

    (void)core, (void)in;
    *ret_out = out;
    *ret_provider = &self;
    return 1;
}

bool
tls_secrets_ours(void)
{
    static OSSL_PROVIDER *provider;
    EVP_KDF *found;
    bool ours;

    if (!provider && OSSL_PROVIDER_add_builtin(NULL, PROVIDER, provider_init) == 1)
        provider = OSSL_PROVIDER_try_load(
                NULL, PROVIDER, 1); /* 1: beside it the default one stays */
    found = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, QUERY);
    ours = found &&
           strcmp(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(found)), PROVIDER) == 0;
    EVP_KDF_free(found);
    ERR_clear_error();
    return ours;
}

/* A line of the log: label, the client's random, and the secret in digits. */
static void
on_keylog(const SSL *ssl, const char *line)
{
    static const struct {
        const char *in_log, *label;
    } labels[] = {
        { "CLIENT_TRAFFIC_SECRET_0 ", "c ap traffic" },
        { "SERVER_TRAFFIC_SECRET_0 ", "s ap traffic" },
        { "EXPORTER_SECRET ", "exp master" },
    };
    const char *hex = strrchr(line, ' ');
    uint8_t secret[HKDF_SIZE_MAX];
    size_t n = 0;
    int high, low;

    (void)ssl;
    while (hex && n < sizeof secret &&
            (high = OPENSSL_hexchar2int((unsigned char)hex[2 * n + 1])) >= 0 &&
            (low = OPENSSL_hexchar2int((unsigned char)hex[2 * n + 2])) >= 0)
        secret[n++] = (uint8_t)(high << 4 | low);
    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        if (str_starts(str_from(line), str_from(labels[i].in_log)))
            note(str_from(labels[i].label), secret, n);
    }
    mem_wipe(secret, sizeof secret);
}

SSL_CTX *
tls_secrets_ctx(void)
{
    bool ours = tls_secrets_ours();
    SSL_CTX *ctx = SSL_CTX_new_ex(NULL, ours ? QUERY : NULL, TLS_server_method());

    if (ctx && !ours)
        SSL_CTX_set_keylog_callback(ctx, on_keylog);
    return ctx;
}

int
tls_secrets_export(
        const struct tls_secrets *s, struct str label, uint8_t *ret_bytes, size_t n)
{
    enum hkdf_digest d =
            s->exporter_n == hkdf_size(HKDF_SHA256) ? HKDF_SHA256 : HKDF_SHA384;
    uint8_t hash[HKDF_SIZE_MAX], secret[HKDF_SIZE_MAX];
    struct str hash_str = { (char *)hash, hkdf_size(d) };
    int r;

    if (s->exporter_n != hkdf_size(d))
        return -ENODATA;
    r = hkdf_hash(d, STR_NULL, hash);
    if (r == 0)
        r = hkdf_expand_label(d,
                (struct str){ (const char *)s->exporter, s->exporter_n }, label,
                hash_str, secret, hkdf_size(d));
    if (r == 0)
        r = hkdf_expand_label(d, (struct str){ (char *)secret, hkdf_size(d) },
                STR("exporter"), hash_str, ret_bytes, n);
    mem_wipe(secret, sizeof secret);
    return r;
}
