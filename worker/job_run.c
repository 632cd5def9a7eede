/*
 * job_run.c -- jobs go on: a step runs when what it waits for is there
 *
 * After a death, too: a successor resumes each job where its record says.
 */
#include "worker/job_parts.h"

#include <assert.h>

#include "base/killpoint.h"
#include "base/clock.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/modules.h"
#include "worker/quarantine.h"

enum {
    ACCOUNT_PATIENCE_MS = 3000, /* for failures that come at once */
    JOBS_A_TURN = 128
};

/* --- Running --- */

/* What the step gets to see. false: its module or host is there no more. */
static bool
view(struct worker *w, struct slot_job *s, struct job *j, struct arena *arena)
{
    const struct host_module *hm;
    struct str stanza = job_text(s, JOB_TEXT_STANZA);

    *j = (struct job){ .w = w,
        .arena = arena,
        .conn = s->conn,
        .data = { s->data, s->data_n },
        .answers = s->answers,
        .slot = s };
    j->host = conf_host_find(w->proc->conf, job_text(s, JOB_TEXT_HOST));
    hm = j->host ? host_module_by_hash(w, j->host, s->module) : NULL;
    if (!hm || s->step >= hm->module->n_steps)
        return false;
    j->module = hm->module;
    j->config = hm->config;
    jid_parse(arena, job_text(s, JOB_TEXT_FROM), &j->from);
    jid_parse(arena, job_text(s, JOB_TEXT_TO), &j->to);
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
        job_record_end(w, s);
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
    job_record_end(w, s);
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
           !str_starts(job_text(s, JOB_TEXT_STANZA), STR("<presence"));
}

/* The account first, if the step wants it. */
bool
job_has_account(struct worker *w, struct slot_job *s)
{
    struct job_live *l = s->live;

    if (!(s->flags & SLOT_JOB_LOADED))
        return true;
    if (!l->account)
        l->account = account_ref(w, job_text(s, JOB_TEXT_KEY));
    if (l->wanted_ms == 0)
        l->wanted_ms = loop_now_ms(w->loop);
    if (!l->account) { /* its host has gone */
        worker_begin(w, NULL);
        job_record_end(w, s);
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
            loop_timer_set(w->loop, &l->timer, JOB_RETRY_FIRST_MS);
        return false;
    }
    return false;
}

void
job_run(struct worker *w, struct slot_job *s, const struct sql_result *result)
{
    if (job_has_account(w, s))
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
        job_make_ready(w, l);
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
}

bool
jobs_are_ready(const struct worker *w)
{
    return !list_empty(&w->jobs->ready);
}

void
job_on_timer(struct loop_timer *t)
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

    list_for_safe(node, job_list_of(&w->jobs->route, conn))
    {
        struct job_live *l = list_entry(node, struct job_live, waiting);

        if (l->slot->conn == conn &&
                (c->flags & CONN_SESSION_ENDED ||
                        (int32_t)(c->presence_done - l->slot->route_serial) >= 0))
            job_make_ready(w, l);
    }
}

void
jobs_on_output(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    uint64_t conn = conn_id(w, c);

    if (c->state == STREAM_OPEN && session_backlog(c) > JOB_OUTPUT_LOW)
        return;
    l->flags &= ~(unsigned)LIVE_JOB_WAITS;
    list_for_safe(node, job_list_of(&w->jobs->output, conn))
    {
        struct job_live *job = list_entry(node, struct job_live, waiting);

        if (job->slot->conn == conn)
            job_make_ready(w, job);
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
    list_for_safe(node, job_list_of(&w->jobs->told, m->job))
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
            job_make_ready(w, l);
        }
        return;
    }
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
            conf_host_find(w->proc->conf, job_text(s, JOB_TEXT_HOST));
    const struct host_module *hm =
            host ? host_module_by_hash(w, host, s->module) : NULL;
    struct buf what = { 0 };
    struct ipc_quarantine q = { .deaths = w->slot->poison_job.deaths,
        .jid = job_text(s, JOB_TEXT_KEY),
        .from = job_text(s, JOB_TEXT_FROM),
        .to = job_text(s, JOB_TEXT_TO),
        .bytes = job_text(s, JOB_TEXT_STANZA) };

    buf_addf(&what, "job of %s, step %u", hm ? hm->module->name : "a module", s->step);
    q.what = buf_str(&what);
    worker_begin(w, NULL);
    quarantine_send(w, &q);
    job_record_end(w, s);
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
        if (job_is_first(s->live))
            job_make_ready(w, s->live);
        break;
    case JOB_WAIT_SQL:
        list_add(&w->jobs->to_ask, &s->live->waiting);
        break;
    case JOB_WAIT_TOLD:
        if (s->n_told == 0) {
            job_make_ready(w, s->live);
            break;
        }
        list_add(job_list_of(&w->jobs->told, s->number), &s->live->waiting);
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
        job_make_ready(w, s->live);
        break;
    }
}

void
jobs_resume(struct worker *w)
{
    struct slot_job *next;

    for (struct slot_job *s = w->slot->job_first; s; s = s->next) {
        job_live_new(w, s);
        job_queue_join(w, s->live);
    }
    for (struct slot_job *s = w->slot->job_first; s; s = next) {
        next = s->next;
        if (is_poison(w, s)) {
            log_error(NULL,
                    "quarantine: %u worker processes died of a job for %.*s; it is "
                    "dropped: "
                    "%.*s",
                    w->slot->poison_job.deaths, STR_ARG(job_text(s, JOB_TEXT_KEY)),
                    (int)(s->stanza_n < 2000 ? s->stanza_n : 2000),
                    s->stanza_n ? job_text(s, JOB_TEXT_STANZA).p : "");
            set_aside(w, s);
            continue;
        }
        resume(w, s);
    }
    w->slot->job_running = 0;
    jobs_committed(w);
}
