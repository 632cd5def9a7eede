/*
 * client.c -- questions to the sql processes
 *
 * Each unanswered question is kept as it was asked (struct sql_req, the copy that the
 * sql process makes too). All questions about one host go to one sql process, so that
 * they take effect in their order. A result that comes in several frames is collected;
 * when the process dies in the middle, it is thrown away and asked for again.
 */
#include "sql/client.h"

#include <errno.h>

#include "base/hash.h"
#include "base/mem.h"
#include "sql/queue.h"
#include "sql/wire.h"

enum {
    TIMEOUT_MS = 60 * 1000,
    WATCH_MS = 100,
    BUCKETS = 4096,        /* ten thousands may wait while a database is slow */
    ANSWER_MAX = 32 << 20, /* bytes of one result */
};

struct question {
    struct list node; /* in a bucket */
    struct list in_order;
    struct sql_req *req;
    uint64_t id;
    ipc_addr to;
    uint8_t which;
    struct buf rows; /* of the frames so far, when there are several */
    size_t n_rows;
};

struct sql_client {
    struct loop *loop;
    struct post *post;
    struct list bucket[BUCKETS]; /* by id */
    struct list order;           /* as they were asked */
    struct loop_timer watch;
    uint64_t first_until_ms; /* no question's time is over before */
    uint64_t last_id;
    size_t n;
    struct hash_key key; /* fixed: the successor asks the same process */
};

static void
question_free(struct sql_client *c, struct question *q)
{
    list_del(&q->node);
    list_del(&q->in_order);
    sql_req_free(&q->req);
    buf_fini(&q->rows);
    mem_free_p(q);
    c->n--;
}

static void
question_answer(
        struct sql_client *c, struct question *q, const struct sql_result *result)
{
    sql_done_fn done = q->req->done;
    void *arg = q->req->arg;

    question_free(c, q);
    done(arg, result);
}

static void
question_send(struct sql_client *c, const struct question *q)
{
    const struct sql_req *req = q->req;
    struct ipc_sql_request msg = {
        .id = q->id, .op = (uint16_t)req->op, .db = q->which, .host = req->host
    };
    struct buf params = { 0 };

    if (req->def->writes) {
        msg.write_id_hi = sql_wire_id_hi(&req->id);
        msg.write_id_lo = sql_wire_id_lo(&req->id);
    }
    for (size_t i = 0; i < req->n_params; i++)
        sql_wire_put(&params, &req->param[i]);
    msg.params = ipc_list_of(&params);
    post_send(c->post, q->to, IPC_SQL_REQUEST, &msg);
    if (params.p)
        mem_wipe(params.p, params.n);
    buf_fini(&params);
}

/* The sql process of a host: slots are counted without gaps. */
static int
host_addr(const struct sql_client *c, struct str host, ipc_addr *ret_to)
{
    unsigned n = 0;

    while (n < IPC_SLOTS_MAX && post_has_peer(c->post, ipc_addr_of(PROC_SQL, n)))
        n++;
    if (n == 0)
        return -EHOSTDOWN;
    *ret_to =
            ipc_addr_of(PROC_SQL, (unsigned)(hash_bytes(&c->key, host.p, host.n) % n));
    return 0;
}

static void
watch_until(struct sql_client *c, uint64_t until_ms)
{
    if (until_ms < c->first_until_ms)
        c->first_until_ms = until_ms;
}

static void
on_watch(struct loop_timer *timer)
{
    struct sql_client *c = container_of(timer, struct sql_client, watch);
    uint64_t now = loop_now_ms(c->loop);

    if (now >= c->first_until_ms) {
        c->first_until_ms = UINT64_MAX;
        list_for_safe(node, &c->order)
        {
            struct question *q = list_entry(node, struct question, in_order);

            if (q->req->until_ms > now)
                watch_until(c, q->req->until_ms);
            else
                question_answer(
                        c, q, &(struct sql_result){ .status = SQL_UNAVAILABLE });
        }
    }
    if (c->n)
        loop_timer_set(c->loop, &c->watch, WATCH_MS);
}

struct sql_client *
sql_client_new(struct loop *loop, struct post *post)
{
    struct sql_client *c = mem_zalloc(sizeof *c);

    c->loop = loop;
    c->post = post;
    c->watch.fn = on_watch;
    c->first_until_ms = UINT64_MAX;
    /* Ids of a dead predecessor's questions must not be ours. */
    c->last_id = (uint64_t)loop_now_ms(loop) << 24;
    list_init(&c->order);
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&c->bucket[i]);
    return c;
}

void
sql_client_free(struct sql_client **pc)
{
    struct sql_client *c = *pc;

    if (!c)
        return;
    while (!list_empty(&c->order))
        question_answer(c, list_entry(c->order.next, struct question, in_order),
                &(struct sql_result){ .status = SQL_UNAVAILABLE });
    loop_timer_cancel(c->loop, &c->watch);
    mem_free(pc);
}

int
sql_client_ask(struct sql_client *c, const struct sql_call *call)
{
    struct sql_req *req;
    struct question *q;
    ipc_addr to;
    int r;

    r = host_addr(c, call->host, &to);
    if (r < 0)
        return r;
    r = sql_req_new(call, &req);
    if (r < 0)
        return r;
    if (c->n >= SQL_QUEUE_MAX) {
        sql_req_free(&req);
        return -ENOBUFS;
    }
    req->until_ms =
            loop_now_ms(c->loop) + (call->timeout_ms ? call->timeout_ms : TIMEOUT_MS);
    q = mem_zalloc(sizeof *q);
    q->req = req;
    q->id = ++c->last_id;
    q->to = to;
    q->which = (uint8_t)call->which;
    list_add(&c->bucket[q->id % BUCKETS], &q->node);
    list_add(&c->order, &q->in_order);
    c->n++;
    watch_until(c, req->until_ms);
    if (!c->watch.place)
        loop_timer_set(c->loop, &c->watch, WATCH_MS);
    question_send(c, q);
    return 0;
}

static struct question *
question_find(struct sql_client *c, uint64_t id)
{
    list_for(node, &c->bucket[id % BUCKETS])
    {
        struct question *q = list_entry(node, struct question, node);

        if (q->id == id)
            return q;
    }
    return NULL;
}

void
sql_client_on_reply(
        struct sql_client *c, ipc_addr from, const struct ipc_sql_reply *reply)
{
    struct question *q = question_find(c, reply->id);
    struct sql_result result = { .status = sql_wire_status_get(reply->status) };
    struct str rows = reply->rows;
    struct buf all = { 0 };
    struct arena arena;

    /* Answered already, or a predecessor's. */
    if (!q || q->to != from)
        return;
    q->n_rows += reply->n_rows;
    if (reply->more || q->rows.n > 0) {
        buf_add_str(&q->rows, rows);
        if (reply->more && q->rows.n <= ANSWER_MAX)
            return;
        all = q->rows; /* the question ends before it is answered */
        q->rows = (struct buf){ 0 };
        rows = buf_str(&all);
    }
    result.repeated = reply->repeated;
    result.changed = reply->changed;
    arena_init(&arena, 4096);
    if (reply->more ||
            sql_wire_rows_get(&arena, q->req->def, rows, q->n_rows, &result) < 0)
        result = (struct sql_result){ .status = SQL_ERROR };
    question_answer(c, q, &result);
    arena_fini(&arena);
    buf_fini(&all);
}

void
sql_client_on_restarted(struct sql_client *c, ipc_addr from)
{
    list_for(node, &c->order)
    {
        struct question *q = list_entry(node, struct question, in_order);

        if (q->to != from)
            continue;
        buf_reset(&q->rows, 0);
        q->n_rows = 0;
        question_send(c, q);
    }
}

size_t
sql_client_waiting(const struct sql_client *c)
{
    return c->n;
}
