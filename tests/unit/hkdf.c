/*
 * hkdf.c -- HKDF against RFC 8448 and against OpenSSL's
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "tests/unit/rig/hex.h"
#include "worker/hkdf.h"

/* Section 3, "extract secret handshake" and what follows. */
static void
the_example_of_rfc_8448(void **state)
{
    uint8_t early[32], hash[32], derived[32], shared[32], handshake[32], want[32];
    struct str empty = { (char *)hash, 32 }, zeros;
    uint8_t zero[32] = { 0 };

    (void)state;
    zeros = (struct str){ (char *)zero, 32 };
    assert_int_equal(hkdf_extract(HKDF_SHA256, STR_NULL, zeros, early), 0);
    unhex("33 ad 0a 1c 60 7e c0 3b 09 e6 cd 98 93 68 0c e2 10 ad f3 00 aa 1f 26 60 "
          "e1 b2 2e 10 f1 70 f9 2a",
            want);
    assert_memory_equal(early, want, 32);
    assert_int_equal(hkdf_hash(HKDF_SHA256, STR_NULL, hash), 0);
    assert_int_equal(hkdf_expand_label(HKDF_SHA256, (struct str){ (char *)early, 32 },
                             STR("derived"), empty, derived, 32),
            0);
    unhex("6f 26 15 a1 08 c7 02 c5 67 8f 54 fc 9d ba b6 97 16 c0 76 18 9c 48 25 0c "
          "eb ea c3 57 6c 36 11 ba",
            want);
    assert_memory_equal(derived, want, 32);
    unhex("8b d4 05 4f b5 5b 9d 63 fd fb ac f9 f0 4b 9f 0d 35 e6 d6 3f 53 75 63 ef "
          "d4 62 72 90 0f 89 49 2d",
            shared);
    assert_int_equal(hkdf_extract(HKDF_SHA256, (struct str){ (char *)derived, 32 },
                             (struct str){ (char *)shared, 32 }, handshake),
            0);
    unhex("1d c8 26 e9 36 06 aa 6f dc 0a ad c1 2f 74 1b 01 04 6a a6 b9 9f 69 1e d2 "
          "21 a9 f0 ca 04 3f be ac",
            want);
    assert_memory_equal(handshake, want, 32);
}

/* The same by EVP_KDF, which knows no labels: the info is ours. */
static void
expand_by_openssl(const char *digest, struct str secret, struct str label,
        struct str context, uint8_t *out, size_t n)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    uint8_t info[600];
    size_t at = 0;
    OSSL_PARAM p[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(
                OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)digest, 0),
        OSSL_PARAM_construct_octet_string(
                OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret.p, secret.n),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 0),
        OSSL_PARAM_construct_end(),
    };

    at = (size_t)sprintf((char *)info, "%c%c%ctls13 ", (int)(n >> 8), (int)(n & 255),
            (int)label.n + 6);
    memcpy(info + at, label.p, label.n);
    at += label.n;
    info[at++] = (uint8_t)context.n;
    memcpy(info + at, context.p, context.n);
    p[3].data_size = at + context.n;
    assert_int_equal(EVP_KDF_derive(ctx, out, n, p), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

static void
as_openssl_does(void **state)
{
    static const size_t secrets[] = { 1, 31, 32, 48, 64, 65, 128, 129, 255 };
    static const size_t labels[] = { 1, 12, HKDF_LABEL_MAX };
    static const size_t contexts[] = { 0, 1, 48, 255 };
    static const size_t sizes[] = { 1, 12, 32, 33, 48, 49, 300, 255 * 32 };
    static const char *const names[] = { "SHA256", "SHA384" };
    static uint8_t got[255 * 48], want[255 * 48];
    char text[3][256];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        ((char *)text)[i] = (char)(i * 7 + 1);
    for (enum hkdf_digest d = 0; d < HKDF_DIGESTS; d++) {
        for (unsigned i = 0; i < 9 * 3 * 4 * 8; i++) {
            struct str secret = { text[0], secrets[i % 9] },
                       label = { text[1], labels[i / 9 % 3] },
                       context = { text[2], contexts[i / 27 % 4] };
            size_t n = sizes[i / 108];

            expand_by_openssl(names[d], secret, label, context, want, n);
            assert_int_equal(hkdf_expand_label(d, secret, label, context, got, n), 0);
            assert_memory_equal(got, want, n);
        }
    }
}

static void
what_does_not_fit(void **state)
{
    static uint8_t out[255 * 32 + 1];
    static char text[256];
    struct str secret = { text, 32 };

    (void)state;
    assert_int_equal(
            hkdf_expand_label(HKDF_SHA256, secret, STR("a"), STR_NULL, out, sizeof out),
            -EINVAL);
    assert_int_equal(
            hkdf_expand_label(HKDF_SHA256, secret,
                    (struct str){ text, HKDF_LABEL_MAX + 1 }, STR_NULL, out, 32),
            -EINVAL);
    assert_int_equal(hkdf_expand_label(HKDF_SHA256, secret, STR("a"),
                             (struct str){ text, 256 }, out, 32),
            -EINVAL);
}

static void
names_of_digests(void **state)
{
    enum hkdf_digest d = HKDF_DIGESTS;

    (void)state;
    assert_int_equal(hkdf_digest_from("SHA2-256", &d), 0);
    assert_int_equal(d, HKDF_SHA256);
    assert_int_equal(hkdf_digest_from("sha384", &d), 0);
    assert_int_equal(d, HKDF_SHA384);
    assert_int_equal(hkdf_size(d), 48);
    assert_int_equal(hkdf_digest_from("SHA512", &d), -ENOTSUP);
    assert_int_equal(hkdf_digest_from("SM3", &d), -ENOTSUP);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_8448),
        cmocka_unit_test(as_openssl_does),
        cmocka_unit_test(what_does_not_fit),
        cmocka_unit_test(names_of_digests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
