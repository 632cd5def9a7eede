/*
 * deliver_again.c -- a stanza that comes where its session has gone from
 *
 * Another worker has sent it here by the route table as it was then. This worker looks
 * again, but does not send it about for ever, and of a message that went to several
 * resources only one copy looks for somebody else, if nobody has any.
 */
#include "worker/conn.h"
#include "worker/deliver.h"

enum {
    HOPS_MAX = 3
};

/* Is another resource there that got its copy of the message, as far as we know? */
static bool
others_have_it(struct worker *w, const struct stanza *s, uint64_t gone)
{
    deliver_lookup(w, jid_bare_text(&w->scratch, &s->to), 0);
    for (size_t i = 0; i < w->snapshot->n; i++) {
        const struct route_entry *e = &w->snapshot->entry[i];

        if (e->conn != gone && e->available && e->priority >= 0 &&
                !deliver_is_stale(w, e->conn))
            return true;
    }
    return false;
}

void
deliver_again(struct worker *w, struct stanza *s, uint64_t gone)
{
    if (s->hops == DELIVER_ONCE ||
            (s->hops == DELIVER_FIRST && others_have_it(w, s, gone)))
        return;
    if (s->hops == DELIVER_FIRST)
        s->hops = 0;
    s->flags = (uint16_t)(s->flags & ~(STANZA_SHARED | STANZA_COPIED));
    if (s->hops++ < HOPS_MAX)
        deliver(w, s);
    else if (s->kind != STANZA_PRESENCE)
        deliver_error(w, s, STANZA_ERROR_RECIPIENT_UNAVAILABLE, NULL);
}

void
deliver_on_frame(struct worker *w, const struct ipc_deliver *m)
{
    struct stanza s = { .type = m->type,
        .hops = m->hops,
        .flags = m->flags,
        .given = { m->given_s, m->given_priority, m->given_to },
        .traits = m->traits,
        .conn = m->sender,
        .bytes = m->stanza };

    if (m->kind >= STANZA_OTHER || jid_parse(&w->scratch, m->to, &s.to) < 0 ||
            (m->from.n && jid_parse(&w->scratch, m->from, &s.from) < 0))
        return;
    s.kind = (enum stanza_kind)m->kind;
    worker_begin(w, conn_find(w, m->conn));
    if (conn_id_slot(m->conn) != w->proc->slot || !deliver_to_conn(w, m->conn, &s)) {
        proc_count(w->proc, COUNTER_STALE_ROUTES, 1);
        deliver_again(w, &s, m->conn);
    }
    worker_commit(w);
}
