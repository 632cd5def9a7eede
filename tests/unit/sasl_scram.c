/* SCRAM's messages: the RFCs' examples, and what is not a message. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "auth/scram.h"
#include "base/b64.h"
#include "base/mem.h"

#define CB "c=biws,"

/*
 * RFC 5802, section 5; RFC 7677, section 3; XEP-0474, example (its data is "THIS IS…").
 */
static const struct {
    enum digest digest;
    const char *first, *salt, *server_first, *final, *server_final;
} examples[] = {
    { DIGEST_SHA1, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "QSXCR+Q6sek8bf92",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            CB "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
               "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
    { DIGEST_SHA256, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "W22ZaJ0SNY7soEsUEjb6gQ==",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            CB "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
               "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
    { DIGEST_SHA1, "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6",
            "QSXCR+Q6sek8bf92",
            "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-"
            "93799c2bddf6,"
            "s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=",
            "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,"
            "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-"
            "93799c2bddf6,"
            "x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=",
            "v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c=" },
};

static void
test_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct buf salt = { 0 }, out = { 0 }, auth = { 0 };
        struct scram_first first;
        struct scram_final final;
        struct scram_keys keys;
        struct str server_first = str_from(examples[i].server_first), h, nonce, rest;
        enum digest d = examples[i].digest;

        print_message("example %zu\n", i);
        assert_int_equal(b64_decode(&salt, str_from(examples[i].salt)), 0);
        scram_keys_derive(d, STR("pencil"), buf_str(&salt), 4096, &keys);
        assert_int_equal(scram_parse_first(str_from(examples[i].first), &first), 0);
        assert_true(str_eq_c(first.username, "user"));
        assert_int_equal(scram_parse_final(str_from(examples[i].final), &final), 0);

        rest = server_first;
        assert_true(str_cut(&rest, ',', &nonce));
        h = STR_NULL;
        if (strstr(examples[i].server_first, "h="))
            h = str_from(strstr(examples[i].server_first, "h=") + 2);
        scram_write_first(&out, (struct str){ nonce.p + 2, nonce.n - 2 },
                buf_str(&salt), 4096, h);
        assert_string_equal(buf_c(&out), examples[i].server_first);

        buf_add_str(&auth, first.bare);
        buf_add_char(&auth, ',');
        buf_add_str(&auth, server_first);
        buf_add_char(&auth, ',');
        buf_add_str(&auth, final.without_proof);
        assert_true(scram_proof_is(d, &keys, buf_str(&auth), final.proof));
        buf_reset(&out, 0);
        scram_write_final(&out, d, &keys, buf_str(&auth));
        assert_string_equal(buf_c(&out), examples[i].server_final);

        auth.p[0] ^= 1;
        assert_false(scram_proof_is(d, &keys, buf_str(&auth), final.proof));
        buf_fini(&salt);
        buf_fini(&out);
        buf_fini(&auth);
    }
}

static void
test_proofs_that_are_none(void **state)
{
    static const char *const proofs[] = { "", "AAAA", "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts",
        "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts==", "not base64!!", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=" };
    struct scram_keys keys;

    (void)state;
    scram_keys_derive(DIGEST_SHA1, STR("pencil"), STR("salt"), 10, &keys);
    for (size_t i = 0; i < ARRAY_LEN(proofs); i++)
        assert_false(
                scram_proof_is(DIGEST_SHA1, &keys, STR("n=x"), str_from(proofs[i])));
}

static void
test_first(void **state)
{
    static const struct {
        const char *msg;
        int r;
        enum scram_flag flag;
        const char *header, *user, *authzid;
    } cases[] = {
        { "n,,n=user,r=abc", 0, SCRAM_CB_NO, "n,,", "user", NULL },
        { "y,,n=user,r=abc", 0, SCRAM_CB_UNSEEN, "y,,", "user", NULL },
        { "p=tls-unique,,n=u,r=abc", 0, SCRAM_CB_USED, "p=tls-unique,,", "u", NULL },
        { "n,a=u@h,n=u,r=abc", 0, SCRAM_CB_NO, "n,a=u@h,", "u", "u@h" },
        { "n,,n=a=2Cb,r=abc,x=1,Y=", 0, SCRAM_CB_NO, "n,,", "a=2Cb", NULL },
        { "n,,n=,r=abc", 0, SCRAM_CB_NO, "n,,", "", NULL },
        { "n,,m=1,n=user,r=abc", -EOPNOTSUPP, 0, NULL, NULL, NULL },
        { "n,,n=user,r=abc,m=1", -EOPNOTSUPP, 0, NULL, NULL, NULL },
        { "n,,n=user,m=1,r=abc", -EOPNOTSUPP, 0, NULL, NULL, NULL },
        { "", -EBADMSG, 0, NULL, NULL, NULL },
        { "n", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,", -EBADMSG, 0, NULL, NULL, NULL },
        { ",,n=user,r=abc", -EBADMSG, 0, NULL, NULL, NULL },
        { "N,,n=user,r=abc", -EBADMSG, 0, NULL, NULL, NULL },
        { "nn,,n=user,r=abc", -EBADMSG, 0, NULL, NULL, NULL },
        { "p,,n=user,r=abc", -EBADMSG, 0, NULL, NULL, NULL },
        { "p=,,n=user,r=abc", -EBADMSG, 0, NULL, NULL, NULL },
        { "p=a b,,n=user,r=abc", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,u@h,n=user,r=abc", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,a=,n=user,r=abc", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,r=abc,n=user", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,n=user", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,n=user,", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,n=user,r=", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,n=user,r=a b", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,n=user,r=a\x7f", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,n=user,r=\xc3\xa9", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,n=user,r=abc,", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,n=user,r=abc,,x=1", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,n=user,r=abc,1=2", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,,n=user,r=abc,xx", -EBADMSG, 0, NULL, NULL, NULL },
        { "n,n=user,r=abc", -EBADMSG, 0, NULL, NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_first f;

        print_message("%s\n", cases[i].msg);
        assert_int_equal(scram_parse_first(str_from(cases[i].msg), &f), cases[i].r);
        if (cases[i].r < 0)
            continue;
        assert_int_equal(f.flag, cases[i].flag);
        assert_true(str_eq_c(f.header, cases[i].header));
        assert_true(str_eq_c(f.username, cases[i].user));
        assert_true(str_eq_c(f.nonce, "abc"));
        assert_true(cases[i].authzid ? str_eq_c(f.authzid, cases[i].authzid)
                                     : f.authzid.p == NULL);
        assert_ptr_equal(f.bare.p, cases[i].msg + f.header.n);
    }
}

static void
test_first_bounds(void **state)
{
    char msg[SCRAM_FIRST_MAX + 64];
    struct scram_first f;
    size_t n;

    (void)state;
    for (size_t nonce = SCRAM_NONCE_MAX; nonce <= SCRAM_NONCE_MAX + 1; nonce++) {
        n = (size_t)snprintf(msg, sizeof msg, "n,,n=user,r=");
        memset(msg + n, 'a', nonce);
        assert_int_equal(scram_parse_first((struct str){ msg, n + nonce }, &f),
                nonce > SCRAM_NONCE_MAX ? -EBADMSG : 0);
    }
    n = (size_t)snprintf(msg, sizeof msg, "n,,n=user,r=abc,x=");
    memset(msg + n, 'a', sizeof msg - n);
    assert_int_equal(scram_parse_first((struct str){ msg, SCRAM_FIRST_MAX }, &f), 0);
    assert_int_equal(
            scram_parse_first((struct str){ msg, SCRAM_FIRST_MAX + 1 }, &f), -EBADMSG);
    assert_int_equal(scram_parse_first(STR("n,,n=us\0er,r=abc"), &f), -EBADMSG);
}

static void
test_final(void **state)
{
    static const struct {
        const char *msg;
        int r;
        const char *without, *proof;
    } cases[] = {
        { "c=biws,r=abc,p=AAAA", 0, "c=biws,r=abc", "AAAA" },
        { "c=biws,r=abc,x=y,p=AA==", 0, "c=biws,r=abc,x=y", "AA==" },
        { "c=biws,r=abc,p=", 0, "c=biws,r=abc", "" },
        { "c=biws,r=abc,m=y,p=AAAA", -EOPNOTSUPP, NULL, NULL },
        { "m=y,c=biws,r=abc,p=AAAA", -EOPNOTSUPP, NULL, NULL },
        { "c=biws,r=abc,p=AAAA,x=y", -EBADMSG, NULL, NULL },
        { "c=biws,r=abc,p=AAAA,", -EBADMSG, NULL, NULL },
        { "c=biws,r=abc", -EBADMSG, NULL, NULL },
        { "c=biws,r=abc,", -EBADMSG, NULL, NULL },
        { "c=biws,r=,p=AAAA", -EBADMSG, NULL, NULL },
        { "c=biws,p=AAAA", -EBADMSG, NULL, NULL },
        { "r=abc,c=biws,p=AAAA", -EBADMSG, NULL, NULL },
        { "c=biws", -EBADMSG, NULL, NULL },
        { "c", -EBADMSG, NULL, NULL },
        { "", -EBADMSG, NULL, NULL },
        { ",,,", -EBADMSG, NULL, NULL },
    };
    struct scram_final f;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].msg);
        assert_int_equal(scram_parse_final(str_from(cases[i].msg), &f), cases[i].r);
        if (cases[i].r < 0)
            continue;
        assert_true(str_eq_c(f.without_proof, cases[i].without));
        assert_true(str_eq_c(f.proof, cases[i].proof));
    }
    assert_int_equal(scram_parse_final(STR_NULL, &f), -EBADMSG);
    assert_int_equal(scram_parse_final(STR("c=biws,r=abc,p=AA\0A"), &f), -EBADMSG);
}

static void
test_unescape(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "user", "user" },
        { "a=2Cb=3Dc", "a,b=c" },
        { "=3D2C", "=2C" },
        { "j\xc3\xbcrgen", "j\xc3\xbcrgen" },
        { "", NULL },
        { "=", NULL },
        { "a=2", NULL },
        { "a=2c", NULL },
        { "a=3d", NULL },
        { "a=41", NULL },
        { "\xff", NULL },
        { "\xc0\x80", NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = { 0 };
        int r = scram_unescape(str_from(cases[i].in), &b);

        print_message("%s\n", cases[i].in);
        assert_int_equal(r, cases[i].out ? 0 : -EBADMSG);
        assert_string_equal(buf_c(&b), cases[i].out ? cases[i].out : "");
        buf_fini(&b);
    }
}

/*
 * XEP-0474, section 5.1: sorted by bytes, RS between the items, US between the lists.
 */
static void
test_ssdp(void **state)
{
    struct str mechs[] = { STR("SCRAM-SHA-1-PLUS"), STR("SCRAM-SHA-1") };
    struct str types[] = { STR("tls-server-end-point"), STR("tls-exporter") };
    struct str others[] = { STR("b"), STR("a"), STR("B"), STR("aa") };
    struct buf b = { 0 }, h = { 0 };
    uint8_t hash[DIGEST_SIZE_MAX];

    (void)state;
    scram_write_ssdp(&b, mechs, 2, types, 2);
    assert_string_equal(buf_c(&b), "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1f"
                                   "tls-exporter\x1etls-server-end-point");
    digest_hash(DIGEST_SHA1, buf_str(&b), hash);
    b64_encode(&h, (struct str){ (const char *)hash, 20 });
    assert_string_equal(buf_c(&h), "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    buf_reset(&b, 0);
    scram_write_ssdp(&b, others, 4, NULL, 0);
    assert_string_equal(buf_c(&b), "B\x1e"
                                   "a\x1e"
                                   "aa\x1e"
                                   "b");
    buf_fini(&b);
    buf_fini(&h);
}

static int
setup(void **state)
{
    (void)state;
    return digest_init();
}

static int
teardown(void **state)
{
    (void)state;
    digest_fini();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_proofs_that_are_none),
        cmocka_unit_test(test_first),
        cmocka_unit_test(test_first_bounds),
        cmocka_unit_test(test_final),
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_ssdp),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
