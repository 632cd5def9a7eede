/*
 * job.c -- chains of steps that a kill does not break: their records and queues
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
#include "worker/job_parts.h"

#include <string.h>

#include "base/clock.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/modules.h"
#include "worker/process.h"

enum {
    JOBS_MANY = 200 * 1000,
    JOBS_BYTES_MANY = 256 << 20
};

struct job_queue {
    struct list jobs; /* in_queue, in their order */
    size_t n;
    char *key;
};

struct str
job_text(const struct slot_job *s, unsigned part)
{
    const size_t n[] = { s->key_n, s->host_n, s->from_n, s->to_n, s->stanza_n };
    const char *p = s->text;

    for (unsigned i = 0; i < part; i++)
        p += n[i];
    return (struct str){ n[part] ? p : NULL, n[part] };
}

struct str
job_stanza(const struct job *j)
{
    return job_text(j->slot, JOB_TEXT_STANZA);
}

struct list *
job_list_of(struct job_lists *lists, uint64_t number)
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

void
jobs_log_left(const struct worker *w, size_t n)
{
    enum {
        NAMED = 5
    };
    unsigned named = 0;

    log_error(NULL, "%zu pieces of work could not be finished", n);
    for (const struct slot_job *s = w->slot->job_first; s && named < NAMED;
            s = s->next, named++) {
        const struct conf_host *host =
                conf_host_find(w->proc->conf, job_text(s, JOB_TEXT_HOST));
        const struct host_module *hm =
                host ? host_module_by_hash(w, host, s->module) : NULL;

        log_error(NULL,
                "unfinished: step %u of %s for %.*s, waiting (%u) after %u tries",
                s->step, hm ? hm->module->name : "the core",
                STR_ARG(job_text(s, JOB_TEXT_KEY)), s->wait, s->tries);
    }
}

/* What a job takes in the slot. */
static size_t
job_size(const struct slot_job *s)
{
    return sizeof *s + s->key_n + s->host_n + s->from_n + s->to_n + s->stanza_n +
           s->data_n + s->request_n;
}

/* --- Queues --- */

void
job_queue_join(struct worker *w, struct job_live *l)
{
    struct str key = job_text(l->slot, JOB_TEXT_KEY);
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

bool
job_is_first(const struct job_live *l)
{
    return !l->queue || l->queue->jobs.next == &l->in_queue;
}

void
job_make_ready(struct worker *w, struct job_live *l)
{
    list_del(&l->waiting);
    list_add(&w->jobs->ready, &l->waiting);
    process_turn_due(w);
}

void
job_queue_leave(struct worker *w, struct job_live *l)
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
        job_make_ready(w, next);
}

bool
jobs_have_key(const struct worker *w, struct str key)
{
    return map_get(&w->jobs->queues, key) != NULL;
}

/* --- Records --- */

struct job_live *
job_live_new(struct worker *w, struct slot_job *s)
{
    struct job_live *l = mem_zalloc(sizeof *l);

    l->slot = s;
    l->w = w;
    l->timer.fn = job_on_timer;
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

struct slot_job *
job_record_new(struct worker *w, const struct job_start *start)
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

void
job_record_end(struct worker *w, struct slot_job *s)
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
    job_queue_leave(w, l);
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

void
job_set_data(struct worker *w, struct slot_job *s, struct str data)
{
    char *p = data.n ? slot_dup(w, data) : NULL;

    w->jobs->bytes += data.n;
    w->jobs->bytes -= s->data_n;
    slot_free(w, s->data);
    SET(w, s->data, p);
    SET(w, s->data_n, (uint32_t)data.n);
}

void
job_clear_request(struct worker *w, struct slot_job *s)
{
    if (!s->request)
        return;
    w->jobs->bytes -= s->request_n;
    slot_free(w, s->request);
    SET(w, s->request, NULL);
    SET(w, s->request_n, 0);
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

        if (str_starts(job_text(l->slot, JOB_TEXT_STANZA), STR("<message")))
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
    job_set_data(w, s, data);
    if (s->wait == JOB_WAIT_TIME && !s->request) {
        loop_timer_cancel(w->loop, &s->live->timer);
        job_make_ready(w, s->live);
    }
    worker_commit(w);
}

/* --- Beginning --- */

static struct slot_job *
begin(struct worker *w, const struct job_start *start, unsigned flags)
{
    struct slot_job *s;

    worker_begin(w, NULL);
    s = job_record_new(w, start);
    s->flags = (uint8_t)flags;
    job_live_new(w, s);
    if (flags & SLOT_JOB_LOADED && account_find(w, start->key))
        s->live->account = account_ref(w, start->key); /* it stays until then */
    job_queue_join(w, s->live);
    if (job_is_first(s->live))
        job_make_ready(w, s->live);
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
