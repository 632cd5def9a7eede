/*
 * record.c -- TLS 1.3 records (RFC 8446, 5 and 7)
 *
 * AEADs are OpenSSL's. Contexts are kept per process and get the key with each record,
 * except for connections that are busy: an idle one holds no OpenSSL object at all.
 */
#include "worker/record.h"

#include <assert.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "base/mem.h"
#include "worker/hkdf.h"

enum {
    BUSY_AFTER = 16 /* records of one connection in one direction */
};

static const struct cipher {
    const char *tls_name, *evp_name;
    enum hkdf_digest digest;
    uint8_t secret_size, key_size;
} ciphers[RECORD_CIPHERS] = {
    [RECORD_AES_128_GCM] = { "TLS_AES_128_GCM_SHA256", "AES-128-GCM", HKDF_SHA256, 32,
            16 },
    [RECORD_AES_256_GCM] = { "TLS_AES_256_GCM_SHA384", "AES-256-GCM", HKDF_SHA384, 48,
            32 },
    [RECORD_CHACHA20] = { "TLS_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305",
            HKDF_SHA256, 32, 32 },
};

int
record_cipher_from(
        const char *name, enum record_cipher *ret_cipher, uint8_t *ret_secret_size)
{
    for (enum record_cipher c = 0; c < RECORD_CIPHERS; c++) {
        if (name && strcmp(name, ciphers[c].tls_name) == 0) {
            *ret_cipher = c;
            *ret_secret_size = ciphers[c].secret_size;
            return 0;
        }
    }
    return -ENOTSUP;
}

const char *
record_cipher_name(enum record_cipher cipher)
{
    return cipher < RECORD_CIPHERS ? ciphers[cipher].tls_name : "unknown";
}

size_t
record_plain_max(const struct tls_state *st)
{
    return st->fragment ? (size_t)256 << st->fragment : RECORD_PLAIN_MAX;
}

/* A value of a direction, from its secret (RFC 8446, 7.1). */
static int
derive(const struct tls_state *st, const uint8_t *secret, struct str label,
        uint8_t *ret_value, size_t n)
{
    return hkdf_expand_label(ciphers[st->cipher].digest,
            (struct str){ (const char *)secret, st->secret_size }, label, STR_NULL,
            ret_value, n);
}

int
record_half_init(const struct tls_state *st, struct record_half *h,
        const uint8_t *secret, uint64_t sequence)
{
    int r;

    memmove(h->secret, secret, st->secret_size);
    h->sequence = sequence;
    r = derive(st, h->secret, STR("key"), h->key, ciphers[st->cipher].key_size);
    if (r == 0)
        r = derive(st, h->secret, STR("iv"), h->iv, sizeof h->iv);
    return r;
}

int
record_half_update(const struct tls_state *st, struct record_half *h)
{
    uint8_t next[RECORD_SECRET_MAX];
    int r = derive(st, h->secret, STR("traffic upd"), next, st->secret_size);

    if (r == 0)
        r = record_half_init(st, h, next, 0);
    mem_wipe(next, sizeof next);
    return r;
}

/*
 * A context without a key. It stays with this cipher and direction; NULL: there is
 * none.
 */
static EVP_CIPHER_CTX *
ctx_new(enum record_cipher c, int seal)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, ciphers[c].evp_name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (!ctx || EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, seal, NULL) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_CIPHER_free(cipher);
    return ctx;
}

/* The tag of what was sealed, or for what is to be opened. */
static OSSL_PARAM
tag_param(uint8_t tag[RECORD_TAG])
{
    return OSSL_PARAM_construct_octet_string(
            OSSL_CIPHER_PARAM_AEAD_TAG, tag, RECORD_TAG);
}

/*
 * A nonce, for a context of AES-GCM that has its key. EVP_CipherInit_ex2() of OpenSSL
 * 3.0 asks the cipher for the nonce's length each time, by names, which takes longer
 * than to encrypt a short stanza. What GCM has for the IVs of TLS 1.2 sets a whole one
 * where -1 is its length.
 */
static OSSL_PARAM
nonce_param(uint8_t nonce[12])
{
    return OSSL_PARAM_construct_octet_string(
            OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, nonce, (size_t)-1);
}

static bool
try_seal(EVP_CIPHER_CTX *ctx, uint8_t nonce[12], bool by_param, uint8_t ret[32])
{
    static uint8_t key[32] = { 1, 2, 3 };
    OSSL_PARAM iv[] = { nonce_param(nonce), OSSL_PARAM_construct_end() };
    OSSL_PARAM tag[] = { tag_param(ret + 16), OSSL_PARAM_construct_end() };
    uint8_t rest[16];
    int n;

    memset(ret, 7, 32);
    return (by_param ? EVP_CIPHER_CTX_set_params(ctx, iv)
                     : EVP_CipherInit_ex2(ctx, NULL, key, nonce, 1, NULL)) == 1 &&
           EVP_CipherUpdate(ctx, ret, &n, ret, 16) == 1 && n == 16 &&
           EVP_CipherFinal_ex(ctx, rest, &n) == 1 &&
           EVP_CIPHER_CTX_get_params(ctx, tag) == 1;
}

/*
 * A nonce that is used twice is fatal, and no manual promises what nonce_param() does:
 * so it is tried out, once for each cipher, against the way that is promised.
 */
static bool
takes_nonce_param(enum record_cipher c)
{
    static enum {
        UNKNOWN,
        NO,
        YES
    } takes[RECORD_CIPHERS];
    uint8_t nonce[3][12] = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 },
        { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13 }, { 255 } };
    uint8_t expected[32], got[32];
    EVP_CIPHER_CTX *by_init, *by_param;

    if (takes[c] != UNKNOWN)
        return takes[c] == YES;
    by_init = ctx_new(c, 1);
    by_param = ctx_new(c, 1);
    takes[c] =
            by_init && by_param && try_seal(by_param, nonce[2], false, got) ? YES : NO;
    for (int i = 0; i < 6 && takes[c] == YES; i++) {
        if (!try_seal(by_init, nonce[i % 3], false, expected) ||
                !try_seal(by_param, nonce[i % 3], true, got) ||
                memcmp(expected, got, sizeof got) != 0)
            takes[c] = NO;
    }
    EVP_CIPHER_CTX_free(by_init);
    EVP_CIPHER_CTX_free(by_param);
    return takes[c] == YES;
}

/* tag: of the record to open; NULL: one is sealed. */
static EVP_CIPHER_CTX *
ctx_ready(EVP_CIPHER_CTX *ctx, enum record_cipher c, uint8_t nonce[12], uint8_t *tag)
{
    OSSL_PARAM p[3];
    size_t n = 0;

    if (takes_nonce_param(c))
        p[n++] = nonce_param(nonce);
    else if (EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, tag ? 0 : 1, NULL) != 1)
        return NULL;
    if (tag)
        p[n++] = tag_param(tag);
    p[n] = OSSL_PARAM_construct_end();
    return n == 0 || EVP_CIPHER_CTX_set_params(ctx, p) == 1 ? ctx : NULL;
}

static EVP_CIPHER_CTX *
ctx_keyed(
        EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t nonce[12], uint8_t *tag)
{
    OSSL_PARAM p[2];

    if (!ctx || EVP_CipherInit_ex2(ctx, NULL, key, nonce, tag ? 0 : 1, NULL) != 1)
        return NULL;
    if (!tag)
        return ctx;
    p[0] = tag_param(tag);
    p[1] = OSSL_PARAM_construct_end();
    return EVP_CIPHER_CTX_set_params(ctx, p) == 1 ? ctx : NULL;
}

/*
 * Directions of connections that are busy: a context of their own keeps the schedule of
 * their key, which costs more than sealing a short stanza. A place is given to who asks
 * for it BUSY_AFTER times while nobody else does: more often than a log-in has records;
 * and when there are more busy connections than places, most of them share a context
 * (whose memory is warm), and those who have a place keep it.
 */
static struct busy {
    EVP_CIPHER_CTX *ctx; /* NULL: nobody's */
    const void *asks;    /* who would have the place */
    uint8_t n_asked;
    uint8_t key[32];
    uint8_t cipher, seal;
    bool used; /* since the last record_trim() */
} busy[RECORD_BUSY];

static bool
busy_is(const struct busy *b, const struct tls_state *st, const uint8_t *key, int seal)
{
    return b->ctx && b->cipher == st->cipher && b->seal == seal &&
           CRYPTO_memcmp(b->key, key, ciphers[st->cipher].key_size) == 0;
}

static void
busy_free(struct busy *b)
{
    EVP_CIPHER_CTX_free(b->ctx); /* it wipes what it has made of the key */
    mem_wipe(b->key, sizeof b->key);
    b->ctx = NULL;
    b->used = false;
}

/* By where it is in memory, of which nearby connections have neighbouring pieces. */
static struct busy *
busy_place(const struct record_half *h)
{
    return &busy[((uintptr_t)h / 64 * 0x9e3779b97f4a7c15u >> 32) % RECORD_BUSY];
}

/* The context of this direction, with its key; NULL: it has none. */
static EVP_CIPHER_CTX *
busy_ctx(const struct tls_state *st, const struct record_half *h, uint8_t nonce[12],
        uint8_t *tag)
{
    struct busy *b = busy_place(h);
    int seal = tag ? 0 : 1;

    if (st->cipher == RECORD_CHACHA20) /* its keys have no schedule */
        return NULL;
    if (busy_is(b, st, h->key, seal)) {
        b->asks = NULL;
        b->used = true;
        return ctx_ready(b->ctx, (enum record_cipher)st->cipher, nonce, tag);
    }
    if (b->asks != h) {
        b->asks = h;
        b->n_asked = 0;
    }
    if (++b->n_asked < BUSY_AFTER)
        return NULL;
    if (!b->ctx || b->cipher != st->cipher || b->seal != seal) {
        busy_free(b);
        b->ctx = ctx_new(st->cipher, seal);
    }
    b->asks = NULL;
    b->cipher = st->cipher;
    b->seal = (uint8_t)seal;
    b->used = true;
    memcpy(b->key, h->key, ciphers[st->cipher].key_size);
    if (!ctx_keyed(b->ctx, h->key, nonce, tag))
        busy_free(b);
    return b->ctx;
}

size_t
record_trim(void)
{
    size_t n = 0;

    for (size_t i = 0; i < RECORD_BUSY; i++) {
        if (busy[i].ctx && !busy[i].used) {
            busy_free(&busy[i]);
            n++;
        }
        busy[i].used = false;
    }
    return n;
}

/* With the key and the nonce of the next record; tag: as in ctx_ready(). */
static EVP_CIPHER_CTX *
cipher_ctx(const struct tls_state *st, const struct record_half *h, uint8_t *tag)
{
    int seal = tag ? 0 : 1;
    static EVP_CIPHER_CTX *shared[RECORD_CIPHERS][2];
    EVP_CIPHER_CTX *ctx;
    uint8_t nonce[12];

    memcpy(nonce, h->iv, sizeof nonce);
    for (int i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(h->sequence >> (56 - 8 * i));
    ctx = busy_ctx(st, h, nonce, tag);
    if (ctx)
        return ctx;
    if (!shared[st->cipher][seal])
        shared[st->cipher][seal] = ctx_new(st->cipher, seal);
    return ctx_keyed(shared[st->cipher][seal], h->key, nonce, tag);
}

int
record_seal(const struct tls_state *st, const struct record_half *h,
        enum record_type type, const void *plain, size_t n, void *ret_record)
{
    EVP_CIPHER_CTX *ctx = cipher_ctx(st, h, NULL);
    uint8_t *record = ret_record, *text = record + RECORD_HEADER;
    size_t len = n + 1 + RECORD_TAG;
    OSSL_PARAM tag[] = { tag_param(text + n + 1), OSSL_PARAM_construct_end() };
    int part, done;

    assert(n <= RECORD_PLAIN_MAX);
    record[0] = RECORD_DATA;
    record[1] = record[2] = 3;
    record[3] = (uint8_t)(len >> 8);
    record[4] = (uint8_t)len;
    if (n)
        memcpy(text, plain, n);
    text[n] = (uint8_t)type;
    if (!ctx || EVP_CipherUpdate(ctx, NULL, &part, record, RECORD_HEADER) != 1 ||
            EVP_CipherUpdate(ctx, text, &done, text, (int)n + 1) != 1 ||
            EVP_CipherFinal_ex(ctx, text + done, &part) != 1 ||
            EVP_CIPHER_CTX_get_params(ctx, tag) != 1)
        return -EIO;
    return (int)(RECORD_HEADER + len);
}

int
record_length(struct str in)
{
    const uint8_t *p = (const uint8_t *)in.p;
    unsigned len;

    if (in.n < RECORD_HEADER)
        return 0;
    len = (unsigned)p[3] << 8 | p[4];
    /* 5.1: after the handshake everything is protected, and so looks like data. */
    if (p[0] != RECORD_DATA || p[1] != 3 || p[2] != 3)
        return -EPROTO;
    if (len > RECORD_CIPHER_MAX)
        return -EMSGSIZE;
    if (len < RECORD_TAG + 1)
        return -EPROTO;
    return (int)(RECORD_HEADER + len);
}

int
record_open(const struct tls_state *st, const struct record_half *h, struct str record,
        void *ret_plain, uint8_t *ret_type)
{
    EVP_CIPHER_CTX *ctx;
    const uint8_t *p = (const uint8_t *)record.p;
    uint8_t *plain = ret_plain, tag[RECORD_TAG];
    int n = (int)record.n - RECORD_HEADER - RECORD_TAG, part, done;

    if (n < 1)
        return -EBADMSG;
    memcpy(tag, p + RECORD_HEADER + n, RECORD_TAG);
    ctx = cipher_ctx(st, h, tag);
    if (!ctx || EVP_CipherUpdate(ctx, NULL, &part, p, RECORD_HEADER) != 1 ||
            EVP_CipherUpdate(ctx, plain, &done, p + RECORD_HEADER, n) != 1 ||
            EVP_CipherFinal_ex(ctx, plain + done, &part) != 1)
        return -EBADMSG;
    while (n > 0 && plain[n - 1] == 0) /* padding (5.4) */
        n--;
    if (n == 0)
        return -EPROTO;
    if (--n > RECORD_PLAIN_MAX)
        return -EMSGSIZE;
    *ret_type = plain[n];
    return n;
}
