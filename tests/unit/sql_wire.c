/*
 * sql_wire.c -- rows of results in frames, whole and damaged
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "sql/wire.h"

static const struct sql_op_def def = { .cols = "tibt", .n_cols = 4 };

static struct sql_value rows[5][4];

static void
pack(struct buf *out)
{
    rows[0][0] = sql_text(STR("a text"));
    rows[0][1] = sql_int(INT64_MIN);
    rows[0][2] = sql_int(1);
    rows[0][3] = sql_text(STR(""));
    rows[1][1] = sql_int(-2); /* NULLs before it and behind it */
    /* rows[2] is all NULL */
    rows[3][3] = sql_text((struct str){ "zero\0byte", 9 });
    rows[4][0] = sql_text(STR("last"));
    for (int i = 0; i < 5; i++)
        sql_wire_row_put(out, rows[i], 4);
}

static void
as_it_was_put(void **state)
{
    struct buf packed = { 0 };
    struct sql_result r = { 0 };
    struct arena arena;

    (void)state;
    pack(&packed);
    arena_init(&arena, 1024);
    assert_int_equal(sql_wire_rows_get(&arena, &def, buf_str(&packed), 5, &r), 0);
    assert_int_equal(r.n_rows, 5);
    assert_int_equal(r.n_cols, 4);
    for (int i = 0; i < 20; i++) {
        const struct sql_value *want = &rows[i / 4][i % 4], *got = &r.value[i];

        assert_int_equal(got->kind, want->kind);
        assert_int_equal(got->i, want->i);
        assert_true(str_eq(got->s, want->s));
        assert_true((got->s.p != NULL) == (want->s.p != NULL));
        if (got->s.p)
            assert_int_equal(got->s.p[got->s.n], '\0');
    }
    assert_int_equal(sql_wire_rows_get(&arena, &def, STR_NULL, 0, &r), 0);
    assert_int_equal(r.n_rows, 0);
    arena_fini(&arena);
    buf_fini(&packed);
}

static int
get(const char *p, size_t n, size_t n_rows)
{
    char *exact = memcpy(malloc(n ? n : 1), p, n); /* so that a byte too far is seen */
    struct sql_result r = { .n_rows = 77 };
    struct arena arena;
    int e;

    arena_init(&arena, 1024);
    e = sql_wire_rows_get(&arena, &def, (struct str){ exact, n }, n_rows, &r);
    if (e < 0)
        assert_int_equal(r.n_rows, 77);
    arena_fini(&arena);
    free(exact);
    return e;
}

/* From a process that somebody has taken over. */
static void
damaged(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        { "\1", 1 },                 /* no value */
        { "\1\2\0\0\0a", 6 },        /* its text is too short */
        { "\1\1\0\0\0a", 6 },        /* nothing behind it */
        { "\1\1\0\0\0ab", 7 },       /* not a zero behind it */
        { "\1\xfd\xff\xff\xff", 5 }, /* it is endless */
        { "\1\xfe\xff\xff\xff"
          "12345678",
                13 }, /* a number where a text should be */
        { "\2\xff\xff\xff\xff\1\0\0\0"
          "1\0",
                11 }, /* and the other way */
        { "\2\xff\xff\xff\xff\xfe\xff\xff\xff"
          "1234567",
                16 }, /* half a number */
        { "\5\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
          "\xff\xff\xff\xff",
                21 },  /* a column too many */
        { "\0\0", 2 }, /* more than the row */
    };
    struct buf packed = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (get(cases[i].bytes, cases[i].n, 1) != -EBADMSG)
            fail_msg("case %zu", i);
    }
    assert_int_equal(get("\0", 1, 1), 0);
    pack(&packed);
    for (size_t n = 0; n < packed.n; n++)
        assert_int_equal(get(packed.p, n, 5), -EBADMSG);
    assert_int_equal(get(packed.p, packed.n, 5), 0);
    assert_int_equal(get(packed.p, packed.n, 4), -EBADMSG);
    assert_int_equal(get(packed.p, packed.n, 6), -EBADMSG);
    assert_int_equal(get(packed.p, packed.n, SIZE_MAX), -EBADMSG);
    buf_fini(&packed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_it_was_put),
        cmocka_unit_test(damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
