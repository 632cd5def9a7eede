/*
 * queue.c -- requests waiting for a database
 *
 * A request is one piece of memory: itself, its values, and their bytes, each
 * terminated.
 */
#include "sql/queue.h"

#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"

static int
call_check(const struct sql_call *call, const struct sql_op_def *def, size_t *ret_size)
{
    size_t size = sizeof(struct sql_req) + call->host.n + 1;
    int r;

    if (!def || !call->done || !str_is_utf8(call->host) ||
            (call->host.n && memchr(call->host.p, '\0', call->host.n)))
        return -EINVAL;
    r = sql_op_check(def, call->param, call->n_params);
    if (r < 0)
        return r;
    for (size_t i = 0; i < call->n_params; i++) {
        size += sizeof *call->param + call->param[i].s.n + 1;
        if (size > SQL_REQUEST_BYTES_MAX)
            return -EINVAL;
    }
    if (def->writes && sql_write_id_is_set(&call->id) &&
            sql_write_id_ms(&call->id) + SQL_REPEAT_MAX_MS < clock_wall_us() / 1000)
        return -ESTALE;
    *ret_size = size;
    return 0;
}

static struct str
bytes_copy(char **at, struct str s)
{
    struct str copy = { *at, s.n };

    if (s.n)
        memcpy(*at, s.p, s.n);
    (*at)[s.n] = '\0';
    *at += s.n + 1;
    return copy;
}

int
sql_req_new(const struct sql_call *call, struct sql_req **ret_req)
{
    const struct sql_op_def *def = sql_op_def(call->op);
    struct sql_req *req;
    size_t size;
    char *at;
    int r;

    r = call_check(call, def, &size);
    if (r < 0)
        return r;
    req = mem_alloc(size);
    *req = (struct sql_req){ .op = call->op,
        .def = def,
        .id = call->id,
        .n_params = call->n_params,
        .size = size,
        .done = call->done,
        .arg = call->arg };
    list_init(&req->node);
    if (def->writes && !sql_write_id_is_set(&req->id))
        sql_write_id_new(&req->id);
    req->param = (struct sql_value *)(void *)(req + 1);
    at = (char *)(req->param + call->n_params);
    for (size_t i = 0; i < call->n_params; i++) {
        req->param[i] = call->param[i];
        req->param[i].s = bytes_copy(&at, call->param[i].s);
    }
    req->host = bytes_copy(&at, call->host);
    *ret_req = req;
    return 0;
}

void
sql_req_free(struct sql_req **preq)
{
    /* Passwords go through here. */
    if (*preq)
        mem_wipe(*preq, (*preq)->size);
    mem_free(preq);
}

struct sql_value
sql_req_param(
        const struct sql_req *req, const struct sql_stmt *stmt, size_t i, size_t row)
{
    const struct sql_op_def *def = req->def;
    size_t k = stmt->param[i];

    if (k == 0)
        return sql_text(req->host);
    k--;
    return k < def->n_fixed ? req->param[k] : req->param[k + row * def->n_each];
}

size_t
sql_req_times(const struct sql_req *req, size_t step)
{
    return sql_step_is_each(req->def->step[step].kind)
                   ? sql_op_rows(req->def, req->n_params)
                   : 1;
}

void
sql_queue_init(struct sql_queue *q)
{
    *q = (struct sql_queue){ 0 };
    list_init(&q->list);
}

struct sql_req *
sql_queue_first(const struct sql_queue *q)
{
    return list_empty(&q->list) ? NULL : list_entry(q->list.next, struct sql_req, node);
}

bool
sql_queue_is_full(const struct sql_queue *a, const struct sql_queue *b, size_t bytes)
{
    return a->n + b->n >= SQL_QUEUE_MAX ||
           a->bytes + b->bytes + bytes > SQL_QUEUE_BYTES_MAX;
}

static void
queue_count(struct sql_queue *q, const struct sql_req *req)
{
    q->n++;
    q->n_reads += !req->def->writes;
    q->bytes += req->size;
}

void
sql_queue_add(struct sql_queue *q, struct sql_req *req)
{
    list_add(&q->list, &req->node);
    queue_count(q, req);
}

void
sql_queue_push(struct sql_queue *q, struct sql_req *req)
{
    list_push(&q->list, &req->node);
    queue_count(q, req);
}

void
sql_queue_take(struct sql_queue *q, struct sql_req *req)
{
    list_del(&req->node);
    q->n--;
    q->n_reads -= !req->def->writes;
    q->bytes -= req->size;
}

void
sql_queue_move(struct sql_queue *q, struct sql_queue *from)
{
    struct sql_req *req;

    while ((req = sql_queue_first(from))) {
        sql_queue_take(from, req);
        sql_queue_add(q, req);
    }
}
