/*
 * late.c -- live messages that wait for older ones
 *
 * Who comes online gets what was stored for him, while others already see him and write
 * to him. Those messages wait in the slot of his session until the older ones have
 * passed (STANZA_OLDER), so that each sender's messages arrive in the order in which he
 * sent them. The wait ends when the module that has begun it says so; when too much
 * waits; or when nothing older has come for a while, as after a failure nobody would
 * say so.
 */
#include "worker/late.h"

#include <string.h>

#include "base/clock.h"
#include "worker/conn.h"
#include "worker/out.h"
#include "worker/undelivered.h"
#include "xmpp/traits.h"

enum {
    LATE_MAX = 1000,
    LATE_BYTES_MAX = 4 << 20,
    LATE_US = 60 * 1000000,
    LATE_NOTED_US = 1000000 /* how often the time of the last older one is noted */
};

void
session_older_begin(struct worker *w, struct conn *c)
{
    worker_begin(w, c);
    SET(w, c->late_us, clock_wall_us());
    worker_commit(w);
}

static void
add(struct worker *w, struct conn *c, struct str bytes)
{
    struct held_list *list = c->late;
    struct held *h = slot_alloc(w, sizeof *h + bytes.n);

    *h = (struct held){ .since_us = clock_wall_us(), .n = (uint32_t)bytes.n };
    memcpy(h->text, bytes.p, bytes.n);
    if (!list) {
        list = slot_alloc(w, sizeof *list);
        *list = (struct held_list){ 0 };
        SET(w, c->late, list);
    }
    if (list->last)
        SET(w, list->last->next, h);
    else
        SET(w, list->first, h);
    SET(w, list->last, h);
    SET(w, list->n, list->n + 1);
    SET(w, list->bytes, list->bytes + h->n);
}

/* Ends the wait; every message goes to fn. */
static void
let_go(struct worker *w, struct conn *c,
        void (*fn)(struct worker *w, struct conn *c, struct str bytes, uint64_t at_us))
{
    struct held_list *list = c->late;
    struct held *next;

    worker_begin(w, c);
    SET(w, c->late_us, 0);
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

void
session_older_end(struct worker *w, struct conn *c)
{
    if (c->late_us)
        let_go(w, c, send_late);
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

bool
late_keep(struct worker *w, struct conn *c, const struct stanza *s)
{
    uint64_t now;

    if (!c->late_us || s->kind != STANZA_MESSAGE)
        return false;
    if (s->flags & STANZA_OLDER) {
        now = clock_wall_us();
        if (now - c->late_us > LATE_NOTED_US)
            SET(w, c->late_us, now);
        return false;
    }
    if (!is_live(c, s))
        return false;
    if (c->late &&
            (c->late->n >= LATE_MAX || c->late->bytes + s->bytes.n > LATE_BYTES_MAX)) {
        session_older_end(w, c);
        return false;
    }
    add(w, c, s->bytes);
    return true;
}

void
late_tick(struct worker *w, struct conn *c)
{
    if (c->late_us && clock_wall_us() - c->late_us > LATE_US)
        session_older_end(w, c);
}

void
late_give_back(struct worker *w, struct conn *c)
{
    if (c->late_us)
        let_go(w, c, undelivered);
}
