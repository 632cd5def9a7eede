/* Timers and turns of the event loop. */
#include "base/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"

struct again {
    struct loop *loop;
    struct loop_timer timer;
    unsigned n, ends;
};

static void
on_again(struct loop_timer *t)
{
    struct again *a = container_of(t, struct again, timer);

    assert_true(++a->n < 100);
    loop_timer_set(a->loop, t, 0);
}

static void
on_end(void *arg)
{
    struct again *a = arg;

    a->ends++;
}

/* A client that never stops sending has its worker set such a timer again and again. */
static void
a_timer_that_sets_itself_again_ends_its_turn(void **state)
{
    struct again a = { .timer.fn = on_again };
    struct loop_turn turn = { .fn = on_end, .arg = &a };

    (void)state;
    a.loop = loop_new();
    assert_non_null(a.loop);
    loop_on_turn_end(a.loop, &turn);
    loop_timer_set(a.loop, &a.timer, 0);
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(loop_turn_once(a.loop, 0), 0);
        assert_int_equal(a.n, i);
        assert_int_equal(a.ends, i);
    }
    loop_timer_cancel(a.loop, &a.timer);
    assert_int_equal(loop_turn_once(a.loop, 0), 0);
    assert_int_equal(a.n, 5);
    loop_free(&a.loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_that_sets_itself_again_ends_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
