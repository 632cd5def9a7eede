/* Token buckets per address and account. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "auth/limit.h"
#include "base/mem.h"

static const struct limit_params params = {
    .burst = 3, .interval_ms = 1000, .delay_max_ms = 5000, .n_max = 100
};

static void
test_delays(void **state)
{
    static const struct {
        uint64_t at_ms;
        bool fails;
        uint64_t delay_ms; /* afterwards */
    } steps[] = {
        { 5000, true, 0 }, { 5000, true, 0 }, { 5000, true, 0 },
        { 5000, true, 1000 }, /* the burst is used up */
        { 5500, false, 500 }, /* time heals */
        { 6000, false, 0 }, { 6000, true, 1000 }, { 6000, true, 2000 },
        { 11000, false, 0 }, { 11000, true, 0 }, { 20000, true, 0 }, { 20000, true, 0 },
        { 20000, true, 0 }, { 20000, true, 1000 },
        { 19000, false, 2000 }, /* a clock that stood still does no harm */
    };
    struct limit *l = limit_new(&params);
    uint64_t key = limit_key(l, STR("a"), STR("b"));

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        print_message("step %zu\n", i);
        if (steps[i].fails)
            limit_on_failure(l, key, steps[i].at_ms);
        assert_int_equal(limit_delay_ms(l, key, steps[i].at_ms), steps[i].delay_ms);
    }
    for (int i = 0; i < 1000; i++)
        limit_on_failure(l, key, 20000);
    assert_int_equal(limit_delay_ms(l, key, 20000), params.delay_max_ms);
    assert_true(limit_is_over(l, key, 20000));
    assert_true(limit_is_over(l, key, 20999));
    assert_false(limit_is_over(l, key, 21000));
    assert_int_equal(limit_delay_ms(l, limit_key(l, STR("a"), STR("c")), 20000), 0);
    assert_int_equal(limit_n(l), 1);
    limit_free(&l);
    assert_null(l);
    limit_free(&l);
}

static void
test_addresses(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "192.0.2.1:5222", true },
        { "192.0.2.1", "::ffff:192.0.2.1", true },
        { "192.0.2.1:1", "[::ffff:192.0.2.1]:2", true },
        { "192.0.2.1", "192.0.2.2", false },
        { "2001:db8::1", "2001:db8::2", true },
        { "2001:db8::1", "[2001:db8::2]:5222", true },
        { "2001:db8:0:1::1", "2001:0db8:0000:0001:ffff:ffff:ffff:ffff", true },
        { "2001:db8:0:1::1", "2001:db8:0:2::1", false },
        { "::2", "::3", true },
        { "::1", "::2", false },
        { "unix:/a", "unix:/b", false },
        { "unix:/a", "unix:/a", true },
        { "", "", true },
        { "", "[]", false },
        { "[", "]", false },
        { ":", "::", false },
        { "192.0.2.1", "192.0.2.1.", false },
    };
    static const char *const local[] = { "127.0.0.1", "127.1.2.3:5222", "::1",
        "::", "0.0.0.0", "[::1]:5222", "::ffff:127.0.0.1" };
    static const char *const not_local[] = { "128.0.0.1", "unix:/127.0.0.1", "::1:0",
        "a", "b", "::2", "1.127.0.0" };
    struct limit *l = limit_new(&params);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s %s\n", cases[i].a, cases[i].b);
        assert_int_equal(limit_key_of_address(l, str_from(cases[i].a)) ==
                                 limit_key_of_address(l, str_from(cases[i].b)),
                cases[i].same);
    }
    for (size_t i = 0; i < ARRAY_LEN(local); i++) {
        assert_int_equal(limit_key_of_address(l, str_from(local[i])), LIMIT_NOBODY);
        assert_true(limit_key_of_address(l, str_from(not_local[i])) != LIMIT_NOBODY);
    }
    for (int i = 0; i < 1000; i++)
        limit_on_failure(l, LIMIT_NOBODY, 1);
    assert_int_equal(limit_delay_ms(l, LIMIT_NOBODY, 1), 0);
    assert_false(limit_is_over(l, LIMIT_NOBODY, 1));
    assert_int_equal(limit_n(l), 0);
    assert_true(limit_key(l, STR("ab"), STR("c")) != limit_key(l, STR("a"), STR("bc")));
    limit_free(&l);
}

/* Somebody who tries all the time: the burst, the debt, and then one per interval. */
static void
test_in_the_long_run(void **state)
{
    struct limit *l = limit_new(&params);
    unsigned n = 0;

    (void)state;
    for (uint64_t now = 1; now <= 100000; now++) {
        for (int at_once = 0; at_once < 10; at_once++) {
            if (limit_is_over(l, 1, now))
                continue;
            limit_on_failure(l, 1, now);
            n++;
        }
    }
    assert_in_range(n, 3 + 5 + 99, 3 + 5 + 100);
    limit_free(&l);
}

/* A full table forgets the one whose last failure is the oldest. */
static void
test_bounded(void **state)
{
    struct limit *l = limit_new(&params);
    uint64_t now = 1000;

    (void)state;
    for (int round = 0; round < 4; round++)
        limit_on_failure(l, 7, now);
    for (uint64_t key = 1000; key < 1000 + 5 * 99; key++) {
        limit_on_failure(l, 7, now); /* fails on and on: is kept */
        limit_on_failure(l, key * 1000003, now);
        assert_true(limit_n(l) <= 100);
    }
    assert_int_equal(limit_n(l), 100);
    assert_int_equal(limit_n_evicted(l), 4 * 99);
    assert_true(limit_delay_ms(l, 7, now) > 0);
    for (int i = 0; i < 4; i++)
        limit_on_failure(l, 1000 * 1000003, now); /* the first was forgotten */
    assert_int_equal(limit_delay_ms(l, 1000 * 1000003, now), 1000);
    limit_free(&l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_in_the_long_run),
        cmocka_unit_test(test_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
