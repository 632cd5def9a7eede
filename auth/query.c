/*
 * query.c -- questions about an account to the databases of its host
 *
 * A question becomes steps, each one request to one database:
 *
 *     USER_GET, USER_EXISTS, USER_UPDATE   first, second; the one that has it ends it
 *     USER_DEL                             first, second
 *     USER_CREATE                          USER_EXISTS second, USER_CREATE first
 *
 * The last because an account in the first database hides one of that name in the
 * second: registering must not take it over.
 */
#include "auth/query.h"

#include <assert.h>

#include "base/log.h"
#include "base/mem.h"
#include "sql/client.h"
#include "sql/wire.h"

/* What sql/client.h holds on to; its query may be gone. */
struct asked {
    struct query *query;
};

void
creds_free(struct creds **creds)
{
    if (*creds)
        creds_wipe(*creds);
    mem_free(creds);
}

void
query_cancel(struct query *q)
{
    if (q->asked)
        q->asked->query = NULL;
    q->asked = NULL;
    creds_free(&q->creds);
}

struct creds *
query_take_creds(struct query *q)
{
    struct creds *creds = q->creds;

    q->creds = NULL;
    return creds;
}

static void
query_end(struct query *q, enum ipc_status status)
{
    if (status != IPC_OK)
        creds_free(&q->creds);
    q->on_answer(q, status);
}

/* Which database and operation the step is about. */
static enum sql_op
query_step(const struct query *q, enum sql_which *ret_which)
{
    bool last = q->step + 1 == q->target.n_which;

    *ret_which = q->target.which[q->step];
    if (q->op != SQL_USER_CREATE)
        return q->op;
    *ret_which = q->target.which[last ? 0 : q->step + 1];
    return last ? SQL_USER_CREATE : SQL_USER_EXISTS;
}

static void on_done(void *arg, const struct sql_result *result);

static void
query_ask(struct query *q)
{
    enum {
        COLUMNS = 5
    };
    struct sql_value param[1 + CRED_ROWS_MAX * COLUMNS], *at = param;
    struct sql_call call = { .host = q->target.host,
        .timeout_ms = q->timeout_ms,
        .param = param,
        .done = on_done };
    struct asked *asked = mem_alloc(sizeof *asked);

    assert(q->n_rows <= CRED_ROWS_MAX);
    call.op = query_step(q, &call.which);
    if (call.op == q->op)
        call.id = q->id;
    *at++ = sql_text(q->target.user);
    for (size_t i = 0; i < q->n_rows && call.op == q->op; i++) {
        *at++ = sql_int(q->row[i].type);
        *at++ = sql_text(q->row[i].password);
        *at++ = sql_text(q->row[i].serverkey);
        *at++ = sql_text(q->row[i].salt);
        *at++ = sql_int(q->row[i].iterations);
    }
    call.n_params = (size_t)(at - param);
    call.arg = asked;
    asked->query = q;
    q->asked = asked;
    if (sql_client_ask(q->client, &call) == 0)
        return;
    mem_free_p(asked);
    q->asked = NULL;
    query_end(q, IPC_UNAVAILABLE);
}

static struct str
text_of(const struct sql_value *v)
{
    return v->kind == SQL_TEXT ? v->s : STR("");
}

static uint32_t
number_of(const struct sql_value *v)
{
    return v->kind == SQL_INT && v->i >= 0 && v->i < UINT32_MAX ? (uint32_t)v->i
                                                                : UINT32_MAX;
}

/* type, password, serverkey, salt, iterationcount */
static void
query_add_rows(struct query *q, const struct sql_result *result)
{
    const struct sql_value *v = result->value;
    struct log_ctx ctx = { .host = q->target.host };

    for (size_t i = 0; i < result->n_rows; i++, v += result->n_cols) {
        struct cred_row row = { .type = number_of(&v[0]),
            .password = text_of(&v[1]),
            .serverkey = text_of(&v[2]),
            .salt = text_of(&v[3]),
            .iterations = number_of(&v[4]) };

        if (creds_add_row(q->creds, &row) < 0)
            log_warning(&ctx,
                    "a damaged row of the table users is left out: %.*s, type %u",
                    STR_ARG(q->target.user), row.type);
    }
}

/* Is the answer complete? Else the next step follows. */
static bool
query_take_result(
        struct query *q, const struct sql_result *result, enum ipc_status *ret)
{
    bool last = q->step + 1 == q->target.n_which;

    *ret = sql_wire_status(result->status);
    switch (q->op) {
    case SQL_USER_GET:
        if (*ret == IPC_OK && result->n_rows)
            query_add_rows(q, result);
        return *ret != IPC_OK || result->n_rows || last;
    case SQL_USER_EXISTS:
        if (*ret == IPC_OK && result->n_rows == 0)
            *ret = IPC_NOT_FOUND;
        break;
    case SQL_USER_CREATE:
        if (last || *ret != IPC_OK)
            return true;
        *ret = IPC_CONFLICT;
        return result->n_rows > 0;
    case SQL_USER_DEL:
        q->any |= *ret == IPC_OK;
        if (*ret == IPC_OK || *ret == IPC_NOT_FOUND) {
            *ret = q->any ? IPC_OK : IPC_NOT_FOUND;
            return last;
        }
        return true;
    default: /* USER_UPDATE; the others are not asked */
        break;
    }
    return *ret != IPC_NOT_FOUND || last;
}

static void
on_done(void *arg, const struct sql_result *result)
{
    struct asked *asked = arg;
    struct query *q = asked->query;
    enum ipc_status status;

    mem_free_p(asked);
    if (!q)
        return; /* called off */
    q->asked = NULL;
    if (query_take_result(q, result, &status)) {
        query_end(q, status);
        return;
    }
    q->step++;
    query_ask(q);
}

void
query_start(struct query *q, struct sql_client *client, enum sql_op op,
        const struct query_target *target, const struct cred_row *rows, size_t n_rows)
{
    assert(!q->asked && !q->creds && q->on_answer && target->n_which > 0);
    q->client = client;
    q->op = op;
    q->target = *target;
    q->row = rows;
    q->n_rows = n_rows;
    q->step = 0;
    q->any = false;
    if (op == SQL_USER_GET)
        q->creds = mem_zalloc(sizeof *q->creds);
    query_ask(q);
}
