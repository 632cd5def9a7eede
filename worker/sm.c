/*
 * sm.c -- stream management (XEP-0198): acknowledgements, and what waits for them
 *
 * The count of stanzas that were handled changes in the transaction in which they are:
 * so what <a h=''/> acknowledges has its effects in the slot, in another worker's
 * mailbox or in the database, and a kill loses none of it.
 *
 * Each stanza for the client is kept until it is acknowledged. A session that can be
 * resumed goes on without its connection (DETACHED): it stays in the route table, and
 * what comes for it is kept likewise. In the end the rest is delivered as if the
 * session had not been there.
 *
 * <enabled/> has no `location`: a session can be resumed through any worker, so no
 * address is better than the one that the client has found by itself.
 */
#include "worker/sm.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "base/rand.h"
#include "worker/account.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/jobs.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/owed.h"
#include "worker/pressure.h"
#include "worker/saved.h"
#include "worker/session.h"
#include "worker/undelivered.h"

enum {
    ASK_AFTER = 20, /* stanzas */
    MAX_S_MOST = 24 * 3600,
    BACK_JOBS_MOST = 20 * 1000, /* under way; more is given back when some are done */
    ITEM_MAX = SLAB_CHUNK_MAX - 1024 /* bytes: one piece of the slot */
};

static const struct conf_module *
module_of(const struct conf_host *host)
{
    return host ? conf_module_find(host, STR("mod_stream_mgmt")) : NULL;
}

bool
sm_policy_of(const struct conf_host *host, struct sm_policy *ret)
{
    const struct conf_module *m = module_of(host);
    uint64_t most_ms;

    if (!m)
        return false;
    ret->max_ack_queue = conf_module_number(m, "max_ack_queue");
    ret->resume_s = (uint32_t)(conf_module_time_ms(m, "resume_timeout") / 1000);
    most_ms = conf_module_node(m, "max_resume_timeout")
                      ? conf_module_time_ms(m, "max_resume_timeout")
                      : (uint64_t)ret->resume_s * 1000;
    ret->resume_max_s = (uint32_t)(most_ms / 1000);
    return true;
}

void
sm_failed(struct worker *w, struct conn *c, enum stanza_error e, const uint32_t *h)
{
    struct buf *out = &w->text;

    buf_reset(out, SIZE_MAX);
    buf_add_c(out, "<failed xmlns='" NS_SM "'");
    if (h)
        buf_addf(out, " h='%u'", *h);
    buf_addf(out, "><%s xmlns='" NS_STANZA_ERROR "'/></failed>", stanza_error_name(e));
    out_add(w, c, buf_str(out));
}

/* --- Enabling --- */

static bool
is_true(struct str s)
{
    return str_eq(s, STR("true")) || str_eq(s, STR("1"));
}

/* How long the session may wait: as the client asks, within what the host allows. */
static uint32_t
wait_s(const struct sm_policy *policy, const struct xml_el *el)
{
    uint64_t wanted, s = policy->resume_s;

    if (!is_true(xml_attr(el, "resume")))
        return 0;
    if (str_to_u64(xml_attr(el, "max"), &wanted) == 0 && wanted > 0)
        s = wanted < policy->resume_max_s ? wanted : policy->resume_max_s;
    return (uint32_t)(s < MAX_S_MOST ? s : MAX_S_MOST);
}

static void
on_enable(struct worker *w, struct conn *c, struct xml_el *el)
{
    struct sm_policy policy;
    struct buf *out = &w->text;
    char token[SM_TOKEN + 1];
    struct sm *sm;

    if (!sm_policy_of(live_of(w, c)->host, &policy)) {
        sm_failed(w, c, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    if (c->sm) {
        sm_failed(w, c, STANZA_ERROR_UNEXPECTED_REQUEST, NULL);
        return;
    }
    sm = slot_alloc(w, sizeof *sm);
    *sm = (struct sm){ .max_s = wait_s(&policy, el) };
    rand_text(token, SM_TOKEN);
    memcpy(sm->token, token, SM_TOKEN);
    SET(w, c->sm, sm);
    buf_reset(out, SIZE_MAX);
    buf_add_c(out, "<enabled xmlns='" NS_SM "'");
    if (sm->max_s) {
        buf_add_c(out, " id='");
        sm_write_id(c, out);
        buf_addf(out, "' resume='true' max='%u'", sm->max_s);
    }
    buf_add_c(out, "/>");
    out_add(w, c, buf_str(out));
}

/* --- Counting --- */

void
sm_count_in(struct worker *w, struct conn *c)
{
    if (c->sm)
        SET(w, c->sm->in, c->sm->in + 1);
}

void
sm_take(struct worker *w, struct conn *c, struct str bytes, uint64_t at_us)
{
    struct sm *sm = c->sm;
    struct sm_item *item = slot_alloc(w, sizeof *item + bytes.n);

    *item = (struct sm_item){ .at_us = at_us, .n = (uint32_t)bytes.n };
    if (bytes.n)
        memcpy(item->bytes, bytes.p, bytes.n);
    if (sm->last)
        SET(w, sm->last->next, item);
    else
        SET(w, sm->first, item);
    SET(w, sm->last, item);
    SET(w, sm->out, sm->out + 1);
    SET(w, sm->n, sm->n + 1);
    SET(w, sm->bytes, sm->bytes + item->n);
}

/*
 * What cannot be kept must not be sent again as nothing: the client would count one
 * stanza less than we do, from then on. So the session is not resumed any more.
 */
void
sm_note_out(struct worker *w, struct conn *c, struct str bytes)
{
    if (!c->sm)
        return;
    if (bytes.n > ITEM_MAX || pressure_is_last(w)) {
        if (c->sm->max_s)
            log_info(conn_ctx(w, c),
                    "a stanza of %zu bytes cannot be kept; the session ends", bytes.n);
        out_lost(w, c);
        bytes.n = 0;
    }
    sm_take(w, c, bytes, clock_wall_us());
}

/*
 * It may have been under way for long, so that it counts who was there when it began. A
 * session that was not, or not as it is now, does not know who else has got it.
 */
void
sm_note_shared(struct conn *c, const struct stanza *s)
{
    struct sm_item *item = c->sm ? c->sm->last : NULL; /* new in this transaction */
    bool again = s->given.to != 0, copied = s->flags & STANZA_COPIED;

    if (!item || (!again && !undelivered_was_there(c, s->given.s)))
        return;
    if (again)
        copied = s->given.to & GIVEN_AS_COPY;
    item->shared = copied ? ITEM_SHARED | ITEM_COPIED : ITEM_SHARED;
    item->priority = again ? s->given.priority : c->priority;
    if (item->at_us / 1000000 > s->given.s)
        item->at_us = (uint64_t)s->given.s * 1000000;
}

/* The first n of the queue, or as many as there are. */
static void
items_drop(struct worker *w, struct sm *sm, uint32_t n)
{
    struct sm_item *item = sm->first, *next;
    uint32_t dropped = 0, bytes = 0;

    for (; item && dropped < n; dropped++) {
        next = item->next;
        bytes += item->n;
        slot_free(w, item); /* with the commit */
        item = next;
    }
    if (dropped == 0)
        return;
    SET(w, sm->first, item);
    if (!item)
        SET(w, sm->last, NULL);
    SET(w, sm->n, sm->n - dropped);
    SET(w, sm->bytes, sm->bytes - bytes);
}

static void
item_drop(struct worker *w, struct sm *sm)
{
    items_drop(w, sm, 1);
}

void
sm_acknowledge(struct worker *w, struct conn *c, uint32_t h)
{
    struct sm *sm = c->sm;

    items_drop(w, sm, h - sm->acked);
    SET(w, sm->acked, h);
}

/* XEP-0198, 4: more than was sent is an error of the client's. */
static void
acknowledged(struct worker *w, struct conn *c, uint32_t h)
{
    struct sm *sm = c->sm;
    uint32_t more = h - sm->acked;
    struct buf *out = &w->text;

    if (more > sm->n) {
        buf_reset(out, SIZE_MAX);
        buf_addf(out,
                "<stream:error><undefined-condition xmlns='" NS_STREAM_ERROR
                "'/><handled-count-too-high xmlns='" NS_SM
                "' h='%u' send-count='%u'/></stream:error>",
                h, sm->out);
        log_info(conn_ctx(w, c), "stream error: %u stanzas acknowledged, %u were sent",
                h, sm->out);
        out_add(w, c, buf_str(out));
        stream_end(w, c);
        return;
    }
    sm_acknowledge(w, c, h);
}

static bool
h_of(const struct xml_el *el, uint32_t *ret)
{
    uint64_t h;

    if (str_to_u64(xml_attr(el, "h"), &h) < 0 || h > UINT32_MAX)
        return false;
    *ret = (uint32_t)h;
    return true;
}

void
sm_say_handled(struct worker *w, struct conn *c)
{
    struct buf *out = &w->text;

    buf_reset(out, SIZE_MAX);
    buf_add_str(out, STR("<a xmlns='" NS_SM "' h='"));
    buf_add_u64(out, c->sm->in);
    buf_add_str(out, STR("'/>"));
    out_add(w, c, buf_str(out));
}

void
sm_on_element(struct worker *w, struct conn *c, struct xml_el *el)
{
    uint32_t h;

    if (str_eq(el->name, STR("enable"))) {
        on_enable(w, c, el);
    } else if (!c->sm || str_eq(el->name, STR("resume"))) {
        sm_failed(w, c, STANZA_ERROR_UNEXPECTED_REQUEST, NULL);
    } else if (str_eq(el->name, STR("r"))) {
        owed_ask(w, c);
    } else if (str_eq(el->name, STR("a"))) {
        if (h_of(el, &h))
            acknowledged(w, c, h);
        else
            stream_fail(w, c, STREAM_ERROR_BAD_FORMAT, "<a/> needs a number h");
        live_of(w, c)->ack_s = 0;
    } else {
        stream_fail(w, c, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, NULL);
    }
}

bool
sm_on_element_unbound(struct worker *w, struct conn *c, struct xml_el *el)
{
    uint32_t h;

    if (!str_eq(el->ns, STR(NS_SM)))
        return false;
    if (!str_eq(el->name, STR("resume")))
        sm_failed(w, c, STANZA_ERROR_UNEXPECTED_REQUEST, NULL);
    else if (!h_of(el, &h))
        sm_failed(w, c, STANZA_ERROR_BAD_REQUEST, NULL);
    else
        sm_resume(w, c, xml_attr(el, "previd"), h);
    return true;
}

static void
ask_now(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    const struct conf_module *m = module_of(l->host);
    uint64_t ms;

    if (!m)
        return;
    out_add(w, c, STR("<r xmlns='" NS_SM "'/>"));
    SET(w, c->sm->asked, c->sm->out);
    ms = l->ack_s ? CONF_INFINITY : conf_module_time_ms(m, "ack_timeout");
    if (ms >= 1000 && ms != CONF_INFINITY)
        l->ack_s = w->now_s + (uint32_t)(ms / 1000) + 1;
}

void
sm_ask(struct worker *w, struct conn *c)
{
    if (c->sm && c->state == STREAM_OPEN && c->sm->out - c->sm->asked >= ASK_AFTER &&
            c->sm->asked == c->sm->acked)
        ask_now(w, c);
}

bool
sm_is_overfull(const struct conn *c)
{
    return c->sm && c->sm->bytes > SM_BYTES_MAX;
}

/* The queue may not grow for ever: a client that reads but never acknowledges. */
static bool
is_full(const struct worker *w, const struct conn *c)
{
    struct sm_policy policy;

    return sm_is_overfull(c) || (sm_policy_of(live_of(w, c)->host, &policy) &&
                                        c->sm->n > policy.max_ack_queue);
}

static void
tick_open(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);

    if (is_full(w, c)) {
        log_info(conn_ctx(w, c), "%u stanzas were not acknowledged", c->sm->n);
        worker_begin(w, c);
        stream_fail(w, c, STREAM_ERROR_POLICY_VIOLATION, "Too many unacked stanzas");
        worker_commit(w);
    } else if (l->ack_s && w->now_s >= l->ack_s) {
        log_info(conn_ctx(w, c), "no acknowledgement has come in time");
        proc_count(w->proc, COUNTER_C2S_TIMEOUT, 1);
        conn_close(w, c, "no acknowledgement has come in time");
    } else if (c->sm->n > 0 && c->sm->asked != c->sm->out) {
        worker_begin(w, c);
        ask_now(w, c);
        worker_commit(w);
    }
}

/*
 * The time of many may be over at once, as after a restart. What they give back has to
 * fit the outbox, and to find room among the jobs: it would be sent back as an error
 * else.
 */
static bool
may_give_back(const struct worker *w)
{
    return !outbox_is_crowded(w) && jobs_waiting(w) < BACK_JOBS_MOST;
}

static void
tick_detached(struct worker *w, struct conn *c)
{
    bool over = clock_wall_us() >= c->sm->until_us ||
                (c->state == STREAM_DETACHED && !c->sm->max_s);

    if (saved_keeps(w, c))
        return;
    if (c->state == STREAM_DETACHED && !over && (sm_is_coming(c) || !is_full(w, c)))
        return;
    if (c->state == STREAM_MOVED && !over)
        return;
    if (c->state == STREAM_DETACHED && !may_give_back(w))
        return; /* in the next second, perhaps */
    if (c->state == STREAM_DETACHED)
        log_info(conn_ctx(w, c), "%s",
                !c->sm->max_s ? "something for the client could not be kept"
                : over        ? "the client did not come back"
                              : "too much waits for the client");
    conn_forget(w, c);
}

void
sm_tick(struct worker *w, struct conn *c)
{
    if (!c->sm)
        return;
    if (c->state == STREAM_OPEN)
        tick_open(w, c);
    else if (c->state == STREAM_DETACHED || c->state == STREAM_MOVED)
        tick_detached(w, c);
}

/* --- Without a connection --- */

bool
sm_can_wait(const struct conn *c)
{
    return c->sm && c->sm->max_s > 0 && c->state == STREAM_OPEN &&
           c->flags & CONN_BOUND && !(c->flags & CONN_SESSION_ENDED);
}

bool
sm_is_coming(const struct conn *c)
{
    return c->sm && !(c->flags & CONN_BOUND) &&
           (c->state == STREAM_SM_WAIT || c->state == STREAM_DETACHED);
}

void
sm_detach(struct worker *w, struct conn *c)
{
    stream_enter(w, c, STREAM_DETACHED);
    owed_forget(w, c);
    if (!(c->flags & CONN_BOUND))
        return; /* it waits from the time on at which all of it is here */
    SET(w, c->sm->until_us, clock_wall_us() + (uint64_t)c->sm->max_s * 1000000);
    SET(w, c->route_flags, c->route_flags | ROUTE_DETACHED);
    session_flags_changed(w, c);
    killpoint(SM_DETACHED);
    log_info(conn_ctx(w, c), "the connection is lost; the session waits for %u s",
            c->sm->max_s);
}

void
sm_give_back(struct worker *w, struct conn *c)
{
    struct sm *sm = c->sm;

    if (!sm || c->state == STREAM_MOVED)
        return;
    saved_settle(w, c, true);
    while (sm->first) {
        undelivered_item(w, c, sm->first);
        item_drop(w, sm);
        killpoint(SM_BACK);
    }
}

void
sm_drop_all(struct worker *w, struct conn *c)
{
    if (c->sm)
        items_drop(w, c->sm, UINT32_MAX);
}

void
sm_free(struct worker *w, struct conn *c)
{
    if (!c->sm)
        return;
    sm_drop_all(w, c);
    slot_free(w, c->sm);
    SET(w, c->sm, NULL);
}
