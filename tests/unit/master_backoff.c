/*
 * master_backoff.c -- how soon a process that has ended is started again
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/mem.h"
#include "master/backoff.h"

static void
delays_grow_and_are_forgiven(void **state)
{
    static const struct {
        uint64_t lived_ms, delay_ms;
    } cases[] = {
        { 0, 0 }, /* the first ones at once */
        { 0, 0 },
        { 0, 0 },
        { 0, 0 },
        { 0, 0 },
        { 0, 250 }, /* then slower */
        { 0, 500 },
        { 0, 1000 },
        { 1000, 1000 }, /* a second of life makes up for one end */
        { 2000, 500 },
        { 0, 1000 },
        { 0, 2000 },
        { 0, 4000 },
        { 0, 8000 },
        { 0, 16000 },
        { 0, 30000 },
        { 0, 30000 }, /* and never slower than that */
        { 9000, 0 },
        { 1000, 0 }, /* killed every second: always at once */
        { 1000, 0 },
        { 1000, 0 },
        { 3600000, 0 },
    };
    struct backoff b = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t delay = backoff_delay_ms(&b, cases[i].lived_ms, true);

        if (delay != cases[i].delay_ms)
            fail_msg("case %zu: lived %llu ms: delay %llu ms, not %llu", i,
                    (unsigned long long)cases[i].lived_ms, (unsigned long long)delay,
                    (unsigned long long)cases[i].delay_ms);
    }
}

/* Every tenth of a second: always at once; sooner: slower after fifty in a row. */
static void
kills_are_cheaper(void **state)
{
    struct backoff b = { 0 };

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(backoff_delay_ms(&b, BACKOFF_KILLED_MS, false), 0);
    for (int i = 0; i < 49; i++)
        assert_int_equal(backoff_delay_ms(&b, 0, false), 0);
    assert_int_equal(backoff_delay_ms(&b, 0, false), BACKOFF_FIRST_MS);
}

static void
it_never_gives_up(void **state)
{
    struct backoff b = { 0 };

    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_in_range(backoff_delay_ms(&b, 0, i % 2), 0, BACKOFF_MAX_MS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_grow_and_are_forgiven),
        cmocka_unit_test(kills_are_cheaper),
        cmocka_unit_test(it_never_gives_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
