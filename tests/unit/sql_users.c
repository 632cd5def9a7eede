/*
 * sql_users.c -- the operations on accounts, on both engines, in both shapes
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/rig/sql_place.h"

#define check(b, a, what, status, rows) answer_check(b, a, what, __LINE__, status, rows)

/* One credential: type, password, the rest as for a SCRAM row. */
static enum sql_status
put(struct base *b, enum sql_op op, const char *user, int type, const char *password)
{
    struct answer a;

    base_ask(b, &a, op, "tittti", user, type, password, "key", "salt", 4096);
    return a.status;
}

static void
users(struct base *b)
{
    static const struct {
        enum sql_op op;
        const char *user;
        int type;
        const char *password;
        enum sql_status status;
        const char *then; /* what user_get gives */
    } steps[] = {
        { SQL_USER_UPDATE, "juliet", 1, "x", SQL_NOT_FOUND, "" },
        { SQL_USER_CREATE, "juliet", 3, "a", SQL_OK, "3:a:key:salt:4096" },
        { SQL_USER_CREATE, "juliet", 2, "b", SQL_CONFLICT, "3:a:key:salt:4096" },
        { SQL_USER_UPDATE, "juliet", 4, "c", SQL_OK, "4:c:key:salt:4096" },
        { SQL_USER_SET, "juliet", 1, "d", SQL_OK, "1:d:key:salt:4096" },
        { SQL_USER_SET, "romeo", 2, "e", SQL_OK, "2:e:key:salt:4096" },
    };
    struct answer a;

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        enum sql_status status =
                put(b, steps[i].op, steps[i].user, steps[i].type, steps[i].password);

        if (status != steps[i].status)
            fail_msg("%s: step %zu: %s", b->name, i, sql_status_name(status));
        base_ask(b, &a, SQL_USER_GET, "t", steps[i].user);
        check(b, &a, "get", SQL_OK, steps[i].then);
    }
}

/* Several credentials at once replace all that were there. */
static void
credentials(struct base *b)
{
    struct answer a;

    base_ask(b, &a, SQL_USER_CREATE, "titttiittti", "juliet", 3, "k3", "s3", "salt3",
            10000, 2, "k2", "s2", "salt2", 4096);
    check(b, &a, "create", SQL_OK, "");
    assert_int_equal(a.changed, 2);
    base_ask(b, &a, SQL_USER_GET, "t", "juliet");
    check(b, &a, "get", SQL_OK, "2:k2:s2:salt2:4096;3:k3:s3:salt3:10000");
    assert_int_equal(put(b, SQL_USER_SET, "juliet", 4, "k4"), SQL_OK);
    base_ask(b, &a, SQL_USER_GET, "t", "juliet");
    check(b, &a, "get", SQL_OK, "4:k4:key:salt:4096");
    /* The same type twice cannot be; nothing of the request stays. */
    base_ask(b, &a, SQL_USER_SET, "titttiittti", "juliet", 3, "x", "", "", 0, 3, "y",
            "", "", 0);
    check(b, &a, "twice one type", SQL_CONFLICT, "");
    base_ask(b, &a, SQL_USER_GET, "t", "juliet");
    check(b, &a, "get", SQL_OK, "4:k4:key:salt:4096");
}

static void
lists(struct base *b)
{
    static const char *const names[] = { "anna", "bob", "carol", "dave" };
    struct answer a;

    base_ask(b, &a, SQL_USER_COUNT, "");
    check(b, &a, "count", SQL_OK, "0");
    for (size_t i = ARRAY_LEN(names); i-- > 0;)
        assert_int_equal(put(b, SQL_USER_CREATE, names[i], 2, "x"), SQL_OK);
    base_ask(b, &a, SQL_USER_SET, "titttiittti", "bob", 3, "x", "", "", 0, 2, "y", "",
            "", 0);
    base_ask(b, &a, SQL_USER_COUNT, "");
    check(b, &a, "count", SQL_OK, "4");
    base_ask(b, &a, SQL_USER_LIST, "ti", "", 3);
    check(b, &a, "list", SQL_OK, "anna;bob;carol");
    base_ask(b, &a, SQL_USER_LIST, "ti", "carol", 3);
    check(b, &a, "list", SQL_OK, "dave");
    base_ask(b, &a, SQL_USER_LIST, "ti", "dave", 3);
    check(b, &a, "list", SQL_OK, "");
    base_ask(b, &a, SQL_USER_EXISTS, "t", "bob");
    check(b, &a, "exists", SQL_OK, "1");
    base_ask(b, &a, SQL_USER_EXISTS, "t", "eve");
    check(b, &a, "exists", SQL_OK, "");
}

static void
deletion(struct base *b)
{
    bool multi = b->settings.multihost;
    const char *tables[] = { "last", "roster_version", "vcard", "rostergroups",
        "spool" };
    char text[600];
    struct answer a;

    assert_int_equal(put(b, SQL_USER_CREATE, "juliet", 2, "x"), SQL_OK);
    assert_int_equal(put(b, SQL_USER_CREATE, "romeo", 2, "x"), SQL_OK);
    snprintf(text, sizeof text,
            "INSERT INTO last (username, %sseconds, state) VALUES ('juliet', %s'1', "
            "'');"
            "INSERT INTO last (username, %sseconds, state) VALUES ('romeo', %s'1', '');"
            "INSERT INTO spool (username, %sxml) VALUES ('juliet', %s'<message/>');"
            "INSERT INTO vcard (username, %svcard) VALUES ('juliet', %s'<vCard/>')",
            multi ? "server_host, " : "", multi ? "'example.net', " : "",
            multi ? "server_host, " : "", multi ? "'example.net', " : "",
            multi ? "server_host, " : "", multi ? "'example.net', " : "",
            multi ? "server_host, " : "", multi ? "'example.net', " : "");
    base_raw(b, text);
    base_ask(b, &a, SQL_USER_DEL, "t", "juliet");
    check(b, &a, "delete", SQL_OK, "");
    base_ask(b, &a, SQL_USER_DEL, "t", "juliet");
    check(b, &a, "delete again", SQL_NOT_FOUND, "");
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        snprintf(text, sizeof text, "SELECT count(*) FROM %s WHERE username = 'juliet'",
                tables[i]);
        if (strcmp(base_raw(b, text), "0") != 0)
            fail_msg("%s: rows of a deleted user in %s", b->name, tables[i]);
    }
    assert_string_equal(base_raw(b, "SELECT count(*) FROM last"), "1");
    base_ask(b, &a, SQL_USER_LIST, "ti", "", 10);
    check(b, &a, "list", SQL_OK, "romeo");
}

static void
hosts(struct base *b)
{
    struct answer a;

    if (!b->settings.multihost)
        return;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
                base_send(b, &a,
                        &(struct sql_call){ .op = SQL_USER_CREATE,
                                .host = i ? STR("b.example") : STR("a.example") },
                        "tittti", "juliet", 1, i ? "in b" : "in a", "", "", 0),
                0);
        base_until(b, &a);
        check(b, &a, "create", SQL_OK, "");
    }
    assert_int_equal(
            base_send(b, &a,
                    &(struct sql_call){ .op = SQL_USER_DEL, .host = STR("a.example") },
                    "t", "juliet"),
            0);
    base_until(b, &a);
    check(b, &a, "delete", SQL_OK, "");
    assert_int_equal(
            base_send(b, &a,
                    &(struct sql_call){ .op = SQL_USER_GET, .host = STR("b.example") },
                    "t", "juliet"),
            0);
    base_until(b, &a);
    check(b, &a, "get", SQL_OK, "1:in b:::0");
}

static void
hostile(struct base *b)
{
    static const char *const texts[] = {
        "'; DROP TABLE users; --",
        "\\'; DELETE FROM users WHERE 'a' = 'a",
        "$1 :user {where} %s ?1 @x \"quoted\" `tick`",
        "\xf0\x9f\x98\x80 \xd0\xbf\xd1\x80\xd0\xb8 \xef\xbf\xbd",
        "\x01\x02\x7f\t\n\r",
        "{\"a\",NULL}",
        "",
    };
    char expected[300];
    struct answer a;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(put(b, SQL_USER_CREATE, texts[i], 1, texts[i]), SQL_OK);
        base_ask(b, &a, SQL_USER_GET, "t", texts[i]);
        snprintf(expected, sizeof expected, "1:%s:key:salt:4096", texts[i]);
        check(b, &a, "hostile", SQL_OK, expected);
        base_ask(b, &a, SQL_USER_DEL, "t", texts[i]);
        check(b, &a, "hostile", SQL_OK, "");
    }
}

static void
refused(struct base *b)
{
    static const struct {
        struct str text;
    } bad[] = {
        { STR("a\0b") }, { STR("\0") }, { STR("\xff") }, { STR("\xc0\xaf") },
        { STR("\xed\xa0\x80") },                             /* a surrogate */
        { STR("\xf4\x90\x80\x80") }, { STR("abc\xe2\x82") }, /* cut short */
    };
    struct answer a;
    struct sql_value param[8] = { 0 };
    struct sql_call call = { .op = SQL_USER_GET,
        .host = STR("example.net"),
        .param = param,
        .n_params = 1,
        .done = answer_take,
        .arg = &a };
    char *big = malloc(5 << 20);

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        param[0] = sql_text(bad[i].text);
        if (sql_request(b->db, &call) != -EINVAL)
            fail_msg("%s: hostile text %zu is taken", b->name, i);
        param[0] = sql_text(STR("juliet"));
        call.host = bad[i].text;
        if (sql_request(b->db, &call) != -EINVAL)
            fail_msg("%s: hostile host %zu is taken", b->name, i);
        call.host = STR("example.net");
    }
    memset(big, 'a', 5 << 20);
    param[0] = sql_text((struct str){ big, 5 << 20 });
    assert_int_equal(sql_request(b->db, &call), -EINVAL);
    free(big);
    param[0] = sql_int(1);
    assert_int_equal(sql_request(b->db, &call), -EINVAL);
    call.n_params = 2;
    assert_int_equal(sql_request(b->db, &call), -EINVAL);
    call.n_params = 0;
    assert_int_equal(sql_request(b->db, &call), -EINVAL);
    call = (struct sql_call){ .op = SQL_OPS, .done = answer_take };
    assert_int_equal(sql_request(b->db, &call), -EINVAL);
    /* user_set with no credential, with half of one, with a wrong type. */
    assert_int_equal(
            base_send(b, &a, &(struct sql_call){ .op = SQL_USER_SET }, "t", "u"),
            -EINVAL);
    assert_int_equal(base_send(b, &a, &(struct sql_call){ .op = SQL_USER_SET }, "tit",
                             "u", 1, "x"),
            -EINVAL);
    assert_int_equal(base_send(b, &a, &(struct sql_call){ .op = SQL_USER_SET },
                             "tttttt", "u", "1", "x", "", "", "0"),
            -EINVAL);
}

static void
test_users(void **state)
{
    base_each(state, users);
}

static void
test_credentials(void **state)
{
    base_each(state, credentials);
}

static void
test_lists(void **state)
{
    base_each(state, lists);
}

static void
test_deletion(void **state)
{
    base_each(state, deletion);
}

static void
test_hosts(void **state)
{
    base_each(state, hosts);
}

static void
test_hostile_texts_are_data(void **state)
{
    base_each(state, hostile);
}

static void
test_what_no_engine_stores_is_refused(void **state)
{
    base_each(state, refused);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_deletion),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_hostile_texts_are_data),
        cmocka_unit_test(test_what_no_engine_stores_is_refused),
    };

    return cmocka_run_group_tests_name("sql_users", tests, place_open, place_close);
}
