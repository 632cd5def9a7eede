/*
 * sql_later.c -- changes that are put off: who waits for them, who does not
 */
#include "sql/op.h"
#include "tests/unit/rig/sql_place.h"

static int
note(struct base *b, struct answer *a, const struct sql_write_id *id, const char *user)
{
    struct sql_call call = { .op = SQL_LAST_NOTE };

    if (id)
        call.id = *id;
    return base_send(b, a, &call, "tit", user, 1000, "away");
}

static int
archive(struct base *b, struct answer *a, const char *user, int id)
{
    return base_send(b, a, &(struct sql_call){ .op = SQL_ARCHIVE_ADD }, "tittttttt",
            user, id, "x@example.com/r", "x@example.com", "<message/>", "text", "chat",
            "", "");
}

/* Who reads the same table sees them. */
static void
seen(struct base *b)
{
    struct answer a[2], count;

    assert_int_equal(note(b, &a[0], NULL, "juliet"), 0);
    assert_int_equal(base_send(b, &count, &(struct sql_call){ .op = SQL_LAST_GET }, "t",
                             "juliet"),
            0);
    base_until(b, &count);
    assert_true(a[0].has);
    assert_string_equal(count.rows, "1000:away");
    assert_int_equal(archive(b, &a[0], "juliet", 1), 0);
    assert_int_equal(archive(b, &a[1], "juliet", 2), 0);
    base_expect(b, SQL_OK,
            "1:x@example.com/r:chat::<message/>;2:x@example.com/r:chat::<message/>",
            SQL_ARCHIVE_IDS, "tii", "juliet", 1, 2);
    assert_true(a[0].has && a[1].has);
}

/* A change of the same table comes behind them. */
static void
overtaken_by_nobody(struct base *b)
{
    struct answer a, removed;

    base_expect(b, SQL_OK, "", SQL_USER_CREATE, "tittti", "juliet", 1, "x", "", "", 0);
    assert_int_equal(archive(b, &a, "juliet", 1), 0);
    assert_int_equal(base_send(b, &removed, &(struct sql_call){ .op = SQL_USER_DEL },
                             "t", "juliet"),
            0);
    base_until(b, &removed);
    assert_true(a.has);
    assert_int_equal(removed.status, SQL_OK);
    base_expect_raw(b, "0", "SELECT count(*) FROM archive");
}

/* Others are not kept waiting, and do not make a commit of each. */
static void
others(struct base *b)
{
    enum {
        N = 50
    };
    static struct answer a[N];
    struct answer other;
    struct sql_stats before, after;
    unsigned waited = 0;

    sql_db_stats(b->db, &before);
    for (int i = 0; i < N; i++) {
        assert_int_equal(note(b, &a[i], NULL, "juliet"), 0);
        base_expect(b, SQL_OK, "", SQL_USER_GET, "t", "juliet");
        waited += a[i].has;
    }
    for (int i = 0; i < N; i++) {
        base_until(b, &a[i]);
        assert_int_equal(a[i].status, SQL_OK);
    }
    sql_db_stats(b->db, &after);
    assert_true(waited < N / 2);
    assert_true(after.commits - before.commits < N / 2);

    /* A change of something else overtakes, too. */
    assert_int_equal(note(b, &a[0], NULL, "juliet"), 0);
    base_ask(b, &other, SQL_USER_CREATE, "tittti", "nurse", 1, "x", "", "", 0);
    assert_int_equal(other.status, SQL_OK);
    base_until(b, &a[0]);
}

/* Enough of them go at once. */
static void
many(struct base *b)
{
    enum {
        N = 3000
    };
    static struct answer a[N];
    struct sql_stats before, after;

    sql_db_stats(b->db, &before);
    for (int i = 0; i < N; i++)
        assert_int_equal(archive(b, &a[i], "juliet", i + 1), 0);
    for (int i = 0; i < N; i++) {
        base_until(b, &a[i]);
        assert_int_equal(a[i].status, SQL_OK);
    }
    sql_db_stats(b->db, &after);
    assert_in_range(after.commits - before.commits, 1, 60);
}

/* Asked for again after a crash: with or without its id in the table the same. */
static void
repeated(struct base *b)
{
    struct sql_write_id id;
    struct answer a;

    sql_write_id_new(&id);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(note(b, &a, &id, "juliet"), 0);
        base_until(b, &a);
        assert_int_equal(a.status, SQL_OK);
    }
    base_expect(b, SQL_OK, "1000:away", SQL_LAST_GET, "t", "juliet");
    assert_int_equal(archive(b, &a, "juliet", 1), 0);
    base_until(b, &a);
    assert_int_equal(archive(b, &a, "juliet", 1), 0);
    base_until(b, &a);
    assert_int_equal(a.status, SQL_CONFLICT); /* another change with the same number */
}

/* Nothing is left unanswered at the end. */
static void
closed(struct base *b)
{
    static struct answer a[2];

    assert_int_equal(note(b, &a[0], NULL, "juliet"), 0);
    assert_int_equal(archive(b, &a[1], "juliet", 1), 0);
    sql_db_close(&b->db);
    assert_true(a[0].has && a[1].has);
    assert_int_equal(a[0].status, SQL_UNAVAILABLE);
    assert_int_equal(a[1].status, SQL_UNAVAILABLE);
    base_open(b);
    base_until_state(b, SQL_READY);
}

/* By what the texts name. */
static void
test_which_operations_wait(void **state)
{
    (void)state;
    assert_true(sql_op_def(SQL_LAST_NOTE)->later);
    assert_true(sql_op_def(SQL_LAST_NOTE)->writes);
    assert_true(sql_op_def(SQL_LAST_NOTE)->twice);
    assert_true(sql_op_def(SQL_ARCHIVE_ADD)->later);
    assert_false(sql_op_def(SQL_ARCHIVE_ADD)->twice);
    assert_false(sql_op_def(SQL_SPOOL_ADD)->later);
    assert_true(sql_op_def(SQL_LAST_GET)->meets);
    assert_true(sql_op_def(SQL_LAST_NEVER)->meets);
    assert_true(sql_op_def(SQL_ARCHIVE_PAGE)->meets);
    assert_true(sql_op_def(SQL_USER_DEL)->meets);
    assert_false(sql_op_def(SQL_USER_GET)->meets);
    assert_false(sql_op_def(SQL_ACCOUNT_GET)->meets); /* archive_prefs is no archive */
    assert_false(sql_op_def(SQL_ARCHIVE_ADD)->meets); /* its own kind */
}

#define EACH(name, fn)             \
    static void name(void **state) \
    {                              \
        base_each(state, fn);      \
    }
EACH(test_who_reads_the_same_sees_them, seen)
EACH(test_who_changes_the_same_comes_behind, overtaken_by_nobody)
EACH(test_others_do_not_wait, others)
EACH(test_many_go_at_once, many)
EACH(test_repeated, repeated)
EACH(test_closed, closed)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_operations_wait),
        cmocka_unit_test(test_who_reads_the_same_sees_them),
        cmocka_unit_test(test_who_changes_the_same_comes_behind),
        cmocka_unit_test(test_others_do_not_wait),
        cmocka_unit_test(test_many_go_at_once),
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_closed),
    };

    return cmocka_run_group_tests_name("sql_later", tests, place_open, place_close);
}
