/* Rows of ejabberd's table users, and what is made from and checked against them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "auth/store.h"
#include "base/arena.h"
#include "base/b64.h"
#include "base/mem.h"

/* "pencil" under the salts of RFC 5802 and RFC 7677. */
#define SALT1   "QSXCR+Q6sek8bf92"
#define STORED1 "6dlGYMOdZcOPutkcNY8U2g7vK9Y="
#define SERVER1 "D+CSWLOshSulAsxiupA+qs2/fTE="
#define SALT2   "W22ZaJ0SNY7soEsUEjb6gQ=="
#define STORED2 "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER2 "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

#define ROW(t, pw, sk, salt_, iter)                                              \
    {                                                                            \
        .type = (t), .password = { pw, sizeof pw - 1 },                          \
        .serverkey = { sk, sizeof sk - 1 }, .salt = { salt_, sizeof salt_ - 1 }, \
        .iterations = (iter)                                                     \
    }

static void
test_rows(void **state)
{
    static const struct {
        struct cred_row row;
        int r;
        int has; /* -1: plain; else enum digest */
    } cases[] = {
        { ROW(0, "pencil", "", "", 0), 0, -1 },
        { ROW(1, "pencil", "", "", 0), 0, -1 },
        { ROW(0, STORED1, SERVER1, SALT1, 4096), 0, DIGEST_SHA1 },
        { ROW(2, STORED1, SERVER1, SALT1, 4096), 0, DIGEST_SHA1 },
        { ROW(0, "sha256:" STORED2, SERVER2, SALT2, 4096), 0, DIGEST_SHA256 },
        { ROW(3, STORED2, SERVER2, SALT2, 4096), 0, DIGEST_SHA256 },
        { ROW(3, "sha256:" STORED2, SERVER2, SALT2, 4096), 0, DIGEST_SHA256 },
        /* Damaged ones. */
        { ROW(1, "", "", "", 0), -EINVAL, 0 },
        { ROW(0, "", "", "", 0), -EINVAL, 0 },
        { ROW(0, STORED2, SERVER2, SALT2, 4096), -EINVAL, 0 },
        { ROW(0, "sha512:" STORED2, SERVER2, SALT2, 4096), -EINVAL, 0 },
        { ROW(4, STORED2, SERVER2, SALT2, 4096), -EINVAL, 0 },
        { ROW(2, STORED2, SERVER2, SALT2, 4096), -EINVAL, 0 },
        { ROW(2, STORED1, SERVER1, SALT1, 0), -EINVAL, 0 },
        { ROW(2, STORED1, SERVER1, SALT1, CRED_ITERATIONS_MAX + 1), -EINVAL, 0 },
        { ROW(2, STORED1, SERVER1, "", 4096), -EINVAL, 0 },
        { ROW(2, STORED1, SERVER1, "!!!!", 4096), -EINVAL, 0 },
        { ROW(2, STORED1, "", SALT1, 4096), -EINVAL, 0 },
        { ROW(2, "?", SERVER1, SALT1, 4096), -EINVAL, 0 },
        { ROW(0, "pencil", "", SALT1, 0), -EINVAL, 0 },
        { ROW(5, STORED1, SERVER1, SALT1, 4096), -EINVAL, 0 },
        { ROW(4000000000u, STORED1, SERVER1, SALT1, 4096), -EINVAL, 0 },
    };
    struct auth_policy policy;
    struct arena a;

    (void)state;
    arena_init(&a, 1024);
    auth_policy_init(&policy);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct creds c = { 0 };

        print_message("case %zu\n", i);
        assert_int_equal(creds_add_row(&c, &cases[i].row), cases[i].r);
        assert_int_equal(creds_empty(&c), cases[i].r < 0);
        assert_int_equal(c.has_plain, cases[i].r == 0 && cases[i].has < 0);
        for (int d = 0; d < DIGESTS; d++)
            assert_int_equal(c.scram[d].set, cases[i].r == 0 && cases[i].has == d);
        assert_int_equal(creds_verify(&c, &policy, &a, STR("pencil"), STR("salt")),
                cases[i].r == 0);
        assert_false(creds_verify(&c, &policy, &a, STR("Pencil"), STR("salt")));
        assert_false(creds_verify(&c, &policy, &a, STR("pencil "), STR("salt")));
        assert_false(creds_verify(&c, &policy, &a, STR(""), STR("salt")));
    }
    arena_fini(&a);
}

static void
test_long_rows(void **state)
{
    char text[CRED_PASSWORD_MAX + 1];
    struct cred_row row = { .type = CRED_PLAIN,
        .password = { text, CRED_PASSWORD_MAX } };
    struct creds c = { 0 };

    (void)state;
    memset(text, 'A', sizeof text);
    assert_int_equal(creds_add_row(&c, &row), 0);
    row.password.n++;
    assert_int_equal(creds_add_row(&c, &row), -EINVAL);
    row = (struct cred_row)ROW(2, STORED1, SERVER1, "", 4096);
    row.salt = (struct str){ text, 172 }; /* 129 bytes */
    assert_int_equal(creds_add_row(&c, &row), -EINVAL);
    row.salt.n = 168; /* 126 */
    assert_int_equal(creds_add_row(&c, &row), 0);
    assert_int_equal(c.scram[DIGEST_SHA1].n_salt, 126);
    creds_wipe(&c);
    assert_true(creds_empty(&c));
}

/*
 * The strongest key decides, unless there is one of the configured hash; only one does.
 */
static void
test_one_row_decides(void **state)
{
    static const struct cred_row good = ROW(3, STORED2, SERVER2, SALT2, 4096);
    static const struct cred_row other = ROW(2, SERVER1, STORED1, SALT1, 4096);
    struct auth_policy policy;
    struct creds c = { 0 };
    struct arena a;

    (void)state;
    arena_init(&a, 1024);
    auth_policy_init(&policy);
    assert_int_equal(creds_add_row(&c, &good), 0);
    assert_int_equal(creds_add_row(&c, &other), 0);
    policy.digest = DIGEST_SHA256;
    assert_true(creds_verify(&c, &policy, &a, STR("pencil"), STR("s")));
    policy.digest = DIGEST_SHA512;
    assert_true(creds_verify(&c, &policy, &a, STR("pencil"), STR("s")));
    policy.digest = DIGEST_SHA1;
    assert_false(creds_verify(&c, &policy, &a, STR("pencil"), STR("s")));
    arena_fini(&a);
}

static void
test_make(void **state)
{
    static const struct {
        unsigned stored;
        size_t n;
        unsigned types[4];
    } cases[] = {
        { CRED_BIT(CRED_PLAIN), 1, { CRED_PLAIN } },
        { CRED_BIT(CRED_SCRAM_SHA1), 1, { CRED_SCRAM_SHA1 } },
        { CRED_BIT(CRED_SCRAM_SHA512), 1, { CRED_SCRAM_SHA512 } },
        { CRED_BIT(CRED_SCRAM_SHA256) | CRED_BIT(CRED_SCRAM_SHA1), 2,
                { CRED_SCRAM_SHA1, CRED_SCRAM_SHA256 } },
        { ~0u, 4,
                { CRED_PLAIN, CRED_SCRAM_SHA1, CRED_SCRAM_SHA256, CRED_SCRAM_SHA512 } },
    };
    struct auth_policy policy;
    struct arena a;

    (void)state;
    arena_init(&a, 1024);
    auth_policy_init(&policy);
    assert_int_equal(policy.stored, CRED_BIT(CRED_SCRAM_SHA1));
    policy.iterations = 100;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cred_row rows[CRED_ROWS_MAX], again[CRED_ROWS_MAX];
        struct creds all = { 0 };
        size_t n = 0;

        policy.stored = cases[i].stored;
        assert_int_equal(creds_make(&a, &policy, STR("pencil"), rows, &n), 0);
        assert_int_equal(n, cases[i].n);
        for (size_t j = 0; j < n; j++) {
            struct creds one = { 0 };
            bool plain = cases[i].types[j] == CRED_PLAIN;

            assert_int_equal(rows[j].type, cases[i].types[j]);
            assert_int_equal(rows[j].salt.n, plain ? 0 : 24);
            assert_int_equal(rows[j].iterations, plain ? 0 : 100);
            assert_int_equal(creds_add_row(&one, &rows[j]), 0);
            assert_int_equal(creds_add_row(&all, &rows[j]), 0);
            assert_true(creds_verify(&one, &policy, &a, STR("pencil"), STR("s")));
            assert_false(creds_verify(&one, &policy, &a, STR("pencils"), STR("s")));
        }
        assert_int_equal(creds_make(&a, &policy, STR("pencil"), again, &n), 0);
        if (cases[i].types[0] != CRED_PLAIN)
            assert_false(str_eq(rows[0].salt, again[0].salt));
    }
    policy.stored = 0;
    {
        struct cred_row rows[CRED_ROWS_MAX];
        size_t n = 0;

        assert_int_equal(creds_make(&a, &policy, STR("pencil"), rows, &n), -EINVAL);
    }
    arena_fini(&a);
}

/* RFC 4013's examples, and a password that was hashed without being prepared. */
static void
test_prepared(void **state)
{
    static const struct {
        struct str in;
        const char *out;
    } cases[] = {
        { { "I\xc2\xadX", 4 }, "IX" }, { { "user", 4 }, "user" },
        { { "USER", 4 }, "USER" }, { { "\xc2\xaa", 2 }, "a" },
        { { "\xe2\x85\xa8", 3 }, "IX" }, { { "a b", 3 }, "a b" },
        { { "\xf0\x9f\xa6\x84!", 5 },
                "\xf0\x9f\xa6\x84!" }, /* newer than Unicode 3.2 */
        { { "\x07", 1 }, NULL }, { { "\xd8\xa7\x31", 3 }, NULL },
        { { "\xff", 1 }, NULL }, { { "a\0b", 3 }, NULL }, { { "", 0 }, NULL },
        { { "\xc2\xad", 2 }, NULL }, /* nothing is left */
    };
    struct auth_policy policy;
    struct arena a;

    (void)state;
    arena_init(&a, 1024);
    auth_policy_init(&policy);
    policy.iterations = 100;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str out;
        int r = password_prep(&a, cases[i].in, &out);

        print_message("case %zu\n", i);
        assert_int_equal(r, cases[i].out ? 0 : -EINVAL);
        if (cases[i].out)
            assert_true(str_eq_c(out, cases[i].out));
    }
    for (int raw = 0; raw < 2; raw++) {
        struct cred_row row = { .type = CRED_PLAIN,
            .password = raw ? STR("I\xc2\xadX") : STR("IX") };
        struct creds c = { 0 };

        assert_int_equal(creds_add_row(&c, &row), 0);
        assert_true(creds_verify(&c, &policy, &a, STR("I\xc2\xadX"), STR("s")));
    }
    arena_fini(&a);
}

/* The work depends on what the client sent, not on what is stored. */
static void
test_one_pbkdf2_whatever_is_stored(void **state)
{
    static const struct cred_row rows[] = {
        ROW(1, "pencil", "", "", 0),
        ROW(2, STORED1, SERVER1, SALT1, 4096),
        ROW(3, STORED2, SERVER2, SALT2, 4096),
        ROW(5, "", "", "", 0),
    };
    struct auth_policy policy;
    struct arena a;

    (void)state;
    arena_init(&a, 1024);
    auth_policy_init(&policy);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct creds c = { 0 };
        uint64_t n = digest_n_pbkdf2();

        (void)creds_add_row(&c, &rows[i]);
        (void)creds_verify(&c, &policy, &a, STR("pencil"), STR("0123456789abcdef"));
        assert_int_equal(digest_n_pbkdf2() - n, 1);
        (void)creds_verify(&c, &policy, &a, STR("wrong"), STR("0123456789abcdef"));
        assert_int_equal(digest_n_pbkdf2() - n, 2);
        (void)creds_verify(&c, &policy, &a, STR("I\xc2\xadX"), STR("0123456789abcdef"));
        assert_int_equal(digest_n_pbkdf2() - n, 4);
    }
    arena_fini(&a);
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
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_one_row_decides),
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_one_pbkdf2_whatever_is_stored),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
