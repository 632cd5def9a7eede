/* What may be done once in a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/recent.h"
#include "base/mem.h"

static void
test_once_in_a_while(void **state)
{
    static const struct {
        uint64_t key, id, now_ms;
        bool undo, may;
    } steps[] = {
        { 7, 1, 1000, false, true },
        { 7, 2, 1000, false, false },
        { 7, 1, 1500, false, true }, /* the same, asked for again */
        { 7, 3, 2499, false, false },
        { 7, 3, 2500, false, true },
        { 7, 2, 2500, true, false }, /* of somebody else's nothing is forgotten */
        { 7, 4, 2500, false, false },
        { 7, 3, 2500, true, false },
        { 7, 4, 2500, false, true },
        { 8, 5, 2500, false, true },
    };
    struct recent *r = recent_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        print_message("step %zu\n", i);
        if (steps[i].undo)
            recent_undo(r, steps[i].key, steps[i].id);
        else
            assert_int_equal(recent_begin(r, steps[i].key, steps[i].id, steps[i].now_ms,
                                     steps[i].now_ms + 1000),
                    steps[i].may);
    }
    recent_free(&r);
    assert_null(r);
}

/* A full row forgets the oldest, and no other. */
static void
test_full(void **state)
{
    struct recent *r = recent_new();

    (void)state;
    for (uint64_t i = 0; i < 5; i++)
        assert_true(recent_begin(r, 1 + i * 4096, 1, 1000, 2000 + i));
    assert_true(recent_begin(r, 1, 2, 1000, 3000));
    assert_false(recent_begin(r, 1 + 2 * 4096, 2, 1000, 3000));
    assert_false(recent_begin(r, 1 + 4 * 4096, 2, 1000, 3000));
    recent_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_in_a_while),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
