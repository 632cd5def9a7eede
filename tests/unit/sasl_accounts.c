/*
 * sasl_accounts.c -- SASL with accounts that are not there, are closed, or have
 * another password than is needed: nobody can tell which of these it is
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

/*
 * Whether an account exists must not show in the messages, nor in the work done. Each
 * row of an account: what is stored of it (0: nothing), and what the client says.
 */
static void
test_unknown_users_look_like_others(void **state)
{
    const unsigned policies[] = { CRED_BIT(CRED_SCRAM_SHA1), CRED_BIT(CRED_PLAIN),
        all_scram };
    const enum mech mechs[] = { MECH_SCRAM_SHA_1, MECH_SCRAM_SHA_1_PLUS, MECH_PLAIN };

    (void)state;
    for (size_t p = 0; p < ARRAY_LEN(policies); p++) {
        for (size_t m = 0; m < ARRAY_LEN(mechs); m++) {
            uint64_t work[2];
            char first[2][2048], salt[2][2][256];

            for (unsigned known = 0; known < 2; known++) {
                uint64_t n = digest_n_pbkdf2(), setup_work;
                struct bench b;
                struct sasl *s;

                bench_init(&b, policies[p], 13, true);
                if (known)
                    bench_set_password(&b, "pencil");
                setup_work = digest_n_pbkdf2() - n;
                for (int again = 0; again < 2; again++) {
                    struct scram_client c = { .user = "romeo", .password = "wrong" };

                    if (mechs[m] == MECH_PLAIN) {
                        assert_int_equal(
                                run_plain(&b, &b.creds, STR("\0romeo\0wrong"), &s),
                                SASL_FAILURE);
                    } else {
                        c.header = mech_is_plus(mechs[m]) ? "p=tls-exporter,," : "n,,";
                        if (mech_is_plus(mechs[m])) {
                            c.cb = cb_data[AUTH_CB_EXPORTER].p;
                            c.n_cb = 32;
                        }
                        assert_int_equal(
                                run_scram(&b, mechs[m], &c, 0, &s), SASL_FAILURE);
                    }
                    assert_int_equal(sasl_failure(s), SASL_ERROR_NOT_AUTHORIZED);
                    assert_true(sasl_was_guess(s));
                    assert_int_equal(sasl_data(s).n, 0);
                    snprintf(salt[known][again], 256, "%s", c.salt);
                    if (c.md) /* the same text, but for nonce and salt */
                        memset(c.server_first, '*',
                                strlen(c.server_nonce) + strlen(c.salt) + 5);
                    snprintf(first[known], 2048, "%s", c.server_first);
                    sasl_free(&s);
                }
                work[known] = digest_n_pbkdf2() - n - setup_work;
            }
            assert_int_equal(work[0], work[1]);
            assert_string_equal(first[0], first[1]);
            assert_string_equal(salt[0][0], salt[0][1]);
            assert_string_equal(salt[1][0], salt[1][1]);
            assert_int_equal(strlen(salt[0][0]), strlen(salt[1][0]));
        }
    }
}

/* Two names, two hosts, two secrets, two hashes: other salts each. */
static void
test_fake_salts_differ(void **state)
{
    static const uint8_t other_secret[SASL_SECRET_SIZE] = "another";
    static const struct {
        const char *user, *host;
        const uint8_t *key;
        enum mech m;
    } cases[] = {
        { "romeo", "example.net", secret, MECH_SCRAM_SHA_1 },
        { "rome", "example.net", secret, MECH_SCRAM_SHA_1 },
        { "romeo", "example.org", secret, MECH_SCRAM_SHA_1 },
        { "romeo", "example.net", other_secret, MECH_SCRAM_SHA_1 },
        { "romeo", "example.net", secret, MECH_SCRAM_SHA_256 },
    };
    char salts[ARRAY_LEN(cases)][256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_client c = {
            .header = "n,,", .user = cases[i].user, .password = "wrong"
        };
        struct bench b;
        struct sasl *s;

        bench_init(&b, all_scram, 13, true);
        b.start.host = str_from(cases[i].host);
        b.start.secret = cases[i].key;
        assert_int_equal(run_scram(&b, cases[i].m, &c, UNKNOWN_USER, &s), SASL_FAILURE);
        memcpy(salts[i], c.salt, sizeof c.salt);
        sasl_free(&s);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(salts[i], salts[j]);
    }
}

/* A key of another kind is no key: the exchange goes on and fails at its end. */
static void
test_stored_type_does_not_fit(void **state)
{
    struct scram_client c = { .header = "n,,", .user = "romeo", .password = "pencil" };
    struct bench b;
    struct sasl *s;

    (void)state;
    bench_init(&b, CRED_BIT(CRED_SCRAM_SHA1), 13, true);
    bench_set_password(&b, "pencil");
    b.policy.stored = all_scram;
    b.offered[0] = STR("SCRAM-SHA-512");
    assert_int_equal(run_scram(&b, MECH_SCRAM_SHA_512, &c, 0, &s), SASL_FAILURE);
    assert_int_equal(sasl_failure(s), SASL_ERROR_NOT_AUTHORIZED);
    sasl_free(&s);
}

/* A row in plain text on a host that stores keys now: both ways in still work. */
static void
test_old_plain_row(void **state)
{
    static const struct cred_row row = { .type = CRED_PLAIN,
        .password = { "pencil", 6 } };
    struct scram_client c = { .header = "n,,", .user = "romeo", .password = "pencil" };
    struct bench b;
    struct sasl *s;

    (void)state;
    bench_init(&b, CRED_BIT(CRED_SCRAM_SHA1), 13, true);
    assert_int_equal(creds_add_row(&b.creds, &row), 0);
    assert_int_equal(run_scram(&b, MECH_SCRAM_SHA_1, &c, 0, &s), SASL_SUCCESS);
    sasl_free(&s);
    assert_int_equal(run_plain(&b, &b.creds, STR("\0romeo\0pencil"), &s), SASL_SUCCESS);
    sasl_free(&s);
}

static void
test_closed_accounts(void **state)
{
    static const struct {
        enum creds_state account;
        enum sasl_error failure;
    } cases[] = {
        { CREDS_DISABLED, SASL_ERROR_ACCOUNT_DISABLED },
        { CREDS_EXPIRED, SASL_ERROR_CREDENTIALS_EXPIRED },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (unsigned wrong = 0; wrong < 2; wrong++) {
            enum sasl_error failure =
                    wrong ? SASL_ERROR_NOT_AUTHORIZED : cases[i].failure;
            struct scram_client c = {
                .header = "n,,", .user = "romeo", .password = wrong ? "wrong" : "pencil"
            };
            struct bench b;
            struct sasl *s;

            bench_init(&b, CRED_BIT(CRED_SCRAM_SHA1), 13, true);
            bench_set_password(&b, "pencil");
            b.creds.state = cases[i].account;
            assert_int_equal(run_scram(&b, MECH_SCRAM_SHA_1, &c, 0, &s), SASL_FAILURE);
            assert_int_equal(sasl_failure(s), failure);
            assert_int_equal(sasl_was_guess(s), wrong);
            assert_int_equal(sasl_data(s).n, 0);
            sasl_free(&s);
            assert_int_equal(
                    run_plain(&b, &b.creds,
                            wrong ? STR("\0romeo\0wrong") : STR("\0romeo\0pencil"), &s),
                    SASL_FAILURE);
            assert_int_equal(sasl_failure(s), failure);
            sasl_free(&s);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_users_look_like_others),
        cmocka_unit_test(test_fake_salts_differ),
        cmocka_unit_test(test_stored_type_does_not_fit),
        cmocka_unit_test(test_old_plain_row),
        cmocka_unit_test(test_closed_accounts),
    };

    return cmocka_run_group_tests(tests, sasl_setup, sasl_teardown);
}
