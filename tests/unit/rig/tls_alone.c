/*
 * tls_alone.c -- a connection under TLS, and a client of it, without any process
 */
#include "tests/unit/rig/tls_alone.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "worker/out.h"

struct alone alone;

void
alone_begin(enum record_cipher cipher)
{
    struct worker *w = &alone.w;
    uint8_t secret[RECORD_SECRET_MAX] = { 1, 2, 3 };
    struct tls_state *st;

    if (!alone.pages) {
        alone.pages = aligned_alloc(SLAB_PAGE, (size_t)ALONE_PAGES * SLAB_PAGE);
        w->tx = calloc(1, sizeof *w->tx);
        w->live[0] = calloc(LIVE_BLOCK, sizeof **w->live);
        assert(alone.pages && w->tx && w->live[0]);
    }
    alone.proc.conf = &alone.conf;
    w->proc = &alone.proc;
    w->conns = &alone.conn;
    w->now_s = 1000;
    w->live[0]->flags = LIVE_DIRTY; /* nothing is flushed here */
    memset(alone.page_class, 0, sizeof alone.page_class);
    w->pressure.full = w->pressure.stop = ALONE_PAGES;
    w->slab = slab_new(alone.pages, ALONE_PAGES, alone.page_class, true);
    alone.conn = (struct conn){ .generation = 1, .state = STREAM_OPEN };
    st = slab_alloc(w->slab, sizeof *st);
    *st = (struct tls_state){ .cipher = (uint8_t)cipher,
        .secret_size = cipher == RECORD_AES_256_GCM ? 48 : 32 };
    if (record_half_init(st, &st->rd, secret, 0) < 0)
        abort();
    secret[0] = 9;
    if (record_half_init(st, &st->wr, secret, 0) < 0)
        abort();
    alone.conn.tls = CONN_TLS13;
    alone.conn.tls_state = st;
    alone.client = *st;
    alone.client.wr = st->rd;
    alone.client.rd = st->wr;
}

void
alone_end(void)
{
    alone.conn.out = alone.conn.wire = (struct queue){ 0 };
    slab_free_all(&alone.w.slab);
    free(alone.w.garbage);
    alone.w.garbage = NULL;
    alone.w.n_garbage = alone.w.garbage_size = 0;
}

void
alone_commit(void)
{
    tx_commit(alone.w.tx);
    for (size_t i = 0; i < alone.w.n_garbage; i++)
        slab_free(alone.w.slab, alone.w.garbage[i]);
    alone.w.n_garbage = 0;
}

void
alone_undo(void)
{
    tx_recover(alone.w.tx);
    alone.w.n_garbage = 0;
}

void
alone_receive(const void *bytes, size_t n)
{
    struct chunk *k = slab_alloc(alone.w.slab, sizeof *k + n);

    assert(k);
    k->next = NULL;
    k->size = k->len = (uint32_t)n;
    if (n)
        memcpy(k->data, bytes, n);
    slab_free(alone.w.slab, alone.conn.in);
    alone.conn.in = k;
    alone.conn.in_done = 0;
}

size_t
alone_seal(uint8_t type, const void *content, size_t n, void *ret_record)
{
    int len = record_seal(&alone.client, &alone.client.wr, (enum record_type)type,
            content, n, ret_record);

    if (len < 0)
        abort();
    alone.client.wr.sequence++;
    return (size_t)len;
}

int
alone_read(void *ret_plain, uint8_t *ret_type)
{
    struct queue *q = &alone.conn.wire;
    struct str record;
    int n;

    if (!q->head || q->bytes == 0)
        return 0;
    record = (struct str){ q->head->data + q->off, q->head->len - q->off };
    n = record_length(record);
    assert(n > 0 && (size_t)n <= record.n);
    record.n = (size_t)n;
    n = record_open(&alone.client, &alone.client.rd, record, ret_plain, ret_type);
    alone.client.rd.sequence++;
    tx_begin(alone.w.tx);
    out_drop(&alone.w, q, record.n);
    alone_commit();
    return n;
}
