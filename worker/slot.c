/*
 * slot.c -- taking over the shared segment of a worker
 *
 * Layout: struct slot, padded to a slab page, then the slab's pages. A successor marks
 * everything that connection records point to and lets the slab take back the rest.
 */
#include "worker/slot.h"

#include <stddef.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "worker/transfer.h"

static uint64_t
slab_offset(void)
{
    return (sizeof(struct slot) + SLAB_PAGE - 1) & ~(uint64_t)(SLAB_PAGE - 1);
}

uint64_t
slot_size(void)
{
    return slab_offset() + (uint64_t)SLOT_PAGES_MAX * SLAB_PAGE;
}

static void
queue_mark(struct slab *slab, const struct queue *q)
{
    for (const struct chunk *c = q->head; c; c = c->next)
        slab_mark(slab, c);
}

static void
held_mark(struct slab *slab, const struct held_list *list)
{
    slab_mark(slab, list);
    for (const struct held *h = list ? list->first : NULL; h; h = h->next)
        slab_mark(slab, h);
}

static void
conn_mark(struct slab *slab, const struct conn *c)
{
    slab_mark(slab, c->in);
    slab_mark(slab, c->plain);
    queue_mark(slab, &c->out);
    queue_mark(slab, &c->wire);
    slab_mark(slab, c->tls_state);
    slab_mark(slab, c->bindings);
    slab_mark(slab, c->jid);
    slab_mark(slab, c->scopes);
    slab_mark(slab, c->lang);
    slab_mark(slab, c->presence);
    for (const struct directed *d = c->directed; d; d = d->next)
        slab_mark(slab, d);
    for (unsigned i = 0; i < CONN_KEPT; i++)
        slab_mark(slab, c->kept[i]);
    slab_mark(slab, c->sm);
    for (const struct sm_item *i = c->sm ? c->sm->first : NULL; i; i = i->next)
        slab_mark(slab, i);
    held_mark(slab, c->held);
    held_mark(slab, c->late);
}

static void
jobs_mark(struct slab *slab, const struct slot *slot)
{
    for (const struct slot_job *j = slot->job_first; j; j = j->next) {
        slab_mark(slab, j);
        slab_mark(slab, j->data);
        slab_mark(slab, j->request);
    }
}

/* Within whose transaction did the predecessor die, and was it there before? */
static void
note_poison(struct slot *slot, bool faulted)
{
    if (!slot->transaction_conn)
        return;
    poison_note(&slot->poison_conn, slot->transaction_conn, faulted);
    slot->transaction_conn = 0;
}

bool
slot_is_ours(const struct slot *slot, const char *instance)
{
    return slot->magic == SLOT_MAGIC && slot->layout == SLOT_LAYOUT &&
           strcmp(slot->instance, instance) == 0;
}

int
slot_open(struct slot *slot, const char *instance, bool faulted, int transfer_fd,
        struct slab **ret_slab)
{
    void *pages = (char *)slot + slab_offset();
    int r = 0;

    if (slot_is_ours(slot, instance)) {
        tx_recover(&slot->tx);
        killpoint(TAKE_UNDONE);
        note_poison(slot, faulted);
        *ret_slab = slab_new(pages, SLOT_PAGES_MAX, slot->page_class, false);
        for (uint32_t i = 0; i < slot->conns_used; i++) {
            if (slot->conn[i].state != STREAM_FREE)
                conn_mark(*ret_slab, &slot->conn[i]);
        }
        jobs_mark(*ret_slab, slot);
        slab_sweep(*ret_slab);
        return 1;
    }
    slot->magic = 0;
    for (uint32_t i = 0; i < slot->conns_used && i < SLOT_CONNS_MAX; i++) {
        uint32_t generation = slot->conn[i].generation;

        slot->conn[i] = (struct conn){ .generation = generation };
    }
    slot->tx.n = slot->tx.depth = 0;
    memset(slot->inbox.packet, 0, sizeof(uint32_t));
    memset(slot->inbox.last, 0, sizeof slot->inbox.last);
    slot->inbox.handled = 0;
    slot->outbox.len = 0;
    slot->job_first = slot->job_last = NULL;
    /*
     * Higher than any number that an emptied slot has used: receivers remember those.
     */
    slot->outbox.number = clock_us();
    slot->saved_taken = 0;
    slot->transaction_conn = 0;
    slot->poison_conn = slot->poison_frame = slot->poison_job = (struct poison){ 0 };
    slot->started_ms = clock_ms();
    snprintf(slot->instance, sizeof slot->instance, "%s", instance);
    *ret_slab = slab_new(pages, SLOT_PAGES_MAX, slot->page_class, true);
    if (transfer_fd >= 0)
        r = transfer_in(slot, *ret_slab, transfer_fd);
    if (r < 0)
        return r;
    killpoint(CONVERT_IN);
    slot->layout = SLOT_LAYOUT;
    slot->magic = SLOT_MAGIC;
    return transfer_fd >= 0;
}
