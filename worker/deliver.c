/*
 * deliver.c -- a stanza to the resources of an account (RFC 6121, 8.5)
 *
 * The route table tells where they are. What is here gets the bytes at once; what is on
 * another worker gets them in a frame. A session that has gone in between is noticed by
 * its worker, which looks again: it knows its own sessions better than the table does.
 */
#include "worker/deliver.h"

#include <errno.h>

#include "worker/conn.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "xml/writer.h"
#include "xmpp/ns.h"

enum {
    HOPS_MAX = 3,
    LOOKUPS_MAX = 100
};

static struct route_table *
table_of(struct worker *w)
{
    static struct route_table table;

    if (!table.base)
        route_open(&table, &w->proc->routes);
    return &table;
}

size_t
deliver_lookup(struct worker *w, struct str bare, unsigned want)
{
    for (int i = 0; i < LOOKUPS_MAX; i++) {
        int n = route_lookup(table_of(w), bare, want, w->snapshot);

        if (n >= 0)
            return (size_t)n;
    }
    w->snapshot->n = 0;
    return 0;
}

/* Is the session still there, as far as this worker can know? */
static bool
is_stale(struct worker *w, uint64_t conn)
{
    struct conn *c;

    if (conn_id_slot(conn) != w->proc->slot)
        return false;
    c = conn_find(w, conn);
    return !c || c->state != STREAM_OPEN;
}

bool
deliver_to_conn(struct worker *w, uint64_t conn, const struct stanza *s)
{
    unsigned slot = conn_id_slot(conn);
    struct buf to = { 0 }, from = { 0 };
    struct ipc_deliver m;

    if (slot == w->proc->slot) {
        struct conn *c = conn_find(w, conn);

        if (!c || c->state != STREAM_OPEN)
            return false;
        out_add_stanza(w, c, s->bytes);
        return true;
    }
    jid_write(&to, &s->to);
    jid_write(&from, &s->from);
    m = (struct ipc_deliver){ .conn = conn,
        .kind = (uint8_t)s->kind,
        .type = s->type,
        .hops = s->hops,
        .to = buf_str(&to),
        .from = buf_str(&from),
        .stanza = s->bytes };
    outbox_send(w, ipc_addr_of(PROC_WORKER, slot), IPC_DELIVER, &m);
    proc_count(w->proc, COUNTER_STANZAS_ROUTED, 1);
    buf_fini(&to);
    buf_fini(&from);
    return true;
}

static bool
is_error(const struct stanza *s)
{
    switch (s->kind) {
    case STANZA_MESSAGE:
        return s->type == MESSAGE_ERROR;
    case STANZA_PRESENCE:
        return s->type == PRESENCE_ERROR;
    case STANZA_IQ:
        return s->type == IQ_ERROR;
    case STANZA_OTHER:
        return true;
    }
    return true;
}

void
deliver_error(struct worker *w, const struct stanza *s, enum stanza_error e)
{
    const struct xml_el *el = s->el;
    struct xml_el *parsed, *reply;
    struct stanza bounce = { .kind = s->kind, .from = s->to, .to = s->from };
    struct buf bytes = { 0 };

    if (is_error(s) || (s->kind == STANZA_IQ && s->type == IQ_RESULT))
        return;
    if (!el) {
        if (xml_parse(w->pool, NULL, &w->scratch, s->bytes, NS_CLIENT, &parsed) !=
                XML_OK)
            return;
        el = parsed;
    }
    reply = stanza_reply_error(&w->scratch, el, e, ERROR_TYPE_DEFAULT, NULL);
    if (!reply)
        return;
    proc_count(w->proc, COUNTER_STANZAS_BOUNCED, 1);
    xml_write(&bytes, reply, STR(NS_CLIENT));
    bounce.type = s->kind == STANZA_MESSAGE    ? MESSAGE_ERROR
                  : s->kind == STANZA_PRESENCE ? PRESENCE_ERROR
                                               : IQ_ERROR;
    bounce.bytes = buf_str(&bytes);
    bounce.el = reply;
    if (conf_host_find(w->proc->conf, bounce.to.domain) && bounce.to.local.n)
        deliver(w, &bounce);
    buf_fini(&bytes);
}

/* To those of the snapshot for which `fits` says so: how many. */
static size_t
to_entries(
        struct worker *w, const struct stanza *s, int least_priority, bool highest_only)
{
    const struct route_snapshot *snap = w->snapshot;
    struct stanza copy = *s;
    int highest = least_priority;
    size_t sent = 0, fit = 0;

    if (highest_only) {
        for (size_t i = 0; i < snap->n; i++) {
            const struct route_entry *e = &snap->entry[i];

            if (e->available && e->priority > highest && !is_stale(w, e->conn))
                highest = e->priority;
        }
    }
    for (size_t i = 0; i < snap->n; i++)
        fit += snap->entry[i].available && snap->entry[i].priority >= highest;
    if (fit > 1)
        copy.hops = DELIVER_ONCE;
    for (size_t i = 0; i < snap->n; i++) {
        const struct route_entry *e = &snap->entry[i];

        if (e->available && e->priority >= highest && deliver_to_conn(w, e->conn, &copy))
            sent++;
    }
    return sent;
}

/* 8.5.2: to an account as a whole. */
static void
message_to_bare(struct worker *w, const struct stanza *s, struct str bare)
{
    deliver_lookup(w, bare, 0);
    switch ((enum message_type)s->type) {
    case MESSAGE_NORMAL:
    case MESSAGE_CHAT:
        if (to_entries(w, s, 0, true) == 0)
            deliver_error(w, s, STANZA_ERROR_SERVICE_UNAVAILABLE);
        break;
    case MESSAGE_HEADLINE:
        to_entries(w, s, 0, false);
        break;
    case MESSAGE_GROUPCHAT:
        deliver_error(w, s, STANZA_ERROR_SERVICE_UNAVAILABLE);
        break;
    case MESSAGE_ERROR:
    case MESSAGE_TYPES:
        break; /* silently ignored */
    }
}

static void
presence_to_bare(struct worker *w, const struct stanza *s, struct str bare)
{
    switch ((enum presence_type)s->type) {
    case PRESENCE_AVAILABLE:
    case PRESENCE_UNAVAILABLE:
        deliver_lookup(w, bare, 0);
        to_entries(w, s, -128, false);
        break;
    case PRESENCE_SUBSCRIBE:
    case PRESENCE_SUBSCRIBED:
    case PRESENCE_UNSUBSCRIBE:
    case PRESENCE_UNSUBSCRIBED:
    case PRESENCE_PROBE:
        /*
         * Nobody here has contacts to subscribe to; RFC 6121, 3.1.3 asks for silence.
         */
    case PRESENCE_ERROR:
    case PRESENCE_TYPES:
        break;
    }
}

static bool
to_full(struct worker *w, const struct stanza *s, struct str bare)
{
    struct route_hit hit;

    for (int i = 0; i < LOOKUPS_MAX; i++) {
        int n = route_lookup_full(table_of(w), bare, s->to.resource, &hit);

        if (n >= 0)
            return n == 1 && deliver_to_conn(w, hit.conn, s);
    }
    return false;
}

/* 8.5.4: the resource is not there. */
static void
to_missing_resource(struct worker *w, const struct stanza *s, struct str bare)
{
    switch (s->kind) {
    case STANZA_MESSAGE:
        if (s->type == MESSAGE_CHAT)
            message_to_bare(w, s, bare);
        else if (s->type != MESSAGE_ERROR)
            deliver_error(w, s, STANZA_ERROR_SERVICE_UNAVAILABLE);
        break;
    case STANZA_IQ:
        if (s->type == IQ_GET || s->type == IQ_SET)
            deliver_error(w, s, STANZA_ERROR_SERVICE_UNAVAILABLE);
        break;
    case STANZA_PRESENCE: /* silently ignored */
    case STANZA_OTHER:
        break;
    }
}

void
deliver(struct worker *w, const struct stanza *s)
{
    struct str bare = jid_bare_text(&w->scratch, &s->to);

    if (s->to.resource.n) {
        if (!to_full(w, s, bare))
            to_missing_resource(w, s, bare);
        return;
    }
    switch (s->kind) {
    case STANZA_MESSAGE:
        message_to_bare(w, s, bare);
        break;
    case STANZA_PRESENCE:
        presence_to_bare(w, s, bare);
        break;
    case STANZA_IQ:
        /* Handled by the worker of the sender; a reply to an account is for nobody. */
        if (s->type == IQ_GET || s->type == IQ_SET)
            deliver_error(w, s, STANZA_ERROR_SERVICE_UNAVAILABLE);
        break;
    case STANZA_OTHER:
        break;
    }
}

/* The session meant has gone meanwhile. */
static void
look_again(struct worker *w, struct stanza *s)
{
    if (s->hops == DELIVER_ONCE)
        return;
    if (s->hops++ < HOPS_MAX)
        deliver(w, s);
    else if (s->kind != STANZA_PRESENCE)
        deliver_error(w, s, STANZA_ERROR_RECIPIENT_UNAVAILABLE);
}

void
deliver_on_frame(struct worker *w, const struct ipc_deliver *m)
{
    struct stanza s = {
        .type = m->type, .hops = m->hops, .bytes = m->stanza
    };

    if (m->kind >= STANZA_OTHER || jid_parse(&w->scratch, m->to, &s.to) < 0 ||
            jid_parse(&w->scratch, m->from, &s.from) < 0)
        return;
    s.kind = (enum stanza_kind)m->kind;
    worker_begin(w, conn_find(w, m->conn));
    if (conn_id_slot(m->conn) != w->proc->slot || !deliver_to_conn(w, m->conn, &s)) {
        proc_count(w->proc, COUNTER_STALE_ROUTES, 1);
        look_again(w, &s);
    }
    worker_commit(w);
}
