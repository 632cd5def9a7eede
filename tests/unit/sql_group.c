/*
 * sql_group.c -- requests that are committed together: order, isolation, repetition,
 * time, and how fast it all is
 */
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/rig/sql_place.h"

static void
each_engine(void **state, void (*test)(struct base *b))
{
    for (int i = 0; i < 2; i++) {
        struct base b;

        base_make(&b, *state, i ? SQL_ENGINE_PGSQL : SQL_ENGINE_SQLITE, false);
        base_open(&b);
        base_until_state(&b, SQL_READY);
        test(&b);
        base_end(&b);
    }
}

/*
 * Of 300 requests every tenth conflicts, every eleventh has a NULL where none may be.
 */
static void
isolation(struct base *b)
{
    enum {
        N = 300
    };
    static struct answer a[N];
    char user[N][32];
    struct sql_stats stats;
    struct answer count;
    int expected = 1;

    assert_int_equal(base_create(b, &a[0], "taken", "x"), 0);
    base_until(b, &a[0]);
    for (int i = 0; i < N; i++) {
        snprintf(user[i], sizeof user[i], i % 10 == 3 ? "taken" : "user%d", i);
        assert_int_equal(base_create(b, &a[i], user[i], i % 11 == 5 ? NULL : "x"), 0);
    }
    for (int i = 0; i < N; i++) {
        enum sql_status status = i % 10 == 3   ? SQL_CONFLICT
                                 : i % 11 == 5 ? SQL_ERROR
                                               : SQL_OK;

        base_until(b, &a[i]);
        if (a[i].status != status)
            fail_msg("%s: request %d: %s", b->name, i, sql_status_name(a[i].status));
        expected += status == SQL_OK;
    }
    base_ask(b, &count, SQL_USER_COUNT, "");
    assert_int_equal(atoi(count.rows), expected);
    sql_db_stats(b->db, &stats);
    assert_int_equal(stats.waiting, 0);
    if (b->settings.type == SQL_ENGINE_SQLITE)
        assert_true(stats.commits <= 6);
}

/* A crowd that all fails: the effort stays in proportion. */
static void
crowd(struct base *b)
{
    enum {
        N = 2000
    };
    static struct answer a[N];
    struct sql_stats stats;

    assert_int_equal(base_create(b, &a[0], "taken", "x"), 0);
    base_until(b, &a[0]);
    for (int i = 0; i < N; i++)
        assert_int_equal(base_create(b, &a[i], "taken", "x"), 0);
    for (int i = 0; i < N; i++) {
        base_until(b, &a[i]);
        assert_int_equal(a[i].status, SQL_CONFLICT);
    }
    sql_db_stats(b->db, &stats);
    assert_true(stats.groups < N + 50);
}

/* Looks at the database from outside at the moment of the answer. */
struct witness {
    struct base *b;
    bool has;
    char seen[16];
};

static void
witness_take(void *arg, const struct sql_result *result)
{
    struct witness *w = arg;

    assert_int_equal(result->status, SQL_OK);
    snprintf(w->seen, sizeof w->seen, "%s",
            base_raw(w->b, "SELECT count(*) FROM users WHERE username = 'juliet'"));
    w->has = true;
}

static void
answer_after_commit(struct base *b)
{
    struct witness w = { .b = b };
    struct sql_value param[] = { sql_text(STR("juliet")), sql_int(1),
        sql_text(STR("x")), sql_text(STR("")), sql_text(STR("")), sql_int(0) };
    struct sql_call call = { .op = SQL_USER_CREATE,
        .host = STR("example.net"),
        .param = param,
        .n_params = 6,
        .done = witness_take,
        .arg = &w };

    assert_int_equal(sql_request(b->db, &call), 0);
    assert_false(w.has);
    while (!w.has)
        loop_turn_once(b->loop, 20);
    assert_string_equal(w.seen, "1");
}

/* All queued in one turn: each read sees what was written before it, nothing later. */
static void
order(struct base *b)
{
    struct answer w[3], r[4];

    for (int i = 0; i < 4; i++) {
        char password[8];

        assert_int_equal(base_send(b, &r[i], &(struct sql_call){ .op = SQL_USER_GET },
                                 "t", "juliet"),
                0);
        snprintf(password, sizeof password, "p%d", i);
        if (i < 3)
            assert_int_equal(
                    base_send(b, &w[i], &(struct sql_call){ .op = SQL_USER_SET },
                            "tittti", "juliet", 1, password, "", "", 0),
                    0);
    }
    base_until(b, &r[3]);
    for (int i = 0; i < 4; i++) {
        char expected[16] = "";

        if (i > 0)
            snprintf(expected, sizeof expected, "1:p%d:::0", i - 1);
        assert_true(r[i].has);
        assert_string_equal(r[i].rows, expected);
        if (i < 3)
            assert_true(w[i].has);
    }
}

/* Alone, a change does not wait for others longer than it should. */
static void
latency(struct base *b)
{
    struct answer a;
    uint64_t begin = clock_ms();

    assert_int_equal(base_create(b, &a, "juliet", "x"), 0);
    base_until(b, &a);
    assert_true(clock_ms() - begin < 1000);
}

static void
repetition(struct base *b)
{
    struct sql_write_id id;
    struct answer a[3], other;
    struct sql_call call = { .op = SQL_USER_CREATE };

    sql_write_id_new(&id);
    call.id = id;
    /* Twice in one group, once later: one account, and never a conflict. */
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            base_until(b, &a[1]);
        assert_int_equal(
                base_send(b, &a[i], &call, "tittti", "juliet", 1, "x", "", "", 0), 0);
        assert_int_equal(base_create(b, &other, i ? "other" : "romeo", "x"), 0);
        base_until(b, &other);
    }
    base_until(b, &a[2]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(a[i].status, SQL_OK);
        assert_int_equal(a[i].repeated, i > 0);
    }
    /* What failed left no id behind, and may be tried again. */
    sql_write_id_new(&call.id);
    assert_int_equal(
            base_send(b, &a[0], &call, "tittti", "juliet", 1, "y", "", "", 0), 0);
    base_until(b, &a[0]);
    assert_int_equal(a[0].status, SQL_CONFLICT);
    base_ask(b, &other, SQL_USER_DEL, "t", "juliet");
    assert_int_equal(
            base_send(b, &a[0], &call, "tittti", "juliet", 1, "y", "", "", 0), 0);
    base_until(b, &a[0]);
    assert_int_equal(a[0].status, SQL_OK);
    assert_false(a[0].repeated);
    /* The first id again, though the account was deleted meanwhile: nothing happens. */
    call.id = id;
    assert_int_equal(
            base_send(b, &a[0], &call, "tittti", "juliet", 1, "x", "", "", 0), 0);
    base_until(b, &a[0]);
    assert_true(a[0].repeated);
    base_ask(b, &other, SQL_USER_GET, "t", "juliet");
    assert_string_equal(other.rows, "1:y:::0");
    /* An id from too long ago is refused, because nobody remembers. */
    call.id.b[0] = call.id.b[1] = 0;
    assert_int_equal(
            base_send(b, &a[0], &call, "tittti", "z", 1, "x", "", "", 0), -ESTALE);
}

/* Old ids are removed, young ones stay. */
static void
expiry(struct base *b)
{
    char text[200];
    struct answer a;
    const char *old = b->settings.type == SQL_ENGINE_PGSQL
                              ? "'00000000-0000-0000-0000-000000000000'"
                              : "zeroblob(16)";

    assert_int_equal(base_create(b, &a, "juliet", "x"), 0);
    base_until(b, &a);
    snprintf(text, sizeof text, "INSERT INTO stanzad_write (id) VALUES (%s)", old);
    base_raw(b, text);
    snprintf(
            text, sizeof text, "SELECT count(*) FROM stanzad_write WHERE id = %s", old);
    assert_string_equal(base_raw(b, text), "1");
    for (uint64_t until = clock_ms() + 5000; strcmp(base_raw(b, text), "0") != 0;) {
        assert_true(clock_ms() < until);
        loop_turn_once(b->loop, 50);
    }
    assert_int_not_equal(atoi(base_raw(b, "SELECT count(*) FROM stanzad_write")), 0);
}

/* Somebody else holds the table. */
struct holder {
    PGconn *pg;
    sqlite3 *lite;
};

static void
hold(struct base *b, struct holder *h)
{
    char conninfo[600];

    *h = (struct holder){ 0 };
    if (b->settings.type == SQL_ENGINE_PGSQL) {
        snprintf(conninfo, sizeof conninfo, "host=%s port=%d dbname=%s user=stanza",
                b->place->dir, b->place->port, b->database);
        h->pg = PQconnectdb(conninfo);
        PQclear(PQexec(h->pg, "BEGIN"));
        PQclear(PQexec(h->pg, "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"));
    } else {
        assert_int_equal(sqlite3_open(b->database, &h->lite), SQLITE_OK);
        assert_int_equal(
                sqlite3_exec(h->lite, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    }
}

static void
let_go(struct holder *h)
{
    PQfinish(h->pg);
    sqlite3_close(h->lite);
}

static void
timeouts(struct base *b)
{
    struct holder h;
    struct answer a, again, late;
    struct sql_call call = { .op = SQL_USER_CREATE, .timeout_ms = 300 };
    uint64_t begin;

    hold(b, &h);
    sql_write_id_new(&call.id);
    begin = clock_ms();
    assert_int_equal(base_send(b, &a, &call, "tittti", "juliet", 1, "x", "", "", 0), 0);
    base_until(b, &a);
    assert_int_equal(a.status, SQL_UNAVAILABLE);
    assert_true(clock_ms() - begin >= 250);
    assert_true(clock_ms() - begin < 4000);
    /* With more time it waits until the other lets go. */
    assert_int_equal(base_create(b, &late, "romeo", "x"), 0);
    for (int i = 0; i < 10; i++)
        loop_turn_once(b->loop, 10);
    assert_false(late.has);
    let_go(&h);
    base_until(b, &late);
    assert_int_equal(late.status, SQL_OK);
    /* Nobody knew what became of the first; asked again, it is there once. */
    assert_int_equal(
            base_send(b, &again, &call, "tittti", "juliet", 1, "x", "", "", 0), 0);
    base_until(b, &again);
    assert_int_equal(again.status, SQL_OK);
    assert_string_equal(
            base_raw(b, "SELECT count(*) FROM users WHERE username = 'juliet'"), "1");
}

/* PostgreSQL's own limit ends one statement, and only that. */
static void
test_a_slow_statement_ends_alone(void **state)
{
    struct base b;
    struct holder h;
    struct answer a;
    struct sql_stats stats;

    base_make(&b, *state, SQL_ENGINE_PGSQL, false);
    b.settings.query_timeout_ms = 400;
    base_open(&b);
    base_until_state(&b, SQL_READY);
    hold(&b, &h);
    assert_int_equal(base_create(&b, &a, "juliet", "x"), 0);
    base_until(&b, &a);
    assert_int_equal(a.status, SQL_UNAVAILABLE);
    let_go(&h);
    base_ask(&b, &a, SQL_USER_COUNT, "");
    assert_int_equal(a.status, SQL_OK);
    sql_db_stats(b.db, &stats);
    assert_int_equal(stats.lost, 0);
    base_end(&b);
}

static void
test_the_queue_is_bounded(void **state)
{
    struct base b;
    static struct answer a[20001];
    int r = 0, n = 0;

    base_make(&b, *state, SQL_ENGINE_PGSQL, false);
    b.settings.server = STR("/nowhere");
    base_open(&b);
    for (; r == 0 && n < (int)ARRAY_LEN(a); n += r == 0)
        r = base_send(&b, &a[n], &(struct sql_call){ .op = SQL_USER_COUNT }, "");
    assert_int_equal(r, -ENOBUFS);
    assert_int_equal(n, 20000);
    sql_db_close(&b.db);
    for (int i = 0; i < n; i++) {
        assert_true(a[i].has);
        assert_int_equal(a[i].status, SQL_UNAVAILABLE);
    }
    base_end(&b);
}

/*
 * --- how fast ------------------------------------------------------------------------
 */

struct race {
    int left, failed;
};

static void
race_take(void *arg, const struct sql_result *result)
{
    struct race *r = arg;

    r->left--;
    r->failed += result->status != SQL_OK;
}

static void
rate(struct base *b)
{
    enum {
        N = 100000,
        WINDOW = 5000
    };
    struct race race = { 0 };
    struct sql_stats stats;
    uint64_t begin = clock_us(), us;
    char user[16];
    struct sql_value param[] = { sql_null(), sql_int(3),
        sql_text(STR("l3fUpSuhzYEJFVd6NKuMFhhZdRuGzbpFjZd8yMhpm3o=")),
        sql_text(STR("kqUYRBHpDXnYkOVVLOrSSMWGkdAe3NkLxRMVtaQbKQM=")),
        sql_text(STR("c2FsdHNhbHRzYWx0c2FsdA==")), sql_int(10000) };
    struct sql_call call = { .op = SQL_USER_CREATE,
        .host = STR("example.net"),
        .param = param,
        .n_params = 6,
        .done = race_take,
        .arg = &race };

    for (int i = 0; i < N || race.left;) {
        for (; i < N && race.left < WINDOW; i++, race.left++) {
            snprintf(user, sizeof user, "user%06d", i);
            param[0] = sql_text(str_from(user));
            assert_int_equal(sql_request(b->db, &call), 0);
        }
        loop_turn_once(b->loop, 100);
    }
    us = clock_us() - begin;
    assert_int_equal(race.failed, 0);
    sql_db_stats(b->db, &stats);
    print_message("%s: %d accounts created in %.2f s: %.0f/s, %" PRIu64 " commits\n",
            b->name, N, (double)us / 1e6, N * 1e6 / (double)us, stats.commits);
    begin = clock_us();
    for (int i = 0; i < N || race.left;) {
        for (; i < N && race.left < WINDOW; i++, race.left++) {
            snprintf(user, sizeof user, "user%06d", i);
            param[0] = sql_text(str_from(user));
            call.op = SQL_USER_GET;
            call.n_params = 1;
            assert_int_equal(sql_request(b->db, &call), 0);
        }
        loop_turn_once(b->loop, 100);
    }
    us = clock_us() - begin;
    assert_int_equal(race.failed, 0);
    print_message("%s: %d accounts read in %.2f s: %.0f/s\n", b->name, N,
            (double)us / 1e6, N * 1e6 / (double)us);
    /* Far below what any machine does that is not broken. */
    assert_true(us < 60 * 1000000u);
}

#define EACH(name, fn)             \
    static void name(void **state) \
    {                              \
        each_engine(state, fn);    \
    }
EACH(test_one_does_not_spoil_the_others, isolation)
EACH(test_a_crowd_that_fails, crowd)
EACH(test_answers_come_after_the_commit, answer_after_commit)
EACH(test_reads_see_what_was_queued_before, order)
EACH(test_one_change_alone_is_quick, latency)
EACH(test_what_is_repeated_is_done_once, repetition)
EACH(test_old_ids_are_forgotten, expiry)
EACH(test_time_is_limited, timeouts)
EACH(test_rate, rate)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_does_not_spoil_the_others),
        cmocka_unit_test(test_a_crowd_that_fails),
        cmocka_unit_test(test_answers_come_after_the_commit),
        cmocka_unit_test(test_reads_see_what_was_queued_before),
        cmocka_unit_test(test_one_change_alone_is_quick),
        cmocka_unit_test(test_what_is_repeated_is_done_once),
        cmocka_unit_test(test_old_ids_are_forgotten),
        cmocka_unit_test(test_time_is_limited),
        cmocka_unit_test(test_a_slow_statement_ends_alone),
        cmocka_unit_test(test_the_queue_is_bounded),
        cmocka_unit_test(test_rate),
    };

    return cmocka_run_group_tests_name("sql_group", tests, place_open, place_close);
}
