/*
 * tests/unit/undelivered.c -- who is known to have got what another session leaves
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "worker/undelivered.h"

static uint32_t
now_s(void)
{
    return (uint32_t)(clock_wall_us() / 1000000);
}

static void
who_was_there_is_known_to_have_it(void **state)
{
    struct conn c = { .flags = CONN_AVAILABLE, .priority = 1 };
    struct given given = { .s = now_s(), .priority = 1, .to = GIVEN_BY_PRIORITY };

    (void)state;
    assert_false(undelivered_is_known(&c, &given)); /* a change is under way */
    c.steady_s = given.s;
    assert_false(undelivered_is_known(&c, &given));
    c.steady_s = given.s - 10;
    assert_true(undelivered_is_known(&c, &given));
    given.priority = 2;
    assert_false(undelivered_is_known(&c, &given));
    given.to |= GIVEN_AS_COPY;
    assert_false(undelivered_is_known(&c, &given));
    c.route_flags = ROUTE_CARBONS;
    assert_true(undelivered_is_known(&c, &given));
    c.flags |= CONN_LOST;
    assert_false(undelivered_is_known(&c, &given));
}

static void
a_clock_that_was_set_back_says_nothing(void **state)
{
    struct conn c = {
        .flags = CONN_AVAILABLE, .priority = 1, .steady_s = now_s() - 10
    };
    struct given given = { .s = now_s() + 100, .to = GIVEN_BY_PRIORITY };

    (void)state;
    assert_false(undelivered_is_known(&c, &given));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_there_is_known_to_have_it),
        cmocka_unit_test(a_clock_that_was_set_back_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
