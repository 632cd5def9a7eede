/*
 * hkdf.c -- HKDF of TLS 1.3, from digests
 *
 * OpenSSL's own EVP_KDF and EVP_MAC allocate, look names up and parse parameters for
 * each use, which costs four to ten times as much as the hashing. Here are one context
 * per digest, kept, and two passes over a few bytes. The process has one thread.
 */
#include "worker/hkdf.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/mem.h"

enum {
    BLOCK_MAX = 128 /* of SHA-384 */
};

static const struct digest {
    const char *name, *other_names[2];
    size_t size, block;
} digests[HKDF_DIGESTS] = {
    [HKDF_SHA256] = { "SHA2-256", { "SHA256", "SHA-256" }, 32, 64 },
    [HKDF_SHA384] = { "SHA2-384", { "SHA384", "SHA-384" }, 48, 128 },
};

int
hkdf_digest_from(const char *name, enum hkdf_digest *ret_digest)
{
    for (enum hkdf_digest d = 0; d < HKDF_DIGESTS; d++) {
        if (OPENSSL_strcasecmp(name, digests[d].name) == 0 ||
                OPENSSL_strcasecmp(name, digests[d].other_names[0]) == 0 ||
                OPENSSL_strcasecmp(name, digests[d].other_names[1]) == 0) {
            *ret_digest = d;
            return 0;
        }
    }
    return -ENOTSUP;
}

size_t
hkdf_size(enum hkdf_digest d)
{
    return digests[d].size;
}

/* At the start of a hash; NULL: there is none. */
static EVP_MD_CTX *
hash_begin(enum hkdf_digest d)
{
    static EVP_MD_CTX *contexts[HKDF_DIGESTS];
    EVP_MD *md;

    if (contexts[d])
        return EVP_DigestInit_ex2(contexts[d], NULL, NULL) == 1 ? contexts[d] : NULL;
    md = EVP_MD_fetch(NULL, digests[d].name, NULL);
    contexts[d] = EVP_MD_CTX_new();
    if (!contexts[d] || !md || EVP_DigestInit_ex2(contexts[d], md, NULL) != 1) {
        EVP_MD_CTX_free(contexts[d]);
        contexts[d] = NULL;
    }
    EVP_MD_free(md); /* the context holds it */
    return contexts[d];
}

int
hkdf_hash(enum hkdf_digest d, struct str data, uint8_t *ret_hash)
{
    EVP_MD_CTX *ctx = hash_begin(d);

    return ctx && EVP_DigestUpdate(ctx, data.p, data.n) == 1 &&
                           EVP_DigestFinal_ex(ctx, ret_hash, NULL) == 1
                   ? 0
                   : -EIO;
}

/* RFC 2104, one of the two passes: H(key ^ pad | text). */
static int
hmac_pass(enum hkdf_digest d, struct str key, uint8_t pad, struct str text,
        uint8_t *ret_hash)
{
    uint8_t block[BLOCK_MAX];
    EVP_MD_CTX *ctx = hash_begin(d);
    int ok;

    memset(block, pad, digests[d].block);
    for (size_t i = 0; i < key.n; i++)
        block[i] ^= (uint8_t)key.p[i];
    ok = ctx && EVP_DigestUpdate(ctx, block, digests[d].block) == 1 &&
         EVP_DigestUpdate(ctx, text.p, text.n) == 1 &&
         EVP_DigestFinal_ex(ctx, ret_hash, NULL) == 1;
    mem_wipe(block, sizeof block);
    return ok ? 0 : -EIO;
}

static int
hmac(enum hkdf_digest d, struct str key, struct str text, uint8_t *ret_mac)
{
    uint8_t short_key[HKDF_SIZE_MAX], inner[HKDF_SIZE_MAX];
    int r = 0;

    if (key.n > digests[d].block) {
        r = hkdf_hash(d, key, short_key);
        key = (struct str){ (char *)short_key, digests[d].size };
    }
    if (r == 0)
        r = hmac_pass(d, key, 0x36, text, inner);
    if (r == 0)
        r = hmac_pass(
                d, key, 0x5c, (struct str){ (char *)inner, digests[d].size }, ret_mac);
    mem_wipe(short_key, sizeof short_key);
    mem_wipe(inner, sizeof inner);
    return r;
}

int
hkdf_extract(
        enum hkdf_digest d, struct str salt, struct str secret, uint8_t *ret_secret)
{
    return hmac(d, salt, secret, ret_secret);
}

/* RFC 5869, 2.3. text: T(i - 1), the info, and room for one byte behind it. */
static int
expand(enum hkdf_digest d, struct str secret, uint8_t *text, size_t info_n,
        uint8_t *ret_bytes, size_t n)
{
    size_t size = digests[d].size, part;
    uint8_t block[HKDF_SIZE_MAX];
    int r = 0;

    for (unsigned i = 1; n > 0 && r == 0; i++) {
        size_t skip = i == 1 ? size : 0; /* T(0) is empty */

        text[size + info_n] = (uint8_t)i;
        r = hmac(d, secret,
                (struct str){ (char *)text + skip, size + info_n + 1 - skip }, block);
        part = n < size ? n : size;
        if (r == 0)
            memcpy(ret_bytes, block, part);
        memcpy(text, block, size);
        ret_bytes += part;
        n -= part;
    }
    mem_wipe(block, sizeof block);
    return r;
}

int
hkdf_expand_label(enum hkdf_digest d, struct str secret, struct str label,
        struct str context, uint8_t *ret_bytes, size_t n)
{
    uint8_t text[HKDF_SIZE_MAX + 4 + 6 + HKDF_LABEL_MAX + UINT8_MAX + 1];
    uint8_t *p = text + digests[d].size;
    int r;

    if (label.n > HKDF_LABEL_MAX || context.n > UINT8_MAX || n > 255 * digests[d].size)
        return -EINVAL;
    *p++ = (uint8_t)(n >> 8);
    *p++ = (uint8_t)n;
    *p++ = (uint8_t)(6 + label.n);
    memcpy(p, "tls13 ", 6);
    p += 6;
    if (label.n)
        memcpy(p, label.p, label.n);
    p += label.n;
    *p++ = (uint8_t)context.n;
    if (context.n)
        memcpy(p, context.p, context.n);
    p += context.n;
    r = expand(d, secret, text, (size_t)(p - text) - digests[d].size, ret_bytes, n);
    mem_wipe(text, digests[d].size); /* T(i) */
    return r;
}
