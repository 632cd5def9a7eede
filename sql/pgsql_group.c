/*
 * pgsql_group.c -- a group of requests as one pipeline
 *
 * It is sent up to one Sync, which PostgreSQL takes as one transaction. (A Sync each
 * for reads would cost both sides a system call each.) What is sent and what comes back
 * are the same sequence of statements: two walks over the group. A read is answered
 * when its own rows have come, a change when the Sync has: that is the commit.
 */
#include "sql/pgsql.h"

#include <assert.h>

#include "base/killpoint.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    RESULT_BYTES_MAX = 16 << 20
};

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

static bool
send_group(struct sql_conn *c)
{
    struct walk out;
    bool ok = true;

    for (walk_begin(c, &out); ok && (out.at != c->group || out.sync);
            walk_next(c, &out)) {
        if (out.note)
            ok = pg_send_note(c);
        else if (out.sync)
            ok = PQpipelineSync(c->pg);
        else
            ok = pg_send_statement(c, walk_req(&out), out.step, out.row);
    }
    return ok && PQflush(c->pg) >= 0;
}

void
pg_run(struct sql_conn *c, struct list *group, bool writes)
{
    list_for(node, group)
    {
        struct sql_req *req = list_entry(node, struct sql_req, node);

        req->result = (struct sql_result){ .status = SQL_OK };
        req->result_bytes = 0;
        if (!pg_is_usable(c, req)) {
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
    killpoint(SQL_COMMIT);
}

static struct sql_value
take_value(struct arena *arena, const PGresult *res, int row, int col, char type)
{
    struct str text = { PQgetvalue(res, row, col), (size_t)PQgetlength(res, row, col) };
    int64_t number = 0;

    if (PQgetisnull(res, row, col))
        return sql_null();
    if (type == 'b')
        return sql_int(str_eq(text, STR("t")) || str_eq(text, STR("1")));
    if (type != 'i')
        return sql_text(str_dup(arena, text));
    str_to_i64(text, &number);
    return sql_int(number);
}

/* Behind the rows of the steps before. */
static void
take_rows(struct sql_conn *c, struct sql_req *req, const PGresult *res)
{
    struct arena *arena = sql_db_group_arena(c->db);
    struct sql_result *result = &req->result;
    int n_rows = PQntuples(res), n_given = PQnfields(res),
        n_cols = (int)req->def->n_cols; /* those that are not given are NULL */
    size_t n_old = result->n_rows * (size_t)n_cols;
    struct sql_value *value, *v;

    assert(n_given <= n_cols);
    result->n_cols = (size_t)n_cols;
    req->result_bytes += PQresultMemorySize(res);
    if (req->result_bytes > RESULT_BYTES_MAX) {
        *result = (struct sql_result){ .status = SQL_ERROR };
        return;
    }
    if (n_rows == 0)
        return;
    value = arena_alloc(arena, (n_old + (size_t)n_rows * (size_t)n_cols) * sizeof *v);
    if (n_old)
        memcpy(value, result->value, n_old * sizeof *v);
    v = value + n_old;
    for (int r = 0; r < n_rows; r++) {
        for (int i = 0; i < n_cols; i++)
            *v++ = i < n_given ? take_value(arena, res, r, i, req->def->cols[i])
                               : sql_null();
    }
    result->n_rows += (size_t)n_rows;
    result->value = value;
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
    if (sql_step_gives_rows(step->kind)) {
        take_rows(c, req, res);
    } else if (step->kind == SQL_STEP_HIT) {
        /* Wrapped: it tells how many rows it changed. */
        str_to_u64(str_from(PQgetvalue(res, 0, 0)), &changed);
        if (changed == 0)
            req->result.status = step->otherwise;
    } else if (step->kind != SQL_STEP_NEED) {
        str_to_u64(str_from(PQcmdTuples(res)), &changed);
    }
    req->result.changed += changed;
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

void
pg_group_next(struct sql_conn *c)
{
    if (!c->group || c->in.sync)
        return;
    walk_next(c, &c->in);
    answer_reads(c);
}

/* The pipeline of the group has been answered. */
static void
group_end(struct sql_conn *c)
{
    struct sql_req *failed = c->failed;
    bool group_failed = c->group_failed;

    killpoint(SQL_COMMITTED);
    c->group = NULL;
    c->failed = NULL;
    c->group_failed = false;
    if (group_failed)
        sql_db_on_group_failed(c->db, failed);
    else
        sql_db_on_group(c->db);
}

/*
 * In an aborted part of a pipeline the walk goes on with what is reported as skipped.
 */
bool
pg_group_take(struct sql_conn *c, PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    if (!c->group)
        return false;
    switch (PQresultStatus(res)) {
    case PGRES_PIPELINE_SYNC:
        assert(c->in.sync);
        group_end(c);
        return true;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        take_success(c, res);
        return false;
    case PGRES_PIPELINE_ABORTED:
        return false;
    default: /* of libpq's many: it failed */
        break;
    }
    if (state && is_loss(state)) {
        sql_db_on_lost(c->db, PQresultErrorMessage(res));
        return true;
    }
    take_failure(c, state ? state : "", PQresultErrorMessage(res));
    return false;
}
