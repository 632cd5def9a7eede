/*
 * transaction.c -- a transaction of the worker, and memory of the slot within it
 *
 * What is freed in a transaction is given back after its commit: until then a successor
 * may have to put back what pointed to it. What was to leave the process leaves after
 * the commit, too.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/killpoint.h"
#include "base/mem.h"
#include "worker/conn.h"
#include "worker/jobs.h"
#include "worker/outbox.h"

void *
slot_alloc(struct worker *w, size_t size)
{
    void *p = slab_alloc(w->slab, size);

    if (!p) {
        log_critical(NULL, "the slot segment is exhausted");
        abort();
    }
    return p;
}

void
slot_free(struct worker *w, void *p)
{
    if (!p)
        return;
    assert(w->tx->depth > 0);
    if (w->n_garbage == w->garbage_size) {
        w->garbage_size = w->garbage_size ? w->garbage_size * 2 : 64;
        w->garbage = mem_realloc(w->garbage, w->garbage_size * sizeof *w->garbage);
    }
    w->garbage[w->n_garbage++] = p;
}

char *
slot_dup(struct worker *w, struct str s)
{
    char *p = slot_alloc(w, s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

/* Whose stanza it is, for the last words: the bare address, as it lies there. */
static void
note_jid(struct status_page *page, const struct conn *c)
{
    size_t n = c->jid ? (size_t)c->local_n + (c->local_n > 0) + c->domain_n : 0;

    if (n > sizeof page->transaction_jid - 1)
        n = sizeof page->transaction_jid - 1;
    if (n > 0)
        memcpy(page->transaction_jid, c->jid, n);
    page->transaction_jid[n] = '\0';
}

void
transaction_about(struct worker *w, const struct conn *c)
{
    struct status_page *page = w->proc->status;

    w->slot->transaction_conn = page->transaction_conn = conn_id(w, c);
    page->transaction = w->tx->number + 1;
    note_jid(page, c);
}

void
worker_commit(struct worker *w)
{
    if (!tx_commit(w->tx))
        return;
    if (w->slot->transaction_conn) {
        if (w->slot->transaction_conn == w->slot->poison_conn.what)
            w->slot->poison_conn.what = 0; /* it was not this stanza, then */
        w->slot->transaction_conn = 0;
        w->proc->status->transaction = 0;
    }
    killpoint(COMMIT_SAID);
    for (size_t i = 0; i < w->n_garbage; i++) {
        slab_free(w->slab, w->garbage[i]);
        killpoint(COMMIT_FREED);
    }
    w->n_garbage = 0;
    jobs_committed(w);
    killpoint(COMMIT_ASKED);
    outbox_committed(w);
    killpoint(COMMIT_SENT);
}
