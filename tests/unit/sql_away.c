/*
 * sql_away.c -- a database that is not there, damaged, or gone and back again
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/rig/sql_place.h"

static void
test_the_cluster_goes_and_comes_back(void **state)
{
    struct place *p = *state;
    struct base b;
    struct answer waits, hurries, a;
    struct sql_stats stats;
    static const int how[] = { SIGINT, SIGQUIT };

    base_make(&b, p, SQL_ENGINE_PGSQL, true);
    base_open(&b);
    base_until_state(&b, SQL_READY);
    for (size_t i = 0; i < ARRAY_LEN(how); i++) {
        char user[16];

        snprintf(user, sizeof user, "waits%zu", i);
        place_pg_stop(p, how[i]);
        base_until_state(&b, SQL_AWAY);
        assert_true(*sql_db_why_away(b.db));
        assert_int_equal(base_create(&b, &waits, user, "x"), 0);
        assert_int_equal(
                base_send(&b, &hurries,
                        &(struct sql_call){ .op = SQL_USER_COUNT, .timeout_ms = 200 },
                        ""),
                0);
        base_until(&b, &hurries);
        assert_int_equal(hurries.status, SQL_UNAVAILABLE);
        assert_false(waits.has);
        place_pg_start(p);
        base_until(&b, &waits);
        assert_int_equal(waits.status, SQL_OK);
        assert_int_equal(sql_db_state(b.db), SQL_READY);
        assert_string_equal(sql_db_why_away(b.db), "");
    }
    sql_db_stats(b.db, &stats);
    assert_int_equal(stats.lost, 2);
    base_ask(&b, &a, SQL_USER_COUNT, "");
    assert_string_equal(a.rows, "2");
    base_end(&b);
}

/* The server's process is killed under a group: everything is there once afterwards. */
static void
test_a_lost_group_is_done_once(void **state)
{
    enum {
        ROUNDS = 8,
        N = 200
    };
    static struct answer a[ROUNDS * N];
    struct base b;
    struct answer count;
    char user[32];

    base_make(&b, *state, SQL_ENGINE_PGSQL, false);
    base_open(&b);
    base_until_state(&b, SQL_READY);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            snprintf(user, sizeof user, "u%d_%d", round, i);
            assert_int_equal(base_create(&b, &a[round * N + i], user, "x"), 0);
        }
        for (int turn = 0; turn < round; turn++)
            loop_turn_once(b.loop, 1);
        place_pg(b.place, "postgres",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'stanzad'");
        for (int i = 0; i < N; i++) {
            base_until(&b, &a[round * N + i]);
            if (a[round * N + i].status != SQL_OK)
                fail_msg("round %d, request %d: %s", round, i,
                        sql_status_name(a[round * N + i].status));
        }
    }
    base_ask(&b, &count, SQL_USER_COUNT, "");
    assert_int_equal(atoi(count.rows), ROUNDS * N);
    base_end(&b);
}

static void
test_a_file_that_cannot_be_opened_yet(void **state)
{
    struct place *p = *state;
    struct base b;
    struct answer a;
    char path[300];

    base_make(&b, p, SQL_ENGINE_SQLITE, false);
    /* A folder in the file's place. */
    snprintf(path, sizeof path, "%s", b.database);
    *strrchr(path, '/') = '\0';
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mkdir(b.database, 0700), 0);
    base_open(&b);
    assert_int_equal(base_create(&b, &a, "juliet", "x"), 0);
    for (int i = 0; i < 5; i++)
        loop_turn_once(b.loop, 10);
    assert_int_equal(sql_db_state(b.db), SQL_AWAY);
    assert_non_null(strstr(sql_db_why_away(b.db), "Is a directory"));
    assert_int_equal(rmdir(b.database), 0);
    base_until(&b, &a);
    assert_int_equal(a.status, SQL_OK);
    base_end(&b);
}

static void
test_a_damaged_file_is_not_touched(void **state)
{
    struct base b;
    struct answer a;
    char path[300], content[64] = { 0 };
    FILE *f;

    base_make(&b, *state, SQL_ENGINE_SQLITE, false);
    snprintf(path, sizeof path, "%s", b.database);
    *strrchr(path, '/') = '\0';
    assert_int_equal(mkdir(path, 0700), 0);
    f = fopen(b.database, "w");
    fputs("This is a letter, not a database, and somebody may want it back.", f);
    fclose(f);
    base_open(&b);
    assert_int_equal(
            base_send(&b, &a,
                    &(struct sql_call){ .op = SQL_USER_COUNT, .timeout_ms = 300 }, ""),
            0);
    base_until(&b, &a);
    assert_int_equal(a.status, SQL_UNAVAILABLE);
    f = fopen(b.database, "r");
    assert_int_equal(fread(content, 1, 16, f), 16);
    fclose(f);
    assert_memory_equal(content, "This is a letter", 16);
    base_end(&b);
}

static void
test_files_are_for_nobody_else(void **state)
{
    struct base b;
    struct stat st;
    char path[300];
    mode_t mask = umask(0);

    base_make(&b, *state, SQL_ENGINE_SQLITE, false);
    base_open(&b);
    base_until_state(&b, SQL_READY);
    umask(mask);
    for (int i = 0; i < 3; i++) {
        static const char *const ends[] = { "", "-wal", "-shm" };

        snprintf(path, sizeof path, "%s%s", b.database, ends[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 077, 0);
    }
    base_end(&b);
}

static void
test_by_name_over_tcp(void **state)
{
    struct base b;
    struct answer a;

    base_make(&b, *state, SQL_ENGINE_PGSQL, false);
    b.settings.server = STR("localhost");
    b.settings.no_prepared_statements = true;
    base_open(&b);
    base_until_state(&b, SQL_READY);
    assert_int_equal(base_create(&b, &a, "juliet", "x"), 0);
    base_until(&b, &a);
    assert_int_equal(a.status, SQL_OK);
    assert_int_equal(base_create(&b, &a, "juliet", "x"), 0);
    base_until(&b, &a);
    assert_int_equal(a.status, SQL_CONFLICT);
    base_end(&b);
}

static void
test_a_name_that_does_not_exist(void **state)
{
    struct base b;

    base_make(&b, *state, SQL_ENGINE_PGSQL, false);
    b.settings.server = STR("no-such-host.invalid");
    base_open(&b);
    for (uint64_t until = clock_ms() + 10000; !*sql_db_why_away(b.db);) {
        assert_true(clock_ms() < until);
        loop_turn_once(b.loop, 20);
    }
    assert_int_equal(sql_db_state(b.db), SQL_AWAY);
    base_end(&b);
}

/* A server that takes the connection and says nothing. */
static void
test_a_server_that_says_nothing(void **state)
{
    struct base b;
    struct sockaddr_in sin = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    uint64_t begin = clock_ms();

    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
    base_make(&b, *state, SQL_ENGINE_PGSQL, false);
    b.settings.server = STR("127.0.0.1");
    b.settings.port = ntohs(sin.sin_port);
    b.settings.connect_timeout_ms = 300;
    base_open(&b);
    while (!*sql_db_why_away(b.db)) {
        assert_true(clock_ms() - begin < 5000);
        loop_turn_once(b.loop, 20);
    }
    assert_string_equal(sql_db_why_away(b.db), "does not answer in time");
    base_end(&b);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_cluster_goes_and_comes_back),
        cmocka_unit_test(test_a_lost_group_is_done_once),
        cmocka_unit_test(test_a_file_that_cannot_be_opened_yet),
        cmocka_unit_test(test_a_damaged_file_is_not_touched),
        cmocka_unit_test(test_files_are_for_nobody_else),
        cmocka_unit_test(test_by_name_over_tcp),
        cmocka_unit_test(test_a_name_that_does_not_exist),
        cmocka_unit_test(test_a_server_that_says_nothing),
    };

    return cmocka_run_group_tests_name("sql_away", tests, place_open, place_close);
}
