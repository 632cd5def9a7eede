/*
 * record.c -- the TLS 1.3 record layer against RFC 8448, and against itself
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "tests/unit/rig/hex.h"
#include "worker/record.h"

/*
 * RFC 8448, section 3, "derive write traffic keys for application data" and the records
 */
static const char client_secret[] =
        "9e 40 64 6c e7 9a 7f 9d c0 5a f8 88 9b ce 65 52 87 5a fa 0b "
        "06 df 00 87 f7 92 eb b7 c1 75 04 a5";
static const char client_key[] = "17 42 2d da 59 6e d5 d9 ac d8 90 e3 c6 3f 50 51";
static const char client_iv[] = "5b 78 92 3d ee 08 57 90 33 e5 23 d9";
static const char server_secret[] =
        "a1 1a f9 f0 55 31 f8 56 ad 47 11 6b 45 a9 50 32 82 04 b4 f4 "
        "4b fb 6b 3a 4b 4f 1f 3f cb 63 16 43";
static const char server_key[] = "9f 02 28 3b 6c 9c 07 ef c2 6b b9 f2 ac 92 e3 56";
static const char server_iv[] = "cf 78 2b 88 dd 83 54 9a ad f1 e9 84";
static const char client_record[] = "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe "
                                    "82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 "
                                    "bc ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 "
                                    "44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 "
                                    "14 bd 1e 3d ea e6 3a ee bb 21 69 49 15 e4";
static const char client_alert[] =
        "17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e fd 6d "
        "b6 d0 b0 e3";

static void
state_8448(struct tls_state *st)
{
    uint8_t secret[48];

    memset(st, 0, sizeof *st);
    st->cipher = RECORD_AES_128_GCM;
    st->secret_size = 32;
    unhex(client_secret, secret);
    assert_int_equal(record_half_init(st, &st->rd, secret, 0), 0);
    unhex(server_secret, secret);
    assert_int_equal(record_half_init(st, &st->wr, secret, 0), 0);
}

static void
keys_are_derived_as_in_rfc_8448(void **state)
{
    struct tls_state st;
    uint8_t want[32];

    (void)state;
    state_8448(&st);
    assert_memory_equal(st.rd.key, want, unhex(client_key, want).n);
    assert_memory_equal(st.rd.iv, want, unhex(client_iv, want).n);
    assert_memory_equal(st.wr.key, want, unhex(server_key, want).n);
    assert_memory_equal(st.wr.iv, want, unhex(server_iv, want).n);
}

static void
records_open_and_seal_as_in_rfc_8448(void **state)
{
    struct tls_state st;
    uint8_t record[128], plain[128], again[128], type;
    size_t n = unhex(client_record, record).n;

    (void)state;
    state_8448(&st);
    assert_int_equal(record_length((struct str){ (char *)record, n }), n);
    assert_int_equal(
            record_open(&st, &st.rd, (struct str){ (char *)record, n }, plain, &type),
            50);
    assert_int_equal(type, RECORD_DATA);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(plain[i], i);
    assert_int_equal(record_seal(&st, &st.rd, RECORD_DATA, plain, 50, again), n);
    assert_memory_equal(again, record, n);

    st.rd.sequence = 1;
    n = unhex(client_alert, record).n;
    assert_int_equal(
            record_open(&st, &st.rd, (struct str){ (char *)record, n }, plain, &type),
            2);
    assert_int_equal(type, RECORD_ALERT);
    assert_int_equal(plain[0], 1);
    assert_int_equal(plain[1], 0);
}

static void
every_cipher_opens_what_it_sealed(void **state)
{
    static const char *const names[] = { "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256" };
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 1000, RECORD_PLAIN_MAX };
    static uint8_t in[RECORD_PLAIN_MAX], record[RECORD_PLAIN_MAX + 64],
            out[RECORD_PLAIN_MAX + 64];

    (void)state;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 7);
    for (size_t c = 0; c < ARRAY_LEN(names); c++) {
        struct tls_state st = { 0 };
        enum record_cipher cipher;
        uint8_t secret[48] = { (uint8_t)c, 2, 3 }, type;

        assert_int_equal(record_cipher_from(names[c], &cipher, &st.secret_size), 0);
        st.cipher = (uint8_t)cipher;
        assert_int_equal(record_half_init(&st, &st.rd, secret, 0), 0);
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++, st.rd.sequence++) {
            int n = record_seal(&st, &st.rd, RECORD_DATA, in, sizes[s], record);
            struct str view = { (char *)record, (size_t)n };

            assert_int_equal(n, sizes[s] + RECORD_OVERHEAD);
            assert_int_equal(record_open(&st, &st.rd, view, out, &type), sizes[s]);
            assert_memory_equal(out, in, sizes[s]);
            for (int bad = 0; bad < n; bad += n / 9 + 1) {
                record[bad] ^= 1;
                assert_int_equal(record_open(&st, &st.rd, view, out, &type), -EBADMSG);
                record[bad] ^= 1;
            }
            st.rd.sequence++;
            assert_int_equal(record_open(&st, &st.rd, view, out, &type), -EBADMSG);
        }
        uint8_t before[32];

        memcpy(before, st.rd.key, 32);
        assert_int_equal(record_half_update(&st, &st.rd), 0);
        assert_int_equal(st.rd.sequence, 0);
        assert_true(memcmp(before, st.rd.key, 16) != 0);
    }
    assert_int_equal(record_cipher_from("TLS_AES_128_CCM_SHA256",
                             &(enum record_cipher){ 0 }, &(uint8_t){ 0 }),
            -ENOTSUP);
}

/* What record_seal() is to make of "stanza", with a context of our own. */
static void
seal_again(const struct tls_state *st, const struct record_half *h, uint8_t *ret)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t nonce[12], text[7] = "stanza";
    int n;

    memcpy(nonce, h->iv, sizeof nonce);
    nonce[11] ^= (uint8_t)h->sequence;
    nonce[10] ^= (uint8_t)(h->sequence >> 8);
    text[6] = RECORD_DATA;
    memcpy(ret, (uint8_t[]){ 23, 3, 3, 0, 7 + RECORD_TAG }, RECORD_HEADER);
    EVP_EncryptInit_ex(ctx,
            st->cipher == RECORD_AES_128_GCM ? EVP_aes_128_gcm() : EVP_aes_256_gcm(),
            NULL, h->key, nonce);
    EVP_EncryptUpdate(ctx, NULL, &n, ret, RECORD_HEADER);
    EVP_EncryptUpdate(ctx, ret + RECORD_HEADER, &n, text, 7);
    EVP_EncryptFinal_ex(ctx, NULL, &n);
    EVP_CIPHER_CTX_ctrl(
            ctx, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG, ret + RECORD_HEADER + 7);
    EVP_CIPHER_CTX_free(ctx);
}

/*
 * More connections than there are places for their keys, of two ciphers, some of them
 * busier than others, some renewing their keys, one broken record among them: each
 * record is as if its connection were the only one.
 */
static void
busy_connections_do_not_mix_their_keys(void **state)
{
    enum {
        N = 3 * RECORD_BUSY,
        RECORDS = 20 * N
    };
    struct tls_state *all = calloc(N, sizeof *all);
    uint32_t random = 1;
    size_t freed;

    (void)state;
    for (int i = 0; i < N; i++) {
        uint8_t secret[48] = { (uint8_t)i, (uint8_t)(i >> 8), 1 };

        all[i].cipher = i % 3 ? RECORD_AES_128_GCM : RECORD_AES_256_GCM;
        all[i].secret_size = i % 3 ? 32 : 48;
        assert_int_equal(record_half_init(&all[i], &all[i].wr, secret, 0), 0);
        secret[2] = 2;
        assert_int_equal(record_half_init(&all[i], &all[i].rd, secret, 0), 0);
    }
    record_trim();
    for (int k = 0; k < RECORDS; k++) {
        uint8_t want[64], got[64], plain[64], type;
        struct tls_state *st;
        int n = RECORD_HEADER + 7 + RECORD_TAG;

        random = random * 1664525 + 1013904223;
        st = &all[(random >> 8) % (random >> 28 ? N / 100 : N)];
        seal_again(st, &st->wr, want);
        assert_int_equal(record_seal(st, &st->wr, RECORD_DATA, "stanza", 6, got), n);
        assert_memory_equal(got, want, n);
        st->wr.sequence++;
        seal_again(st, &st->rd, want);
        if (k % 1000 == 0) {
            want[9] ^= 1;
            assert_int_equal(
                    record_open(st, &st->rd, (struct str){ (char *)want, (size_t)n },
                            plain, &type),
                    -EBADMSG);
            want[9] ^= 1;
        }
        assert_int_equal(record_open(st, &st->rd,
                                 (struct str){ (char *)want, (size_t)n }, plain, &type),
                6);
        assert_memory_equal(plain, "stanza", 6);
        st->rd.sequence++;
        if (k % 997 == 0)
            assert_int_equal(record_half_update(st, &st->wr), 0);
        if (k % 20011 == 0)
            record_trim();
    }
    record_trim(); /* those of the last records have been used since the one before */
    freed = record_trim();
    print_message("%zu keys were kept\n", freed);
    assert_in_range(freed, 10, RECORD_BUSY);
    assert_int_equal(record_trim(), 0);
    free(all);
}

static void
headers_are_checked(void **state)
{
    static const struct {
        uint8_t bytes[5];
        size_t n;
        int want;
    } cases[] = {
        { { 23, 3, 3, 0, 17 }, 4, 0 },
        { { 23, 3, 3, 0, 17 }, 5, 22 },
        { { 23, 3, 3, 0x41, 0 }, 5, RECORD_CIPHER_MAX + 5 },
        { { 23, 3, 3, 0x41, 1 }, 5, -EMSGSIZE },
        { { 23, 3, 3, 0, 16 }, 5, -EPROTO },
        { { 23, 3, 3, 0, 0 }, 5, -EPROTO },
        { { 21, 3, 3, 0, 17 }, 5, -EPROTO },
        { { 22, 3, 3, 0, 17 }, 5, -EPROTO },
        { { 20, 3, 3, 0, 1 }, 5, -EPROTO },
        { { 23, 3, 1, 0, 17 }, 5, -EPROTO },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu\n", i);
        assert_int_equal(
                record_length((struct str){ (const char *)cases[i].bytes, cases[i].n }),
                cases[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_derived_as_in_rfc_8448),
        cmocka_unit_test(records_open_and_seal_as_in_rfc_8448),
        cmocka_unit_test(every_cipher_opens_what_it_sealed),
        cmocka_unit_test(busy_connections_do_not_mix_their_keys),
        cmocka_unit_test(headers_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
