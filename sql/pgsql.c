/*
 * pgsql.c -- a connection to PostgreSQL through libpq, never waiting
 *
 * The schema runs over the simple protocol, one script at a time; then the connection
 * enters pipeline mode for good (pgsql_statement.c, pgsql_group.c).
 *
 * The loop reports changes only, and libpq does not say whether it has read everything,
 * so we ask the socket.
 */
#include "sql/pgsql.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"

static void
take_script_result(struct sql_conn *c, PGresult *res)
{
    switch (PQresultStatus(res)) {
    case PGRES_TUPLES_OK:
        PQclear(c->script_rows);
        c->script_rows = res;
        return;
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        break;
    default:
        if (!*c->script_error)
            snprintf(c->script_error, sizeof c->script_error, "%.*s",
                    (int)strcspn(PQresultErrorMessage(res), "\n"),
                    PQresultErrorMessage(res));
    }
    PQclear(res);
}

static void
script_end(struct sql_conn *c)
{
    sql_script_fn fn = c->script_fn;
    struct sql_result result = { .status = SQL_OK };
    struct arena arena;
    PGresult *res = c->script_rows;
    char error[sizeof c->script_error];
    struct sql_value *value;

    arena_init(&arena, 8192);
    memcpy(error, c->script_error, sizeof error);
    c->script_fn = NULL;
    c->script_rows = NULL;
    c->script_error[0] = '\0';
    result.n_rows = (size_t)PQntuples(res);
    result.n_cols = (size_t)PQnfields(res);
    value = arena_alloc(&arena, result.n_rows * result.n_cols * sizeof *value);
    for (size_t i = 0; i < result.n_rows * result.n_cols; i++)
        value[i] = sql_text(
                str_dup(&arena, str_from(PQgetvalue(res, (int)(i / result.n_cols),
                                        (int)(i % result.n_cols)))));
    result.value = value;
    PQclear(res);
    fn(c->script_arg, *error ? error : NULL,
            &result); /* the connection may be gone now */
    arena_fini(&arena);
}

static void
pg_script(struct sql_conn *c, const char *text, sql_script_fn fn, void *arg)
{
    assert(!c->script_fn);
    c->script_fn = fn;
    c->script_arg = arg;
    if (!PQsendQuery(c->pg, text) || PQflush(c->pg) < 0)
        sql_db_on_lost(c->db, PQerrorMessage(c->pg));
}

/*
 * A plan is kept for long, and made while a table may still be empty: then reading all
 * of it looks best. Our statements have an index, or cannot use one; for those that
 * cannot the planner's displeasure is so great that it would compile them.
 */
static void
pg_limit(struct sql_conn *c, uint64_t ms, sql_script_fn fn, void *arg)
{
    char text[128];

    snprintf(text, sizeof text,
            "SET enable_seqscan = off; SET jit = off; SET statement_timeout = %llu",
            (unsigned long long)(ms > INT32_MAX ? INT32_MAX : ms));
    pg_script(c, text, fn, arg);
}

static bool
socket_is(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };

    return poll(&p, 1, 0) > 0;
}

/* Takes what libpq has read; true when the connection may be gone. */
static bool
take_results(struct sql_conn *c)
{
    while (!PQisBusy(c->pg)) {
        PGresult *res = PQgetResult(c->pg);
        bool handed_over;

        if (c->phase == PHASE_SCRIPT && res) {
            take_script_result(c, res);
        } else if (c->phase == PHASE_SCRIPT) {
            if (c->script_fn)
                script_end(c);
            return true;
        } else if (!res) {
            /* The end of one statement of a pipeline, or nothing is under way. */
            if (!c->has_answer)
                return false;
            c->has_answer = false;
            pg_group_next(c);
        } else {
            c->has_answer = PQresultStatus(res) != PGRES_PIPELINE_SYNC;
            handed_over = c->phase == PHASE_PREPARING ? pg_prepare_take(c, res)
                                                      : pg_group_take(c, res);
            PQclear(res);
            if (handed_over)
                return true;
        }
    }
    return false;
}

static void
pump(struct sql_conn *c)
{
    struct sql_db *db = c->db;

    do {
        if (!PQconsumeInput(c->pg)) {
            sql_db_on_lost(db, PQerrorMessage(c->pg));
            return;
        }
        if (take_results(c) && !sql_db_has(db, c))
            return;
    } while (socket_is(c->io.fd, POLLIN));
    if (PQflush(c->pg) < 0)
        sql_db_on_lost(db, PQerrorMessage(c->pg));
}

static void
pg_unregister(struct sql_conn *c)
{
    if (c->registered)
        loop_del(sql_db_loop(c->db), &c->io);
    c->registered = false;
}

static int
pg_register(struct sql_conn *c)
{
    int r;

    c->io.fd = PQsocket(c->pg);
    r = loop_add(sql_db_loop(c->db), &c->io);
    c->registered = r == 0;
    return r;
}

static void
on_connected(struct sql_conn *c)
{
    c->phase = PHASE_SCRIPT;
    if (PQsetnonblocking(c->pg, 1) < 0)
        sql_db_on_lost(c->db, PQerrorMessage(c->pg));
    else
        sql_db_on_open(c->db);
}

/* libpq may use another socket after each step, so it is registered anew each time. */
static void
connect_on(struct sql_conn *c)
{
    while (socket_is(c->io.fd, c->wants == PGRES_POLLING_READING ? POLLIN : POLLOUT)) {
        pg_unregister(c);
        c->wants = PQconnectPoll(c->pg);
        if (c->wants == PGRES_POLLING_FAILED || pg_register(c) < 0) {
            sql_db_on_lost(c->db, PQerrorMessage(c->pg));
            return;
        }
        if (c->wants == PGRES_POLLING_OK) {
            on_connected(c);
            return;
        }
    }
}

static void
on_io(struct loop_io *io, unsigned events)
{
    struct sql_conn *c = io->arg;

    (void)events;
    if (c->phase == PHASE_CONNECTING)
        connect_on(c);
    else
        pump(c);
}

static void
on_notice(void *arg, const PGresult *res)
{
    struct sql_conn *c = arg;
    const char *text = PQresultErrorMessage(res);

    log_debug(NULL, "database %s: %.*s", sql_db_name(c->db), (int)strcspn(text, "\n"),
            text);
}

/* host and addresses as libpq wants them: addresses NULL for the folder of a socket. */
static void
pg_connect(struct sql_conn *c, const char *host, const char *addresses)
{
    const struct sql_settings *s = sql_db_settings(c->db);
    char port[16], user_timeout[24];
    const struct {
        const char *key, *value;
    } option[] = {
        { "host", host },
        { "hostaddr", addresses },
        { "port", port },
        { "dbname", s->database.p },
        { "user", s->username.p },
        { "password", s->password.p },
        { "client_encoding", "UTF8" },
        { "application_name", "stanzad" },
        { "gssencmode", "disable" },
        { "keepalives_idle", "30" },
        { "keepalives_interval", "10" },
        { "keepalives_count", "3" },
        { "tcp_user_timeout", user_timeout },
        { "sslmode", s->ssl_verify ? "verify-ca"
                     : s->ssl      ? "require"
                                   : "disable" },
        { "sslrootcert", s->ssl_cafile.p },
        { "sslcert", s->ssl_certfile.p },
        { "sslkey", s->ssl_certfile.p },
    };
    const char *key[ARRAY_LEN(option) + 1], *value[ARRAY_LEN(option) + 1];
    size_t n = 0;

    snprintf(port, sizeof port, "%u", s->port ? s->port : 5432);
    snprintf(user_timeout, sizeof user_timeout, "%llu",
            (unsigned long long)(s->query_timeout_ms > INT32_MAX
                                         ? INT32_MAX
                                         : s->query_timeout_ms));
    for (size_t i = 0; i < ARRAY_LEN(option); i++) {
        if (option[i].value) {
            key[n] = option[i].key;
            value[n++] = option[i].value;
        }
    }
    key[n] = value[n] = NULL;
    c->phase = PHASE_CONNECTING;
    c->pg = PQconnectStartParams(key, value, 0);
    if (!c->pg || PQstatus(c->pg) == CONNECTION_BAD || pg_register(c) < 0) {
        sql_db_on_lost(c->db, c->pg ? PQerrorMessage(c->pg) : "out of memory");
        return;
    }
    PQsetNoticeReceiver(c->pg, on_notice, c);
    c->wants = PGRES_POLLING_WRITING;
}

static void
on_resolved(void *arg, const char *error, const char *addresses)
{
    struct sql_conn *c = arg;
    const char *name = sql_db_settings(c->db)->server.p;
    struct buf hosts = { 0 };

    if (error) {
        sql_db_on_lost(c->db, error);
        return;
    }
    buf_add_c(&hosts, name);
    for (const char *p = addresses; *p; p++) {
        if (*p == ',')
            buf_addf(&hosts, ",%s", name);
    }
    pg_connect(c, buf_c(&hosts), addresses);
    buf_fini(&hosts);
}

static struct sql_conn *
pg_open(struct sql_db *db)
{
    struct sql_conn *c = mem_zalloc(sizeof *c);

    c->db = db;
    c->io = (struct loop_io){ .fn = on_io, .arg = c, .fd = -1 };
    return c;
}

static void
pg_start(struct sql_conn *c)
{
    struct str server = sql_db_settings(c->db)->server;
    int r;

    if (server.n && server.p[0] == '/') {
        pg_connect(c, server.p, NULL);
        return;
    }
    r = sql_resolve_start(sql_db_loop(c->db), server.n ? server.p : "localhost",
            on_resolved, c, &c->resolve);
    if (r < 0)
        sql_db_on_lost(c->db, strerror(-r));
}

static void
pg_close(struct sql_conn **pc)
{
    struct sql_conn *c = *pc;

    sql_resolve_free(&c->resolve);
    pg_unregister(c);
    PQclear(c->script_rows);
    PQfinish(c->pg);
    mem_free(pc);
}

const struct sql_engine sql_engine_pgsql = {
    .name = "PostgreSQL",
    .open = pg_open,
    .start = pg_start,
    .close = pg_close,
    .script = pg_script,
    .prepare = pg_prepare,
    .limit = pg_limit,
    .run = pg_run,
};
