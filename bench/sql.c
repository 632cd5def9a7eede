/*
 * sql.c -- what the operations of instant messaging cost in a database
 *
 *   sql FILE                        SQLite
 *   sql HOST PORT DATABASE USER     PostgreSQL; HOST may be the folder of its socket
 *
 * The database must be empty; ROWS (a million) in the environment is the size of the
 * archive. One user has half of it, and half of that with one peer; the others share
 * the rest. Changes are queued 1000 at a time, as under load; reads are asked one by
 * one, so that their time is that of an answer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "sql/sql.h"

enum {
    N_USERS = 1000,
    N_PEERS = 500,
    N_ITEMS = 100,
    WINDOW = 1000,
    READS = 500
};
#define FIRST_ID INT64_C(1700000000000000)

static struct loop *loop;
static struct sql_db *db;
static size_t waiting, failed, n_rows;

static void
on_done(void *arg, const struct sql_result *result)
{
    (void)arg;
    waiting--;
    failed += result->status != SQL_OK;
    n_rows = result->n_rows;
}

static void
ask(enum sql_op op, const struct sql_value *param, size_t n)
{
    struct sql_call call = { .op = op,
        .host = STR("example.net"),
        .param = param,
        .n_params = n,
        .timeout_ms = 600000,
        .done = on_done };

    if (sql_request(db, &call) < 0)
        abort();
    waiting++;
}

static void
drain(size_t to)
{
    while (waiting > to)
        loop_turn_once(loop, 1000);
}

static struct sql_value
text(const char *s)
{
    return sql_text(str_from(s));
}

struct watch {
    uint64_t wall_us;
    double cpu_us;
};

static struct watch
watch_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (struct watch){ clock_us(),
        (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3 };
}

static void
report(const char *what, int n, struct watch begin)
{
    struct watch end = watch_now();

    printf("%-50s %8.1f us, CPU %7.1f us%s\n", what,
            (double)(end.wall_us - begin.wall_us) / n, (end.cpu_us - begin.cpu_us) / n,
            failed ? ", refused" : "");
    failed = 0;
    fflush(stdout);
}

static const char body[] =
        "But, soft! what light through yonder window breaks? It is the east, and Juliet"
        " is the sun. Arise, fair sun, and kill the envious moon";

static void
archive_add(int n)
{
    struct watch begin = watch_now();
    char user[32], peer[80], bare[64], xml[512];

    for (int i = 0; i < n; i++) {
        bool big = i % 2;

        snprintf(user, sizeof user, big ? "big" : "user%d", i / 2 % N_USERS);
        snprintf(bare, sizeof bare, "peer%d@example.net",
                big && i % 4 == 1 ? 0 : 1 + i / 4 % (N_PEERS - 1));
        snprintf(peer, sizeof peer, "%s/phone", bare);
        snprintf(xml, sizeof xml,
                "<message xmlns='jabber:client' from='%s' to='%s@example.net' "
                "type='chat'"
                " id='%d'><body>%s</body><origin-id xmlns='urn:xmpp:sid:0' id='%d'/>"
                "</message>",
                peer, user, i, body, i);
        ask(SQL_ARCHIVE_ADD,
                (struct sql_value[]){ text(user), sql_int(FIRST_ID + i * 1000),
                        text(peer), text(bare), text(xml), text(body), text("chat"),
                        text(""), text("2f5c") },
                9);
        if (waiting >= WINDOW)
            drain(WINDOW / 2);
    }
    drain(0);
    report("archive_add", n, begin);
}

static void
page(const char *what, enum sql_op op, const char *user, int64_t first, int64_t last,
        const char *with, const char *pattern)
{
    struct watch begin = watch_now();
    char label[100];

    for (int i = 0; i < READS; i++) {
        ask(op,
                (struct sql_value[]){ text(user), sql_int(first + i * 1000),
                        sql_int(last - i * 1000), text(with), text(""), text(pattern),
                        sql_int(50), sql_int(1 << 20) },
                op >= SQL_ARCHIVE_COUNT ? 7 : 8);
        drain(0);
    }
    snprintf(label, sizeof label, "%s (%zu rows)", what, n_rows);
    report(label, READS, begin);
}

static void
pages(int n)
{
    int64_t last = FIRST_ID + (int64_t)n * 1000, mid = FIRST_ID + (int64_t)n * 500;

    page("page, the last of the big archive", SQL_ARCHIVE_PAGE_DESC, "big", 0, last, "",
            "");
    page("page, in its middle", SQL_ARCHIVE_PAGE, "big", mid, last, "", "");
    page("page, the last of a small archive", SQL_ARCHIVE_PAGE_DESC, "user7", 0, last,
            "", "");
    page("page, with the frequent peer, the last", SQL_ARCHIVE_PAGE_BARE_DESC, "big", 0,
            last, "peer0@example.net", "");
    page("page, with the frequent peer, in the middle", SQL_ARCHIVE_PAGE_BARE, "big",
            mid, last, "peer0@example.net", "");
    page("page, with a rare peer, the last", SQL_ARCHIVE_PAGE_BARE_DESC, "big", 0, last,
            "peer7@example.net", "");
    page("page, with a full JID, the last", SQL_ARCHIVE_PAGE_FULL_DESC, "big", 0, last,
            "peer0@example.net/phone", "");
    page("page, with nobody", SQL_ARCHIVE_PAGE_BARE, "big", 0, last, "x@example.net",
            "");
    page("page, with words of every body", SQL_ARCHIVE_PAGE_DESC, "big", 0, last, "",
            "%juliet%");
    page("count up to 50", SQL_ARCHIVE_COUNT, "big", 0, last, "", "");
    page("count up to 50, with the frequent peer", SQL_ARCHIVE_COUNT_BARE, "big", 0,
            last, "peer0@example.net", "");
}

static void
each_user(
        const char *what, enum sql_op op, struct sql_value *param, size_t n, int times)
{
    struct watch begin = watch_now();
    char user[32];

    for (int i = 0; i < times; i++) {
        snprintf(user, sizeof user, "user%d", i % N_USERS);
        param[0] = text(user);
        ask(op, param, n);
        if (waiting >= WINDOW)
            drain(WINDOW / 2);
    }
    drain(0);
    report(what, times, begin);
}

static void
rosters(void)
{
    struct watch begin = watch_now();
    char user[32], jid[64], version[32];

    for (int i = 0; i < N_USERS * N_ITEMS; i++) {
        int n = i / N_USERS + 1;

        snprintf(user, sizeof user, "user%d", i % N_USERS);
        snprintf(jid, sizeof jid, "peer%d@example.net", n);
        snprintf(version, sizeof version, "2f5c:%d", n);
        ask(SQL_ROSTER_PUT,
                (struct sql_value[]){ text(user), text(jid), text("Nick"), text("B"),
                        text("N"), text(""), sql_int(0), text(""), text(version),
                        sql_int(n), text("Friends") },
                11);
        if (waiting >= WINDOW)
            drain(WINDOW / 2);
    }
    drain(0);
    report("roster_put, with a group", N_USERS * N_ITEMS, begin);
}

static void
one_by_one(const char *what, enum sql_op op, const char *user)
{
    struct watch begin = watch_now();
    char label[100];

    for (int i = 0; i < READS; i++) {
        ask(op, (struct sql_value[]){ text(user) }, 1);
        drain(0);
    }
    snprintf(label, sizeof label, "%s (%zu rows)", what, n_rows);
    report(label, READS, begin);
}

static void
settings_of(char **argv, struct sql_settings *s)
{
    *s = (struct sql_settings){ .type = argv[2] ? SQL_ENGINE_PGSQL : SQL_ENGINE_SQLITE,
        .database = str_from(argv[2] ? argv[3] : argv[1]),
        .connect_timeout_ms = 5000,
        .query_timeout_ms = 600000,
        .start_interval_ms = 1000,
        .schema_timeout_ms = 60000,
        .update_schema = true };
    if (argv[2]) {
        s->server = str_from(argv[1]);
        s->port = (uint32_t)atoi(argv[2]);
        s->username = str_from(argv[4]);
    }
}

int
main(int argc, char **argv)
{
    const char *rows = getenv("ROWS");
    int n = rows ? atoi(rows) : 1000000;
    struct sql_settings settings;

    if ((argc != 2 && argc != 5) || n <= 0) {
        fprintf(stderr, "usage: sql FILE | sql HOST PORT DATABASE USER\n");
        return 2;
    }
    log_set_level(LOG_LEVEL_ERROR);
    settings_of(argv, &settings);
    loop = loop_new();
    db = sql_db_open(loop, &settings, "bench");
    archive_add(n);
    pages(n);
    rosters();
    one_by_one("account_get, one by one", SQL_ACCOUNT_GET, "user7");
    each_user("account_get", SQL_ACCOUNT_GET, (struct sql_value[]){ sql_null() }, 1,
            10000);
    each_user("spool_add", SQL_SPOOL_ADD,
            (struct sql_value[]){ sql_null(), text(body), sql_int(100) }, 3, 100000);
    each_user("spool_add, to those who are full", SQL_SPOOL_ADD,
            (struct sql_value[]){ sql_null(), text(body), sql_int(100) }, 3, 10000);
    each_user("last_set", SQL_LAST_SET,
            (struct sql_value[]){ sql_null(), sql_int(1700000000), text("bye") }, 3,
            100000);
    sql_db_close(&db);
    loop_free(&loop);
    return 0;
}
