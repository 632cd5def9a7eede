/*
 * fanout.c -- one stanza to many sessions
 *
 * Presence goes to every session of every contact. What is for sessions of one worker
 * travels in one frame: the bytes once, and the ids.
 */
#include "worker/deliver.h"

#include "worker/conn.h"
#include "worker/out.h"
#include "worker/outbox.h"

enum {
    IDS_MAX = 4096 /* in one frame */
};

void
stanza_add_to(struct buf *out, struct str bytes, struct str to)
{
    size_t n = 1;

    buf_reset(out, SIZE_MAX);
    while (n < bytes.n && bytes.p[n] != ' ' && bytes.p[n] != '>' && bytes.p[n] != '/')
        n++;
    buf_add(out, bytes.p, n);
    xml_put(out, "to", to);
    buf_add(out, bytes.p + n, bytes.n - n);
}

static void
to_session(struct worker *w, uint64_t conn, const struct stanza *s)
{
    struct conn *c = conn_find(w, conn);
    struct stanza copy = *s;

    if (!c ||
            (c->state != STREAM_OPEN && c->state != STREAM_DETACHED &&
                    c->state != STREAM_MOVED) ||
            (s->kind == STANZA_PRESENCE && !(c->flags & CONN_AVAILABLE)))
        return;
    stanza_add_to(&w->fanout_text, s->bytes, conn_bare(c));
    copy.bytes = buf_str(&w->fanout_text);
    copy.to = conn_jid(c);
    copy.to.resource = STR_NULL;
    copy.hops = DELIVER_ONCE;
    deliver_to_conn(w, conn, &copy);
}

void
fanout_begin(struct worker *w, const struct stanza *s)
{
    w->fanout_stanza = *s;
    if (!w->fanout)
        w->fanout = mem_zalloc(w->proc->n_workers * sizeof *w->fanout);
}

static void
send_frame(struct worker *w, unsigned slot)
{
    const struct stanza *s = &w->fanout_stanza;
    struct buf from = { 0 }, *ids = &w->fanout[slot];
    struct ipc_fanout m = { .kind = (uint8_t)s->kind,
        .type = s->type,
        .traits = s->traits,
        .stanza = s->bytes,
        .conns = buf_str(ids) };

    if (ids->n == 0)
        return;
    jid_write(&from, &s->from);
    m.from = buf_str(&from);
    outbox_send(w, ipc_addr_of(PROC_WORKER, slot), IPC_FANOUT, &m);
    proc_count(w->proc, COUNTER_STANZAS_ROUTED, ids->n / sizeof(uint64_t));
    buf_fini(&from);
    buf_reset(ids, IDS_MAX);
}

void
fanout_add(struct worker *w, uint64_t conn)
{
    unsigned slot = conn_id_slot(conn);

    if (slot == w->proc->slot) {
        to_session(w, conn, &w->fanout_stanza);
    } else if (slot < w->proc->n_workers) {
        buf_add(&w->fanout[slot], &conn, sizeof conn);
        if (w->fanout[slot].n >= IDS_MAX * sizeof conn)
            send_frame(w, slot);
    }
}

void
fanout_end(struct worker *w)
{
    for (unsigned i = 0; i < w->proc->n_workers; i++)
        send_frame(w, i);
}

void
fanout_on_frame(struct worker *w, const struct ipc_fanout *m)
{
    struct stanza s = { .type = m->type, .traits = m->traits, .bytes = m->stanza };
    uint64_t conn;

    if (m->kind >= STANZA_OTHER ||
            (m->from.n && jid_parse(&w->scratch, m->from, &s.from) < 0))
        return;
    s.kind = (enum stanza_kind)m->kind;
    worker_begin(w, NULL);
    for (size_t at = 0; at + sizeof conn <= m->conns.n; at += sizeof conn) {
        memcpy(&conn, m->conns.p + at, sizeof conn);
        to_session(w, conn, &s);
    }
    worker_commit(w);
}
