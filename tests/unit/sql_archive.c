/*
 * sql_archive.c -- message archives: ids, pages, filters, deletion, and that a page is
 * read from an index
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/text.h"
#include "tests/unit/rig/sql_place.h"

static enum sql_status
add(struct base *b, const char *user, int id, const char *resource, const char *body)
{
    struct answer a;
    char xml[80], peer[80], bare[80];

    snprintf(xml, sizeof xml, "<m>%s</m>", body);
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(resource, "/"), resource);
    snprintf(peer, sizeof peer, "%s", resource);
    base_ask(b, &a, SQL_ARCHIVE_ADD, "tittttttt", user, id, peer, bare, xml, body,
            strcmp(bare, "room@x") == 0 ? "groupchat" : "chat", "nick", "origin");
    return a.status;
}

static void
fill(struct base *b)
{
    static const char *const peers[] = { "romeo@x/a", "romeo@x/b", "nurse@x",
        "room@x/Juliet" };

    for (int i = 1; i <= 8; i++) {
        char body[16];

        snprintf(body, sizeof body, "%s %d%%", i % 2 ? "Odd" : "even", i);
        assert_int_equal(add(b, "juliet", i * 10, peers[(i - 1) % 4], body), SQL_OK);
    }
    assert_int_equal(add(b, "romeo", 10, "juliet@x/r", "hi"), SQL_OK);
}

/* The ids of a page, "10 20 ". */
static const char *
page(struct base *b, enum sql_op op, int first, int last, const char *with,
        const char *kind, const char *text, int limit)
{
    static char ids[200];
    struct answer a;
    size_t n = 0;

    base_ask(b, &a, op, "tiitttii", "juliet", first, last, with, kind, text, limit,
            1000000);
    assert_int_equal(a.status, SQL_OK);
    *ids = '\0';
    for (const char *p = a.rows; *p; p += strcspn(p, ";"), p += *p == ';')
        n += (size_t)snprintf(ids + n, sizeof ids - n, "%d ", atoi(p));
    return ids;
}

static void
pages(struct base *b)
{
    static const struct {
        enum sql_op op;
        int first, last;
        const char *with, *kind, *text;
        int limit;
        const char *ids;
    } cases[] = {
        { SQL_ARCHIVE_PAGE, 0, 999, "", "", "", 9, "10 20 30 40 50 60 70 80 " },
        { SQL_ARCHIVE_PAGE, 0, 999, "", "", "", 3, "10 20 30 " },
        { SQL_ARCHIVE_PAGE, 20, 40, "", "", "", 9, "20 30 40 " },
        { SQL_ARCHIVE_PAGE, 21, 39, "", "", "", 9, "30 " },
        { SQL_ARCHIVE_PAGE, 81, 999, "", "", "", 9, "" },
        { SQL_ARCHIVE_PAGE_DESC, 0, 999, "", "", "", 3, "80 70 60 " },
        { SQL_ARCHIVE_PAGE_DESC, 0, 59, "", "", "", 2, "50 40 " },
        { SQL_ARCHIVE_PAGE_BARE, 0, 999, "romeo@x", "", "", 9, "10 20 50 60 " },
        { SQL_ARCHIVE_PAGE_BARE, 20, 50, "romeo@x", "", "", 9, "20 50 " },
        { SQL_ARCHIVE_PAGE_BARE, 0, 999, "romeo@x/a", "", "", 9, "" },
        { SQL_ARCHIVE_PAGE_BARE_DESC, 0, 999, "romeo@x", "", "", 3, "60 50 20 " },
        { SQL_ARCHIVE_PAGE_FULL, 0, 999, "romeo@x/a", "", "", 9, "10 50 " },
        { SQL_ARCHIVE_PAGE_FULL, 0, 999, "nurse@x", "", "", 9, "30 70 " },
        { SQL_ARCHIVE_PAGE_FULL_DESC, 0, 49, "romeo@x/a", "", "", 9, "10 " },
        { SQL_ARCHIVE_PAGE, 0, 999, "", "groupchat", "", 9, "40 80 " },
        { SQL_ARCHIVE_PAGE, 0, 999, "", "chat", "", 4, "10 20 30 50 " },
        { SQL_ARCHIVE_PAGE, 0, 999, "", "", "odd%", 9, "10 30 50 70 " },
        { SQL_ARCHIVE_PAGE, 0, 999, "", "", "%7!%", 9, "70 " },
        { SQL_ARCHIVE_PAGE, 0, 999, "", "", "%7!%%", 9, "70 " },
        { SQL_ARCHIVE_PAGE, 0, 999, "", "", "!%", 9, "" },
        { SQL_ARCHIVE_PAGE_BARE, 0, 999, "romeo@x", "chat", "EVEN%", 1, "20 " },
    };

    fill(b);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *ids = page(b, cases[i].op, cases[i].first, cases[i].last,
                cases[i].with, cases[i].kind, cases[i].text, cases[i].limit);
        struct answer a;
        int n = 0;

        if (strcmp(ids, cases[i].ids) != 0)
            fail_msg("%s: case %zu: %s, not %s", b->name, i, ids, cases[i].ids);
        if (cases[i].op > SQL_ARCHIVE_PAGE_FULL)
            continue;
        /* The count with the same filters. */
        for (const char *p = ids; *p; p++)
            n += *p == ' ';
        base_ask(b, &a, SQL_ARCHIVE_COUNT + (cases[i].op - SQL_ARCHIVE_PAGE), "tiittti",
                "juliet", cases[i].first, cases[i].last, cases[i].with, cases[i].kind,
                cases[i].text, cases[i].limit);
        if (atoi(a.rows) != n)
            fail_msg("%s: case %zu: counted %s", b->name, i, a.rows);
    }
}

/* Whole rows; when a page grows too big, the rest is without its text. */
static void
row(struct base *b)
{
    fill(b);
    base_expect(b, SQL_OK,
            "10:romeo@x/a:chat:nick:<m>Odd 1%</m>;20:romeo@x/b:chat:nick:<m>even "
            "2%</m>",
            SQL_ARCHIVE_PAGE, "tiitttii", "juliet", 0, 99, "", "", "", 2, 1000);
    base_expect(b, SQL_OK,
            "10:romeo@x/a:chat:nick:<m>Odd 1%</m>;20:romeo@x/b:chat:nick:<m>even "
            "2%</m>;"
            "30:nurse@x:chat:nick:;40:room@x/Juliet:groupchat:nick:",
            SQL_ARCHIVE_PAGE, "tiitttii", "juliet", 0, 99, "", "", "", 4, 14);
    base_expect(b, SQL_OK,
            "80:room@x/Juliet:groupchat:nick:<m>even 8%</m>;70:nurse@x:"
            "chat:nick:",
            SQL_ARCHIVE_PAGE_DESC, "tiitttii", "juliet", 0, 99, "", "", "", 2, 1);
    base_expect(b, SQL_OK,
            "80:room@x/Juliet:groupchat:nick:<m>even 8%</m>;10:romeo@x/a:chat:nick:"
            "<m>Odd 1%</m>",
            SQL_ARCHIVE_IDS, "tiii", "juliet", 80, 11, 10);
    base_expect_raw(b,
            "juliet|10|romeo@x/a|romeo@x|<m>Odd 1%</m>|Odd 1%|chat|nick|origin",
            "SELECT username || '|' || timestamp || '|' || peer || '|' || bare_peer || "
            "'|'"
            " || xml || '|' || txt || '|' || kind || '|' || nick || '|' || origin_id"
            " FROM archive WHERE timestamp = 10 AND username = 'juliet'");
}

static void
ids(struct base *b)
{
    struct sql_call call = { .op = SQL_ARCHIVE_ADD };
    struct answer a;

    base_expect(b, SQL_OK, "", SQL_ARCHIVE_EDGES, "t", "juliet");
    fill(b);
    base_expect(b, SQL_OK, "10:80", SQL_ARCHIVE_EDGES, "t", "juliet");
    assert_int_equal(add(b, "juliet", 10, "paris@x", "taken"), SQL_CONFLICT);
    assert_int_equal(add(b, "paris", 10, "juliet@x", "not taken"), SQL_OK);
    base_expect(b, SQL_OK, "8", SQL_ARCHIVE_USER_COUNT, "t", "juliet");
    /* The same request again is not a conflict: it was done. One that failed was not.
     */
    for (int i = 0; i < 4; i++) {
        if (i % 2 == 0)
            sql_write_id_new(&call.id);
        assert_int_equal(base_send(b, &a, &call, "tittttttt", "juliet", 90 + i / 2 * 10,
                                 "paris@x", "paris@x", "<m/>", "", "chat", "", ""),
                0);
        base_until(b, &a);
        assert_int_equal(a.status, SQL_OK);
        assert_int_equal(a.repeated, i % 2);
        assert_int_equal(a.changed, !(i % 2));
    }
    sql_write_id_new(&call.id);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(base_send(b, &a, &call, "tittttttt", "juliet", 90, "paris@x",
                                 "paris@x", "<other/>", "", "chat", "", ""),
                0);
        base_until(b, &a);
        assert_int_equal(a.status, SQL_CONFLICT);
        assert_false(a.repeated);
    }
    base_expect(b, SQL_OK, "10", SQL_ARCHIVE_USER_COUNT, "t", "juliet");
}

/* What conflicts does not hold others up. */
static void
grouped(struct base *b)
{
    static struct answer a[300];
    struct sql_stats before, after;

    sql_db_stats(b->db, &before);
    for (int i = 0; i < 300; i++)
        assert_int_equal(
                base_send(b, &a[i], &(struct sql_call){ .op = SQL_ARCHIVE_ADD },
                        "tittttttt", "juliet", i / 2 + 1, "p@x", "p@x", "<m/>", "",
                        "chat", "", ""),
                0);
    for (int i = 0; i < 300; i++) {
        base_until(b, &a[i]);
        assert_int_equal(a[i].status, i % 2 ? SQL_CONFLICT : SQL_OK);
    }
    sql_db_stats(b->db, &after);
    assert_int_equal(after.groups_split, before.groups_split);
    base_expect(b, SQL_OK, "150", SQL_ARCHIVE_USER_COUNT, "t", "juliet");
}

static void
deleted(struct base *b)
{
    struct answer a;

    fill(b);
    base_ask(b, &a, SQL_ARCHIVE_DEL_PEER, "tti", "juliet", "romeo@x/a", 9);
    assert_int_equal(a.changed, 2);
    base_ask(b, &a, SQL_ARCHIVE_DEL_PEER, "tti", "juliet", "romeo@x", 1);
    assert_int_equal(a.changed, 1);
    base_ask(b, &a, SQL_ARCHIVE_DEL_PEER, "tti", "juliet", "nurse@x", 9);
    assert_int_equal(a.changed, 2);
    base_ask(b, &a, SQL_ARCHIVE_DEL_OLD, "iti", 60, "groupchat", 9);
    assert_int_equal(a.changed, 1);
    assert_string_equal(page(b, SQL_ARCHIVE_PAGE, 0, 99, "", "", "", 9), "60 80 ");
    base_ask(b, &a, SQL_ARCHIVE_DEL_OLD, "iti", 60, "", 9);
    assert_int_equal(a.changed, 1); /* romeo's */
    base_expect(b, SQL_OK, "", SQL_ARCHIVE_DEL, "ti", "juliet", 60);
    base_expect(b, SQL_NOT_FOUND, "", SQL_ARCHIVE_DEL, "ti", "juliet", 60);
    assert_int_equal(add(b, "juliet", 60, "romeo@x/c", "again"), SQL_OK);
    base_ask(b, &a, SQL_ARCHIVE_DEL_ORIGIN, "ttt", "juliet", "romeo@x", "other");
    assert_int_equal(a.changed, 0);
    base_ask(b, &a, SQL_ARCHIVE_DEL_ORIGIN, "ttt", "juliet", "romeo@x", "origin");
    assert_int_equal(a.changed, 1);
    assert_int_equal(add(b, "juliet", 60, "nurse@x", "again"), SQL_OK);
    base_ask(b, &a, SQL_ARCHIVE_DEL_USER, "ti", "juliet", 1);
    assert_int_equal(a.changed, 1);
    base_ask(b, &a, SQL_ARCHIVE_DEL_USER, "ti", "juliet", 9);
    assert_int_equal(a.changed, 1);
    base_expect(b, SQL_OK, "0", SQL_ARCHIVE_USER_COUNT, "t", "juliet");
    base_expect_raw(b, "0", "SELECT count(*) FROM archive");
}

static void
prefs(struct base *b)
{
    base_expect(b, SQL_OK, "", SQL_PREFS_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_PREFS_SET, "tttt", "juliet", "never", "[]", "[]");
    base_expect(b, SQL_OK, "", SQL_PREFS_SET, "tttt", "juliet", "always", "[]",
            "[{<<\"romeo\">>,<<\"x\">>,<<>>}]");
    base_expect(b, SQL_OK, "always:[]:[{<<\"romeo\">>,<<\"x\">>,<<>>}]", SQL_PREFS_GET,
            "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_PREFS_DEL, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_PREFS_GET, "t", "juliet");
}

/* Rows of ejabberd <= 23.10: no origin_id; a kind that is NULL was a chat. */
static void
older(struct base *b)
{
    char text[400];

    fill(b);
    snprintf(text, sizeof text,
            "DROP INDEX i_archive_%susername_origin_id;"
            "ALTER TABLE archive DROP COLUMN origin_id;"
            "UPDATE archive SET kind = NULL WHERE timestamp = 20",
            b->settings.multihost ? "server_host_" : "");
    base_reopen_changed(b, text);
    assert_int_equal(add(b, "juliet", 90, "romeo@x/a", "new"), SQL_OK);
    assert_int_equal(add(b, "juliet", 90, "romeo@x/a", "new"), SQL_CONFLICT);
    assert_string_equal(page(b, SQL_ARCHIVE_PAGE_BARE, 0, 99, "romeo@x", "chat", "", 9),
            "10 20 50 60 90 ");
    base_expect(b, SQL_OK, "20:romeo@x/b::nick:<m>even 2%</m>", SQL_ARCHIVE_IDS, "ti",
            "juliet", 20);
}

/*
 * --- plans
 * ----------------------------------------------------------------------------
 */

/* 40000 rows: 20 users with 50 peers each. */
static void
fill_many(struct base *b)
{
    bool multi = b->settings.multihost;
    char text[900];

    snprintf(text, sizeof text,
            "%sINSERT INTO archive (username, %stimestamp, peer, bare_peer, xml, txt, "
            "kind,"
            " nick, origin_id) SELECT 'user' || (i %% 20), %si, 'peer' || (i / 20 %% "
            "50) ||"
            " '@x/r', 'peer' || (i / 20 %% 50) || '@x', '<message/>', 'body', 'chat', "
            "'', ''"
            " FROM %s;%s",
            b->settings.type == SQL_ENGINE_PGSQL
                    ? ""
                    : "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                      " WHERE i < 40000) ",
            multi ? "server_host, " : "", multi ? "'example.net', " : "",
            b->settings.type == SQL_ENGINE_PGSQL ? "generate_series(1, 40000) AS g (i)"
                                                 : "n",
            b->settings.type == SQL_ENGINE_PGSQL ? "ANALYZE" : "");
    base_raw(b, text);
}

static void
plan_lite(struct base *b, const char *text, struct buf *out)
{
    char explain[2000];
    sqlite3 *lite;
    sqlite3_stmt *stmt;

    snprintf(explain, sizeof explain, "EXPLAIN QUERY PLAN %s", text);
    assert_int_equal(sqlite3_open(b->database, &lite), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(lite, explain, -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        buf_addf(out, "%s\n", sqlite3_column_text(stmt, 3));
    sqlite3_finalize(stmt);
    sqlite3_close(lite);
}

/* generic: as for parameters that are not known. */
static void
plan_pg(struct base *b, const struct sql_stmt *stmt, bool generic, struct buf *out)
{
    static const char *const values[] = { "'example.net'", "'user7'", "0", "999999",
        "'peer7@x'", "''", "''", "50", "1000000" };
    struct buf text = { 0 };

    buf_addf(&text, "SET plan_cache_mode = force_%s_plan; PREPARE p (",
            generic ? "generic" : "custom");
    for (size_t i = 0; i < stmt->n_params; i++)
        buf_addf(
                &text, "%s%s", i ? ", " : "", stmt->type[i] == 'i' ? "bigint" : "text");
    buf_addf(&text, ") AS %s; EXPLAIN (FORMAT JSON) EXECUTE p (", stmt->text);
    for (size_t i = 0; i < stmt->n_params; i++)
        buf_addf(&text, "%s%s", i ? ", " : "", values[stmt->param[i]]);
    buf_add_c(&text, ")");
    buf_add_c(out, base_raw(b, buf_c(&text)));
    buf_fini(&text);
}

static void
plans(struct base *b)
{
    static const struct {
        enum sql_op op;
        const char *index;
    } cases[] = {
        { SQL_ARCHIVE_PAGE, "username_timestamp" },
        { SQL_ARCHIVE_PAGE_DESC, "username_timestamp" },
        { SQL_ARCHIVE_PAGE_BARE, "username_bare_peer_timestamp" },
        { SQL_ARCHIVE_PAGE_BARE_DESC, "username_bare_peer_timestamp" },
        { SQL_ARCHIVE_PAGE_FULL, "username_peer_timestamp" },
        { SQL_ARCHIVE_PAGE_FULL_DESC, "username_peer_timestamp" },
        { SQL_ARCHIVE_COUNT, "username_timestamp" },
        { SQL_ARCHIVE_COUNT_BARE, "username_bare_peer_timestamp" },
        { SQL_ARCHIVE_COUNT_FULL, "username_peer_timestamp" },
        { SQL_ARCHIVE_EDGES, "username_timestamp" },
        { SQL_ARCHIVE_HAS, "username_timestamp" },
        { SQL_ARCHIVE_IDS, "username_timestamp" },
    };
    struct arena arena;
    struct sql_layout layout = { .arena = &arena };
    struct sql_dialect dialect = { .engine = b->settings.type,
        .multihost = b->settings.multihost,
        .layout = &layout };
    struct buf plan = { 0 };
    char index[80];

    fill_many(b);
    arena_init(&arena, 8192);
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        const struct sql_op_def *def = sql_op_def(cases[i / 2].op);
        struct sql_stmt stmt;

        sql_text_compile(&arena, def->step[0].text, &dialect, def, &stmt);
        snprintf(index, sizeof index, "i_archive_%s%s",
                b->settings.multihost ? "server_host_" : "", cases[i / 2].index);
        buf_reset(&plan, SIZE_MAX);
        if (b->settings.type == SQL_ENGINE_PGSQL)
            plan_pg(b, &stmt, i % 2, &plan);
        else
            plan_lite(b, stmt.text, &plan);
        if (getenv("PLANS")) /* cmocka's messages are short */
            printf("%s: %s\n%s\n", b->name, def->name, buf_c(&plan));
        if (!strstr(buf_c(&plan), index) || strstr(buf_c(&plan), "Seq Scan"))
            fail_msg("%s: %s: not by %s:\n%s", b->name, def->name, index, buf_c(&plan));
    }
    buf_fini(&plan);
    arena_fini(&arena);
}

#define EACH(name, fn)             \
    static void name(void **state) \
    {                              \
        base_each(state, fn);      \
    }
EACH(test_pages, pages)
EACH(test_rows_as_ejabberd_has_them, row)
EACH(test_ids_are_unique, ids)
EACH(test_a_conflict_costs_the_others_nothing, grouped)
EACH(test_deletion, deleted)
EACH(test_preferences, prefs)
EACH(test_older_tables, older)
EACH(test_pages_are_read_from_an_index, plans)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_rows_as_ejabberd_has_them),
        cmocka_unit_test(test_ids_are_unique),
        cmocka_unit_test(test_a_conflict_costs_the_others_nothing),
        cmocka_unit_test(test_deletion),
        cmocka_unit_test(test_preferences),
        cmocka_unit_test(test_older_tables),
        cmocka_unit_test(test_pages_are_read_from_an_index),
    };

    return cmocka_run_group_tests_name("sql_archive", tests, place_open, place_close);
}
