/*
 * in.c -- bytes from the client, and when they are read
 *
 * recv() writes straight into the slot, and rx_total counts it in a transaction right
 * after; a successor compares with the kernel's count and so knows whether the call had
 * happened. Records become text, and text is in_text.c's.
 *
 * A connection that has nothing to read holds no buffer: while it is read it borrows
 * the worker's, and only the rest of an incomplete element is copied to a chunk of its
 * own.
 */
#include "worker/in.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/killpoint.h"
#include "base/mem.h"
#include "worker/account.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/in_text.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/presence.h"
#include "worker/pressure.h"
#include "worker/process.h"
#include "worker/proxy.h"
#include "worker/shaper.h"
#include "worker/tls.h"

enum {
    READ_SIZE = 16 * 1024,
    READ_LEAST = 2048,
    TURN_BYTES = 128 * 1024
};

bool
in_may_read(struct worker *w, const struct conn *c)
{
    switch ((enum stream_state)c->state) {
    case STREAM_PROXY:
    case STREAM_TLS:
    case STREAM_HEADER:
    case STREAM_FEATURES:
    case STREAM_SASL:
    case STREAM_BIND:
        return !w->blocked && !w->stopping && pressure_allows(w);
    case STREAM_OPEN:
        return !w->blocked && !w->stopping && session_account(w, c) &&
               !live_of(w, c)->waits_for_peer && pressure_allows(w);
    case STREAM_CLOSING:
        return true;
    case STREAM_IQ_WAIT:
    case STREAM_SASL_WAIT:
    case STREAM_BIND_WAIT:
    case STREAM_SM_WAIT:
    case STREAM_DETACHED:
    case STREAM_MOVED:
    case STREAM_FREE:
    case STREAM_CLOSED:
    case STREAM_STATES:
        return false;
    }
    return false;
}

/*
 * A chunk of the connection in *at with room for more bytes; a borrowed one if it has
 * none.
 */
static struct chunk *
chunk_with_room(struct worker *w, struct chunk **at, struct chunk **lent, size_t least)
{
    struct chunk *k = *at, *bigger;
    size_t size;

    if (!k) {
        if (!*lent) {
            *lent = slot_alloc(w, sizeof *k + READ_SIZE);
            (*lent)->next = NULL;
            (*lent)->size = (uint32_t)(slab_size(w->slab, *lent) - sizeof *k);
        }
        k = *lent;
        k->len = 0;
        SET(w, *at, k);
        return k;
    }
    if (k->size - k->len >= least)
        return k;
    size = sizeof *k + 2 * (size_t)k->len + least;
    if (size > SLAB_CHUNK_MAX) /* the largest stanza and what came with it fit */
        size = SLAB_CHUNK_MAX;
    bigger = slot_alloc(w, size);
    bigger->next = NULL;
    bigger->size = (uint32_t)(slab_size(w->slab, bigger) - sizeof *k);
    bigger->len = k->len;
    memcpy(bigger->data, k->data, k->len);
    SET(w, *at, bigger);
    if (k != *lent)
        slot_free(w, k);
    return bigger;
}

void
in_chunk_trim(struct worker *w, struct chunk **at, struct chunk *lent, uint32_t done)
{
    struct chunk *k = *at, *rest = NULL;
    uint32_t left = k->len - done;

    if (left > 0 && done == 0 && k != lent)
        return;
    if (left > 0) {
        rest = slot_alloc(w, sizeof *k + left);
        rest->next = NULL;
        rest->size = (uint32_t)(slab_size(w->slab, rest) - sizeof *k);
        rest->len = left;
        memcpy(rest->data, k->data + done, left);
    }
    SET(w, *at, rest);
    if (k != lent)
        slot_free(w, k);
}

/* Ciphertext that has become text is dropped; the rest goes into a chunk of its own. */
static void
records_trim(struct worker *w, struct conn *c)
{
    if (!c->in)
        return;
    worker_begin(w, NULL);
    in_chunk_trim(w, &c->in, w->read_chunk, c->in_done);
    SET(w, c->in_done, 0);
    worker_commit(w);
}

/* One record (or what OpenSSL has) becomes text: as tls_open() says. */
static int
record_to_text(struct worker *w, struct conn *c, size_t size)
{
    struct chunk *k;
    int n;

    worker_begin(w, NULL);
    k = chunk_with_room(w, &c->plain, &w->plain_chunk, size);
    if (k->size - k->len < size) /* the one lent is smaller than the largest record */
        k = chunk_with_room(w, &c->plain, &w->plain_chunk, size);
    n = tls_open(w, c, k->data + k->len, k->size - k->len);
    if (n > 0) {
        SET(w, k->len, k->len + (uint32_t)n);
        killpoint(IN_OPENED);
    }
    worker_commit(w);
    return n;
}

/* The records that are there become text, and this is handled. */
static bool
records_handle(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    bool on = true;
    int n = 0;

    while (on) {
        size_t size = tls_next_size(w, c);

        n = size ? record_to_text(w, c, size) : 0;
        if (n < 0 || (n == 0 && (size == 0 || !c->tls_state)))
            break;
        if (n > 0)
            on = in_text_handle(w, c) && in_may_read(w, c);
    }
    if (l->flags & LIVE_DEAD)
        return false;
    worker_begin(w, NULL);
    in_text_trim(w, c);
    records_trim(w, c);
    worker_commit(w);
    if (n == -EPIPE) {
        c2s_on_eof(w, c);
    } else if (n < 0) {
        out_flush_all(w); /* the alert says why */
        conn_close(w, c, "the TLS connection is broken");
    }
    return on && n >= 0 && !(l->flags & LIVE_DEAD);
}

static bool
handshake_handle(struct worker *w, struct conn *c)
{
    int r;

    worker_begin(w, c);
    r = tls_handshake(w, c);
    if (r > 0) {
        proc_count(w->proc, COUNTER_TLS_HANDSHAKES, 1);
        c2s_on_tls(w, c);
    }
    worker_commit(w);
    if (r < 0) {
        proc_count(w->proc, COUNTER_TLS_FAILED, 1);
        out_flush_all(w); /* the alert says why */
        conn_close(w, c, "the TLS handshake failed");
        return false;
    }
    return r > 0;
}

/* Works on what has been received; false: not to go on with reading now. */
static bool
received_handle(struct worker *w, struct conn *c)
{
    if (c->state == STREAM_PROXY && !proxy_handle(w, c)) {
        if (c->state == STREAM_PROXY)
            records_trim(w, c); /* what is there of the header is kept */
        return c->state == STREAM_PROXY;
    }
    if (c->tls == CONN_PLAIN && c->state != STREAM_TLS) {
        /* Bytes behind <starttls/> can only be those of a handshake. */
        if (!in_text_handle(w, c) || c->state != STREAM_TLS || !c->in)
            return !(live_of(w, c)->flags & LIVE_DEAD);
    }
    if (c->state == STREAM_TLS) {
        if (!tls_take_input(w, c) || !handshake_handle(w, c))
            return c->state == STREAM_TLS;
    }
    return tls_take_input(w, c) && records_handle(w, c);
}

static void
receive(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    size_t budget = TURN_BYTES;

    while ((l->flags & LIVE_READABLE) && in_may_read(w, c)) {
        struct chunk *k;
        size_t room;
        ssize_t n;

        room = shaper_allow(w, c);
        if (room == 0)
            return;
        worker_begin(w, NULL);
        k = chunk_with_room(w, &c->in, &w->read_chunk, READ_LEAST);
        worker_commit(w);
        if (room > k->size - k->len)
            room = k->size - k->len;
        n = recv(l->fd, k->data + k->len, room, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            bool broken = n < 0 && errno != EAGAIN && errno != EWOULDBLOCK;

            l->flags &= ~(unsigned)LIVE_READABLE;
            worker_begin(w, NULL);
            in_chunk_trim(w, &c->in, w->read_chunk, 0);
            worker_commit(w);
            if (broken)
                conn_close(w, c, "the client's connection is broken");
            else if (n == 0)
                c2s_on_eof(w, c);
            return;
        }
        killpoint(IN_RECEIVED);
        worker_begin(w, NULL);
        SET(w, c->rx_total, c->rx_total + (uint64_t)n);
        SET(w, k->len, k->len + (uint32_t)n);
        worker_commit(w);
        killpoint(IN_COUNTED);
        proc_count(w->proc, COUNTER_BYTES_IN, (uint64_t)n);
        shaper_spend(w, c, (size_t)n);
        l->last_rx_s = w->now_s;
        l->flags &= ~(unsigned)LIVE_PINGED;
        /* Nothing more now; an edge will tell, but of an end it has told already. */
        if ((size_t)n < room && !(l->flags & LIVE_HUP))
            l->flags &= ~(unsigned)LIVE_READABLE;
        if (!received_handle(w, c))
            return;
        budget -= budget < (size_t)n ? budget : (size_t)n;
        if (budget == 0) {
            shaper_pause(w, c, 0); /* let the others have their turn */
            return;
        }
    }
}

/* After a death the account is read again when its client says something. */
static void
want_account(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);

    if (c->state != STREAM_OPEN)
        return;
    account_join(w, c);
    if (l->account && l->account->state == ACCOUNT_FAILED && !l->answer_s)
        c2s_on_account(w, c); /* tried again after a while */
    if (c->flags & CONN_PRESENCE_NEW && session_account(w, c)) {
        worker_begin(w, c);
        session_on_loaded(w, c);
        worker_commit(w);
    }
}

void
in_read(struct worker *w, struct conn *c)
{
    want_account(w, c);
    if (!(live_of(w, c)->flags & LIVE_PAUSED))
        receive(w, c);
}

static void
go_on(struct worker *w, struct conn *c)
{
    want_account(w, c);
    if (live_of(w, c)->flags & (LIVE_DEAD | LIVE_PAUSED) || !in_may_read(w, c))
        return;
    if (*in_text_of(c) && !in_text_handle(w, c))
        return;
    if (c->tls != CONN_PLAIN && in_may_read(w, c) && !records_handle(w, c))
        return;
    receive(w, c);
}

void
in_resume(struct worker *w, struct conn *c)
{
    if (w->n_resume == w->resume_size) {
        w->resume_size = w->resume_size ? w->resume_size * 2 : 64;
        w->resume = mem_realloc(w->resume, w->resume_size * sizeof *w->resume);
    }
    w->resume[w->n_resume++] = conn_index(w, c);
    process_turn_due(w);
}

void
in_resume_all(struct worker *w)
{
    for (size_t i = 0; i < w->n_resume; i++) {
        struct conn *c = &w->conns[w->resume[i]];

        if (live_of(w, c)->fd >= 0)
            go_on(w, c);
    }
    w->n_resume = 0;
}

void
in_restart(struct worker *w, struct conn *c)
{
    live_of(w, c)->flags |= LIVE_REPLACE_PARSER;
}

void
in_resume_paused(struct worker *w)
{
    uint32_t now = (uint32_t)loop_now_ms(w->loop);
    size_t n = w->n_paused, kept = 0;

    /* Connections that pause again are added behind the n looked at here. */
    for (size_t i = 0; i < n; i++) {
        struct conn *c = &w->conns[w->paused[i]];
        struct live *l = live_of(w, c);

        if (!(l->flags & LIVE_PAUSED))
            continue;
        if (w->blocked || (int32_t)(l->resume_ms - now) > 0) {
            w->paused[kept++] = w->paused[i];
            continue;
        }
        if (l->waits_for_peer && outbox_is_slow(w, l->slow_peer)) {
            l->resume_ms = now + IN_PEER_LOOK_MS;
            w->paused[kept++] = w->paused[i];
            continue;
        }
        l->waits_for_peer = false;
        l->flags &= ~(unsigned)LIVE_PAUSED;
        go_on(w, c);
    }
    memmove(w->paused + kept, w->paused + n, (w->n_paused - n) * sizeof *w->paused);
    w->n_paused -= n - kept;
    shaper_rearm(w);
}
