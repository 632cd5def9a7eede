/*
 * digest.c -- hash, HMAC and PBKDF2 from OpenSSL
 *
 * OpenSSL 3 looks an algorithm up by name under a lock each time it is not told which
 * one it is, which costs more than a short HMAC. So everything is fetched once, and one
 * context per hash is kept and re-keyed: the process has one thread.
 *
 * A failure of OpenSSL behind digest_init() is a lack of memory or a bug: an assert.
 */
#include "auth/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/mem.h"

static const struct {
    const char *ossl, *name;
    size_t size;
} digests[DIGESTS] = {
#define DIGEST(ID, ossl, size, name, prefix) [DIGEST_##ID] = { ossl, name, size },
#include "auth/digest.def"
#undef DIGEST
};

static struct {
    EVP_MD *md[DIGESTS];
    EVP_MD_CTX *md_ctx;
    EVP_MAC *hmac;
    EVP_MAC_CTX *hmac_ctx[DIGESTS];
    EVP_KDF *pbkdf2;
    EVP_KDF_CTX *pbkdf2_ctx[DIGESTS];
    uint64_t n_pbkdf2;
    bool ready;
} ossl;

static OSSL_PARAM
param_text(const char *key, const char *text)
{
    /* OpenSSL's parameters are not const, though it only reads these. */
    union {
        const char *in;
        char *out;
    } u = { text };

    return OSSL_PARAM_construct_utf8_string(key, u.out, 0);
}

static OSSL_PARAM
param_bytes(const char *key, struct str bytes)
{
    union {
        const char *in;
        void *out;
    } u = { bytes.n ? bytes.p : "" };

    return OSSL_PARAM_construct_octet_string(key, u.out, bytes.n);
}

static bool
digest_init_one(enum digest d)
{
    OSSL_PARAM params[3];
    int mode = 1; /* PKCS #5: no lower bounds of SP 800-132 on salt and iterations */

    ossl.md[d] = EVP_MD_fetch(NULL, digests[d].ossl, NULL);
    ossl.hmac_ctx[d] = EVP_MAC_CTX_new(ossl.hmac);
    ossl.pbkdf2_ctx[d] = EVP_KDF_CTX_new(ossl.pbkdf2);
    if (!ossl.md[d] || !ossl.hmac_ctx[d] || !ossl.pbkdf2_ctx[d])
        return false;
    params[0] = param_text(OSSL_MAC_PARAM_DIGEST, digests[d].ossl);
    params[1] = OSSL_PARAM_construct_end();
    if (EVP_MAC_CTX_set_params(ossl.hmac_ctx[d], params) != 1)
        return false;
    params[0] = param_text(OSSL_KDF_PARAM_DIGEST, digests[d].ossl);
    params[1] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &mode);
    params[2] = OSSL_PARAM_construct_end();
    return EVP_KDF_CTX_set_params(ossl.pbkdf2_ctx[d], params) == 1;
}

int
digest_init(void)
{
    if (ossl.ready)
        return 0;
    ossl.md_ctx = EVP_MD_CTX_new();
    ossl.hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    ossl.pbkdf2 = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_PBKDF2, NULL);
    ossl.ready = ossl.md_ctx && ossl.hmac && ossl.pbkdf2;
    for (int d = 0; d < DIGESTS && ossl.ready; d++)
        ossl.ready = digest_init_one((enum digest)d);
    if (ossl.ready)
        return 0;
    digest_fini();
    return -ENOSYS;
}

void
digest_fini(void)
{
    for (int d = 0; d < DIGESTS; d++) {
        EVP_MD_free(ossl.md[d]);
        EVP_MAC_CTX_free(ossl.hmac_ctx[d]);
        EVP_KDF_CTX_free(ossl.pbkdf2_ctx[d]);
        ossl.md[d] = NULL;
        ossl.hmac_ctx[d] = NULL;
        ossl.pbkdf2_ctx[d] = NULL;
    }
    EVP_MD_CTX_free(ossl.md_ctx);
    EVP_MAC_free(ossl.hmac);
    EVP_KDF_free(ossl.pbkdf2);
    ossl.md_ctx = NULL;
    ossl.hmac = NULL;
    ossl.pbkdf2 = NULL;
    ossl.ready = false;
}

const char *
digest_name(enum digest d)
{
    return digests[d].name;
}

size_t
digest_size(enum digest d)
{
    return digests[d].size;
}

void
digest_hash(enum digest d, struct str data, uint8_t *ret_hash)
{
    int ok;

    assert(ossl.ready);
    ok = EVP_DigestInit_ex2(ossl.md_ctx, ossl.md[d], NULL) == 1;
    ok = ok && EVP_DigestUpdate(ossl.md_ctx, data.p, data.n) == 1;
    ok = ok && EVP_DigestFinal_ex(ossl.md_ctx, ret_hash, NULL) == 1;
    assert(ok);
}

void
digest_hmac(enum digest d, struct str key, const struct str *parts, size_t n_parts,
        uint8_t *ret_mac)
{
    static const unsigned char no_key[1];
    EVP_MAC_CTX *ctx = ossl.hmac_ctx[d];
    const unsigned char *k = key.n ? (const unsigned char *)key.p : no_key;
    size_t n = 0;
    int ok;

    assert(ossl.ready);
    ok = EVP_MAC_init(ctx, k, key.n, NULL) == 1;
    for (size_t i = 0; i < n_parts && ok; i++)
        ok = EVP_MAC_update(ctx, (const unsigned char *)parts[i].p, parts[i].n) == 1;
    ok = ok && EVP_MAC_final(ctx, ret_mac, &n, DIGEST_SIZE_MAX) == 1;
    assert(ok && n == digests[d].size);
}

void
digest_pbkdf2(enum digest d, struct str password, struct str salt, uint32_t iterations,
        uint8_t *ret_key)
{
    EVP_KDF_CTX *ctx = ossl.pbkdf2_ctx[d];
    uint64_t iter = iterations;
    OSSL_PARAM params[4];
    int ok;

    assert(ossl.ready);
    params[0] = param_bytes(OSSL_KDF_PARAM_PASSWORD, password);
    params[1] = param_bytes(OSSL_KDF_PARAM_SALT, salt);
    params[2] = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_ITER, &iter);
    params[3] = OSSL_PARAM_construct_end();
    ok = EVP_KDF_derive(ctx, ret_key, digests[d].size, params) == 1;
    assert(ok);
    ossl.n_pbkdf2++;

    /* The context keeps a copy of the password: make it forget. */
    params[0] = param_bytes(OSSL_KDF_PARAM_PASSWORD, STR("-"));
    params[1] = OSSL_PARAM_construct_end();
    ok = EVP_KDF_CTX_set_params(ctx, params) == 1;
    assert(ok);
}

uint64_t
digest_n_pbkdf2(void)
{
    return ossl.n_pbkdf2;
}
