/*
 * deliver.c -- a stanza to the resources of an account (RFC 6121, 8.5)
 *
 * The route table tells where they are. What is here gets the bytes at once; what is on
 * another worker gets them in a frame. A session that has gone in between is noticed by
 * its worker, which looks again: it knows its own sessions better than the table does.
 *
 * An account whose sessions carry ROUTE_FILTER, or that nobody is online for, is a
 * matter for its home (worker/core.c): block lists, offline storage. All others are
 * served right here, so the usual message crosses one socket at the most.
 */
#include "worker/deliver.h"

#include "base/clock.h"
#include "worker/gate.h"
#include "worker/late.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/presence.h"
#include "worker/sm.h"
#include "worker/undelivered.h"

enum {
    HOPS_KEPT = 2 /* what can be kept is, instead of being looked for once more */
};

/* With its client, or waiting for it; not at its end, nor about to be ended. */
static bool
session_is_on(const struct conn *c)
{
    return (c->state == STREAM_OPEN || (c->state == STREAM_DETACHED && c->sm &&
                                               c->sm->max_s && !sm_is_overfull(c))) &&
           !(c->flags & CONN_SESSION_ENDED);
}

bool
deliver_is_stale(struct worker *w, uint64_t conn)
{
    struct conn *c;

    if (conn_id_slot(conn) != w->proc->slot)
        return false;
    c = conn_find(w, conn);
    return !c || (c->state != STREAM_MOVED && !session_is_on(c));
}

/*
 * Where a session of this worker goes on, if it was resumed (XEP-0198): here, or in
 * another worker. A client may have done so thousands of times in a minute.
 */
static uint64_t
follow(struct worker *w, uint64_t conn)
{
    const struct conn *c;

    while ((c = conn_find(w, conn)) && c->state == STREAM_MOVED)
        conn = c->sm->moved_to;
    return conn;
}

static void
to_client(struct worker *w, struct conn *c, const struct stanza *s)
{
    if (s->kind == STANZA_PRESENCE && s->type == PRESENCE_PROBE) {
        presence_answer(w, c, &s->from);
        return;
    }
    if ((c->account_flags | c->route_flags) & (ROUTE_FILTER | ROUTE_OWN_LIST) &&
            gate_filters(w, c, s))
        return;
    if (s->kind == STANZA_MESSAGE)
        live_of(w, c)->flags |= LIVE_MESSAGES;
    if (late_keep(w, c, s))
        return;
    if (c->route_flags & ROUTE_CSI_INACTIVE && gate_holds_back(w, c, s))
        return;
    out_add_stanza(w, c, s->bytes);
    if (s->flags & STANZA_SHARED || s->given.to)
        sm_note_shared(c, s);
}

bool
deliver_to_conn(struct worker *w, uint64_t conn, const struct stanza *s)
{
    uint64_t now = follow(w, conn);
    bool onward = now != conn;
    unsigned slot = conn_id_slot(conn = now);
    struct buf to = { 0 }, from = { 0 };
    struct ipc_deliver m;

    if (slot == w->proc->slot) {
        struct conn *c = conn_find(w, conn);

        if (!c)
            return false;
        if (!session_is_on(c)) {
            undelivered_missed(w, c, s);
            return false;
        }
        if (s->given.to && undelivered_is_known(c, &s->given))
            return true;
        if (s->kind == STANZA_MESSAGE && !out_takes(w, c, s->bytes.n))
            return false;
        to_client(w, c, s);
        return true;
    }
    jid_write(&to, &s->to);
    jid_write(&from, &s->from);
    m = (struct ipc_deliver){ .conn = conn,
        .kind = (uint8_t)s->kind,
        .type = s->type,
        .hops = s->hops,
        .flags = (uint16_t)(s->flags | (onward ? STANZA_OLDER : 0)),
        .given_s = s->given.s,
        .given_priority = s->given.priority,
        .given_to = s->given.to,
        .traits = s->traits,
        .sender = s->conn,
        .to = buf_str(&to),
        .from = buf_str(&from),
        .stanza = s->bytes };
    outbox_send(w, ipc_addr_of(PROC_WORKER, slot), IPC_DELIVER, &m);
    proc_count(w->proc, COUNTER_STANZAS_ROUTED, 1);
    buf_fini(&to);
    buf_fini(&from);
    return true;
}

/* --- To several resources --- */

/* The stanza under delivery, and who has got it. */
struct delivery {
    struct worker *w;
    struct stanza *s;
    struct job *job; /* at home */
    const struct conf_host *host;
    struct str bare;
    bool *got; /* one per entry of w->snapshot; NULL: nobody wants to know */
};

/* Does the account's list leave it to the session? */
static bool
may_have(const struct stanza *s, const struct route_entry *e)
{
    return !(s->flags & STANZA_OWN_LISTS) || e->flags & ROUTE_OWN_LIST;
}

static void
note_got(struct delivery *d, size_t i)
{
    if (d->got)
        d->got[i] = true;
}

/* To those with this priority or a higher one: how many. */
static size_t
to_entries(struct delivery *d, int least_priority, bool highest_only)
{
    const struct route_snapshot *snap = d->w->snapshot;
    struct stanza copy = *d->s;
    int highest = least_priority;
    size_t sent = 0, fit = 0;

    if (highest_only) {
        for (size_t i = 0; i < snap->n; i++) {
            const struct route_entry *e = &snap->entry[i];

            if (e->available && e->priority > highest && may_have(d->s, e) &&
                    !deliver_is_stale(d->w, e->conn))
                highest = e->priority;
        }
    }
    for (size_t i = 0; i < snap->n; i++)
        fit += snap->entry[i].available && snap->entry[i].priority >= highest &&
               may_have(d->s, &snap->entry[i]) &&
               !deliver_is_stale(d->w, snap->entry[i].conn);
    if (fit > 1)
        copy.hops = d->s->kind == STANZA_MESSAGE ? DELIVER_FIRST : DELIVER_ONCE;
    for (size_t i = 0; i < snap->n; i++) {
        const struct route_entry *e = &snap->entry[i];

        if (e->available && e->priority >= highest && may_have(d->s, e) &&
                deliver_to_conn(d->w, e->conn, &copy)) {
            note_got(d, i);
            sent++;
            if (fit > 1)
                copy.hops = DELIVER_ONCE;
        }
    }
    return sent;
}

static bool
to_resource(struct delivery *d)
{
    const struct route_snapshot *snap = d->w->snapshot;

    for (size_t i = 0; i < snap->n; i++) {
        if (!str_eq(snap->entry[i].resource, d->s->to.resource))
            continue;
        if (!may_have(d->s, &snap->entry[i]) ||
                !deliver_to_conn(d->w, snap->entry[i].conn, d->s))
            return false;
        note_got(d, i);
        return true;
    }
    return false;
}

/* --- Messages (8.5.2.1.1, 8.5.3.2.1, 8.5.4) --- */

static enum hook_result
message_hook(struct delivery *d, enum hook hook)
{
    struct event e = { .w = d->w,
        .host = d->host,
        .s = d->s,
        .job = d->job,
        .account = d->job ? d->job->account : NULL,
        .entries = d->w->snapshot,
        .got = d->got };

    return hook_run(d->w, hook, &e);
}

/* To the account as a whole: how many resources got it. */
static size_t
message_to_bare(struct delivery *d)
{
    switch ((enum message_type)d->s->type) {
    case MESSAGE_NORMAL:
    case MESSAGE_CHAT:
        return to_entries(d, 0, true);
    case MESSAGE_HEADLINE:
        return to_entries(d, 0, false);
    case MESSAGE_GROUPCHAT:
    case MESSAGE_ERROR:
    case MESSAGE_TYPES:
        break;
    }
    return 0;
}

/* Will a resource get it? Not asked where the answer does not matter. */
static bool
message_has_taker(const struct delivery *d)
{
    const struct route_snapshot *snap = d->w->snapshot;

    for (size_t i = 0; i < snap->n; i++) {
        const struct route_entry *e = &snap->entry[i];

        if (d->s->to.resource.n ? str_eq(e->resource, d->s->to.resource)
                                : e->available && e->priority >= 0)
            return true;
        if (d->s->type == MESSAGE_CHAT && e->available && e->priority >= 0)
            return true; /* that resource has gone: as to the account */
    }
    return false;
}

/* They have it, or it is kept: others may want to know. */
static void
tell_received(struct delivery *d)
{
    if (d->got)
        message_hook(d, HOOK_USER_RECEIVED);
}

/*
 * Is somebody interested in who has got it? Copies and the like are made when a message
 * is delivered for the first time, and nobody is left out where there is one resource
 * that gets it.
 */
static bool
wants_got(const struct delivery *d)
{
    return hook_exists(d->w, d->host, HOOK_USER_RECEIVED) &&
           d->w->snapshot->n > (d->job ? 0 : 1) && d->s->hops == 0 &&
           !(d->s->flags & STANZA_COPY);
}

/*
 * May it be kept when no resource takes it? Groupchat only by a module's choice, and
 * not while somebody is there: then it is in the wrong place (8.5.2.1.1).
 */
static bool
may_be_kept(const struct delivery *d)
{
    bool to_account = !d->s->to.resource.n;

    switch ((enum message_type)d->s->type) {
    case MESSAGE_NORMAL:
        return to_account;
    case MESSAGE_CHAT:
        return true;
    case MESSAGE_GROUPCHAT:
        return to_account && hook_exists(d->w, d->host, HOOK_OFFLINE) &&
               !message_has_taker(d);
    case MESSAGE_HEADLINE:
    case MESSAGE_ERROR:
    case MESSAGE_TYPES:
        break;
    }
    return false;
}

/* To the resources: how many got it. */
static size_t
message_to_resources(struct delivery *d)
{
    size_t sent;

    if (d->w->snapshot->n > 1 && d->s->hops == 0 &&
            !(d->s->flags & (STANZA_COPY | STANZA_OWN_LISTS)))
        undelivered_share(d->s, (uint32_t)(clock_wall_us() / 1000000), d->got != NULL);
    if (!d->s->to.resource.n)
        return message_to_bare(d);
    sent = to_resource(d);
    return sent == 0 && d->s->type == MESSAGE_CHAT ? message_to_bare(d) : sent;
}

/* No resource may have it: kept, or refused. */
static void
message_offline(struct delivery *d)
{
    if (!hook_exists(d->w, d->host, HOOK_OFFLINE) || d->s->flags & STANZA_OWN_LISTS)
        deliver_error(d->w, d->s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else if (!d->job)
        core_to_home(d->w, d->s, d->bare);
    else if (message_hook(d, HOOK_OFFLINE) == HOOK_DONE ||
             (d->s->flags & STANZA_KEEP && message_to_resources(d) > 0))
        tell_received(d);
    else
        deliver_error(d->w, d->s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

static void
message_not_taken(struct delivery *d)
{
    if (may_be_kept(d))
        message_offline(d);
    else if (d->s->type != MESSAGE_ERROR &&
             (d->s->type != MESSAGE_HEADLINE || d->s->to.resource.n))
        deliver_error(d->w, d->s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

/* The hooks may look up somebody else, and send him something. */
static enum hook_result
message_received(struct delivery *d)
{
    uint64_t lookups = d->w->n_lookups;
    enum hook_result r = message_hook(d, HOOK_USER_RECEIVE);

    if (d->w->n_lookups != lookups)
        deliver_lookup(d->w, d->bare, 0);
    return r;
}

/* To be kept without asking the resources: nobody is there, or nobody is found. */
static bool
is_to_be_kept(const struct delivery *d)
{
    if (!may_be_kept(d))
        return false;
    return d->s->hops >= HOPS_KEPT ? hook_exists(d->w, d->host, HOOK_OFFLINE)
                                   : !message_has_taker(d);
}

/*
 * What our predecessor sent while nobody was there may still be on its way to the
 * store, where it waits for who has come since. So what is for him now goes the same
 * way.
 */
static bool
is_behind_stored(const struct delivery *d)
{
    return d->w->behind.n > 0 && !d->s->to.resource.n && d->s->hops == 0 &&
           map_get(&d->w->behind, d->bare) && may_be_kept(d) &&
           host_has_module(d->w, d->host, "mod_offline");
}

static void
deliver_message(struct delivery *d)
{
    bool to_account = !d->s->to.resource.n, keep;

    if (!d->job && (is_to_be_kept(d) || is_behind_stored(d))) {
        /*
         * Also if somebody has come when the home looks: what was sent before, and is
         * waiting there or stored, goes first. The home archives it, too.
         */
        d->s->flags |= STANZA_KEEP;
        message_offline(d);
        return;
    }
    if (!to_account && d->s->type != MESSAGE_CHAT && d->s->type != MESSAGE_ERROR &&
            !message_has_taker(d)) {
        /* XEP-0313, 6.1: what is rejected is in no archive. */
        deliver_error(d->w, d->s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    if (!(d->s->flags & (STANZA_STORED | STANZA_COPY)) &&
            message_received(d) == HOOK_DONE)
        return;
    d->s->flags |= STANZA_STORED;
    if (wants_got(d))
        d->got = arena_zalloc(&d->w->scratch, d->w->snapshot->n);
    keep = d->s->flags & STANZA_KEEP && hook_exists(d->w, d->host, HOOK_OFFLINE);
    if (!keep && message_to_resources(d) > 0)
        tell_received(d);
    else
        message_not_taken(d);
}

/* --- Presence and requests --- */

static void
deliver_presence(struct delivery *d)
{
    switch ((enum presence_type)d->s->type) {
    case PRESENCE_AVAILABLE:
    case PRESENCE_UNAVAILABLE:
    case PRESENCE_ERROR:
        if (d->s->to.resource.n)
            to_resource(d); /* 8.5.4: otherwise silently ignored */
        else if (d->s->type != PRESENCE_ERROR)
            to_entries(d, -128, false);
        break;
    case PRESENCE_SUBSCRIBE:
    case PRESENCE_SUBSCRIBED:
    case PRESENCE_UNSUBSCRIBE:
    case PRESENCE_UNSUBSCRIBED:
    case PRESENCE_PROBE:
    case PRESENCE_TYPES:
        break; /* at home: worker/core.c */
    }
}

static void
deliver_iq(struct delivery *d)
{
    bool request = d->s->type == IQ_GET || d->s->type == IQ_SET;

    /* One to an account is handled by its sender's worker; a reply to it is for nobody.
     */
    if ((!d->s->to.resource.n || !to_resource(d)) && request)
        deliver_error(d->w, d->s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

static void
deliver_now(struct delivery *d)
{
    switch (d->s->kind) {
    case STANZA_MESSAGE:
        deliver_message(d);
        break;
    case STANZA_PRESENCE:
        deliver_presence(d);
        break;
    case STANZA_IQ:
        deliver_iq(d);
        break;
    case STANZA_OTHER:
        break;
    }
}

/* Is this for the home to decide? The sessions of the account are in w->snapshot. */
static bool
needs_home(const struct delivery *d)
{
    const struct route_snapshot *snap = d->w->snapshot;

    if (d->s->flags & STANZA_FILTERED)
        return false;
    if (d->s->kind == STANZA_PRESENCE && d->s->type > PRESENCE_UNAVAILABLE &&
            d->s->type != PRESENCE_ERROR)
        return true; /* subscriptions, probes */
    for (size_t i = 0; i < snap->n; i++) {
        if (snap->entry[i].flags & ROUTE_FILTER)
            return true;
    }
    return false;
}

static void
delivery_run(struct worker *w, struct stanza *s, struct job *job)
{
    struct delivery d = { .w = w,
        .s = s,
        .job = job,
        .host = conf_host_find(w->proc->conf, s->to.domain),
        .bare = jid_bare_text(&w->scratch, &s->to) };

    if (!d.host)
        return;
    deliver_lookup(w, d.bare, 0);
    if (!job && needs_home(&d))
        core_to_home(w, s, d.bare);
    else
        deliver_now(&d);
}

void
deliver(struct worker *w, struct stanza *s)
{
    delivery_run(w, s, NULL);
}

void
deliver_at_home(struct worker *w, struct stanza *s, struct job *job)
{
    delivery_run(w, s, job);
}
