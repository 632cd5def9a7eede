/* Timers and turns of the event loop. */
#include "base/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
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

struct taken {
    struct loop *loop;
    unsigned n;
};

static void
on_byte(struct loop_io *io, unsigned events)
{
    struct taken *taken = io->arg;
    char c;

    assert_true(events & LOOP_READ);
    assert_true(loop_in_turn(taken->loop));
    assert_int_equal(read(io->fd, &c, 1), 1);
    taken->n++;
}

/* Who reads a part is told of the rest; when there is none, of nothing. */
static void
a_reader_is_told_until_all_is_read(void **state)
{
    struct taken taken = { .loop = loop_new() };
    struct loop_io io = { .fn = on_byte, .arg = &taken };
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    io.fd = fds[0];
    assert_int_equal(write(fds[1], "abc", 3), 3);
    assert_int_equal(loop_add_reader(taken.loop, &io), 0);
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(loop_turn_once(taken.loop, 0), 0);
        assert_int_equal(taken.n, i < 3 ? i : 3);
        assert_false(loop_in_turn(taken.loop));
    }
    loop_del(taken.loop, &io);
    loop_free(&taken.loop);
    close(fds[0]);
    close(fds[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_that_sets_itself_again_ends_its_turn),
        cmocka_unit_test(a_reader_is_told_until_all_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
