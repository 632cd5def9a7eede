/*
 * datetime.c -- moments as text, and back
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "xmpp/datetime.h"

#define S(n) ((n)*INT64_C(1000000))

struct read_case {
    const char *text;
    int r;
    int64_t us;
};

static void
check(int (*parse)(struct str, int64_t *), const struct read_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct read_case *c = &cases[i];
        int64_t us = -12345;
        int r = parse(str_from(c->text), &us);

        if (r != c->r || us != (r == 0 ? c->us : -12345))
            fail_msg("%s: %d, %lld", c->text, r, (long long)us);
    }
}

static void
date_time(void **state)
{
    static const struct read_case cases[] = {
        { "1970-01-01T00:00:00Z", 0, 0 },
        { "1969-07-21T02:56:15Z", 0, S(-14159025) },
        { "1969-07-20T21:56:15-05:00", 0, S(-14159025) },
        { "2002-09-10T23:08:25Z", 0, S(1031699305) },
        { "2002-09-10T23:08:25.1Z", 0, S(1031699305) + 100000 },
        { "2002-09-10T23:08:25.123456Z", 0, S(1031699305) + 123456 },
        { "2002-09-10T23:08:25.1234569999999999999999Z", 0, S(1031699305) + 123456 },
        { "1969-12-31T23:59:59.999999Z", 0, -1 },
        { "2000-02-29T00:00:00+00:00", 0, S(951782400) },
        { "2000-02-29T00:00:00-00:00", 0, S(951782400) },
        { "2000-02-29T14:00:00+14:00", 0, S(951782400) },
        { "2000-02-28T10:30:00-13:30", 0, S(951782400) },
        { "2000-02-28T24:00:00Z", 0, S(951782400) },
        { "2000-02-28T24:00:00.000Z", 0, S(951782400) },
        { "0000-01-01T00:00:00Z", 0, DATETIME_MIN },
        { "0000-02-29T00:00:00Z", 0, DATETIME_MIN + 59 * DATETIME_DAY_US },
        { "9999-12-31T23:59:59.999999Z", 0, DATETIME_MAX },
        { "2000-02-30T00:00:00Z", -ERANGE, 0 },
        { "1900-02-29T00:00:00Z", -ERANGE, 0 },
        { "2001-00-01T00:00:00Z", -ERANGE, 0 },
        { "2001-13-01T00:00:00Z", -ERANGE, 0 },
        { "2001-01-00T00:00:00Z", -ERANGE, 0 },
        { "2001-04-31T00:00:00Z", -ERANGE, 0 },
        { "2001-01-01T25:00:00Z", -ERANGE, 0 },
        { "2001-01-01T24:00:01Z", -ERANGE, 0 },
        { "2001-01-01T24:00:00.000001Z", -ERANGE, 0 },
        { "2001-01-01T00:60:00Z", -ERANGE, 0 },
        { "2001-01-01T00:00:60Z", -ERANGE, 0 },
        { "2001-01-01T00:00:00+14:01", -ERANGE, 0 },
        { "2001-01-01T00:00:00-15:00", -ERANGE, 0 },
        { "2001-01-01T00:00:00+00:60", -ERANGE, 0 },
        { "0000-01-01T00:00:00+00:01", -ERANGE, 0 },
        { "9999-12-31T23:59:59-00:01", -ERANGE, 0 },
        { "9999-12-31T24:00:00Z", -ERANGE, 0 },
        { NULL, -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { "2001-01-01", -EINVAL, 0 },
        { "2001-01-01T00:00:00", -EINVAL, 0 },
        { "2001-01-01T00:00:00z", -EINVAL, 0 },
        { "2001-01-01t00:00:00Z", -EINVAL, 0 },
        { "2001-01-01 00:00:00Z", -EINVAL, 0 },
        { "2001-01-01T00:00:00.Z", -EINVAL, 0 },
        { "2001-01-01T00:00:00,5Z", -EINVAL, 0 },
        { "2001-01-01T00:00Z", -EINVAL, 0 },
        { "2001-01-01T00:00:00Z ", -EINVAL, 0 },
        { " 2001-01-01T00:00:00Z", -EINVAL, 0 },
        { "2001-13-01T00:00:00ZZ", -EINVAL, 0 },
        { "2001-01-01T00:00:00+1:00", -EINVAL, 0 },
        { "2001-01-01T00:00:00+0100", -EINVAL, 0 },
        { "+2001-01-01T00:00:00Z", -EINVAL, 0 },
        { "-2001-01-01T00:00:00Z", -EINVAL, 0 },
        { "12001-01-01T00:00:00Z", -EINVAL, 0 },
        { "2001-1-01T00:00:00Z", -EINVAL, 0 },
        { "2001-0\xd9\xa1-01T00:00:00Z", -EINVAL, 0 },
        { "20010101T00:00:00Z", -EINVAL, 0 },
    };

    (void)state;
    check(datetime_parse, cases, ARRAY_LEN(cases));
}

static void
legacy(void **state)
{
    static const struct read_case cases[] = {
        { "20020910T23:08:25", 0, S(1031699305) },
        { "2002-09-10T23:08:25Z", 0, S(1031699305) },
        { "2002-09-10T23:08:25.5+00:00", 0, S(1031699305) + 500000 },
        { "20020931T23:08:25", -ERANGE, 0 },
        { "20020910T23:08:61", -ERANGE, 0 },
        { "20020910T23:08:25Z", -EINVAL, 0 },
        { "20020910T23:08:25.5", -EINVAL, 0 },
        { "20020910", -EINVAL, 0 },
        { "2002", -EINVAL, 0 },
        { "", -EINVAL, 0 },
    };

    (void)state;
    check(datetime_parse_legacy, cases, ARRAY_LEN(cases));
}

static void
dates(void **state)
{
    static const struct read_case cases[] = {
        { "1776-07-04", 0, S(-6106060800) },
        { "1970-01-02", 0, DATETIME_DAY_US },
        { "1970-01-02Z", 0, DATETIME_DAY_US },
        { "1970-01-02+01:00", 0, DATETIME_DAY_US - S(3600) },
        { "1970-02-29", -ERANGE, 0 },
        { "1970-01-02T00:00:00Z", -EINVAL, 0 },
        { "19700102", -EINVAL, 0 },
    };

    (void)state;
    check(datetime_parse_date, cases, ARRAY_LEN(cases));
}

static void
times(void **state)
{
    static const struct read_case cases[] = {
        { "16:00:00", 0, S(57600) },
        { "16:00:00.25Z", 0, S(57600) + 250000 },
        { "00:00:00+01:00", 0, S(82800) },
        { "23:30:00-01:00", 0, S(1800) },
        { "24:00:00", 0, 0 },
        { "24:00:01", -ERANGE, 0 },
        { "16:00", -EINVAL, 0 },
        { "16:00:00 ", -EINVAL, 0 },
    };

    (void)state;
    check(datetime_parse_time, cases, ARRAY_LEN(cases));
}

static void
writing(void **state)
{
    static const struct {
        int64_t us;
        unsigned digits;
        const char *text;
    } cases[] = {
        { 0, 0, "1970-01-01T00:00:00Z" },
        { -1, 0, "1969-12-31T23:59:59Z" },
        { -1, 6, "1969-12-31T23:59:59.999999Z" },
        { S(1031699305) + 999999, 0, "2002-09-10T23:08:25Z" },
        { S(1031699305) + 999999, 1, "2002-09-10T23:08:25.9Z" },
        { S(1031699305) + 1999, 3, "2002-09-10T23:08:25.001Z" },
        { S(1031699305), 3, "2002-09-10T23:08:25.000Z" },
        { S(1031699305), DATETIME_EXACT, "2002-09-10T23:08:25Z" },
        { S(1031699305) + 10, DATETIME_EXACT, "2002-09-10T23:08:25.000010Z" },
        { INT64_MIN, 0, "0000-01-01T00:00:00Z" },
        { INT64_MAX, 6, "9999-12-31T23:59:59.999999Z" },
    };
    struct buf out = { 0 };
    struct arena arena;

    (void)state;
    arena_init(&arena, 256);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_reset(&out, 1000);
        datetime_write(&out, cases[i].us, cases[i].digits);
        assert_string_equal(buf_c(&out), cases[i].text);
        assert_true(str_eq_c(
                datetime_text(&arena, cases[i].us, cases[i].digits), cases[i].text));
    }
    buf_reset(&out, 1000);
    datetime_write_date(&out, S(-6106060800) + 1);
    datetime_write_legacy(&out, S(1031699305));
    assert_string_equal(buf_c(&out), "1776-07-0420020910T23:08:25");
    buf_fini(&out);
    arena_fini(&arena);
}

/* Every seventh day of the range, at times of day that are nowhere near each other. */
static void
there_and_back_again(void **state)
{
    struct buf out = { 0 };
    int64_t at = 0, back;

    (void)state;
    for (int64_t day = DATETIME_MIN; day < DATETIME_MAX; day += 7 * DATETIME_DAY_US) {
        at = (at + INT64_C(54321987653)) % DATETIME_DAY_US;
        buf_reset(&out, 1000);
        datetime_write(&out, day + at, 6);
        if (datetime_parse(buf_str(&out), &back) != 0 || back != day + at)
            fail_msg("%s", buf_c(&out));
    }
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(date_time),
        cmocka_unit_test(legacy),
        cmocka_unit_test(dates),
        cmocka_unit_test(times),
        cmocka_unit_test(writing),
        cmocka_unit_test(there_and_back_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
