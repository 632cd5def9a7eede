/*
 * admin_result.c -- answers as ejabberdctl prints them, and as JSON
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/json.h"
#include "admin/result.h"
#include "base/mem.h"

/* Rows of up to two cells; a row of NULL ends them. */
static void
every_shape_has_its_text_and_its_json(void **state)
{
    static const struct {
        const char *command;
        const char *row[3][3];
        const char *text, *json;
    } cases[] = {
        { "registered_users", { { "alice" }, { "bob" } }, "alice\nbob\n",
                "[\"alice\",\n \"bob\"]\n" },
        { "registered_users", { { NULL } }, "", "[]\n" },
        { "user_resources", { { "a\tb\nc\x1b[2J" } }, "a\\tb\\nc\\x1b[2J\n",
                "[\"a\\tb\\nc\\u001b[2J\"]\n" },
        { "connected_users_number", { { "12" } }, "12\n", "12\n" },
        { "get_loglevel", { { "info" } }, "info\n", "\"info\"\n" },
        { "get_presence", { { "a@b/c", "away", "at \"lunch\"" } },
                "a@b/c\taway\tat \"lunch\"\n",
                "{\"jid\": \"a@b/c\", \"show\": \"away\", \"status\": \"at "
                "\\\"lunch\\\"\"}\n" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int json = 0; json < 2; json++) {
            struct result r;

            print_message("case: %zu %s json %d\n", i, cases[i].command, json);
            result_begin(&r, command_find(str_from(cases[i].command), 3), json);
            for (size_t k = 0; k < 3 && cases[i].row[k][0]; k++) {
                struct str cell[3];

                for (size_t j = 0; j < 3; j++)
                    cell[j] = str_from(cases[i].row[k][j]);
                result_row(&r, cell);
            }
            result_end(&r);
            assert_string_equal(buf_c(&r.out), json ? cases[i].json : cases[i].text);
            assert_int_equal(r.exit_status, 0);
            assert_int_equal(r.err.n, 0);
            result_fini(&r);
        }
    }
}

static void
codes_and_texts(void **state)
{
    struct result r;

    (void)state;
    for (int json = 0; json < 2; json++) {
        result_begin(&r, command_find(STR("stop"), 3), json);
        result_ok(&r);
        assert_string_equal(buf_c(&r.out), json ? "0\n" : "");
        result_fini(&r);

        result_begin(&r, command_find(STR("register"), 3), json);
        result_text(&r, STR("User a@b successfully registered"));
        assert_string_equal(
                buf_c(&r.out), json ? "\"User a@b successfully registered\"\n"
                                    : "User a@b successfully registered\n");
        result_fini(&r);

        result_begin(&r, command_find(STR("register"), 3), json);
        result_error(&r, "conflict", 10090, "User %s already registered", "a@b");
        assert_string_equal(
                buf_c(&r.out), json ? "{\"status\": \"error\", \"code\": 10090, "
                                      "\"kind\": \"conflict\", "
                                      "\"message\": \"User a@b already registered\"}\n"
                                    : "Error: conflict: User a@b already registered\n");
        assert_int_equal(r.exit_status, 1);
        result_fini(&r);

        result_begin(&r, command_find(STR("check_account"), 3), json);
        result_error(&r, NULL, 0, "false");
        if (!json)
            assert_string_equal(buf_c(&r.out), "Error: false\n");
        assert_int_equal(r.exit_status, 1);
        result_fini(&r);
    }
}

/* A list that breaks off is not taken for a whole one, and its JSON stays JSON. */
static void
an_error_after_rows_goes_to_standard_error(void **state)
{
    struct str cell = STR("alice");
    struct result r;

    (void)state;
    result_begin(&r, command_find(STR("registered_users"), 3), true);
    result_row(&r, &cell);
    result_error(&r, "unavailable", 0, "gone");
    assert_string_equal(buf_c(&r.out), "[\"alice\"]\n");
    assert_string_equal(buf_c(&r.err), "Error: unavailable: gone\n");
    assert_int_equal(r.exit_status, 1);
    result_fini(&r);
}

static void
a_table_is_aligned_and_has_units(void **state)
{
    static const char *const rows[2][8] = {
        { "812", "master", "0", "93784", "0", "0", "1.250", "5242880" },
        { "81234", "worker", "1", "59", "12", "1500", "0.010", "1024" },
    };
    static const char text[] =
            "  PID  ROLE    SLOT  UPTIME  RESTARTS  CONNECTIONS  CPU TIME   MEMORY\n"
            "  812  master     0   1d 2h         0            0    1.250s  5.0 MiB\n"
            "81234  worker     1     59s        12         1500    0.010s  1.0 KiB\n";
    struct result r;

    (void)state;
    for (int json = 0; json < 2; json++) {
        result_begin(&r, command_find(STR("processes"), 3), json);
        for (size_t i = 0; i < 2; i++) {
            struct str cell[8];

            for (size_t k = 0; k < 8; k++)
                cell[k] = str_from(rows[i][k]);
            result_row(&r, cell);
        }
        result_end(&r);
        if (!json)
            assert_string_equal(buf_c(&r.out), text);
        else
            assert_non_null(strstr(buf_c(&r.out),
                    "{\"pid\": 81234, \"role\": \"worker\", \"slot\": 1, \"uptime\": "
                    "59, "
                    "\"restarts\": 12, \"connections\": 1500, \"cpu_time\": 0.010, "
                    "\"memory\": 1024}]\n"));
        result_fini(&r);
    }
}

static void
json_strings_are_always_json(void **state)
{
    static const char *const cases[][2] = {
        { "", "\"\"" },
        { "a\"b\\c/", "\"a\\\"b\\\\c/\"" },
        { "\b\f\n\r\t\x01\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u007f\"" },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { "a\xff"
          "b",
                "\"a\xef\xbf\xbd"
                "b\"" },
        { "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = { 0 };

        print_message("case: %zu\n", i);
        json_string(&out, str_from(cases[i][0]));
        assert_string_equal(buf_c(&out), cases[i][1]);
        buf_fini(&out);
    }
}

static void
durations_and_sizes(void **state)
{
    static const struct {
        uint64_t n;
        const char *duration, *size;
    } cases[] = {
        { 0, "0s", "0 B" },
        { 59, "59s", "59 B" },
        { 60, "1m 0s", "60 B" },
        { 3599, "59m 59s", "3.5 KiB" },
        { 7265, "2h 1m", "7.1 KiB" },
        { 200000, "2d 7h", "195 KiB" },
        { 5242880, "60d 16h", "5.0 MiB" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf a = { 0 }, b = { 0 };

        print_message("case: %zu\n", i);
        result_duration(&a, cases[i].n);
        result_size(&b, cases[i].n);
        assert_string_equal(buf_c(&a), cases[i].duration);
        assert_string_equal(buf_c(&b), cases[i].size);
        buf_fini(&a);
        buf_fini(&b);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_has_its_text_and_its_json),
        cmocka_unit_test(codes_and_texts),
        cmocka_unit_test(an_error_after_rows_goes_to_standard_error),
        cmocka_unit_test(a_table_is_aligned_and_has_units),
        cmocka_unit_test(json_strings_are_always_json),
        cmocka_unit_test(durations_and_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
