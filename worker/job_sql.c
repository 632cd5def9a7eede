/*
 * job_sql.c -- what jobs ask the database
 *
 * A request is kept in the slot as it was asked, with its id, so that a successor asks
 * the same again; it leaves with the commit.
 */
#include "worker/job_parts.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/killpoint.h"
#include "base/clock.h"
#include "sql/client.h"
#include "sql/op.h"
#include "worker/conn.h"
#include "worker/modules.h"

enum {
    RENEW_MS = SQL_REPEAT_MAX_MS / 2,
    RETRY_MOST_MS = 30 * 1000,
    ASK_BACKLOG = 1 << 20, /* bytes for the sql process: more requests wait here */
    REQUEST_MAX = SLAB_CHUNK_MAX - 1024 /* bytes: one piece of the slot */
};
#define REQUEST_TOO_LARGE UINT32_MAX /* as request_head.n */

struct request_head {
    struct sql_write_id id;
    uint16_t op, which;
    uint32_t n;
};

static void
request_pack(
        struct buf *out, const struct request_head *head, const struct sql_value *v)
{
    buf_add(out, head, sizeof *head);
    for (uint32_t i = 0; i < head->n; i++) {
        uint32_t kind = v[i].kind, n = (uint32_t)v[i].s.n;

        buf_add(out, &kind, sizeof kind);
        if (v[i].kind == SQL_INT) {
            buf_add(out, &v[i].i, sizeof v[i].i);
        } else if (v[i].kind == SQL_TEXT) {
            buf_add(out, &n, sizeof n);
            buf_add_str(out, v[i].s);
        }
    }
}

static struct sql_value *
request_values(struct arena *arena, const struct request_head *head, const char *p)
{
    struct sql_value *v = arena_alloc(arena, (head->n + 1) * sizeof *v);

    for (uint32_t i = 0; i < head->n; i++) {
        uint32_t kind, n;
        int64_t number;

        memcpy(&kind, p, sizeof kind);
        p += sizeof kind;
        v[i] = sql_null();
        if (kind == SQL_INT) {
            memcpy(&number, p, sizeof number);
            p += sizeof number;
            v[i] = sql_int(number);
        } else if (kind == SQL_TEXT) {
            memcpy(&n, p, sizeof n);
            p += sizeof n;
            v[i] = sql_text((struct str){ p, n });
            p += n;
        }
    }
    return v;
}

/* A change that nobody waits for: done, to be tried again, or impossible. */
static void
written(struct worker *w, struct slot_job *s, const struct sql_result *result)
{
    worker_begin(w, NULL);
    if (result->status == SQL_UNAVAILABLE) {
        job_retry_later(w, s);
    } else {
        if (result->status == SQL_CONFLICT && s->flags & SLOT_JOB_RENEWED)
            log_debug(NULL, "what was to be stored is there already");
        else if (result->status != SQL_OK)
            log_error(NULL, "the database refuses to store: %s",
                    sql_status_name(result->status));
        job_record_end(w, s);
    }
    worker_commit(w);
}

/*
 * A change that only makes what is not there yet may be asked for again under another
 * id: then the time for which ids are kept does not limit how long it may wait.
 */
static void
renew(struct worker *w, struct slot_job *s, struct request_head *head)
{
    const struct sql_op_def *def = sql_op_def((enum sql_op)head->op);
    uint64_t now_ms = clock_wall_us() / 1000;

    if (s->step != JOB_WRITTEN || !sql_op_makes_once(def) ||
            sql_write_id_ms(&head->id) + RENEW_MS > now_ms)
        return;
    sql_write_id_new(&head->id);
    worker_begin(w, NULL);
    tx_note(w->tx, s->request, 8);
    tx_note(w->tx, s->request + 8, 8);
    memcpy(s->request, &head->id, sizeof head->id);
    SET(w, s->flags, s->flags | SLOT_JOB_RENEWED);
    worker_commit(w);
}

static void
on_answer(void *arg, const struct sql_result *result)
{
    struct slot_job *s = arg;
    struct job_live *l = s->live;

    if (l->w->finishing)
        return; /* a successor asks again */
    l->asked = false;
    if (s->step == JOB_WRITTEN)
        written(l->w, s, result);
    else
        job_run(l->w, s, result);
}

void
job_ask(struct worker *w, struct slot_job *s)
{
    struct request_head head;
    struct sql_call call = { .done = on_answer, .arg = s };
    int r;

    if (!job_has_account(w, s))
        return;
    memcpy(&head, s->request, sizeof head);
    if (head.n == REQUEST_TOO_LARGE) {
        log_error(NULL, "a database request %s is too large",
                sql_op_def((enum sql_op)head.op)->name);
        on_answer(s, &(struct sql_result){ .status = SQL_ERROR });
        return;
    }
    renew(w, s, &head);
    call.op = (enum sql_op)head.op;
    call.which = (enum sql_which)head.which;
    call.host = job_text(s, JOB_TEXT_HOST);
    call.id = head.id;
    call.n_params = head.n;
    call.param = request_values(&w->scratch, &head, s->request + sizeof head);
    r = sql_client_ask(w->sql, &call);
    if (r == 0) {
        s->live->asked = true;
        killpoint(JOB_ASKED);
        return;
    }
    if (r == -ENOBUFS || r == -EHOSTDOWN) {
        loop_timer_set(w->loop, &s->live->timer, JOB_RETRY_FIRST_MS);
        return;
    }
    log_error(NULL, "a database request %s is refused: %s", sql_op_def(call.op)->name,
            strerror(-r));
    on_answer(s, &(struct sql_result){ .status = SQL_ERROR });
}

/* Does the sql process have so much to do that it need not hear of more now? */
static bool
sql_is_slow(const struct worker *w)
{
    const struct post *post = w->proc->post;
    unsigned slot = 0;

    while (slot < IPC_SLOTS_MAX && post_has_peer(post, ipc_addr_of(PROC_SQL, slot)) &&
            post_backlog_of(post, ipc_addr_of(PROC_SQL, slot)) < ASK_BACKLOG)
        slot++;
    return slot < IPC_SLOTS_MAX && post_has_peer(post, ipc_addr_of(PROC_SQL, slot));
}

void
jobs_committed(struct worker *w)
{
    while (!list_empty(&w->jobs->to_ask) && !sql_is_slow(w)) {
        struct job_live *l = list_entry(w->jobs->to_ask.next, struct job_live, waiting);

        list_del(&l->waiting);
        job_ask(w, l->slot);
    }
}

void
job_set_request(struct worker *w, struct slot_job *s, unsigned which, enum sql_op op,
        const struct sql_value *param, size_t n)
{
    struct request_head head = {
        .op = (uint16_t)op, .which = (uint16_t)which, .n = (uint32_t)n
    };
    struct buf packed = { 0 };

    if (sql_op_def(op)->writes)
        sql_write_id_new(&head.id);
    request_pack(&packed, &head, param);
    if (packed.n > REQUEST_MAX) { /* it is answered with SQL_ERROR instead */
        head.n = REQUEST_TOO_LARGE;
        buf_reset(&packed, 0);
        buf_add(&packed, &head, sizeof head);
    }
    SET(w, s->request, slot_dup(w, buf_str(&packed)));
    SET(w, s->request_n, (uint32_t)packed.n);
    w->jobs->bytes += packed.n;
    buf_fini(&packed);
    list_del(&s->live->waiting);
    list_add(&w->jobs->to_ask, &s->live->waiting);
}

void
job_sql_at(struct job *j, unsigned step, enum sql_which which, enum sql_op op,
        const struct sql_value *param, size_t n)
{
    job_set_request(j->w, job_goes_on(j, step, JOB_WAIT_SQL), which, op, param, n);
}

void
job_sql(struct job *j, unsigned step, enum sql_op op, const struct sql_value *param,
        size_t n)
{
    job_sql_at(
            j, step, (enum sql_which)module_db(j->w, j->host, j->module), op, param, n);
}

void
job_sql_accounts(struct job *j, unsigned step, enum conf_auth_method method,
        enum sql_op op, const struct sql_value *param, size_t n)
{
    job_sql_at(j, step, method == CONF_AUTH_SQL ? SQL_WHICH_SQL : SQL_WHICH_EMBEDDED,
            op, param, n);
}

/* The request stays as it is, with the id of its change. */
void
job_retry_later(struct worker *w, struct slot_job *s)
{
    uint64_t ms = (uint64_t)JOB_RETRY_FIRST_MS << (s->tries < 6 ? s->tries : 6);

    if (ms > RETRY_MOST_MS)
        ms = RETRY_MOST_MS;
    SET(w, s->tries, s->tries + 1);
    SET(w, s->wait, JOB_WAIT_TIME);
    SET(w, s->until_us, clock_wall_us() + ms * 1000);
    loop_timer_set(w->loop, &s->live->timer, ms);
}

void
job_retry(struct job *j, unsigned step)
{
    struct slot_job *s = j->slot;

    assert(!j->goes_on && s && s->request);
    j->goes_on = true;
    SET(j->w, s->step, (uint16_t)step);
    job_retry_later(j->w, s);
}

unsigned
job_tries(const struct job *j)
{
    return j->slot->tries;
}

void
job_write(struct worker *w, const struct job_start *start, enum sql_op op,
        const struct sql_value *param, size_t n)
{
    struct slot_job *s;

    worker_begin(w, NULL);
    s = job_record_new(w, start);
    job_live_new(w, s);
    s->wait = JOB_WAIT_SQL;
    job_set_request(w, s, module_db(w, start->host, start->module), op, param, n);
    worker_commit(w);
}
