/*
 * ended.c -- after the end of a session
 *
 * Others are told of it when the route table does not show it any more.
 *
 * And the order of messages: what was on its way to the session comes back from its
 * worker to the account's home, to be stored, say, while what is sent next goes there
 * straight. So the home is told before the router is: a job at the head of the
 * account's queue waits until the route table does not show the session, then until
 * every worker has said that whatever it sent by the old route has been sent (it comes
 * before its answer), and then until they have said so again: what had reached the
 * session's worker has come back by then. What comes back does not wait in the queue
 * (HOME_AHEAD). Only after a session that was just given messages.
 */
#include "worker/ended.h"

#include <string.h>

#include "worker/deliver.h"
#include "worker/home.h"
#include "worker/jobs.h"
#include "worker/modules.h"
#include "worker/presence.h"
#include "worker/saved.h"

enum {
    ENDED_FIRST_MS = 1,
    ENDED_MOST_MS = 1000,
    STOP_JOBS = 20 * 1000,
    HOLD_MOST_MS = 2000 /* when the router does not answer */
};

/* --- What others are told --- */

/*
 * What a job about the end of a session keeps: how long it waits next, the session's
 * own list, and who was subscribed at the end, packed as groups of contacts are. Who is
 * not any more when the job goes on was not told of this session, as it was gone.
 */
struct last {
    uint32_t wait_ms, known; /* known: the account was there to be asked */
    uint32_t list_n;
};

void
core_session_ended(
        struct worker *w, struct conn *c, struct account *a, struct str presence)
{
    struct last last = { .wait_ms = ENDED_FIRST_MS, .known = a != NULL };
    struct str list = STR_NULL;
    struct job_start start = { .module = &core_module,
        .host = conf_host_find(w->proc->conf, conn_domain(c)),
        .step = CORE_STEP_ENDED,
        .key = conn_bare(c),
        .conn = conn_id(w, c),
        .from = conn_jid(c),
        .stanza = presence };
    struct contact contact;
    struct buf data = { 0 };
    size_t at = 0;

    /* At a stop only those whose sessions are saved hear of it. */
    if (!start.host || (w->stopping && (!saved_can(w) || jobs_waiting(w) > STOP_JOBS)))
        return;
    if (c->route_flags & ROUTE_OWN_LIST)
        list = session_kept(c, SESSION_OWN_LIST);
    last.list_n = (uint32_t)list.n;
    buf_add(&data, &last, sizeof last);
    buf_add_str(&data, list);
    while (a && contacts_next(&a->contacts, &at, &contact)) {
        if (contact.bits & CONTACT_MAY_SEE)
            contact_group_add(&data, contact.jid);
    }
    start.data = buf_str(&data);
    job_begin_loaded(w, &start);
    buf_fini(&data);
}

/* Not yet: again after a while, which doubles. */
static void
wait_for_router(struct job *j, struct last last)
{
    struct buf data = { 0 };

    job_sleep(j, CORE_STEP_ENDED, last.wait_ms);
    last.wait_ms = last.wait_ms * 2 < ENDED_MOST_MS ? last.wait_ms * 2 : ENDED_MOST_MS;
    buf_add(&data, &last, sizeof last);
    buf_add(&data, j->data.p + sizeof last, j->data.n - sizeof last);
    job_keep(j, buf_str(&data));
    buf_fini(&data);
}

/*
 * Others hear of the end when the route table does not show the session any more: who
 * comes online before sees it there, and would not be told otherwise. If the resource
 * is somebody else's by now, and available, its presence has replaced the old one.
 */
void
ended_say(struct job *j, const struct sql_result *result)
{
    struct speaker who = { .a = j->account };
    struct str rest;
    struct route_hit hit;
    struct last last;
    int r = deliver_find(
            j->w, jid_bare_text(j->arena, &j->from), j->from.resource, &hit);

    (void)result;
    if (j->data.n < sizeof last)
        return;
    memcpy(&last, j->data.p, sizeof last);
    rest.p = j->data.p + sizeof last;
    rest.n = j->data.n - sizeof last;
    if (last.list_n > rest.n)
        return;
    who.own_list = (struct str){ rest.p, last.list_n };
    rest.p += last.list_n;
    rest.n -= last.list_n;
    if (last.known)
        job_release(j); /* otherwise what comes behind must find it done */
    if (r < 0 || (r > 0 && hit.conn == j->conn))
        wait_for_router(j, last);
    else if (r == 0 || !hit.available)
        presence_say_ended(j->w, &who, &j->from, job_stanza(j), rest);
}

/* --- The order of messages --- */

struct hold {
    uint32_t wait_ms, waited_ms;
};

void
ended_begin_hold(struct worker *w, struct conn *c)
{
    struct hold hold = { .wait_ms = ENDED_FIRST_MS };
    struct home_call call = { .module = &core_module,
        .step = CORE_STEP_HOLD,
        .bare = conn_bare(c),
        .conn = conn_id(w, c),
        .from = conn_jid(c),
        .data = { (const char *)&hold, sizeof hold } };

    if (w->proc->n_workers > 1 && !w->stopping && !jobs_are_many(w) &&
            (live_of(w, c)->flags & (LIVE_MESSAGES | LIVE_MESSAGES_BEFORE) || c->sm ||
                    c->late))
        home_call_by(w, HOME_QUEUED, &call);
}

void
ended_hold(struct job *j, const struct sql_result *result)
{
    struct route_hit hit;
    struct hold hold;
    int r = deliver_find(
            j->w, jid_bare_text(j->arena, &j->from), j->from.resource, &hit);

    (void)result;
    if (j->data.n != sizeof hold)
        return;
    memcpy(&hold, j->data.p, sizeof hold);
    if (r == 0 || (r > 0 && hit.conn != j->conn)) {
        job_barrier(j, CORE_STEP_HOLD_SENT);
    } else if (hold.waited_ms < HOLD_MOST_MS) {
        job_sleep(j, CORE_STEP_HOLD, hold.wait_ms);
        hold.waited_ms += hold.wait_ms;
        hold.wait_ms *= 2;
        job_keep(j, (struct str){ (const char *)&hold, sizeof hold });
    }
}

void
ended_hold_sent(struct job *j, const struct sql_result *result)
{
    (void)result;
    job_barrier(j, CORE_STEP_HOLD_PASSED);
}

void
ended_hold_passed(struct job *j, const struct sql_result *result)
{
    (void)j, (void)result; /* those behind it go on */
}
