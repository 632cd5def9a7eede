/*
 * pgsql_statement.c -- the operations as PostgreSQL's statements
 *
 * All are prepared once for each connection, each with a Sync of its own, so that one
 * that cannot be (a table is missing) makes that operation an error and nothing else.
 *
 * A NEED step is wrapped so that it fails (division by zero) when it has no row: a
 * pipeline has no other way to stop what was already sent behind it.
 *
 * A HIT step that changes nothing does not fail: the rest of the group is committed. It
 * is wrapped so that it takes back the note that this change was done, or the same
 * request, asked again, would be told so.
 */
#include "sql/pgsql.h"

#include <stdio.h>

enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_TEXT = 25,
    OID_UUID = 2950,
    OID_UUID_ARRAY = 2951
};
enum {
    NUMBER_SIZE = 24,
    PARAMS_MAX = SQL_PARAMS_MAX + 2 /* and the host, and the write id */
};

#define NOTE_IDS_NAME "note_ids"
#define NOTE_IDS_TEXT "INSERT INTO stanzad_write (id) SELECT unnest($1)"

/* A statement's parameters in libpq's form. */
struct pg_params {
    const char *value[PARAMS_MAX];
    int length[PARAMS_MAX], format[PARAMS_MAX];
    char number[PARAMS_MAX][NUMBER_SIZE];
};

static void
statement_name(enum sql_op op, size_t step, char ret_name[32])
{
    snprintf(ret_name, 32, "s%d_%zu", (int)op, step);
}

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

/* One step's statement, and whether the write id is its last parameter. */
struct statement {
    const struct sql_stmt *stmt;
    enum sql_step_kind kind;
    bool takes_id;
};

static struct statement
statement_of(const struct sql_conn *c, enum sql_op op, size_t step)
{
    enum sql_step_kind kind = sql_op_def(op)->step[step].kind;

    return (struct statement){ .stmt = &c->stmts->stmt[op][step],
        .kind = kind,
        .takes_id = kind == SQL_STEP_HIT && c->stmts->has_write_ids };
}

static size_t
statement_types(const struct statement *s, Oid ret_oid[PARAMS_MAX])
{
    size_t n = s->stmt->n_params;

    for (size_t i = 0; i < n; i++)
        ret_oid[i] = type_oid(s->stmt->type[i]);
    if (s->takes_id)
        ret_oid[n++] = OID_UUID;
    return n;
}

/* The text as it is sent. */
static void
statement_text(const struct statement *s, struct buf *out)
{
    const char *text = s->stmt->text;

    if (s->kind == SQL_STEP_NEED) {
        buf_addf(out, "SELECT 1 / count(*) FROM (%s) AS need", text);
    } else if (s->kind == SQL_STEP_HIT) {
        buf_addf(out, "WITH hit AS (%s RETURNING 1)", text);
        if (s->takes_id)
            buf_addf(out,
                    ", miss AS (DELETE FROM stanzad_write WHERE id = $%zu"
                    " AND NOT EXISTS (SELECT 1 FROM hit))",
                    s->stmt->n_params + 1);
        buf_add_c(out, " SELECT count(*) FROM hit");
    } else {
        buf_add_c(out, text);
    }
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

static bool
send_prepare(struct sql_conn *c)
{
    struct buf text = { 0 };
    bool ok = true;

    while (preparing_settle(c), ok && c->preparing_op < SQL_OPS) {
        struct statement s = statement_of(c, c->preparing_op, c->preparing_step);
        Oid oid[PARAMS_MAX];
        char name[32];
        int n = (int)statement_types(&s, oid);

        buf_reset(&text, SIZE_MAX);
        statement_text(&s, &text);
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

void
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

static void
take_prepared(struct sql_conn *c, bool ok, const char *message)
{
    if (c->preparing_op == SQL_OPS)
        return;
    c->usable[c->preparing_op][c->preparing_step] = ok;
    if (!ok)
        sql_db_on_unusable(c->db, c->preparing_op, message);
}

/* A Sync was answered: the next statement's turn; true when that was the last. */
static bool
take_sync(struct sql_conn *c)
{
    bool last = c->preparing_op == SQL_OPS;

    c->preparing_step++;
    preparing_settle(c);
    if (!last && (c->preparing_op < SQL_OPS || c->stmts->has_write_ids))
        return false;
    c->phase = PHASE_RUNNING;
    sql_db_on_prepared(c->db);
    return true;
}

bool
pg_prepare_take(struct sql_conn *c, const PGresult *res)
{
    switch (PQresultStatus(res)) {
    case PGRES_PIPELINE_SYNC:
        return take_sync(c);
    case PGRES_COMMAND_OK:
        take_prepared(c, true, NULL);
        return false;
    default: /* of libpq's many: it failed */
        take_prepared(c, false, PQresultErrorMessage(res));
        return false;
    }
}

bool
pg_is_usable(const struct sql_conn *c, const struct sql_req *req)
{
    for (size_t i = 0; i < req->def->n_steps; i++) {
        if (*c->stmts->stmt[req->op][i].text && !c->usable[req->op][i])
            return false;
    }
    return true;
}

static size_t
params_fill(struct pg_params *p, const struct sql_req *req, const struct statement *s,
        size_t row)
{
    const struct sql_stmt *stmt = s->stmt;
    size_t n = stmt->n_params;

    for (size_t i = 0; i < n; i++) {
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
    if (s->takes_id) {
        p->value[n] = (const char *)req->id.b;
        p->length[n] = sizeof req->id.b;
        p->format[n++] = 1;
    }
    return n;
}

bool
pg_send_statement(
        struct sql_conn *c, const struct sql_req *req, size_t step, size_t row)
{
    struct statement s = statement_of(c, req->op, step);
    Oid oid[PARAMS_MAX];
    struct buf text = { 0 };
    struct pg_params p;
    char name[32];
    int n, ok;

    n = (int)params_fill(&p, req, &s, row);
    if (!sql_db_settings(c->db)->no_prepared_statements) {
        statement_name(req->op, step, name);
        return PQsendQueryPrepared(c->pg, name, n, p.value, p.length, p.format, 0);
    }
    statement_types(&s, oid);
    statement_text(&s, &text);
    ok = PQsendQueryParams(c->pg, buf_c(&text), n, oid, p.value, p.length, p.format, 0);
    buf_fini(&text);
    return ok;
}

/* The write ids of a whole group, in one statement. */
bool
pg_send_note(struct sql_conn *c)
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
