/*
 * sasl_dialogue.c -- whole dialogues against a client of its own, and all that goes
 * wrong
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/rig/sasl.h"

static void
test_every_mechanism(void **state)
{
    const unsigned stores[] = { CRED_BIT(CRED_PLAIN), all_scram,
        all_scram | CRED_BIT(CRED_PLAIN) };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(stores); i++) {
        for (int round = 0; round < MECHS * AUTH_CBS * 2; round++) {
            enum mech m = (enum mech)(round % MECHS);
            enum auth_cb cb = (enum auth_cb)(round / MECHS % AUTH_CBS);
            unsigned tls = round / MECHS / AUTH_CBS ? 12 : 13;
            struct bench b;
            struct sasl *s;
            char header[64];

            if (m == MECH_PLAIN || (tls == 13 && cb == AUTH_CB_UNIQUE))
                continue;
            bench_init(&b, stores[i], tls, true);
            bench_set_password(&b, "pencil");
            snprintf(header, sizeof header, mech_is_plus(m) ? "p=%s,," : "n,,",
                    auth_cb_name(cb));
            for (unsigned how = 0; how <= NO_INITIAL; how += NO_INITIAL) {
                struct scram_client c = {
                    .header = header, .user = "RomeO", .password = "pencil"
                };

                if (mech_is_plus(m)) {
                    c.cb = cb_data[cb].p;
                    c.n_cb = cb_data[cb].n;
                }
                assert_int_equal(run_scram(&b, m, &c, how, &s), SASL_SUCCESS);
                assert_true(client_accepts(&c, sasl_data(s).p, sasl_data(s).n));
                assert_true(str_eq_c(sasl_user(s), "romeo"));
                assert_false(sasl_was_guess(s));
                assert_int_equal(c.iterations, 50);
                sasl_free(&s);
            }
        }
    }
}

static void
test_plain(void **state)
{
    static const struct {
        struct str msg;
        enum sasl_status status;
        enum sasl_error failure;
    } cases[] = {
        { STR("\0romeo\0pencil"), SASL_SUCCESS, 0 },
        { STR("romeo@example.net\0romeo\0pencil"), SASL_SUCCESS, 0 },
        { STR("Romeo@EXAMPLE.net\0ROMEO\0pencil"), SASL_SUCCESS, 0 },
        { STR("\0romeo\0Pencil"), SASL_FAILURE, SASL_ERROR_NOT_AUTHORIZED },
        { STR("\0romeo\0pencil2"), SASL_FAILURE, SASL_ERROR_NOT_AUTHORIZED },
        { STR("\0rom@eo\0pencil"), SASL_FAILURE, SASL_ERROR_NOT_AUTHORIZED },
        { STR("juliet@example.net\0romeo\0pencil"), SASL_FAILURE,
                SASL_ERROR_INVALID_AUTHZID },
        { STR("romeo@example.org\0romeo\0pencil"), SASL_FAILURE,
                SASL_ERROR_INVALID_AUTHZID },
        { STR("romeo@example.net/x\0romeo\0pencil"), SASL_FAILURE,
                SASL_ERROR_INVALID_AUTHZID },
        { STR("romeo\0romeo\0pencil"), SASL_FAILURE, SASL_ERROR_INVALID_AUTHZID },
        { STR("example.net\0romeo\0pencil"), SASL_FAILURE, SASL_ERROR_INVALID_AUTHZID },
        { STR("@\0romeo\0pencil"), SASL_FAILURE, SASL_ERROR_INVALID_AUTHZID },
        { STR(""), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
        { STR("\0"), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
        { STR("\0\0"), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
        { STR("\0\0\0"), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
        { STR("romeo\0pencil"), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
        { STR("\0romeo\0"), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
        { STR("\0\0pencil"), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
        { STR("\0romeo\0pencil\0"), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
        { STR("\0romeo\0pen\0cil"), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
        { STR("\0romeo\0pencil\xff"), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
        { STR("\0rom\xc3\0pencil"), SASL_FAILURE, SASL_ERROR_MALFORMED_REQUEST },
    };
    const unsigned stores[] = { CRED_BIT(CRED_PLAIN), CRED_BIT(CRED_SCRAM_SHA1),
        CRED_BIT(CRED_SCRAM_SHA512) };

    (void)state;
    for (size_t j = 0; j < ARRAY_LEN(stores); j++) {
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct bench b;
            struct sasl *s;

            print_message("case %zu\n", i);
            bench_init(&b, stores[j], 13, true);
            bench_set_password(&b, "pencil");
            assert_int_equal(
                    run_plain(&b, &b.creds, cases[i].msg, &s), cases[i].status);
            assert_int_equal(sasl_data(s).n, 0);
            if (cases[i].status == SASL_FAILURE)
                assert_int_equal(sasl_failure(s), cases[i].failure);
            else
                assert_true(str_eq_c(sasl_user(s), "romeo"));
            sasl_free(&s);
        }
    }
}

static void
test_plain_too_long(void **state)
{
    static char msg[SASL_DATA_MAX + 1];
    struct bench b;
    struct sasl *s;

    (void)state;
    bench_init(&b, CRED_BIT(CRED_PLAIN), 13, true);
    bench_set_password(&b, "pencil");
    memset(msg, 'a', sizeof msg);
    memcpy(msg, "\0romeo\0", 7);
    for (size_t n = CRED_PASSWORD_MAX; n <= CRED_PASSWORD_MAX + 1; n++) {
        assert_int_equal(
                run_plain(&b, &b.creds, (struct str){ msg, 7 + n }, &s), SASL_FAILURE);
        assert_int_equal(sasl_failure(s), n > CRED_PASSWORD_MAX
                                                  ? SASL_ERROR_MALFORMED_REQUEST
                                                  : SASL_ERROR_NOT_AUTHORIZED);
        sasl_free(&s);
    }
    assert_int_equal(
            run_plain(&b, &b.creds, (struct str){ msg, sizeof msg }, &s), SASL_FAILURE);
    assert_int_equal(sasl_failure(s), SASL_ERROR_MALFORMED_REQUEST);
    sasl_free(&s);
}

/* Which dialogue may not even begin. */
static void
test_mechanism_refused(void **state)
{
    static const struct {
        const char *mechanism;
        unsigned tls;
        bool cb;
        unsigned disabled;
        enum mech weakest;
        enum sasl_error failure;
    } cases[] = {
        { "", 13, true, 0, MECH_PLAIN, SASL_ERROR_INVALID_MECHANISM },
        { "DIGEST-MD5", 13, true, 0, MECH_PLAIN, SASL_ERROR_INVALID_MECHANISM },
        { "plain", 13, true, 0, MECH_PLAIN, SASL_ERROR_INVALID_MECHANISM },
        { "EXTERNAL", 13, true, 0, MECH_PLAIN, SASL_ERROR_INVALID_MECHANISM },
        { "PLAIN", 13, true, 1 << MECH_PLAIN, MECH_PLAIN,
                SASL_ERROR_INVALID_MECHANISM },
        { "PLAIN", 0, false, 0, MECH_PLAIN, SASL_ERROR_ENCRYPTION_REQUIRED },
        { "PLAIN", 13, true, 0, MECH_SCRAM_SHA_1, SASL_ERROR_MECHANISM_TOO_WEAK },
        { "SCRAM-SHA-1", 13, true, 0, MECH_SCRAM_SHA_256,
                SASL_ERROR_MECHANISM_TOO_WEAK },
        { "SCRAM-SHA-256", 13, true, 0, MECH_PLAIN, SASL_ERROR_INVALID_MECHANISM },
        { "SCRAM-SHA-1-PLUS", 0, false, 0, MECH_PLAIN, SASL_ERROR_INVALID_MECHANISM },
        { "SCRAM-SHA-1-PLUS", 13, false, 0, MECH_PLAIN, SASL_ERROR_INVALID_MECHANISM },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        struct sasl *s;

        print_message("case %zu: %s\n", i, cases[i].mechanism);
        bench_init(&b, CRED_BIT(CRED_SCRAM_SHA1), cases[i].tls, cases[i].cb);
        b.policy.disabled = cases[i].disabled;
        b.policy.weakest = cases[i].weakest;
        b.start.mechanism = str_from(cases[i].mechanism);
        s = sasl_new(&b.start);
        assert_int_equal(sasl_step(s, true, STR("n,,n=romeo,r=abc")), SASL_FAILURE);
        assert_int_equal(sasl_failure(s), cases[i].failure);
        assert_int_not_equal(sasl_reason(s)[0], '\0');
        sasl_free(&s);
    }
}

/* Not in the features of this stream, though the host could: no. */
static void
test_not_in_the_list(void **state)
{
    struct str many[SASL_OFFERED_MAX + 1];
    struct bench b;
    struct sasl *s;

    (void)state;
    bench_init(&b, all_scram, 13, true);
    b.start.mechanism = STR("SCRAM-SHA-256");
    b.offered[0] = STR("SCRAM-SHA-1");
    b.start.n_offered = 1;
    s = sasl_new(&b.start);
    assert_int_equal(sasl_step(s, false, STR_NULL), SASL_FAILURE);
    assert_int_equal(sasl_failure(s), SASL_ERROR_INVALID_MECHANISM);
    sasl_free(&s);

    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = STR("SCRAM-SHA-256");
    b.start.offered = many;
    b.start.n_offered = ARRAY_LEN(many);
    s = sasl_new(&b.start);
    assert_int_equal(sasl_step(s, false, STR_NULL), SASL_FAILURE);
    assert_int_equal(sasl_failure(s), SASL_ERROR_TEMPORARY_AUTH_FAILURE);
    sasl_free(&s);
}

static void
test_scram_refused_at_first(void **state)
{
    static const struct {
        enum mech m;
        const char *msg;
        enum sasl_error failure;
    } cases[] = {
        /* RFC 5802, 6: a client that could bind but did not see that we can. */
        { MECH_SCRAM_SHA_1, "y,,n=romeo,r=abc", SASL_ERROR_NOT_AUTHORIZED },
        { MECH_SCRAM_SHA_1, "p=tls-exporter,,n=romeo,r=abc",
                SASL_ERROR_MALFORMED_REQUEST },
        { MECH_SCRAM_SHA_1_PLUS, "n,,n=romeo,r=abc", SASL_ERROR_MALFORMED_REQUEST },
        { MECH_SCRAM_SHA_1_PLUS, "y,,n=romeo,r=abc", SASL_ERROR_MALFORMED_REQUEST },
        /* TLS 1.3 has no tls-unique. */
        { MECH_SCRAM_SHA_1_PLUS, "p=tls-unique,,n=romeo,r=abc",
                SASL_ERROR_NOT_AUTHORIZED },
        { MECH_SCRAM_SHA_1_PLUS, "p=tls-other,,n=romeo,r=abc",
                SASL_ERROR_NOT_AUTHORIZED },
        { MECH_SCRAM_SHA_1, "n,a=juliet,n=romeo,r=abc", SASL_ERROR_INVALID_AUTHZID },
        { MECH_SCRAM_SHA_1, "n,a=juliet@example.net,n=romeo,r=abc",
                SASL_ERROR_INVALID_AUTHZID },
        { MECH_SCRAM_SHA_1, "n,a=j=x,n=romeo,r=abc", SASL_ERROR_MALFORMED_REQUEST },
        { MECH_SCRAM_SHA_1, "n,,n=ro=meo,r=abc", SASL_ERROR_MALFORMED_REQUEST },
        { MECH_SCRAM_SHA_1, "n,,n=ro/meo,r=abc", SASL_ERROR_NOT_AUTHORIZED },
        { MECH_SCRAM_SHA_1, "n,,n=ro=2Cm\"eo,r=abc", SASL_ERROR_NOT_AUTHORIZED },
        { MECH_SCRAM_SHA_1, "n,,n=,r=abc", SASL_ERROR_MALFORMED_REQUEST },
        { MECH_SCRAM_SHA_1, "n,,m=x,n=romeo,r=abc", SASL_ERROR_MALFORMED_REQUEST },
        { MECH_SCRAM_SHA_1, "hello", SASL_ERROR_MALFORMED_REQUEST },
        { MECH_SCRAM_SHA_1, "", SASL_ERROR_MALFORMED_REQUEST },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        struct sasl *s;

        print_message("case %zu: %s\n", i, cases[i].msg);
        bench_init(&b, CRED_BIT(CRED_SCRAM_SHA1), 13, true);
        if (i == 4) /* even if the worker says so */
            b.start.cb_data[AUTH_CB_UNIQUE] = STR("unique");
        b.start.mechanism = str_from(mech_name(cases[i].m));
        s = sasl_new(&b.start);
        assert_int_equal(sasl_step(s, true, str_from(cases[i].msg)), SASL_FAILURE);
        assert_int_equal(sasl_failure(s), cases[i].failure);
        assert_false(sasl_was_guess(s));
        sasl_free(&s);
    }
}

/*
 * The flag 'y' is right where no -PLUS was offered; the right authzid is let through.
 */
static void
test_scram_accepted_headers(void **state)
{
    static const char *const headers[] = { "y,,", "n,a=Romeo@example.NET,", "n,," };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        struct scram_client c = {
            .header = headers[i], .user = "romeo", .password = "pencil"
        };
        struct bench b;
        struct sasl *s;

        bench_init(&b, CRED_BIT(CRED_SCRAM_SHA1), 0, false);
        bench_set_password(&b, "pencil");
        assert_int_equal(run_scram(&b, MECH_SCRAM_SHA_1, &c, 0, &s), SASL_SUCCESS);
        sasl_free(&s);
    }
}

/* What a client that knows the password may still get wrong, or somebody in between. */
static void
test_scram_refused_at_last(void **state)
{
    static const struct {
        const char *from, *to; /* replaced in the client's last message */
        enum sasl_error failure;
        bool guess;
    } cases[] = {
        { "c=biws", "c=eSws", SASL_ERROR_NOT_AUTHORIZED, false },
        { "c=biws", "c=biw", SASL_ERROR_NOT_AUTHORIZED, false },
        { "c=biws", "c=", SASL_ERROR_NOT_AUTHORIZED, false },
        { "r=fyko", "r=fyk0", SASL_ERROR_NOT_AUTHORIZED, false },
        { ",p=", "a,p=", SASL_ERROR_NOT_AUTHORIZED, false },
        { ",p=", ",x=1,p=", SASL_ERROR_NOT_AUTHORIZED, true },
        { "p=", "p=AAAA", SASL_ERROR_NOT_AUTHORIZED, true },
        { ",p=", ",p=!", SASL_ERROR_NOT_AUTHORIZED, true },
        { ",p=", ",m=1,p=", SASL_ERROR_MALFORMED_REQUEST, false },
        { ",p=", ",q=", SASL_ERROR_MALFORMED_REQUEST, false },
        { "c=", "", SASL_ERROR_MALFORMED_REQUEST, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_client c = { .header = "n,,",
            .user = "romeo",
            .password = "pencil",
            .md = EVP_sha1(),
            .nonce = "fykonononce" };
        char msg[2048], *at;
        struct bench b;
        struct sasl *s;

        print_message("case %zu\n", i);
        bench_init(&b, CRED_BIT(CRED_SCRAM_SHA1), 0, false);
        bench_set_password(&b, "pencil");
        b.start.mechanism = STR("SCRAM-SHA-1");
        s = sasl_new(&b.start);
        assert_int_equal(
                sasl_step(s, true, str_from(client_first(&c))), SASL_WANT_CREDS);
        assert_int_equal(sasl_set_creds(s, &b.creds), SASL_CHALLENGE);
        assert_non_null(client_final(&c, sasl_data(s).p, sasl_data(s).n));
        at = strstr(c.final, cases[i].from);
        assert_non_null(at);
        snprintf(msg, sizeof msg, "%.*s%s%s", (int)(at - c.final), c.final, cases[i].to,
                at + strlen(cases[i].from));
        assert_int_equal(sasl_step(s, true, str_from(msg)), SASL_FAILURE);
        assert_int_equal(sasl_failure(s), cases[i].failure);
        assert_int_equal(sasl_was_guess(s), cases[i].guess);
        assert_int_equal(sasl_data(s).n, 0);
        /* It is over: the right message is too late. */
        assert_int_equal(sasl_step(s, true, str_from(c.final)), SASL_FAILURE);
        sasl_free(&s);
    }
}

static void
test_another_channel(void **state)
{
    static const struct {
        const char *header;
        const char *cb;
        enum sasl_status status;
    } cases[] = {
        { "p=tls-exporter,,", "exporter-exporter-exporter-expor", SASL_SUCCESS },
        { "p=tls-exporter,,", "exporter-exporter-exporter-expoR", SASL_FAILURE },
        { "p=tls-exporter,,", "endpoint-endpoint-endpoint-endpo", SASL_FAILURE },
        { "p=tls-exporter,,", "", SASL_FAILURE },
        { "p=tls-server-end-point,,", "endpoint-endpoint-endpoint-endpo",
                SASL_SUCCESS },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_client c = { .header = cases[i].header,
            .user = "romeo",
            .password = "pencil",
            .cb = cases[i].cb,
            .n_cb = strlen(cases[i].cb) };
        struct bench b;
        struct sasl *s;

        bench_init(&b, all_scram, 13, true);
        bench_set_password(&b, "pencil");
        assert_int_equal(
                run_scram(&b, MECH_SCRAM_SHA_256_PLUS, &c, 0, &s), cases[i].status);
        if (cases[i].status == SASL_FAILURE)
            assert_int_equal(sasl_failure(s), SASL_ERROR_NOT_AUTHORIZED);
        sasl_free(&s);
    }
}

/* The client computes XEP-0474's hash over what it has seen. */
static void
test_downgrade_protection(void **state)
{
    static const struct {
        unsigned tls;
        bool cb, on;
        const char *text;
    } cases[] = {
        { 13, true, true,
                "PLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1e"
                "tls-server-end-point" },
        { 12, true, true,
                "PLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1e"
                "tls-server-end-point\x1etls-unique" },
        { 0, false, true, "SCRAM-SHA-1" },
        { 13, true, false, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_client c = {
            .header = "n,,", .user = "romeo", .password = "pencil"
        };
        unsigned char hash[64];
        char expected[128] = "";
        unsigned n;
        struct bench b;
        struct sasl *s;

        bench_init(&b, CRED_BIT(CRED_SCRAM_SHA1), cases[i].tls, cases[i].cb);
        bench_set_password(&b, "pencil");
        b.policy.downgrade_protection = cases[i].on;
        assert_int_equal(run_scram(&b, MECH_SCRAM_SHA_1, &c, 0, &s), SASL_SUCCESS);
        if (cases[i].on) {
            EVP_Digest(
                    cases[i].text, strlen(cases[i].text), hash, &n, EVP_sha1(), NULL);
            client_b64(expected, hash, n);
        }
        assert_string_equal(c.ssdp, expected);
        sasl_free(&s);
    }
}

static void
test_out_of_order(void **state)
{
    struct bench b;
    struct sasl *s;

    (void)state;
    bench_init(&b, CRED_BIT(CRED_SCRAM_SHA1), 13, true);
    bench_set_password(&b, "pencil");
    assert_int_equal(run_plain(&b, NULL, STR("\0romeo\0pencil"), &s), SASL_FAILURE);
    assert_int_equal(sasl_failure(s), SASL_ERROR_TEMPORARY_AUTH_FAILURE);
    sasl_free(&s);

    s = sasl_new(&b.start);
    assert_int_equal(sasl_step(s, true, STR("\0romeo\0pencil")), SASL_WANT_CREDS);
    assert_int_equal(sasl_step(s, true, STR("\0romeo\0pencil")), SASL_FAILURE);
    assert_int_equal(sasl_failure(s), SASL_ERROR_MALFORMED_REQUEST);
    assert_int_equal(sasl_step(s, true, STR("\0romeo\0pencil")), SASL_FAILURE);
    sasl_free(&s);
    sasl_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mechanism),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_plain_too_long),
        cmocka_unit_test(test_mechanism_refused),
        cmocka_unit_test(test_not_in_the_list),
        cmocka_unit_test(test_scram_refused_at_first),
        cmocka_unit_test(test_scram_accepted_headers),
        cmocka_unit_test(test_scram_refused_at_last),
        cmocka_unit_test(test_another_channel),
        cmocka_unit_test(test_downgrade_protection),
        cmocka_unit_test(test_out_of_order),
    };

    return cmocka_run_group_tests(tests, sasl_setup, sasl_teardown);
}
