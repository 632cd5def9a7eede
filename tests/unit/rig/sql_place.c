/*
 * sql_place.c -- a place for databases: a folder for SQLite files, and a PostgreSQL
 * cluster of the test's own
 *
 * The cluster runs as the user postgres when the test is root, listens on a Unix socket
 * in the folder and on 127.0.0.1, and writes no fsync. Without PostgreSQL installed the
 * test fails: half of what it is for would be skipped.
 */
#include "tests/unit/rig/sql_place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void
place_become_postgres(void)
{
    struct passwd *pw = getpwnam("postgres");

    if (geteuid() != 0)
        return;
    if (!pw || initgroups("postgres", pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
            setuid(pw->pw_uid) < 0)
        _exit(126);
}

static pid_t
place_spawn(struct place *p, const char *const argv[])
{
    char log[160];
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int fd;

        place_become_postgres();
        snprintf(log, sizeof log, "%s/log", p->dir);
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

int
place_wait(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int
place_free_port(void)
{
    struct sockaddr_in sin = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
    close(fd);
    return ntohs(sin.sin_port);
}

const char *
place_pg(struct place *p, const char *database, const char *text)
{
    static char value[16384];
    char conninfo[300];
    PGconn *pg;
    PGresult *res;

    snprintf(conninfo, sizeof conninfo, "host=%s port=%d dbname=%s user=stanza", p->dir,
            p->port, database);
    pg = PQconnectdb(conninfo);
    if (PQstatus(pg) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(pg));
    res = PQexec(pg, text);
    if (PQresultStatus(res) != PGRES_COMMAND_OK &&
            PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(pg));
    snprintf(
            value, sizeof value, "%s", PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
    PQfinish(pg);
    return value;
}

static const char *
place_lite(const char *path, const char *text)
{
    static char value[16384];
    sqlite3 *lite;
    sqlite3_stmt *stmt;

    assert_int_equal(sqlite3_open(path, &lite), SQLITE_OK);
    sqlite3_busy_timeout(lite, 5000);
    *value = '\0';
    while (*text) {
        int rc = sqlite3_prepare_v2(lite, text, -1, &stmt, &text);

        if (rc == SQLITE_OK && !stmt)
            continue;
        if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
            snprintf(value, sizeof value, "%s",
                    sqlite3_column_text(stmt, 0)
                            ? (const char *)sqlite3_column_text(stmt, 0)
                            : "");
        while (rc == SQLITE_ROW)
            rc = sqlite3_step(stmt);
        if (rc != SQLITE_DONE)
            fail_msg("%s: %s", text, sqlite3_errmsg(lite));
        sqlite3_finalize(stmt);
    }
    sqlite3_close(lite);
    return value;
}

void
place_pg_start(struct place *p)
{
    char postgres[300], port[32], conninfo[300];
    uint64_t until = clock_ms() + 20000;
    const char *argv[] = { postgres, "-D", NULL, "-k", p->dir, "-F", "-p", port, "-c",
        "listen_addresses=127.0.0.1", "-c", "max_connections=20", "-c",
        "logging_collector=off", NULL };
    char data[160];

    snprintf(postgres, sizeof postgres, "%s/postgres", p->bin);
    snprintf(data, sizeof data, "%s/data", p->dir);
    snprintf(port, sizeof port, "%d", p->port);
    argv[2] = data;
    p->postgres = place_spawn(p, argv);
    snprintf(conninfo, sizeof conninfo, "host=%s port=%d dbname=postgres user=stanza",
            p->dir, p->port);
    while (PQping(conninfo) != PQPING_OK) {
        if (clock_ms() > until)
            fail_msg("PostgreSQL does not start: see %s/log", p->dir);
        usleep(20000);
    }
}

void
place_pg_stop(struct place *p, int how)
{
    if (!p->postgres)
        return;
    kill(p->postgres, how);
    place_wait(p->postgres);
    p->postgres = 0;
}

int
place_open(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    const char *level = getenv("LOG");
    char initdb[300], data[160];
    const char *argv[] = { initdb, "-D", data, "-A", "trust", "-U", "stanza", "-N",
        "-E", "UTF8", "--locale=C.UTF-8", NULL };
    glob_t found;
    struct passwd *pw = getpwnam("postgres");

    log_set_level(level ? (enum log_level)atoi(level) : LOG_LEVEL_CRITICAL);
    snprintf(p->dir, sizeof p->dir, "/tmp/stanzad-sql-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    if (geteuid() == 0 && pw)
        assert_int_equal(chown(p->dir, pw->pw_uid, pw->pw_gid), 0);
    chmod(p->dir, 0777);
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0)
        fail_msg("PostgreSQL is not installed: apt install postgresql");
    snprintf(p->bin, sizeof p->bin, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    snprintf(initdb, sizeof initdb, "%s/initdb", p->bin);
    snprintf(data, sizeof data, "%s/data", p->dir);
    if (place_wait(place_spawn(p, argv)) != 0)
        fail_msg("initdb failed: see %s/log", p->dir);
    p->port = place_free_port();
    place_pg_start(p);
    *state = p;
    return 0;
}

int
place_close(void **state)
{
    struct place *p = *state;
    char command[200];

    place_pg_stop(p, SIGINT);
    snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", p->dir);
    free(p);
    return 0;
}

const char *
base_raw(struct base *b, const char *text)
{
    return b->settings.type == SQL_ENGINE_PGSQL ? place_pg(b->place, b->database, text)
                                                : place_lite(b->database, text);
}

void
base_make(struct base *b, struct place *p, enum sql_engine_type type, bool multihost)
{
    char text[200];

    *b = (struct base){ .place = p };
    snprintf(b->name, sizeof b->name, "%s%u_%s",
            type == SQL_ENGINE_PGSQL ? "pg" : "lite", ++p->n_databases,
            multihost ? "multi" : "single");
    b->settings = (struct sql_settings){ .type = type,
        .connect_timeout_ms = 5000,
        .query_timeout_ms = 20000,
        .start_interval_ms = 1000,
        .schema_timeout_ms = 60000,
        .multihost = multihost,
        .update_schema = true };
    if (type == SQL_ENGINE_PGSQL) {
        snprintf(b->database, sizeof b->database, "%s", b->name);
        snprintf(text, sizeof text, "CREATE DATABASE %s", b->name);
        place_pg(p, "postgres", text);
        b->settings.server = str_from(p->dir);
        b->settings.port = (uint32_t)p->port;
        b->settings.username = STR("stanza");
    } else {
        snprintf(b->database, sizeof b->database, "%s/%s/db.sqlite", p->dir, b->name);
    }
    b->settings.database = str_from(b->database);
    b->loop = loop_new();
}

void
base_until_state(struct base *b, enum sql_state state)
{
    uint64_t until = clock_ms() + 15000;

    while (sql_db_state(b->db) != state) {
        if (clock_ms() > until)
            fail_msg("%s: state %d, not %d: %s", b->name, sql_db_state(b->db), state,
                    sql_db_why_away(b->db));
        loop_turn_once(b->loop, 20);
    }
}

void
base_open(struct base *b)
{
    b->db = sql_db_open(b->loop, &b->settings, b->name);
}

void
base_end(struct base *b)
{
    sql_db_close(&b->db);
    loop_free(&b->loop);
}

void
answer_take(void *arg, const struct sql_result *result)
{
    struct answer *a = arg;
    size_t n = 0;

    assert_false(a->has);
    a->has = true;
    a->status = result->status;
    a->repeated = result->repeated;
    a->changed = result->changed;
    for (size_t i = 0; i < result->n_rows * result->n_cols && n < sizeof a->rows; i++) {
        const struct sql_value *v = &result->value[i];
        const char *sep = i == 0 ? "" : i % result->n_cols ? ":" : ";";

        n += (size_t)(v->kind == SQL_INT ? snprintf(a->rows + n, sizeof a->rows - n,
                                                   "%s%lld", sep, (long long)v->i)
                                         : snprintf(a->rows + n, sizeof a->rows - n,
                                                   "%s%.*s", sep, STR_ARG(v->s)));
    }
}

int
base_send(struct base *b, struct answer *a, const struct sql_call *call,
        const char *types, ...)
{
    struct sql_value param[64];
    struct sql_call full = *call;
    va_list ap;
    size_t n = 0;

    *a = (struct answer){ 0 };
    va_start(ap, types);
    for (; *types; types++, n++) {
        if (*types == 'i') {
            param[n] = sql_int(va_arg(ap, int));
        } else if (*types == 'l') {
            param[n] = sql_int(va_arg(ap, int64_t));
        } else {
            const char *s = va_arg(ap, const char *);

            param[n] = s ? sql_text(str_from(s)) : sql_null();
        }
    }
    va_end(ap);
    full.param = param;
    full.n_params = n;
    full.done = answer_take;
    full.arg = a;
    if (!full.host.p)
        full.host = STR("example.net");
    return sql_request(b->db, &full);
}

void
base_until(struct base *b, const struct answer *a)
{
    uint64_t until = clock_ms() + 20000;

    while (!a->has) {
        if (clock_ms() > until)
            fail_msg("%s: no answer", b->name);
        loop_turn_once(b->loop, 20);
    }
}

void
answer_check(const struct base *b, const struct answer *a, const char *what, int line,
        enum sql_status status, const char *rows)
{
    if (a->status != status || strcmp(a->rows, rows) != 0)
        fail_msg("%s: line %d: %s:\n%s \"%s\", not\n%s \"%s\"", b->name, line, what,
                sql_status_name(a->status), a->rows, sql_status_name(status), rows);
}

void
base_each(void **state, void (*test)(struct base *b))
{
    for (int i = 0; i < 4; i++) {
        struct base b;

        base_make(&b, *state, i & 1 ? SQL_ENGINE_PGSQL : SQL_ENGINE_SQLITE, i & 2);
        base_open(&b);
        base_until_state(&b, SQL_READY);
        test(&b);
        base_end(&b);
    }
}

void
base_reopen_changed(struct base *b, const char *text)
{
    sql_db_close(&b->db);
    base_raw(b, text);
    b->settings.update_schema = false;
    base_open(b);
    base_until_state(b, SQL_READY);
}

int
base_create(struct base *b, struct answer *a, const char *user, const char *password)
{
    return base_send(b, a, &(struct sql_call){ .op = SQL_USER_CREATE }, "tittti", user,
            1, password, "", "", 0);
}
