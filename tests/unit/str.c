/*
 * str.c -- views that are cut and taken from
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

static void
cutting(void **state)
{
    struct str rest = STR("a,,b"), head;

    (void)state;
    assert_true(str_cut(&rest, ',', &head) && str_eq_c(head, "a"));
    assert_true(str_cut(&rest, ',', &head) && head.n == 0);
    assert_true(str_cut(&rest, ',', &head) && str_eq_c(head, "b"));
    assert_false(str_cut(&rest, ',', &head));
}

static void
taking(void **state)
{
    struct str rest = STR("abcdef"), head = STR("before");
    char bytes[2] = { 'x', 'y' };

    (void)state;
    assert_true(str_take(&rest, 2, &head) && str_eq_c(head, "ab"));
    assert_true(str_take_into(&rest, bytes, 2));
    assert_memory_equal(bytes, "cd", 2);
    assert_true(str_take(&rest, 0, &head) && head.n == 0);
    assert_false(str_take(&rest, 3, &head));
    assert_false(str_take_into(&rest, bytes, 3));
    assert_true(str_eq_c(rest, "ef") && head.n == 0 && bytes[0] == 'c');
    assert_true(str_take(&rest, 2, &head) && rest.n == 0);
    assert_false(str_take_into(&rest, bytes, 1));
    rest = STR_NULL;
    assert_true(str_take_into(&rest, bytes, 0));
    assert_false(str_take(&rest, 1, &head));
}

static void
numbers(void **state)
{
    static const struct {
        uint64_t n;
        const char *text;
    } cases[] = { { 0, "0" }, { 7, "7" }, { 10, "10" }, { 4294967295, "4294967295" },
        { UINT64_MAX, "18446744073709551615" } };
    struct buf b = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_reset(&b, SIZE_MAX);
        buf_add_c(&b, "h=");
        buf_add_u64(&b, cases[i].n);
        assert_string_equal(buf_c(&b) + 2, cases[i].text);
    }
    buf_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutting),
        cmocka_unit_test(taking),
        cmocka_unit_test(numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
