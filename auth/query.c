/*
 * query.c -- questions to the sql process
 *
 * Ids start at a random number, so that an answer to our predecessor, left in the
 * mailbox when it died, does not fit a question of ours.
 */
#include "auth/query.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "proc/proc.h"

void
queries_init(struct queries *all, struct proc *proc)
{
    *all = (struct queries){
        .proc = proc, .next_id = rand_u64(), .retry_ms = QUERY_RETRY_MS
    };
}

void
queries_fini(struct queries *all)
{
    map_fini(&all->by_id);
}

static struct str
id_key(const uint64_t *id)
{
    return (struct str){ (const char *)id, sizeof *id };
}

static uint64_t
u64_of(const unsigned char *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static void
query_send(struct query *q)
{
    struct proc *p = q->all->proc;
    struct ipc_sql_request m = { .id = q->id,
        .write_id_hi = u64_of(q->write_id.b),
        .write_id_lo = u64_of(q->write_id.b + 8),
        .op = (uint16_t)q->op,
        .host = buf_str(&q->host),
        .params = { buf_str(&q->params), q->n_params } };

    q->n_tries++;
    proc_send(p, ipc_addr_of(PROC_SQL, 0), IPC_SQL_REQUEST, &m);
    loop_timer_set(p->loop, &q->timer, q->all->retry_ms);
}

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
    if (q->id == 0)
        return;
    loop_timer_cancel(q->all->proc->loop, &q->timer);
    map_del(&q->all->by_id, id_key(&q->id));
    q->id = 0;
    if (q->params.p)
        mem_wipe(q->params.p, q->params.size); /* passwords in plain text */
    buf_fini(&q->params);
    buf_fini(&q->host);
    creds_free(&q->creds);
}

static void
query_end(struct query *q, enum ipc_status status)
{
    struct creds *creds = q->creds;

    q->creds = NULL;
    query_cancel(q);
    if (status == IPC_OK)
        q->creds = creds;
    else
        creds_free(&creds);
    q->on_answer(q, status);
}

struct creds *
query_take_creds(struct query *q)
{
    struct creds *creds = q->creds;

    q->creds = NULL;
    return creds;
}

static void
on_timer(struct loop_timer *timer)
{
    struct query *q = container_of(timer, struct query, timer);

    if (q->n_tries >= QUERY_TRIES) {
        query_end(q, IPC_UNAVAILABLE);
        return;
    }
    if (q->creds) /* half an answer: from the beginning */
        creds_wipe(q->creds);
    query_send(q);
}

static void
query_begin(struct queries *all, struct query *q, enum sql_op op, struct str host)
{
    assert(q->id == 0 && q->on_answer && !q->creds);
    q->all = all;
    while (all->next_id == 0 || map_get(&all->by_id, id_key(&all->next_id)))
        all->next_id++;
    q->id = all->next_id++;
    q->op = op;
    q->n_tries = 0;
    q->n_params = 0;
    q->write_id = (struct sql_write_id){ { 0 } };
    q->timer.fn = on_timer;
    buf_add_str(&q->host, host);
    map_set(&all->by_id, id_key(&q->id), q);
}

static void
query_add(struct query *q, struct str param)
{
    ipc_list_add(&q->params, param);
    q->n_params++;
}

static void
query_add_number(struct query *q, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    query_add(q, str_from(text));
}

void
query_start(struct queries *all, struct query *q, enum sql_op op, struct str host,
        struct str user)
{
    query_begin(all, q, op, host);
    query_add(q, user);
    if (op == SQL_USER_DEL)
        sql_write_id_new(&q->write_id);
    if (op == SQL_USER_GET)
        q->creds = mem_zalloc(sizeof *q->creds);
    query_send(q);
}

void
query_start_rows(struct queries *all, struct query *q, enum sql_op op, struct str host,
        struct str user, const struct cred_row *rows, size_t n_rows)
{
    query_begin(all, q, op, host);
    sql_write_id_new(&q->write_id);
    buf_reserve(&q->params, 4096); /* does not grow then, and leaves no copies */
    query_add(q, user);
    for (size_t i = 0; i < n_rows; i++) {
        query_add_number(q, rows[i].type);
        query_add(q, rows[i].password);
        query_add(q, rows[i].serverkey);
        query_add(q, rows[i].salt);
        query_add_number(q, rows[i].iterations);
    }
    query_send(q);
}

static unsigned
number_of(struct str cell)
{
    uint64_t v;

    return str_to_u64(cell, &v) == 0 && v <= UINT32_MAX ? (unsigned)v : UINT32_MAX;
}

/* The rows of USER_GET: type, password, serverkey, salt, iterationcount. */
static void
query_add_rows(struct query *q, const struct ipc_sql_reply *reply)
{
    enum {
        COLUMNS = 5
    };
    struct log_ctx ctx = { .host = buf_str(&q->host) };
    struct ipc_list cells = reply->cells;
    struct str cell[COLUMNS];
    int n = 0;

    if (reply->columns != COLUMNS)
        return;
    while (ipc_list_next(&cells, &cell[n])) {
        struct cred_row row;

        if (++n < COLUMNS)
            continue;
        n = 0;
        row = (struct cred_row){ .type = number_of(cell[0]),
            .password = cell[1],
            .serverkey = cell[2],
            .salt = cell[3],
            .iterations = number_of(cell[4]) };
        if (creds_add_row(q->creds, &row) < 0)
            log_warning(&ctx, "a damaged row of the table users is left out (type %u)",
                    row.type);
    }
}

void
queries_on_reply(struct queries *all, const struct ipc_sql_reply *reply)
{
    struct query *q = map_get(&all->by_id, id_key(&reply->id));

    if (!q || reply->status > IPC_FAILED)
        return; /* late, or twice: we asked again */
    if (q->creds && reply->status == IPC_OK)
        query_add_rows(q, reply);
    if (reply->more && reply->status == IPC_OK)
        return;
    if (q->op == SQL_USER_EXISTS && reply->status == IPC_OK && reply->cells.n == 0)
        query_end(q, IPC_NOT_FOUND);
    else
        query_end(q, (enum ipc_status)reply->status);
}
