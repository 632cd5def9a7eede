/*
 * late.c -- live stanzas that wait for older ones
 *
 * Who comes online gets what was stored for him, while others already see him and write
 * to him. Those messages wait in the slot of his session until the older ones have
 * passed (STANZA_OLDER), so that each sender's messages arrive in the order in which he
 * sent them. The wait ends when the module that has begun it says so; when too much
 * waits; or when nothing older has come for a while, as after a failure nobody would
 * say so.
 *
 * A session that has moved here from another worker (XEP-0198) still gets by way of
 * that one what was sent before the route table showed where it is now. What others
 * send straight to it waits meanwhile. When the new route is in force every worker is
 * asked (SM_BARRIER) to send word by the old way (SM_PASS): behind that nothing else
 * comes by it.
 */
#include "worker/late.h"

#include <string.h>

#include "base/clock.h"
#include "worker/conn.h"
#include "worker/held.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/undelivered.h"
#include "xmpp/traits.h"

enum {
    LATE_MAX =
            4000, /* less than max_fsm_queue and max_ack_queue: it goes out at once */
    LATE_BYTES_MAX = 4 << 20,
    STORED_US = 60 * 1000000, /* without anything older */
    MOVED_US = 5 * 1000000,
    LATE_NOTED_US = 1000000 /* how often the time of the last older one is noted */
};

enum late_why {
    LATE_STORED = 1 << 0, /* messages, for those that were stored */
    LATE_MOVED = 1 << 1,  /* all stanzas, for what comes by way of the old worker */
    LATE_UNASKED = 1 << 2 /* the others are to be asked when the route is in force */
};

static void
begin(struct worker *w, struct conn *c, unsigned why)
{
    SET(w, c->late_us, clock_wall_us());
    SET(w, c->late_why, (uint8_t)(c->late_why | why));
}

void
session_older_begin(struct worker *w, struct conn *c)
{
    worker_begin(w, c);
    begin(w, c, LATE_STORED);
    worker_commit(w);
}

static void
add(struct worker *w, struct conn *c, struct str bytes)
{
    struct held *h = slot_alloc(w, sizeof *h + bytes.n);

    *h = (struct held){ .since_us = clock_wall_us(), .n = (uint32_t)bytes.n };
    memcpy(h->text, bytes.p, bytes.n);
    held_append(w, &c->late, h);
}

/* Ends the wait; every message goes to fn. */
static void
let_go(struct worker *w, struct conn *c,
        void (*fn)(struct worker *w, struct conn *c, struct str bytes, uint64_t at_us))
{
    struct held_list *list = c->late;
    struct held *next;

    worker_begin(w, c);
    SET(w, c->late_why, 0);
    SET(w, c->late, NULL);
    for (struct held *h = list ? list->first : NULL; h; h = next) {
        next = h->next;
        fn(w, c, (struct str){ h->text, h->n }, h->since_us);
        slot_free(w, h);
    }
    slot_free(w, list);
    worker_commit(w);
}

static void
send_late(struct worker *w, struct conn *c, struct str bytes, uint64_t at_us)
{
    (void)at_us;
    out_add_stanza(w, c, bytes);
}

/* One reason less to wait. */
static void
end(struct worker *w, struct conn *c, unsigned why)
{
    if (!(c->late_why & why))
        return;
    if (c->late_why & ~why) {
        worker_begin(w, c);
        SET(w, c->late_why, (uint8_t)(c->late_why & ~why));
        worker_commit(w);
        return;
    }
    let_go(w, c, send_late);
}

void
session_older_end(struct worker *w, struct conn *c)
{
    end(w, c, LATE_STORED);
}

void
late_end(struct worker *w, struct conn *c)
{
    end(w, c, UINT8_MAX);
}

/*
 * Somebody's message; not a copy, nor what the account's own store or archive gives out
 * in answer to a request.
 */
static bool
is_live(const struct conn *c, const struct stanza *s)
{
    struct jid own = conn_jid(c);

    return !(s->flags & STANZA_COPY) && !(s->traits & TRAITS_GIVEN_OUT) &&
           s->from.domain.n > 0 &&
           (s->from.resource.n > 0 || !jid_eq_bare(&s->from, &own));
}

/* What the service itself says knows only one way, and waits for nothing. */
static bool
waits(const struct conn *c, const struct stanza *s)
{
    if (c->late_why & LATE_MOVED && s->kind != STANZA_MESSAGE)
        return s->from.local.n > 0;
    return s->kind == STANZA_MESSAGE && is_live(c, s);
}

bool
late_keep(struct worker *w, struct conn *c, const struct stanza *s)
{
    uint64_t now;

    if (!c->late_why)
        return false;
    if (s->flags & STANZA_OLDER) {
        now = clock_wall_us();
        if (now - c->late_us > LATE_NOTED_US)
            SET(w, c->late_us, now);
        return false;
    }
    if (!waits(c, s))
        return false;
    if (c->late &&
            (c->late->n >= LATE_MAX || c->late->bytes + s->bytes.n > LATE_BYTES_MAX)) {
        late_end(w, c);
        return false;
    }
    add(w, c, s->bytes);
    return true;
}

void
late_tick(struct worker *w, struct conn *c)
{
    uint64_t us = c->late_why ? clock_wall_us() - c->late_us : 0;

    if (us > MOVED_US)
        end(w, c, LATE_MOVED | LATE_UNASKED);
    if (us > STORED_US)
        end(w, c, LATE_STORED);
}

void
late_give_back(struct worker *w, struct conn *c)
{
    if (c->late_why)
        let_go(w, c, undelivered);
}

/* --- A session that has moved --- */

void
late_moved(struct worker *w, struct conn *c, uint64_t old)
{
    begin(w, c, LATE_MOVED | LATE_UNASKED);
    SET(w, c->late_old, old);
    SET(w, c->late_passes, (uint16_t)w->proc->n_workers);
}

void
late_on_route(struct worker *w, struct conn *c)
{
    struct ipc_sm_barrier m = { .conn = conn_id(w, c), .old = c->late_old };

    if (!(c->late_why & LATE_UNASKED))
        return;
    SET(w, c->late_why, (uint8_t)(c->late_why & ~(unsigned)LATE_UNASKED));
    for (unsigned i = 0; i < w->proc->n_workers; i++) {
        if (i == w->proc->slot)
            late_on_barrier(w, &m);
        else
            outbox_send(w, ipc_addr_of(PROC_WORKER, i), IPC_SM_BARRIER, &m);
    }
}

void
late_on_barrier(struct worker *w, const struct ipc_sm_barrier *m)
{
    unsigned old = conn_id_slot(m->old), now = conn_id_slot(m->conn);

    outbox_send(w, ipc_addr_of(PROC_WORKER, old == w->proc->slot ? now : old),
            IPC_SM_PASS, m);
}

void
late_on_pass(struct worker *w, const struct ipc_sm_barrier *m)
{
    unsigned now = conn_id_slot(m->conn);
    struct conn *c;

    if (now != w->proc->slot) {
        outbox_send(w, ipc_addr_of(PROC_WORKER, now), IPC_SM_PASS, m);
        return;
    }
    c = conn_find(w, m->conn);
    if (!c || !(c->late_why & LATE_MOVED) || c->late_old != m->old ||
            c->late_passes == 0)
        return;
    SET(w, c->late_passes, (uint16_t)(c->late_passes - 1));
    if (c->late_passes == 0)
        end(w, c, LATE_MOVED);
}
