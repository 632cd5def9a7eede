/*
 * job.c -- chains of steps that a kill does not break
 *
 * A job is a record in the slot. Between two steps it says which step comes next and
 * what it waits for; the request to the database is kept as it was asked, with its id.
 * The heap part (struct job_live) is made again by a successor, which so asks the same
 * questions again.
 *
 * Requests leave with the commit: one that was sent by a transaction that is undone
 * would be done twice, under two ids. Jobs with the same key are a queue; only the
 * first one runs, or those behind it once it has been released.
 *
 * A job in which processes die in a row is dropped (worker/poison.h), so that it cannot
 * stop the worker for ever.
 */
#include "worker/jobs.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "sql/client.h"
#include "sql/op.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/home.h"
#include "worker/modules.h"
#include "worker/quarantine.h"

enum {
    JOBS_MANY = 200 * 1000,
    JOBS_BYTES_MANY = 256 << 20,
    OUTPUT_LOW = 64 << 10, /* bytes that may still wait for a client */
    RENEW_MS = SQL_REPEAT_MAX_MS / 2,
    RETRY_FIRST_MS = 1000,
    RETRY_MOST_MS = 30 * 1000,
    TOLD_MOST_MS = 5000,
    ACCOUNT_PATIENCE_MS = 3000,         /* for failures that come at once */
    JOBS_A_TURN = 128,
    ASK_BACKLOG = 1 << 20,       /* bytes for the sql process: more requests wait here */
    REQUEST_MAX = SLAB_CHUNK_MAX - 1024 /* bytes: one piece of the slot */
};
#define REQUEST_TOO_LARGE UINT32_MAX /* as request_head.n */

struct job_queue {
    struct list jobs; /* in_queue, in their order */
    size_t n;
    char *key;
};

static struct str
slot_job_text(const struct slot_job *s, unsigned part)
{
    const size_t n[] = { s->key_n, s->host_n, s->from_n, s->to_n, s->stanza_n };
    const char *p = s->text;

    for (unsigned i = 0; i < part; i++)
        p += n[i];
    return (struct str){ n[part] ? p : NULL, n[part] };
}

enum {
    TEXT_KEY,
    TEXT_HOST,
    TEXT_FROM,
    TEXT_TO,
    TEXT_STANZA
};

struct str
job_stanza(const struct job *j)
{
    return slot_job_text(j->slot, TEXT_STANZA);
}

static struct list *
list_of(struct job_lists *lists, uint64_t number)
{
    return &lists->of[number % JOB_LISTS];
}

struct jobs *
jobs_new(void)
{
    struct jobs *jobs = mem_zalloc(sizeof *jobs);

    list_init(&jobs->ready);
    list_init(&jobs->to_ask);
    list_init(&jobs->auth);
    for (unsigned i = 0; i < JOB_LISTS; i++) {
        list_init(&jobs->route.of[i]);
        list_init(&jobs->output.of[i]);
        list_init(&jobs->told.of[i]);
    }
    return jobs;
}

size_t
jobs_waiting(const struct worker *w)
{
    return w->jobs->n;
}

bool
jobs_are_many(const struct worker *w)
{
    return w->jobs->n >= JOBS_MANY || w->jobs->bytes >= JOBS_BYTES_MANY;
}

size_t
jobs_under_way(const struct worker *w, uint64_t ms)
{
    uint64_t until_us = clock_wall_us() + ms * 1000;
    size_t n = 0;

    for (const struct slot_job *s = w->slot->job_first; s; s = s->next)
        n += s->wait != JOB_WAIT_TIME || s->request || s->until_us < until_us;
    return n;
}

/* What a job takes in the slot. */
static size_t
job_size(const struct slot_job *s)
{
    return sizeof *s + s->key_n + s->host_n + s->from_n + s->to_n + s->stanza_n +
           s->data_n + s->request_n;
}

/* --- Queues --- */

static void
queue_join(struct worker *w, struct job_live *l)
{
    struct str key = slot_job_text(l->slot, TEXT_KEY);
    struct job_queue *q;

    if (key.n == 0 || l->slot->flags & SLOT_JOB_RELEASED)
        return;
    q = map_get(&w->jobs->queues, key);
    if (!q) {
        q = mem_zalloc(sizeof *q);
        list_init(&q->jobs);
        q->key = str_heap_c(key);
        map_set(&w->jobs->queues, (struct str){ q->key, key.n }, q);
    }
    l->queue = q;
    q->n++;
    list_add(&q->jobs, &l->in_queue);
}

static bool
is_first(const struct job_live *l)
{
    return !l->queue || l->queue->jobs.next == &l->in_queue;
}

static void
make_ready(struct worker *w, struct job_live *l)
{
    list_del(&l->waiting);
    list_add(&w->jobs->ready, &l->waiting);
    loop_again(w->loop);
}

static void
queue_leave(struct worker *w, struct job_live *l)
{
    struct job_queue *q = l->queue;
    struct job_live *next;

    if (!q)
        return;
    list_del(&l->in_queue);
    l->queue = NULL;
    q->n--;
    if (list_empty(&q->jobs)) {
        map_del(&w->jobs->queues, str_from(q->key));
        mem_free_p(q->key);
        mem_free_p(q);
        return;
    }
    next = list_entry(q->jobs.next, struct job_live, in_queue);
    if (next->slot->wait == JOB_WAIT_TURN)
        make_ready(w, next);
}

bool
jobs_have_key(const struct worker *w, struct str key)
{
    return map_get(&w->jobs->queues, key) != NULL;
}

/* --- Records --- */

static void on_timer(struct loop_timer *t);

static struct job_live *
live_new(struct worker *w, struct slot_job *s)
{
    struct job_live *l = mem_zalloc(sizeof *l);

    l->slot = s;
    l->w = w;
    l->timer.fn = on_timer;
    list_init(&l->in_queue);
    list_init(&l->waiting);
    s->live = l;
    w->jobs->n++;
    w->jobs->bytes += job_size(s);
    return l;
}

static char *
put(char *at, struct str s)
{
    if (s.n)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

static struct slot_job *
record_new(struct worker *w, const struct job_start *start)
{
    struct str from = jid_text(&w->scratch, &start->from),
               to = jid_text(&w->scratch, &start->to);
    size_t n = start->key.n + start->host->name.n + from.n + to.n + start->stanza.n;
    struct slot_job *s = slot_alloc(w, sizeof *s + n);
    char *at = s->text;

    *s = (struct slot_job){
        .prev = w->slot->job_last,
        .conn = start->conn,
        .number = w->slot->job_number + 1,
        .module = module_hash(start->module),
        .step = (uint16_t)start->step,
        .wait = JOB_WAIT_TURN,
        .key_n = (uint16_t)start->key.n,
        .host_n = (uint16_t)start->host->name.n,
        .from_n = (uint16_t)from.n,
        .to_n = (uint16_t)to.n,
        .stanza_n = (uint32_t)start->stanza.n,
        .data_n = (uint32_t)start->data.n,
        .data = start->data.n ? slot_dup(w, start->data) : NULL,
    };
    at = put(at, start->key);
    at = put(at, start->host->name);
    at = put(at, from);
    at = put(at, to);
    put(at, start->stanza);
    SET(w, w->slot->job_number, s->number);
    if (w->slot->job_last)
        SET(w, w->slot->job_last->next, s);
    else
        SET(w, w->slot->job_first, s);
    SET(w, w->slot->job_last, s);
    killpoint(JOB_MADE);
    return s;
}

static void
record_end(struct worker *w, struct slot_job *s)
{
    struct job_live *l = s->live;

    if (s->prev)
        SET(w, s->prev->next, s->next);
    else
        SET(w, w->slot->job_first, s->next);
    if (s->next)
        SET(w, s->next->prev, s->prev);
    else
        SET(w, w->slot->job_last, s->prev);
    queue_leave(w, l);
    list_del(&l->waiting);
    loop_timer_cancel(w->loop, &l->timer);
    if (l->account)
        account_unref(w, &l->account);
    w->jobs->bytes -= job_size(s);
    slot_free(w, s->data);
    slot_free(w, s->request);
    slot_free(w, s);
    w->jobs->n--;
    mem_free_p(l);
}

static void
set_data(struct worker *w, struct slot_job *s, struct str data)
{
    char *p = data.n ? slot_dup(w, data) : NULL;

    w->jobs->bytes += data.n;
    w->jobs->bytes -= s->data_n;
    slot_free(w, s->data);
    SET(w, s->data, p);
    SET(w, s->data_n, (uint32_t)data.n);
}

static void
clear_request(struct worker *w, struct slot_job *s)
{
    if (!s->request)
        return;
    w->jobs->bytes -= s->request_n;
    slot_free(w, s->request);
    SET(w, s->request, NULL);
    SET(w, s->request_n, 0);
}

/* --- Requests to the database --- */

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

static bool has_account(struct worker *w, struct slot_job *s);
static void retry_later(struct worker *w, struct slot_job *s);

/* A change that nobody waits for: done, to be tried again, or impossible. */
static void
written(struct worker *w, struct slot_job *s, const struct sql_result *result)
{
    worker_begin(w, NULL);
    if (result->status == SQL_UNAVAILABLE) {
        retry_later(w, s);
    } else {
        if (result->status == SQL_CONFLICT && s->flags & SLOT_JOB_RENEWED)
            log_debug(NULL, "what was to be stored is there already");
        else if (result->status != SQL_OK)
            log_error(NULL, "the database refuses to store: %s",
                    sql_status_name(result->status));
        record_end(w, s);
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

static void
ask(struct worker *w, struct slot_job *s)
{
    struct request_head head;
    struct sql_call call = { .done = on_answer, .arg = s };
    int r;

    if (!has_account(w, s))
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
    call.host = slot_job_text(s, TEXT_HOST);
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
        loop_timer_set(w->loop, &s->live->timer, RETRY_FIRST_MS);
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
        ask(w, l->slot);
    }
}

/* --- Running --- */

/* What the step gets to see. false: its module or host is there no more. */
static bool
view(struct worker *w, struct slot_job *s, struct job *j, struct arena *arena)
{
    const struct host_module *hm;
    struct str stanza = slot_job_text(s, TEXT_STANZA);

    *j = (struct job){ .w = w,
        .arena = arena,
        .conn = s->conn,
        .data = { s->data, s->data_n },
        .answers = s->answers,
        .slot = s };
    j->host = conf_host_find(w->proc->conf, slot_job_text(s, TEXT_HOST));
    hm = j->host ? host_module_by_hash(w, j->host, s->module) : NULL;
    if (!hm || s->step >= hm->module->n_steps)
        return false;
    j->module = hm->module;
    j->config = hm->config;
    jid_parse(arena, slot_job_text(s, TEXT_FROM), &j->from);
    jid_parse(arena, slot_job_text(s, TEXT_TO), &j->to);
    if (stanza.n && !(s->flags & SLOT_JOB_CALL))
        j->el = stanza_parse(w, arena, stanza);
    job_see_stanza(j);
    return true;
}

static void
run_step(struct worker *w, struct slot_job *s, const struct sql_result *result)
{
    struct arena arena;
    struct job j;

    arena_init(&arena, 4096);
    worker_begin(w, NULL); /* a job that kills is set aside by itself: is_poison() */
    if (view(w, s, &j, &arena)) {
        j.account = s->live->account;
        w->slot->job_running = s->number;
        j.module->steps[s->step](&j, result);
        w->slot->job_running = 0;
    } else {
        log_warning(NULL, "a job of a module that is no longer loaded is dropped");
    }
    if (!j.goes_on)
        record_end(w, s);
    killpoint(JOB_STEPPED);
    worker_commit(w);
    killpoint(JOB_DONE);
    arena_fini(&arena);
}

static void
account_gives_up(struct worker *w, struct slot_job *s)
{
    struct arena arena;
    struct job j;

    arena_init(&arena, 4096);
    worker_begin(w, NULL);
    if (view(w, s, &j, &arena))
        job_failed(&j, &(struct sql_result){ .status = SQL_UNAVAILABLE });
    record_end(w, s);
    worker_commit(w);
    arena_fini(&arena);
}

/*
 * Whoever waits for an answer is told that there is none, after the time that the
 * database has to answer (sql_query_timeout). Presence is not given up: who
 * has not heard that somebody is away believes the contrary for ever.
 */
static bool
may_give_up(const struct slot_job *s)
{
    return s->stanza_n > 0 &&
           !str_starts(slot_job_text(s, TEXT_STANZA), STR("<presence"));
}

/* The account first, if the step wants it. */
static bool
has_account(struct worker *w, struct slot_job *s)
{
    struct job_live *l = s->live;

    if (!(s->flags & SLOT_JOB_LOADED))
        return true;
    if (!l->account)
        l->account = account_ref(w, slot_job_text(s, TEXT_KEY));
    if (l->wanted_ms == 0)
        l->wanted_ms = loop_now_ms(w->loop);
    if (!l->account) { /* its host has gone */
        worker_begin(w, NULL);
        record_end(w, s);
        worker_commit(w);
        return false;
    }
    switch (l->account->state) {
    case ACCOUNT_READY:
        return true;
    case ACCOUNT_LOADING:
        list_del(&l->waiting);
        list_add(&l->account->waiting, &l->waiting);
        return false;
    case ACCOUNT_FAILED:
        account_unref(w, &l->account);
        if (may_give_up(s) &&
                loop_now_ms(w->loop) >= l->wanted_ms + ACCOUNT_PATIENCE_MS)
            account_gives_up(w, s);
        else
            loop_timer_set(w->loop, &l->timer, RETRY_FIRST_MS);
        return false;
    }
    return false;
}

void
job_run(struct worker *w, struct slot_job *s, const struct sql_result *result)
{
    if (has_account(w, s))
        run_step(w, s, result);
}

/* What it waits for may have come while it could not go on: so it is asked again. */
static void
ask_again(struct worker *w, struct job_live *l)
{
    if (l->slot->wait == JOB_WAIT_AUTH) {
        job_auth_send(w, l->slot);
    } else if (!l->asked) {
        list_del(&l->waiting);
        list_add(&w->jobs->to_ask, &l->waiting);
        jobs_committed(w);
    }
}

void
jobs_on_account(struct worker *w, struct job_live *l)
{
    list_del(&l->waiting);
    if (l->slot->request && !l->asked)
        ask_again(w, l);
    else
        make_ready(w, l);
}

void
jobs_run_ready(struct worker *w)
{
    struct list *last;

    if (!list_empty(&w->jobs->to_ask)) /* it may have caught up */
        jobs_committed(w);
    last = w->jobs->ready.prev; /* what becomes ready from now on is the next turn's */
    for (unsigned i = 0; i < JOBS_A_TURN && !list_empty(&w->jobs->ready); i++) {
        struct list *node = w->jobs->ready.next;

        list_del(node);
        job_run(w, list_entry(node, struct job_live, waiting)->slot, NULL);
        if (node == last)
            break;
    }
    if (!list_empty(&w->jobs->ready))
        loop_again(w->loop); /* clients have their turn in between */
}

static void
on_timer(struct loop_timer *t)
{
    struct job_live *l = container_of(t, struct job_live, timer);

    if (l->slot->wait == JOB_WAIT_TOLD)
        list_del(&l->waiting); /* it has waited long enough */
    if (l->slot->request)
        ask_again(l->w, l);
    else
        job_run(l->w, l->slot, NULL);
}

void
jobs_on_route(struct worker *w, struct conn *c)
{
    uint64_t conn = conn_id(w, c);

    list_for_safe(node, list_of(&w->jobs->route, conn))
    {
        struct job_live *l = list_entry(node, struct job_live, waiting);

        if (l->slot->conn == conn &&
                (c->flags & CONN_SESSION_ENDED ||
                        (int32_t)(c->presence_done - l->slot->route_serial) >= 0))
            make_ready(w, l);
    }
}

void
jobs_on_output(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    uint64_t conn = conn_id(w, c);

    if (c->state == STREAM_OPEN && session_backlog(c) > OUTPUT_LOW)
        return;
    l->flags &= ~(unsigned)LIVE_JOB_WAITS;
    list_for_safe(node, list_of(&w->jobs->output, conn))
    {
        struct job_live *job = list_entry(node, struct job_live, waiting);

        if (job->slot->conn == conn)
            make_ready(w, job);
    }
}

/* Those that were to try again later do so now. */
void
jobs_on_database(struct worker *w)
{
    for (struct slot_job *s = w->slot->job_first; s; s = s->next) {
        if (s->request && s->live->timer.place &&
                (s->wait == JOB_WAIT_TIME || s->wait == JOB_WAIT_SQL))
            loop_timer_set(w->loop, &s->live->timer, 0);
    }
}

void
jobs_on_notified(struct worker *w, const struct ipc_notified *m)
{
    list_for_safe(node, list_of(&w->jobs->told, m->job))
    {
        struct job_live *l = list_entry(node, struct job_live, waiting);

        if (l->slot->number != m->job)
            continue;
        worker_begin(w, NULL);
        SET(w, l->slot->answers, l->slot->answers | m->answer);
        SET(w, l->slot->n_told, l->slot->n_told - 1);
        worker_commit(w);
        if (l->slot->n_told == 0) {
            loop_timer_cancel(w->loop, &l->timer);
            make_ready(w, l);
        }
        return;
    }
}

/* --- What a step names --- */

/* A job that ran without a record gets one. */
static struct slot_job *
slot_of(struct job *j)
{
    struct job_start start = { .module = j->module,
        .host = j->host,
        .conn = j->conn,
        .from = j->from,
        .to = j->to };
    struct buf bytes = { 0 };

    if (j->slot)
        return j->slot;
    if (j->el) {
        xml_write(&bytes, j->el, STR(NS_CLIENT));
        start.stanza = buf_str(&bytes);
    }
    start.data = j->data;
    j->slot = record_new(j->w, &start);
    live_new(j->w, j->slot);
    buf_fini(&bytes);
    return j->slot;
}

struct slot_job *
job_goes_on(struct job *j, unsigned step, enum job_wait wait)
{
    struct slot_job *s = slot_of(j);

    assert(!j->goes_on);
    assert(step < j->module->n_steps);
    j->goes_on = true;
    clear_request(j->w, s);
    SET(j->w, s->step, (uint16_t)step);
    SET(j->w, s->wait, (uint8_t)wait);
    return s;
}

static void
set_request(struct worker *w, struct slot_job *s, unsigned which, enum sql_op op,
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
    set_request(j->w, job_goes_on(j, step, JOB_WAIT_SQL), which, op, param, n);
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
static void
retry_later(struct worker *w, struct slot_job *s)
{
    uint64_t ms = (uint64_t)RETRY_FIRST_MS << (s->tries < 6 ? s->tries : 6);

    if (ms > RETRY_MOST_MS)
        ms = RETRY_MOST_MS;
    SET(w, s->tries, s->tries + 1);
    SET(w, s->wait, JOB_WAIT_TIME);
    SET(w, s->until_us, clock_wall_us() + ms * 1000);
    loop_timer_set(w->loop, &s->live->timer, ms);
}

static void
wait_ms(struct job *j, struct slot_job *s, uint64_t ms)
{
    SET(j->w, s->until_us, clock_wall_us() + ms * 1000);
    loop_timer_set(j->w->loop, &s->live->timer, ms);
}

void
job_sleep(struct job *j, unsigned step, uint32_t ms)
{
    wait_ms(j, job_goes_on(j, step, JOB_WAIT_TIME), ms);
}

void
job_retry(struct job *j, unsigned step)
{
    struct slot_job *s = j->slot;

    assert(!j->goes_on && s && s->request);
    j->goes_on = true;
    SET(j->w, s->step, (uint16_t)step);
    retry_later(j->w, s);
}

void
job_account(struct job *j, unsigned step)
{
    struct slot_job *s = job_goes_on(j, step, JOB_WAIT_ACCOUNT);

    SET(j->w, s->flags, s->flags | SLOT_JOB_LOADED);
    make_ready(j->w, s->live);
}

void
job_again(struct job *j, unsigned step)
{
    make_ready(j->w, job_goes_on(j, step, JOB_WAIT_TIME)->live);
}

void
job_route(struct job *j, unsigned step)
{
    struct slot_job *s = job_goes_on(j, step, JOB_WAIT_ROUTE);
    struct conn *c = conn_find(j->w, j->conn);

    if (!c || c->flags & CONN_SESSION_ENDED || c->presence_done == c->presence_serial) {
        make_ready(j->w, s->live);
        return;
    }
    SET(j->w, s->route_serial, c->presence_serial);
    list_del(&s->live->waiting);
    list_add(list_of(&j->w->jobs->route, s->conn), &s->live->waiting);
}

static void
tell_all(struct job *j, unsigned step, struct str whom, unsigned what, struct str data)
{
    struct slot_job *s = job_goes_on(j, step, JOB_WAIT_TOLD);
    uint32_t answer, n = notify_all(j->w, j->module, whom, what, data, s->number,
                             &answer);

    SET(j->w, s->n_told, n);
    SET(j->w, s->answers, answer);
    if (n == 0) {
        make_ready(j->w, s->live);
        return;
    }
    list_del(&s->live->waiting);
    list_add(list_of(&j->w->jobs->told, s->number), &s->live->waiting);
    wait_ms(j, s, TOLD_MOST_MS);
}

void
job_notify(struct job *j, unsigned step, unsigned what, struct str data)
{
    tell_all(j, step, slot_job_text(slot_of(j), TEXT_KEY), what, data);
}

/* By the host's name, as nobody waits for an account then. */
void
job_barrier(struct job *j, unsigned step)
{
    tell_all(j, step, j->host->name, UINT32_MAX, STR_NULL);
}

void
job_output(struct job *j, unsigned step)
{
    struct slot_job *s = job_goes_on(j, step, JOB_WAIT_OUTPUT);
    struct conn *c = conn_find(j->w, j->conn);

    /* What still waits for a connection that is lost goes with it. */
    if (!c || c->state != STREAM_OPEN || session_backlog(c) <= OUTPUT_LOW) {
        make_ready(j->w, s->live);
        return;
    }
    live_of(j->w, c)->flags |= LIVE_JOB_WAITS;
    list_del(&s->live->waiting);
    list_add(list_of(&j->w->jobs->output, s->conn), &s->live->waiting);
}

void
job_release(struct job *j)
{
    struct slot_job *s = slot_of(j);

    if (s->flags & SLOT_JOB_RELEASED)
        return;
    SET(j->w, s->flags, s->flags | SLOT_JOB_RELEASED);
    queue_leave(j->w, s->live);
}

void
job_take(struct job *j, const struct module *m)
{
    const struct host_module *hm = host_module_of(j->w, j->host, m);

    assert(hm && !j->goes_on);
    if (j->slot)
        SET(j->w, j->slot->module, module_hash(m));
    j->module = m;
    j->config = hm->config;
}

void
job_keep(struct job *j, struct str data)
{
    struct slot_job *s = slot_of(j);

    set_data(j->w, s, data);
    j->data = (struct str){ s->data, s->data_n };
}

/* --- Others --- */

static struct slot_job *
job_of_key(const struct worker *w, struct str key)
{
    struct job_queue *q = map_get(&w->jobs->queues, key);

    return q ? list_entry(q->jobs.next, struct job_live, in_queue)->slot : NULL;
}

size_t
jobs_queued(const struct worker *w, struct str key)
{
    const struct job_queue *q = map_get(&w->jobs->queues, key);

    return q ? q->n : 0;
}

bool
jobs_have_message(const struct worker *w, struct str key)
{
    const struct job_queue *q = map_get(&w->jobs->queues, key);

    if (!q)
        return false;
    list_for(node, &q->jobs)
    {
        const struct job_live *l = list_entry(node, struct job_live, in_queue);

        if (str_starts(slot_job_text(l->slot, TEXT_STANZA), STR("<message")))
            return true;
    }
    return false;
}

struct str
job_peek(const struct worker *w, struct str key)
{
    const struct slot_job *s = job_of_key(w, key);

    return s ? (struct str){ s->data, s->data_n } : STR_NULL;
}

void
job_tell(struct worker *w, struct str key, struct str data)
{
    struct slot_job *s = job_of_key(w, key);

    worker_begin(w, NULL);
    set_data(w, s, data);
    if (s->wait == JOB_WAIT_TIME && !s->request) {
        loop_timer_cancel(w->loop, &s->live->timer);
        make_ready(w, s->live);
    }
    worker_commit(w);
}

/* --- Beginning --- */

static struct slot_job *
begin(struct worker *w, const struct job_start *start, unsigned flags)
{
    struct slot_job *s;

    worker_begin(w, NULL);
    s = record_new(w, start);
    s->flags = (uint8_t)flags;
    live_new(w, s);
    if (flags & SLOT_JOB_LOADED && account_find(w, start->key))
        s->live->account = account_ref(w, start->key); /* it stays until then */
    queue_join(w, s->live);
    if (is_first(s->live))
        make_ready(w, s->live);
    worker_commit(w);
    return s;
}

void
job_begin(struct worker *w, const struct job_start *start)
{
    begin(w, start, 0);
}

void
job_begin_loaded(struct worker *w, const struct job_start *start)
{
    begin(w, start, SLOT_JOB_LOADED);
}

void
job_begin_ahead(struct worker *w, const struct job_start *start)
{
    begin(w, start, SLOT_JOB_LOADED | SLOT_JOB_RELEASED);
}

void
job_write(struct worker *w, const struct job_start *start, enum sql_op op,
        const struct sql_value *param, size_t n)
{
    struct slot_job *s;

    worker_begin(w, NULL);
    s = record_new(w, start);
    live_new(w, s);
    s->wait = JOB_WAIT_SQL;
    set_request(w, s, module_db(w, start->host, start->module), op, param, n);
    worker_commit(w);
}

void
job_begin_call(struct worker *w, const struct module *m, const struct module_call *mc,
        const struct conf_host *host, ipc_addr from, const struct ipc_call *call)
{
    struct job_caller caller = { .id = call->id, .n = call->args.n, .from = from };
    struct buf bytes = { 0 }, key = { 0 };
    struct ipc_list args = call->args;
    struct str user;
    struct job_start start = { .module = m, .host = host, .step = mc->step };

    buf_add(&bytes, &caller, sizeof caller);
    buf_add_str(&bytes, call->args.packed);
    start.stanza = buf_str(&bytes);
    if (mc->account && ipc_list_next(&args, &user)) {
        buf_addf(&key, "%.*s@%.*s", STR_ARG(user), STR_ARG(host->name));
        start.key = buf_str(&key);
    } else {
        buf_addf(&key, " %s %.*s", m->name, STR_ARG(host->name));
        start.key = buf_str(&key);
    }
    begin(w, &start, SLOT_JOB_CALL | (mc->account ? SLOT_JOB_LOADED : 0));
    buf_fini(&bytes);
    buf_fini(&key);
}

void
job_call_step(struct worker *w, const struct job_start *start, struct xml_el *el)
{
    const struct host_module *hm = host_module_of(w, start->host, start->module);
    struct job j = { .w = w,
        .host = start->host,
        .module = start->module,
        .config = hm ? hm->config : NULL,
        .arena = el->arena,
        .conn = start->conn,
        .from = start->from,
        .to = start->to,
        .data = start->data,
        .el = el };

    job_see_stanza(&j);
    worker_begin(w, NULL);
    j.module->steps[start->step](&j, NULL);
    assert(!j.slot || j.goes_on);
    worker_commit(w);
}

/* --- After a death --- */

static bool
is_poison(struct worker *w, const struct slot_job *s)
{
    if (w->slot->job_running != s->number)
        return false;
    w->slot->job_running = 0;
    return poison_note(&w->slot->poison_job, s->number, w->proc->status->faulted) >=
           POISON_WORK;
}

static void
set_aside(struct worker *w, struct slot_job *s)
{
    const struct conf_host *host =
            conf_host_find(w->proc->conf, slot_job_text(s, TEXT_HOST));
    const struct host_module *hm =
            host ? host_module_by_hash(w, host, s->module) : NULL;
    struct buf what = { 0 };
    struct ipc_quarantine q = { .deaths = w->slot->poison_job.deaths,
        .jid = slot_job_text(s, TEXT_KEY),
        .from = slot_job_text(s, TEXT_FROM),
        .to = slot_job_text(s, TEXT_TO),
        .bytes = slot_job_text(s, TEXT_STANZA) };

    buf_addf(&what, "job of %s, step %u", hm ? hm->module->name : "a module", s->step);
    q.what = buf_str(&what);
    worker_begin(w, NULL);
    quarantine_send(w, &q);
    record_end(w, s);
    worker_commit(w);
    buf_fini(&what);
}

static void
wake_at(struct worker *w, struct slot_job *s, uint64_t now_us)
{
    loop_timer_set(w->loop, &s->live->timer,
            s->until_us > now_us ? (s->until_us - now_us) / 1000 : 0);
}

static void
resume(struct worker *w, struct slot_job *s)
{
    uint64_t now = clock_wall_us();

    switch ((enum job_wait)s->wait) {
    case JOB_WAIT_TURN:
        if (is_first(s->live))
            make_ready(w, s->live);
        break;
    case JOB_WAIT_SQL:
        list_add(&w->jobs->to_ask, &s->live->waiting);
        break;
    case JOB_WAIT_TOLD:
        if (s->n_told == 0) {
            make_ready(w, s->live);
            break;
        }
        list_add(list_of(&w->jobs->told, s->number), &s->live->waiting);
        wake_at(w, s, now);
        break;
    case JOB_WAIT_TIME:
        wake_at(w, s, now);
        break;
    case JOB_WAIT_AUTH:
        job_auth_send(w, s);
        break;
    case JOB_WAIT_ACCOUNT:
    case JOB_WAIT_OUTPUT:
    case JOB_WAIT_ROUTE: /* the router has heard of it by ROUTE_SYNC */
        make_ready(w, s->live);
        break;
    }
}

void
jobs_resume(struct worker *w)
{
    struct slot_job *next;

    for (struct slot_job *s = w->slot->job_first; s; s = s->next) {
        live_new(w, s);
        queue_join(w, s->live);
    }
    for (struct slot_job *s = w->slot->job_first; s; s = next) {
        next = s->next;
        if (is_poison(w, s)) {
            log_error(NULL,
                    "quarantine: %u worker processes died of a job for %.*s; it is "
                    "dropped: "
                    "%.*s",
                    w->slot->poison_job.deaths, STR_ARG(slot_job_text(s, TEXT_KEY)),
                    (int)(s->stanza_n < 2000 ? s->stanza_n : 2000),
                    s->stanza_n ? slot_job_text(s, TEXT_STANZA).p : "");
            set_aside(w, s);
            continue;
        }
        resume(w, s);
    }
    w->slot->job_running = 0;
    jobs_committed(w);
}

void
jobs_free(struct worker *w)
{
    struct jobs *jobs = w->jobs;
    size_t at = 0;
    struct map_entry *e;

    if (!jobs)
        return;
    for (struct slot_job *s = w->slot->job_first; s; s = s->next) {
        struct job_live *l = s->live;

        if (!l)
            continue;
        loop_timer_cancel(w->loop, &l->timer);
        list_del(&l->waiting);
        if (l->account)
            account_unref(w, &l->account);
        mem_free_p(l);
        s->live = NULL;
    }
    while ((e = map_next(&jobs->queues, &at))) {
        struct job_queue *q = e->value;

        mem_free_p(q->key);
        mem_free_p(q);
    }
    map_fini(&jobs->queues);
    mem_free(&w->jobs);
}
