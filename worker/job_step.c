/*
 * job_step.c -- what a step names: where its job goes on, and what it keeps
 */
#include "worker/job_parts.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "worker/home.h"
#include "worker/modules.h"

enum {
    TOLD_MOST_MS = 5000
};

/* A job that ran without a record gets one. */
struct slot_job *
job_slot(struct job *j)
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
    j->slot = job_record_new(j->w, &start);
    job_live_new(j->w, j->slot);
    buf_fini(&bytes);
    return j->slot;
}

struct slot_job *
job_goes_on(struct job *j, unsigned step, enum job_wait wait)
{
    struct slot_job *s = job_slot(j);

    assert(!j->goes_on);
    assert(step < j->module->n_steps);
    j->goes_on = true;
    job_clear_request(j->w, s);
    SET(j->w, s->step, (uint16_t)step);
    SET(j->w, s->wait, (uint8_t)wait);
    return s;
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
job_account(struct job *j, unsigned step)
{
    struct slot_job *s = job_goes_on(j, step, JOB_WAIT_ACCOUNT);

    SET(j->w, s->flags, s->flags | SLOT_JOB_LOADED);
    job_make_ready(j->w, s->live);
}

void
job_again(struct job *j, unsigned step)
{
    job_make_ready(j->w, job_goes_on(j, step, JOB_WAIT_TIME)->live);
}

void
job_route(struct job *j, unsigned step)
{
    struct slot_job *s = job_goes_on(j, step, JOB_WAIT_ROUTE);
    struct conn *c = conn_find(j->w, j->conn);

    if (!c || c->flags & CONN_SESSION_ENDED || c->presence_done == c->presence_serial) {
        job_make_ready(j->w, s->live);
        return;
    }
    SET(j->w, s->route_serial, c->presence_serial);
    list_del(&s->live->waiting);
    list_add(job_list_of(&j->w->jobs->route, s->conn), &s->live->waiting);
}

static void
tell_all(struct job *j, unsigned step, struct str whom, unsigned what, struct str data)
{
    struct slot_job *s = job_goes_on(j, step, JOB_WAIT_TOLD);
    uint32_t answer,
            n = notify_all(j->w, j->module, whom, what, data, s->number, &answer);

    SET(j->w, s->n_told, n);
    SET(j->w, s->answers, answer);
    if (n == 0) {
        job_make_ready(j->w, s->live);
        return;
    }
    list_del(&s->live->waiting);
    list_add(job_list_of(&j->w->jobs->told, s->number), &s->live->waiting);
    wait_ms(j, s, TOLD_MOST_MS);
}

void
job_notify(struct job *j, unsigned step, unsigned what, struct str data)
{
    tell_all(j, step, job_text(job_slot(j), JOB_TEXT_KEY), what, data);
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
    if (!c || c->state != STREAM_OPEN || session_backlog(c) <= JOB_OUTPUT_LOW) {
        job_make_ready(j->w, s->live);
        return;
    }
    live_of(j->w, c)->flags |= LIVE_JOB_WAITS;
    list_del(&s->live->waiting);
    list_add(job_list_of(&j->w->jobs->output, s->conn), &s->live->waiting);
}

void
job_release(struct job *j)
{
    struct slot_job *s = job_slot(j);

    if (s->flags & SLOT_JOB_RELEASED)
        return;
    SET(j->w, s->flags, s->flags | SLOT_JOB_RELEASED);
    job_queue_leave(j->w, s->live);
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
    struct slot_job *s = job_slot(j);

    job_set_data(j->w, s, data);
    j->data = (struct str){ s->data, s->data_n };
}
