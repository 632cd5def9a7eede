/*
 * sqlite.c -- the embedded engine
 *
 * A group of changes is one transaction; each of its requests stands in a savepoint of
 * its own, so that one that fails is undone alone. (SQLite itself undoes a statement
 * that fails; where that is the whole request there is no savepoint.) With a
 * write-ahead log and synchronous=FULL a commit is on the disk when it returns. All
 * this happens in run(), which blocks; that is what the sql process is for.
 *
 * A full disk, a damaged or vanished file end the connection: db.c opens it again
 * later.
 */
#include "sql/engine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "sql/sqlite_rows.h"

enum {
    LIMIT_CHECK_OPS = 20000,
    BUSY_TIMEOUT_MS = 250
};

struct sql_conn {
    struct sql_db *db;
    sqlite3 *lite;
    const struct sql_stmts *stmts;
    sqlite3_stmt *stmt[SQL_OPS][SQL_STEPS_MAX]; /* NULL: empty, or cannot be prepared */
    sqlite3_stmt *begin, *look, *commit, *rollback, *save, *release, *undo, *note_id;
    struct sql_req *failed; /* whose error has ended the transaction */
    uint64_t limit_ms, limit_at_ms;
};

/* Called now and then while a statement runs: anything but 0 ends it. */
static int
lite_on_progress(void *arg)
{
    struct sql_conn *c = arg;

    return c->limit_at_ms && clock_ms() > c->limit_at_ms;
}

static struct sql_conn *
lite_open(struct sql_db *db)
{
    struct sql_conn *c = mem_zalloc(sizeof *c);

    /* One thread; nobody asks how much memory it takes. Later calls change nothing. */
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    c->db = db;
    return c;
}

static void
lite_close(struct sql_conn **pc)
{
    struct sql_conn *c = *pc;
    sqlite3_stmt *s;

    while (c->lite && (s = sqlite3_next_stmt(c->lite, NULL)))
        sqlite3_finalize(s);
    sqlite3_close(c->lite);
    mem_free(pc);
}

/*
 * Makes the folder and the file, for nobody else to read: SQLite would ask the umask.
 */
static int
file_make(struct str path)
{
    char folder[4096];
    char *slash;
    int fd;

    if (path.n == 0 || path.n >= sizeof folder)
        return -ENAMETOOLONG;
    memcpy(folder, path.p, path.n + 1);
    slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = '\0';
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
            return -errno;
    }
    fd = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    close_fd(&fd);
    return 0;
}

static int
lite_set_up(struct sql_conn *c)
{
    int rc;

    sqlite3_extended_result_codes(c->lite, 1);
    sqlite3_busy_timeout(c->lite, BUSY_TIMEOUT_MS);
    sqlite3_progress_handler(c->lite, LIMIT_CHECK_OPS, lite_on_progress, c);
    sqlite3_db_config(c->lite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(c->lite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    rc = sqlite3_exec(c->lite,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            " PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
            " PRAGMA journal_size_limit = 67108864",
            NULL, NULL, NULL);
    return rc;
}

static void
lite_start(struct sql_conn *c)
{
    struct str path = sql_db_settings(c->db)->database;
    char why[256];
    int r, rc;

    r = file_make(path);
    if (r < 0) {
        snprintf(why, sizeof why, "%.*s: %s", STR_ARG(path), strerror(-r));
        sql_db_on_lost(c->db, why);
        return;
    }
    rc = sqlite3_open_v2(
            path.p, &c->lite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = lite_set_up(c);
    if (rc == SQLITE_OK) {
        sql_db_on_open(c->db);
        return;
    }
    snprintf(why, sizeof why, "%.*s: %s", STR_ARG(path),
            c->lite ? sqlite3_errmsg(c->lite) : sqlite3_errstr(rc));
    sql_db_on_lost(c->db, why);
}

static void
lite_limit(struct sql_conn *c, uint64_t ms, sql_script_fn fn, void *arg)
{
    c->limit_ms = ms;
    fn(arg, NULL, &(struct sql_result){ .status = SQL_OK });
}

static void
limit_begin(struct sql_conn *c)
{
    c->limit_at_ms = c->limit_ms ? clock_ms() + c->limit_ms : 0;
}

static void
lite_script(struct sql_conn *c, const char *text, sql_script_fn fn, void *arg)
{
    struct arena arena;
    struct sqlite_rows rows = { .arena = &arena };
    struct sql_result result = { .status = SQL_OK };
    sqlite3_stmt *stmt;
    char error[256];
    int rc = SQLITE_OK;

    arena_init(&arena, 8192);
    limit_begin(c);
    while (*text && rc == SQLITE_OK) {
        rc = sqlite3_prepare_v2(c->lite, text, -1, &stmt, &text);
        if (rc != SQLITE_OK || !stmt)
            continue;
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW &&
                sqlite_rows_add(&rows, stmt, NULL) == 0)
            ;
        rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
        if (rc != SQLITE_OK)
            snprintf(error, sizeof error, "%s", sqlite3_errmsg(c->lite));
        sqlite3_finalize(stmt);
    }
    if (rc != SQLITE_OK)
        snprintf(error, sizeof error, "%s", sqlite3_errmsg(c->lite));
    sqlite_rows_result(&rows, &result);
    fn(arg, rc == SQLITE_OK ? NULL : error, &result);
    arena_fini(&arena);
}

static int
prepare_one(struct sql_conn *c, const char *text, sqlite3_stmt **ret)
{
    return sqlite3_prepare_v3(c->lite, text, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
}

static void
lite_prepare(struct sql_conn *c, const struct sql_stmts *stmts)
{
    const struct {
        const char *text;
        sqlite3_stmt **stmt;
    } own[] = {
        { "BEGIN IMMEDIATE", &c->begin },
        { "BEGIN", &c->look }, /* one lock for all statements of a group that reads */
        { "COMMIT", &c->commit },
        { "ROLLBACK", &c->rollback },
        { "SAVEPOINT r", &c->save },
        { "RELEASE r", &c->release },
        { "ROLLBACK TO r", &c->undo },
        { "INSERT OR IGNORE INTO stanzad_write (id) VALUES (?1)", &c->note_id },
    };

    c->stmts = stmts;
    for (size_t i = 0; i < ARRAY_LEN(own) - !stmts->has_write_ids; i++) {
        if (prepare_one(c, own[i].text, own[i].stmt) != SQLITE_OK) {
            sql_db_on_lost(c->db, sqlite3_errmsg(c->lite));
            return;
        }
    }
    for (enum sql_op op = 0; op < SQL_OPS; op++) {
        const struct sql_op_def *def = sql_op_def(op);

        for (size_t i = 0; i < def->n_steps; i++) {
            sqlite3_stmt **stmt = &c->stmt[op][i];

            if (!*stmts->stmt[op][i].text)
                continue;
            if (prepare_one(c, stmts->stmt[op][i].text, stmt) != SQLITE_OK)
                sql_db_on_unusable(c->db, op, sqlite3_errmsg(c->lite));
            else
                assert(!sql_step_gives_rows(def->step[i].kind) ||
                        (size_t)sqlite3_column_count(*stmt) <= def->n_cols);
        }
    }
    sql_db_on_prepared(c->db);
}

/* For statements without rows and parameters; leaves them ready for the next time. */
static int
step_once(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);

    sqlite3_reset(stmt);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static void
bind_value(sqlite3_stmt *stmt, int i, char type, struct sql_value v)
{
    if (v.kind == SQL_NULL)
        sqlite3_bind_null(stmt, i);
    else if (v.kind == SQL_INT)
        sqlite3_bind_int64(stmt, i, v.i);
    else if (type == 'u')
        sqlite3_bind_blob64(stmt, i, v.s.p, v.s.n, SQLITE_STATIC);
    else
        sqlite3_bind_text64(stmt, i, v.s.p, v.s.n, SQLITE_STATIC, SQLITE_UTF8);
}

static enum sql_status
status_of(int rc)
{
    switch (rc) {
    case SQLITE_OK:
        return SQL_OK;
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return SQL_CONFLICT;
    case SQLITE_INTERRUPT: /* its time was over */
        return SQL_UNAVAILABLE;
    }
    return SQL_ERROR;
}

/* Is it the file that is in trouble, not the statement? */
static bool
is_loss(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_NOTADB:
    case SQLITE_NOMEM:
    case SQLITE_PERM:
        return true;
    }
    return false;
}

static bool
is_busy(int rc)
{
    return (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED;
}

/* Runs one statement of a request once. *ret_hits: rows it gave or changed. */
static int
run_statement(struct sql_conn *c, struct sql_req *req, size_t step, size_t row,
        struct sqlite_rows *rows, size_t *ret_hits)
{
    const struct sql_stmt *text = &c->stmts->stmt[req->op][step];
    sqlite3_stmt *stmt = c->stmt[req->op][step];
    size_t n = 0;
    int rc;

    if (!stmt)
        return SQLITE_ERROR;
    for (size_t i = 0; i < text->n_params; i++)
        bind_value(stmt, (int)i + 1, text->type[i], sql_req_param(req, text, i, row));
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        n++;
        rc = sql_step_gives_rows(req->def->step[step].kind)
                     ? sqlite_rows_add(rows, stmt, req->def)
                     : SQLITE_OK;
        if (rc != SQLITE_OK)
            break;
    }
    if (rc == SQLITE_DONE) {
        rc = SQLITE_OK;
        if (!sqlite3_stmt_readonly(stmt))
            n = (size_t)sqlite3_changes64(c->lite);
        *ret_hits = n;
    }
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return rc;
}

/* Runs all steps; *ret_status is what its NEED or HIT steps say. */
static int
run_steps(struct sql_conn *c, struct sql_req *req, enum sql_status *ret_status)
{
    struct sqlite_rows rows = { .arena = sql_db_group_arena(c->db) };
    size_t hits = 0;

    *ret_status = SQL_OK;
    for (size_t i = 0; i < req->def->n_steps; i++) {
        const struct sql_step_def *step = &req->def->step[i];
        size_t times = sql_req_times(req, i);

        if (!*c->stmts->stmt[req->op][i].text)
            continue;
        for (size_t row = 0; row < times; row++) {
            int rc = run_statement(c, req, i, row, &rows, &hits);

            if (rc != SQLITE_OK)
                return rc;
            if (!sqlite3_stmt_readonly(c->stmt[req->op][i]))
                req->result.changed += hits;
        }
        if ((step->kind == SQL_STEP_NEED || step->kind == SQL_STEP_HIT) && hits == 0) {
            *ret_status = step->otherwise;
            return SQLITE_OK;
        }
    }
    sqlite_rows_result(&rows, &req->result);
    return SQLITE_OK;
}

static void
req_failed(struct sql_conn *c, struct sql_req *req, int rc)
{
    req->result = (struct sql_result){ .status = status_of(rc) };
    if (req->result.status == SQL_ERROR)
        log_error(NULL, "database %s: %s: %s", sql_db_name(c->db), req->def->name,
                c->stmt[req->op][0] ? sqlite3_errmsg(c->lite) : "cannot be prepared");
}

/* Without a savepoint: its status is set, or it is the error that ends the group. */
static int
run_plain(struct sql_conn *c, struct sql_req *req)
{
    enum sql_status status;
    int rc;

    limit_begin(c);
    rc = run_steps(c, req, &status);
    if (rc == SQLITE_OK)
        req->result.status = status;
    else if (is_loss(rc) || is_busy(rc))
        return rc;
    else
        req_failed(c, req, rc);
    return SQLITE_OK;
}

/* Has the change been done before? Else notes that it is done now. */
static int
note_id(struct sql_conn *c, struct sql_req *req)
{
    int rc;

    if (!c->note_id || req->def->twice)
        return SQLITE_OK;
    sqlite3_bind_blob(c->note_id, 1, req->id.b, sizeof req->id.b, SQLITE_STATIC);
    rc = step_once(c->note_id);
    req->result.repeated = rc == SQLITE_OK && sqlite3_changes(c->lite) == 0;
    return rc;
}

/* Is there one statement to be done, without a note of its id? */
static bool
is_alone(const struct sql_conn *c, const struct sql_req *req)
{
    return (!c->note_id || req->def->twice) && req->def->n_steps == 1 &&
           !sql_step_is_each(req->def->step[0].kind);
}

/* A request that is one statement, and nothing beside it. */
static int
run_write_alone(struct sql_conn *c, struct sql_req *req)
{
    int rc = run_plain(c, req);

    if (rc != SQLITE_OK || !sqlite3_get_autocommit(c->lite))
        return rc;
    c->failed = req; /* its error has ended the transaction */
    return SQLITE_ABORT;
}

/*
 * One change in a savepoint: done, or undone with its status set; else the error that
 * ends the group.
 */
static int
run_write(struct sql_conn *c, struct sql_req *req)
{
    enum sql_status status = SQL_OK;
    int rc, rc_undo;

    limit_begin(c);
    rc = step_once(c->save);
    if (rc != SQLITE_OK)
        return rc;
    rc = note_id(c, req);
    if (rc == SQLITE_OK && !req->result.repeated)
        rc = run_steps(c, req, &status);
    if (rc == SQLITE_OK && status == SQL_OK)
        return step_once(c->release);
    if (is_loss(rc) || is_busy(rc))
        return rc;
    if (rc != SQLITE_OK)
        req_failed(c, req, rc);
    else
        req->result = (struct sql_result){ .status = status };
    c->limit_at_ms = 0;
    /* Some errors end the whole transaction; then there is nothing to return to. */
    if (sqlite3_get_autocommit(c->lite)) {
        c->failed = req;
        return SQLITE_ABORT;
    }
    rc_undo = step_once(c->undo);
    return rc_undo == SQLITE_OK ? step_once(c->release) : rc_undo;
}

static int
run_group(struct sql_conn *c, struct list *group, bool writes)
{
    int rc = SQLITE_OK;

    c->failed = NULL;
    rc = step_once(writes ? c->begin : c->look);
    if (rc != SQLITE_OK)
        return rc;
    list_for_safe(node, group)
    {
        struct sql_req *req = list_entry(node, struct sql_req, node);

        req->result = (struct sql_result){ .status = SQL_OK };
        if (!writes)
            rc = run_plain(c, req);
        else
            rc = is_alone(c, req) ? run_write_alone(c, req) : run_write(c, req);
        if (rc != SQLITE_OK)
            break;
        if (!writes)
            sql_db_on_read(c->db, req);
    }
    c->limit_at_ms = 0;
    if (rc != SQLITE_OK)
        return rc;
    if (!writes) /* an error of a statement may have ended it */
        return sqlite3_get_autocommit(c->lite) ? SQLITE_OK : step_once(c->commit);
    killpoint(SQL_COMMIT);
    rc = step_once(c->commit);
    killpoint(SQL_COMMITTED);
    return rc;
}

static void
lite_run(struct sql_conn *c, struct list *group, bool writes)
{
    int rc = run_group(c, group, writes);
    char why[256];

    if (rc == SQLITE_OK) {
        sql_db_on_group(c->db);
        return;
    }
    snprintf(why, sizeof why, "%s", sqlite3_errmsg(c->lite));
    if (!sqlite3_get_autocommit(c->lite))
        step_once(c->rollback);
    if (is_busy(rc))
        sql_db_on_group_busy(c->db);
    else if (is_loss(rc))
        sql_db_on_lost(c->db, why);
    else
        sql_db_on_group_failed(c->db, c->failed);
}

const struct sql_engine sql_engine_sqlite = {
    .name = "SQLite",
    .open = lite_open,
    .start = lite_start,
    .close = lite_close,
    .script = lite_script,
    .prepare = lite_prepare,
    .limit = lite_limit,
    .run = lite_run,
};
