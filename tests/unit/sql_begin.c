/*
 * sql_begin.c -- transactions of SQLite that cannot begin: somebody else holds the
 * file, or it fails
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/rig/sql_place.h"

/* What the connection under test executes. */
static struct seen {
    sqlite3 *lite;
    unsigned begins, begun, outside; /* inserts within a transaction, and without one */
} seen;

/* Behind the first step of the next statement: 1 ends it. */
static int
on_progress(void *arg)
{
    (void)arg;
    sqlite3_progress_handler(seen.lite, 0, NULL, NULL);
    return 1;
}

static int
on_statement(unsigned type, void *arg, void *stmt, void *text)
{
    const char *sql = text;

    (void)type, (void)arg;
    if (strncmp(sql, "INSERT", 6) == 0 &&
            sqlite3_get_autocommit(sqlite3_db_handle(stmt)))
        seen.outside++;
    else if (strncmp(sql, "INSERT", 6) == 0)
        seen.begun++;
    if (strncmp(sql, "BEGIN", 5) == 0)
        seen.begins++;
    return 0;
}

/* For each connection that is opened while it is registered. */
static int
on_open(sqlite3 *lite, char **ret_error, const void *api)
{
    (void)ret_error, (void)api;
    seen.lite = lite;
    return sqlite3_trace_v2(lite, SQLITE_TRACE_STMT, on_statement, NULL);
}

static void
lite_begin(struct base *b, void **state)
{
    base_make(b, *state, SQL_ENGINE_SQLITE, false);
    seen = (struct seen){ 0 };
    sqlite3_auto_extension((void (*)(void))on_open);
    base_open(b);
    base_until_state(b, SQL_READY);
    sqlite3_cancel_auto_extension((void (*)(void))on_open);
    assert_non_null(seen.lite);
    sqlite3_busy_timeout(seen.lite, 0);
}

static sqlite3 *
outsider(struct base *b)
{
    sqlite3 *lite;

    assert_int_equal(sqlite3_open(b->database, &lite), SQLITE_OK);
    assert_int_equal(
            sqlite3_exec(lite, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return lite;
}

static uint64_t
groups_of(struct base *b)
{
    struct sql_stats stats;

    sql_db_stats(b->db, &stats);
    return stats.groups;
}

static int
note(struct base *b, struct answer *a, const char *user)
{
    struct sql_call call = { .op = SQL_LAST_NOTE };

    return base_send(b, a, &call, "tit", user, 1000, "away");
}

/*
 * Nothing is done without it: neither of one request nor of several, nor of one that is
 * a single statement and would not need it.
 */
static void
test_a_transaction_that_fails_to_begin(void **state)
{
    struct base b;
    struct answer a[3];

    lite_begin(&b, state);
    for (int n = 0; n <= 3; n++) {
        seen.begins = seen.begun = seen.outside = 0;
        for (int i = 0; i < n; i++) {
            char user[16];

            snprintf(user, sizeof user, "user%d.%d", n, i);
            assert_int_equal(base_create(&b, &a[i], user, "x"), 0);
        }
        if (n == 0)
            assert_int_equal(note(&b, &a[0], "juliet"), 0);
        sqlite3_progress_handler(seen.lite, 1, on_progress, NULL);
        for (int i = 0; i == 0 || i < n; i++) {
            base_until(&b, &a[i]);
            assert_int_equal(a[i].status, SQL_OK);
        }
        assert_true(seen.begins >= 2);
        assert_int_equal(seen.outside, 0);
        assert_true(seen.begun >= (unsigned)n);
    }
    base_expect_raw(&b, "6", "SELECT count(*) FROM users");
    base_expect_raw(&b, "1", "SELECT count(*) FROM last");
    base_end(&b);
}

/* The file is tried again now and then, whatever comes meanwhile, and not all the time.
 */
static void
test_a_file_that_somebody_holds(void **state)
{
    enum {
        TURNS = 40,
        TURN_MS = 10
    };
    struct base b;
    struct answer change, later;
    uint64_t before, since_ms, tries;
    sqlite3 *lite;

    lite_begin(&b, state);
    lite = outsider(&b);
    before = groups_of(&b);
    since_ms = clock_ms();
    assert_int_equal(base_create(&b, &change, "juliet", "x"), 0);
    assert_int_equal(note(&b, &later, "juliet"), 0);
    for (int i = 0; i < TURNS || groups_of(&b) < before + 2; i++)
        loop_turn_once(b.loop, TURN_MS);
    tries = groups_of(&b) - before;
    print_message("%u tries\n", (unsigned)tries);
    assert_false(change.has || later.has);
    assert_true(
            tries <= (clock_ms() - since_ms) / 25 + 2); /* one in BUSY_WAIT_MS, 50 */
    assert_int_equal(sqlite3_exec(lite, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(lite);
    base_until(&b, &change);
    base_until(&b, &later);
    assert_int_equal(change.status, SQL_OK);
    assert_int_equal(later.status, SQL_OK);
    assert_int_equal(seen.outside, 0);
    base_expect_raw(&b, "1", "SELECT count(*) FROM users");
    base_expect_raw(&b, "1", "SELECT count(*) FROM last");
    base_end(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_transaction_that_fails_to_begin),
        cmocka_unit_test(test_a_file_that_somebody_holds),
    };

    return cmocka_run_group_tests_name("sql_begin", tests, place_open, place_close);
}
