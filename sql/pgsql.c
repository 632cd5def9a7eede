/*
 * pgsql.c -- PostgreSQL through libpq, never waiting
 *
 * The schema runs over the simple protocol, one script at a time; then the connection
 * enters pipeline mode for good and the statements are prepared. A group is sent as one
 * pipeline up to one Sync, which PostgreSQL takes as one transaction. (A Sync each for
 * reads would cost both sides a system call each.) What is sent and what comes back are
 * the same sequence of statements: two walks over the group. A read is answered when
 * its own rows have come, a change when the Sync has: that is the commit.
 *
 * A NEED step is wrapped so that it fails (division by zero) when it has no row: the
 * pipeline has no other way to stop what was already sent behind it.
 *
 * The loop reports changes only, and libpq does not say whether it has read everything,
 * so we ask the socket.
 */
#include "sql/engine.h"

#include <assert.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "sql/resolve.h"

enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_TEXT = 25,
    OID_UUID = 2950,
    OID_UUID_ARRAY = 2951
};
enum {
    NUMBER_SIZE = 24,
    RESULT_BYTES_MAX = 16 << 20
};

enum phase {
    PHASE_RESOLVING,
    PHASE_CONNECTING,
    PHASE_SCRIPT, /* simple protocol; idle between two */
    PHASE_PREPARING,
    PHASE_RUNNING
};

/* Where one walk over the statements of a group is. */
struct walk {
    struct list *at; /* the request's node; the group's head: at the end */
    size_t step, row;
    bool note, sync; /* the write ids come first; a Sync is due */
};

struct sql_conn {
    struct sql_db *db;
    PGconn *pg;
    struct sql_resolve *resolve;
    struct loop_io io;
    bool registered;
    enum phase phase;
    PostgresPollingStatusType wants; /* while connecting */

    sql_script_fn script_fn; /* NULL: none under way */
    void *script_arg;
    PGresult *script_rows;
    char script_error[256];

    const struct sql_stmts *stmts;
    bool usable[SQL_OPS][SQL_STEPS_MAX];
    enum sql_op preparing_op; /* whose answer comes next; SQL_OPS: the write ids' */
    size_t preparing_step;

    struct list *group; /* NULL: none under way */
    bool writes;
    struct walk in;         /* what is answered next */
    bool has_answer;        /* its answer has come; a NULL ends it */
    struct sql_req *failed; /* the first of the group */
    bool group_failed;
};

/* --- sending ------------------------------------------------------------------------
 */

static void
statement_name(enum sql_op op, size_t step, char ret_name[32])
{
    snprintf(ret_name, 32, "s%d_%zu", (int)op, step);
}

#define NOTE_IDS_NAME "note_ids"
#define NOTE_IDS_TEXT "INSERT INTO stanzad_write (id) SELECT unnest($1)"

static Oid
type_oid(char type)
{
    switch (type) {
    case 'i':
        return OID_INT8;
    case 'b':
        return OID_BOOL;
    case 'u':
        return OID_UUID;
    }
    return OID_TEXT;
}

static size_t
statement_types(const struct sql_stmt *stmt, Oid ret_oid[SQL_PARAMS_MAX + 1])
{
    for (size_t i = 0; i < stmt->n_params; i++)
        ret_oid[i] = type_oid(stmt->type[i]);
    return stmt->n_params;
}

/* The text as it is sent: a NEED step fails when it has no row. */
static void
statement_text(const struct sql_stmt *stmt, enum sql_step_kind kind, struct buf *out)
{
    if (kind == SQL_STEP_NEED)
        buf_addf(out, "SELECT 1 / count(*) FROM (%s) AS need", stmt->text);
    else
        buf_add_c(out, stmt->text);
}

/* A statement's parameters in libpq's form. */
struct pg_params {
    const char *value[SQL_PARAMS_MAX + 1];
    int length[SQL_PARAMS_MAX + 1], format[SQL_PARAMS_MAX + 1];
    char number[SQL_PARAMS_MAX + 1][NUMBER_SIZE];
};

static void
params_fill(struct pg_params *p, const struct sql_req *req, const struct sql_stmt *stmt,
        size_t row)
{
    for (size_t i = 0; i < stmt->n_params; i++) {
        struct sql_value v = sql_req_param(req, stmt, i, row);

        p->value[i] = NULL;
        p->length[i] = 0;
        p->format[i] = stmt->type[i] == 'u';
        if (v.kind == SQL_INT) {
            snprintf(p->number[i], NUMBER_SIZE, "%lld", (long long)v.i);
            p->value[i] = p->number[i];
        } else if (v.kind == SQL_TEXT) {
            p->value[i] = v.s.p;
            p->length[i] = (int)v.s.n;
        }
    }
}

static bool
send_statement(struct sql_conn *c, struct sql_req *req, size_t step, size_t row)
{
    const struct sql_stmt *stmt = &c->stmts->stmt[req->op][step];
    int n = (int)stmt->n_params, ok;
    Oid oid[SQL_PARAMS_MAX + 1];
    struct buf text = { 0 };
    struct pg_params p;
    char name[32];

    params_fill(&p, req, stmt, row);
    if (!sql_db_settings(c->db)->no_prepared_statements) {
        statement_name(req->op, step, name);
        return PQsendQueryPrepared(c->pg, name, n, p.value, p.length, p.format, 0);
    }
    statement_types(stmt, oid);
    statement_text(stmt, req->def->step[step].kind, &text);
    ok = PQsendQueryParams(c->pg, buf_c(&text), n, oid, p.value, p.length, p.format, 0);
    buf_fini(&text);
    return ok;
}

/* The write ids of a whole group, in one statement. */
static bool
send_note(struct sql_conn *c)
{
    static const Oid oid[1] = { OID_UUID_ARRAY };
    struct buf ids = { 0 };
    const char *value[1];
    int ok;

    list_for(node, c->group)
    {
        const struct sql_req *req = list_entry(node, struct sql_req, node);

        buf_add_char(&ids, ids.n ? ',' : '{');
        for (size_t i = 0; i < sizeof req->id.b; i++)
            buf_addf(&ids, "%02x", req->id.b[i]);
    }
    buf_add_char(&ids, '}');
    value[0] = buf_c(&ids);
    if (sql_db_settings(c->db)->no_prepared_statements)
        ok = PQsendQueryParams(c->pg, NOTE_IDS_TEXT, 1, oid, value, NULL, NULL, 0);
    else
        ok = PQsendQueryPrepared(c->pg, NOTE_IDS_NAME, 1, value, NULL, NULL, 0);
    buf_fini(&ids);
    return ok;
}

/* --- the walk: the statements of a group in their order ------------------------------
 */

static struct sql_req *
walk_req(const struct walk *w)
{
    return list_entry(w->at, struct sql_req, node);
}

/* Moves on from places that are no statements: empty steps, the end of a request. */
static void
walk_settle(const struct sql_conn *c, struct walk *w)
{
    while (w->at != c->group && !w->note && !w->sync) {
        struct sql_req *req = walk_req(w);

        if (w->step < req->def->n_steps && w->row < sql_req_times(req, w->step) &&
                *c->stmts->stmt[req->op][w->step].text)
            return;
        w->row = 0;
        if (++w->step < req->def->n_steps)
            continue;
        w->step = 0;
        w->at = w->at->next;
        w->sync = w->at == c->group;
    }
}

static void
walk_begin(const struct sql_conn *c, struct walk *w)
{
    *w = (struct walk){ .at = c->group->next };
    w->note = c->writes && c->stmts->has_write_ids;
    walk_settle(c, w);
}

static void
walk_next(const struct sql_conn *c, struct walk *w)
{
    if (w->note)
        w->note = false;
    else if (w->sync)
        w->sync = false;
    else
        w->row++;
    walk_settle(c, w);
}

/* --- results ------------------------------------------------------------------------
 */

static void
take_rows(struct sql_conn *c, struct sql_req *req, PGresult *res)
{
    struct arena *arena = sql_db_group_arena(c->db);
    int n_rows = PQntuples(res), n_cols = PQnfields(res);
    size_t n = (size_t)n_rows * (size_t)n_cols;
    struct sql_value *value = arena_alloc(arena, n * sizeof *value);

    assert((size_t)n_cols == req->def->n_cols);
    for (int r = 0; r < n_rows; r++) {
        for (int i = 0; i < n_cols; i++) {
            struct sql_value *v = &value[r * n_cols + i];
            struct str text = { PQgetvalue(res, r, i), (size_t)PQgetlength(res, r, i) };
            int64_t number = 0;

            if (PQgetisnull(res, r, i)) {
                *v = sql_null();
            } else if (req->def->cols[i] == 'b') {
                *v = sql_int(str_eq(text, STR("t")) || str_eq(text, STR("1")));
            } else if (req->def->cols[i] == 'i') {
                str_to_i64(text, &number);
                *v = sql_int(number);
            } else {
                *v = sql_text(str_dup(arena, text));
            }
        }
    }
    req->result.n_rows = (size_t)n_rows;
    req->result.n_cols = (size_t)n_cols;
    req->result.value = value;
}

static void
take_success(struct sql_conn *c, PGresult *res)
{
    struct sql_req *req;
    const struct sql_step_def *step;
    uint64_t changed = 0;

    if (c->in.note || c->in.sync)
        return;
    req = walk_req(&c->in);
    step = &req->def->step[c->in.step];
    if (step->kind == SQL_STEP_ROWS) {
        if (PQresultMemorySize(res) > RESULT_BYTES_MAX)
            req->result.status = SQL_ERROR;
        else
            take_rows(c, req, res);
    }
    if (step->kind != SQL_STEP_NEED && req->def->writes) {
        str_to_u64(str_from(PQcmdTuples(res)), &changed);
        req->result.changed += changed;
        if (step->kind == SQL_STEP_HIT && changed == 0)
            req->result.status = step->otherwise;
    }
}

/* What the server says about a statement that failed, by SQLSTATE. */
static enum sql_status
status_of(const struct sql_step_def *step, const char *state)
{
    static const struct {
        const char *state; /* or the beginning of it */
        enum sql_status status;
    } states[] = {
        { "23505", SQL_CONFLICT },    /* unique_violation */
        { "57014", SQL_UNAVAILABLE }, /* query_canceled: its time was over */
        { "55P03", SQL_UNAVAILABLE }, /* lock_not_available */
        { "40", SQL_UNAVAILABLE }, /* transaction_rollback: deadlock, serialization */
        { "53", SQL_UNAVAILABLE }, /* insufficient_resources: disk_full */
    };

    if (step && step->kind == SQL_STEP_NEED && strcmp(state, "22012") == 0)
        return step->otherwise;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (strncmp(state, states[i].state, strlen(states[i].state)) == 0)
            return states[i].status;
    }
    return SQL_ERROR;
}

/* Errors that only a new connection can cure: true, and the caller ends this one. */
static bool
is_loss(const char *state)
{
    static const char *const states[] = {
        "0A000", /* cached plan must not change result type: a table was altered */
        "26000", /* the prepared statement is gone */
        "25006", /* read_only_sql_transaction: this server is a standby now */
        "57P0",  /* admin_shutdown, crash_shutdown, cannot_connect_now */
        "08",    /* connection_exception */
    };

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (strncmp(state, states[i], strlen(states[i])) == 0)
            return true;
    }
    return false;
}

/* A statement of the group failed; the server skips to the next Sync. */
static void
take_failure(struct sql_conn *c, const char *state, const char *message)
{
    const struct sql_step_def *step;
    struct sql_req *req;
    bool alone;

    if (c->group_failed)
        return;
    c->group_failed = true;
    if (c->in.sync)
        return; /* the commit itself */
    req = walk_req(&c->in);
    alone = c->group->next == c->group->prev;
    if (c->in.note) {
        /* One of them was done before; which, a group of one can say. */
        req->result.repeated = strcmp(state, "23505") == 0 && alone;
        c->failed = req->result.repeated ? req : NULL;
        if (strcmp(state, "23505") != 0)
            log_error(NULL, "database %s: table stanzad_write: %.*s",
                    sql_db_name(c->db), (int)strcspn(message, "\n"), message);
        return;
    }
    step = &req->def->step[c->in.step];
    req->result = (struct sql_result){ .status = status_of(step, state) };
    c->failed = req;
    if (req->result.status == SQL_ERROR && alone)
        log_error(NULL, "database %s: %s: %.*s", sql_db_name(c->db), req->def->name,
                (int)strcspn(message, "\n"), message);
}

/* Answers the reads whose rows are complete. */
static void
answer_reads(struct sql_conn *c)
{
    while (!c->writes && !c->group_failed && c->group->next != c->in.at)
        sql_db_on_read(c->db, list_entry(c->group->next, struct sql_req, node));
}

/* The pipeline of the group has been answered. */
static void
group_end(struct sql_conn *c)
{
    struct sql_req *failed = c->failed;
    bool group_failed = c->group_failed;

    c->group = NULL;
    c->failed = NULL;
    c->group_failed = false;
    if (group_failed)
        sql_db_on_group_failed(c->db, failed);
    else
        sql_db_on_group(c->db);
}

static void
take_prepared(struct sql_conn *c, bool ok, const char *message)
{
    if (c->preparing_op == SQL_OPS)
        return;
    c->usable[c->preparing_op][c->preparing_step] = ok;
    if (!ok)
        log_error(NULL, "database %s: %s will not work: %.*s", sql_db_name(c->db),
                sql_op_def(c->preparing_op)->name, (int)strcspn(message, "\n"),
                message);
}

/* The next statement that has a text, from where we are. */
static void
preparing_settle(struct sql_conn *c)
{
    while (c->preparing_op < SQL_OPS) {
        if (c->preparing_step < sql_op_def(c->preparing_op)->n_steps) {
            if (*c->stmts->stmt[c->preparing_op][c->preparing_step].text)
                return;
            c->preparing_step++;
        } else {
            c->preparing_op++;
            c->preparing_step = 0;
        }
    }
}

/* A Sync was answered: true when the connection was handed to db.c, and may be gone. */
static bool
take_sync(struct sql_conn *c)
{
    if (c->phase == PHASE_PREPARING) {
        bool last = c->preparing_op == SQL_OPS;

        c->preparing_step++;
        preparing_settle(c);
        if (last || (c->preparing_op == SQL_OPS && !c->stmts->has_write_ids)) {
            c->phase = PHASE_RUNNING;
            sql_db_on_prepared(c->db);
            return true;
        }
        return false;
    }
    if (!c->group)
        return false;
    assert(c->in.sync);
    group_end(c);
    return true;
}

/* In an aborted part of a pipeline the walk goes on with what is reported as skipped.
 */
static bool
take_pipeline_result(struct sql_conn *c, PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorMessage(res);

    switch (PQresultStatus(res)) {
    case PGRES_PIPELINE_SYNC:
        return take_sync(c);
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        if (c->phase == PHASE_PREPARING)
            take_prepared(c, true, NULL);
        else if (c->group)
            take_success(c, res);
        return false;
    case PGRES_PIPELINE_ABORTED:
        return false;
    default:
        break;
    }
    if (c->phase == PHASE_PREPARING) {
        take_prepared(c, false, message);
    } else if (state && is_loss(state)) {
        sql_db_on_lost(c->db, message);
        return true;
    } else if (c->group) {
        take_failure(c, state ? state : "", message);
    }
    return false;
}

/* --- scripts ------------------------------------------------------------------------
 */

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

static void
pg_limit(struct sql_conn *c, uint64_t ms, sql_script_fn fn, void *arg)
{
    char text[64];

    snprintf(text, sizeof text, "SET statement_timeout = %llu",
            (unsigned long long)(ms > INT32_MAX ? INT32_MAX : ms));
    pg_script(c, text, fn, arg);
}

/* --- prepare, run --------------------------------------------------------------------
 */

static bool
send_prepare(struct sql_conn *c)
{
    struct buf text = { 0 };
    bool ok = true;

    while (preparing_settle(c), ok && c->preparing_op < SQL_OPS) {
        const struct sql_stmt *stmt =
                &c->stmts->stmt[c->preparing_op][c->preparing_step];
        const struct sql_op_def *def = sql_op_def(c->preparing_op);
        Oid oid[SQL_PARAMS_MAX + 1];
        char name[32];
        int n = (int)statement_types(stmt, oid);

        buf_reset(&text, SIZE_MAX);
        statement_text(stmt, def->step[c->preparing_step].kind, &text);
        statement_name(c->preparing_op, c->preparing_step, name);
        ok = PQsendPrepare(c->pg, name, buf_c(&text), n, oid) && PQpipelineSync(c->pg);
        c->preparing_step++;
    }
    buf_fini(&text);
    if (ok && c->stmts->has_write_ids)
        ok = PQsendPrepare(c->pg, NOTE_IDS_NAME, NOTE_IDS_TEXT, 1,
                     (const Oid[]){ OID_UUID_ARRAY }) &&
             PQpipelineSync(c->pg);
    c->preparing_op = 0;
    c->preparing_step = 0;
    preparing_settle(c);
    return ok && PQflush(c->pg) >= 0;
}

static void
pg_prepare(struct sql_conn *c, const struct sql_stmts *stmts)
{
    c->stmts = stmts;
    if (!PQenterPipelineMode(c->pg)) {
        sql_db_on_lost(c->db, PQerrorMessage(c->pg));
        return;
    }
    if (sql_db_settings(c->db)->no_prepared_statements) {
        c->phase = PHASE_RUNNING;
        memset(c->usable, true, sizeof c->usable);
        sql_db_on_prepared(c->db);
        return;
    }
    c->phase = PHASE_PREPARING;
    if (!send_prepare(c))
        sql_db_on_lost(c->db, PQerrorMessage(c->pg));
}

static bool
send_group(struct sql_conn *c)
{
    struct walk out;
    bool ok = true;

    for (walk_begin(c, &out); ok && (out.at != c->group || out.sync);
            walk_next(c, &out)) {
        if (out.note)
            ok = send_note(c);
        else if (out.sync)
            ok = PQpipelineSync(c->pg);
        else
            ok = send_statement(c, walk_req(&out), out.step, out.row);
    }
    return ok && PQflush(c->pg) >= 0;
}

static bool
req_is_usable(const struct sql_conn *c, const struct sql_req *req)
{
    for (size_t i = 0; i < req->def->n_steps; i++) {
        if (*c->stmts->stmt[req->op][i].text && !c->usable[req->op][i])
            return false;
    }
    return true;
}

static void
pg_run(struct sql_conn *c, struct list *group, bool writes)
{
    list_for(node, group)
    {
        struct sql_req *req = list_entry(node, struct sql_req, node);

        req->result = (struct sql_result){ .status = SQL_OK };
        if (!req_is_usable(c, req)) {
            req->result.status = SQL_ERROR;
            sql_db_on_group_failed(c->db, req);
            return;
        }
    }
    c->group = group;
    c->writes = writes;
    walk_begin(c, &c->in);
    if (!send_group(c))
        sql_db_on_lost(c->db, PQerrorMessage(c->pg));
}

/* --- the connection ------------------------------------------------------------------
 */

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
            if (c->group && !c->in.sync) {
                walk_next(c, &c->in);
                answer_reads(c);
            }
        } else {
            c->has_answer = PQresultStatus(res) != PGRES_PIPELINE_SYNC;
            handed_over = take_pipeline_result(c, res);
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
