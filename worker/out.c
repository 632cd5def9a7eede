/*
 * out.c -- bytes on their way to the client
 *
 * They wait in the slot, in a queue of chunks. What send() has taken is counted in
 * tx_total and taken off the queue in one transaction right after the call; a successor
 * compares tx_total with the kernel's count and so knows whether the call had happened.
 *
 * Under TLS the queue holds plain text until the turn's end; then it becomes records in
 * the queue `wire`, so that all stanzas of a turn share a record. No more becomes
 * records than a socket may take at once: a client that does not read costs neither
 * that work nor the room for both.
 */
#include "worker/out.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/killpoint.h"
#include "worker/conn.h"
#include "worker/jobs.h"
#include "worker/owed.h"
#include "worker/pressure.h"
#include "worker/process.h"
#include "worker/sm.h"
#include "worker/tls.h"

enum {
    CHUNK_FIRST = 512,
    CHUNK_LATER = 4096,
    CHUNK_MOST = 1 << 20,
    CHUNK_HEAD = sizeof(struct chunk),
    SEAL_AHEAD = 256 * 1024, /* bytes of records that may wait */
    IOV_MAX_OURS = 16
};

static struct chunk *
chunk_new(struct worker *w, size_t room)
{
    struct chunk *k = slot_alloc(w, CHUNK_HEAD + room);

    k->next = NULL;
    k->size = (uint32_t)(slab_size(w->slab, k) - CHUNK_HEAD);
    k->len = 0;
    return k;
}

static void
queue_add(struct worker *w, struct queue *q, struct str bytes)
{
    struct chunk *k = q->tail;
    size_t n = bytes.n, room = k ? k->size - k->len : 0, part = n < room ? n : room;

    if (part > 0) {
        memcpy(k->data + k->len, bytes.p, part); /* behind what counts */
        SET(w, k->len, k->len + (uint32_t)part);
    }
    while (part < n) {
        size_t least = (q->head ? CHUNK_LATER : CHUNK_FIRST) - CHUNK_HEAD,
               more = n - part;
        struct chunk *next;

        if (more > CHUNK_MOST)
            more = CHUNK_MOST;
        next = chunk_new(w, more > least ? more : least);
        assert(more <= next->size);
        memcpy(next->data, bytes.p + part, more);
        next->len = (uint32_t)more;
        if (k)
            SET(w, k->next, next);
        else
            SET(w, q->head, next);
        SET(w, q->tail, next);
        k = next;
        part += more;
    }
    SET(w, q->bytes, q->bytes + (uint32_t)n);
}

void
out_drop(struct worker *w, struct queue *q, size_t n)
{
    SET(w, q->bytes, q->bytes - (uint32_t)n);
    while (n > 0) {
        struct chunk *k = q->head;
        size_t left = k->len - q->off;

        if (n < left) {
            SET(w, q->off, q->off + (uint32_t)n);
            return;
        }
        n -= left;
        SET(w, q->head, k->next);
        if (!k->next)
            SET(w, q->tail, NULL);
        SET(w, q->off, 0);
        slot_free(w, k);
    }
}

void
out_dirty(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);

    if (l->flags & (LIVE_DIRTY | LIVE_DEAD))
        return;
    l->flags |= LIVE_DIRTY;
    l->next_dirty = w->dirty;
    w->dirty = conn_index(w, c) + 1;
    process_turn_due(w);
}

/* Bytes for the client, with n more. What is sealed (TLS) waits in the second queue. */
static uint64_t
waiting(const struct conn *c, size_t n)
{
    return (uint64_t)c->out.bytes + c->wire.bytes + n;
}

static void
note_slow(struct worker *w, struct conn *c)
{
    if (waiting(c, 0) > OUT_BYTES_MAX)
        live_of(w, c)->flags |= LIVE_SLOW;
}

/* In the slot, as a successor must not go on with what has a hole in it. */
static void
cut_soon(struct worker *w, struct conn *c)
{
    if (!(c->flags & CONN_LOST))
        SET(w, c->flags, c->flags | CONN_LOST);
    out_dirty(w, c);
}

void
out_lost(struct worker *w, struct conn *c)
{
    if (c->sm && c->sm->max_s)
        SET(w, c->sm->max_s, 0);
    if (c->state != STREAM_DETACHED && c->state != STREAM_MOVED)
        cut_soon(w, c);
}

bool
out_takes(struct worker *w, struct conn *c, size_t n)
{
    if (c->sm ? !pressure_is_last(w) : !pressure_drops(w, waiting(c, n)))
        return true;
    out_lost(w, c);
    return false;
}

void
out_add(struct worker *w, struct conn *c, struct str bytes)
{
    if (c->state == STREAM_CLOSED || c->state == STREAM_DETACHED ||
            c->state == STREAM_MOVED || c->flags & CONN_CLOSE_SENT)
        return;
    if (c->flags & CONN_LOST || pressure_drops(w, waiting(c, bytes.n))) {
        cut_soon(w, c);
        return;
    }
    queue_add(w, &c->out, bytes);
    note_slow(w, c);
    out_dirty(w, c);
}

void
out_add_stanza(struct worker *w, struct conn *c, struct str bytes)
{
    struct live *l = live_of(w, c);

    sm_note_out(w, c, bytes);
    proc_count(w->proc, COUNTER_STANZAS_OUT, 1);
    if (c->state == STREAM_DETACHED)
        return;
    out_add(w, c, bytes);
    sm_ask(w, c);
    if (++l->queued > conn_listener(w, c)->max_fsm_queue)
        l->flags |= LIVE_SLOW;
}

void
out_add_wire(struct worker *w, struct conn *c, struct str bytes)
{
    queue_add(w, &c->wire, bytes);
    note_slow(w, c);
    out_dirty(w, c);
}

char *
out_wire_room(struct worker *w, struct conn *c, size_t n)
{
    struct queue *q = &c->wire;
    struct chunk *k = q->tail;

    if (!k || k->size - k->len < n) {
        struct chunk *next = chunk_new(w, n);

        if (k)
            SET(w, k->next, next);
        else
            SET(w, q->head, next);
        SET(w, q->tail, next);
        k = next;
    }
    return k->data + k->len;
}

void
out_wire_added(struct worker *w, struct conn *c, size_t n)
{
    struct chunk *k = c->wire.tail;

    SET(w, k->len, k->len + (uint32_t)n);
    SET(w, c->wire.bytes, c->wire.bytes + (uint32_t)n);
    note_slow(w, c);
    out_dirty(w, c);
}

bool
out_pending(const struct conn *c)
{
    return c->out.bytes > 0 || c->wire.bytes > 0;
}

/* The end of a stream is followed by the end of TLS, once. */
static void
close_tls(struct worker *w, struct conn *c)
{
    if (c->out.bytes > 0 ||
            (c->flags & (CONN_CLOSE_SENT | CONN_TLS_CLOSED)) != CONN_CLOSE_SENT)
        return;
    tls_close(w, c);
    SET(w, c->flags, c->flags | CONN_TLS_CLOSED);
}

/* Turns what waits in plain text into records, but not too much at once. */
static int
out_seal(struct worker *w, struct conn *c)
{
    int r = 0;

    worker_begin(w, NULL);
    while (c->out.bytes > 0 && c->wire.bytes < SEAL_AHEAD && r == 0) {
        struct chunk *k = c->out.head;
        struct str part = { k->data + c->out.off, k->len - c->out.off };

        if (part.n > SEAL_AHEAD - c->wire.bytes)
            part.n = SEAL_AHEAD - c->wire.bytes;
        r = tls_seal(w, c, part);
        if (r == 0)
            out_drop(w, &c->out, part.n);
        killpoint(OUT_SEALED);
    }
    if (r == 0)
        close_tls(w, c);
    worker_commit(w);
    return r;
}

static ssize_t
queue_send(int fd, const struct queue *q)
{
    struct iovec iov[IOV_MAX_OURS];
    struct msghdr mh = { .msg_iov = iov };
    size_t off = q->off;

    if (!q->head->next) /* the kernel has less to look at */
        return send(fd, q->head->data + off, q->head->len - off,
                MSG_DONTWAIT | MSG_NOSIGNAL);
    for (struct chunk *k = q->head; k && mh.msg_iovlen < IOV_MAX_OURS; k = k->next) {
        iov[mh.msg_iovlen++] = (struct iovec){ k->data + off, k->len - off };
        off = 0;
    }
    return sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* 0: all is sent or the socket is full; -errno: the connection is broken. */
static int
queue_flush(struct worker *w, struct conn *c, struct live *l, struct queue *q)
{
    while (q->bytes > 0 && (l->flags & LIVE_WRITABLE)) {
        ssize_t n;

        killpoint(OUT_SENDING);
        n = queue_send(l->fd, q);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            l->flags &= ~(unsigned)LIVE_WRITABLE;
            break;
        }
        if (n < 0)
            return -errno;
        killpoint(OUT_SENT);
        worker_begin(w, NULL);
        SET(w, c->tx_total, c->tx_total + (uint64_t)n);
        out_drop(w, q, (size_t)n);
        worker_commit(w);
        killpoint(OUT_COUNTED);
        proc_count(w->proc, COUNTER_BYTES_OUT, (uint64_t)n);
        l->out_deadline_s = 0; /* it reads */
    }
    return 0;
}

/* What is sealed goes first; then the kernel seals. As queue_flush(). */
static int
kernel_flush(struct worker *w, struct conn *c, struct live *l)
{
    int r = queue_flush(w, c, l, &c->wire);
    uint64_t before = c->tx_total;

    if (r < 0 || c->wire.bytes > 0)
        return r;
    worker_begin(w, NULL);
    r = tls_flush_kernel(w, c, 0);
    worker_commit(w);
    if (r < 0 || !(c->flags & CONN_KTLS))
        return r;
    r = queue_flush(w, c, l, &c->out);
    worker_begin(w, NULL);
    if (r == 0)
        r = tls_flush_kernel(w, c, c->tx_total - before);
    if (r == 0)
        close_tls(w, c);
    worker_commit(w);
    return r;
}

/* 0 or -errno, as queue_flush(). */
static int
records_flush(struct worker *w, struct conn *c, struct live *l)
{
    int r = c->flags & CONN_KTLS ? kernel_flush(w, c, l) : 0;

    if (r < 0 || c->flags & CONN_KTLS)
        return r;
    do {
        if (c->tls != CONN_PLAIN && l->flags & LIVE_WRITABLE)
            r = out_seal(w, c);
        if (r == 0)
            r = queue_flush(w, c, l, &c->wire);
    } while (r == 0 && c->tls != CONN_PLAIN && c->out.bytes > 0 &&
             l->flags & LIVE_WRITABLE);
    return r;
}

static void
out_flush(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    int r = 0;

    if (l->fd < 0)
        return; /* its socket has not come yet: see recover_conn() */
    if (c->flags & CONN_LOST) {
        conn_close(w, c, "memory is short, and what it should get was dropped");
        return;
    }
    if (c->flags & CONN_OWED && c->out.bytes > 0) {
        worker_begin(w, NULL);
        owed_pay(w, c);
        worker_commit(w);
    }
    if (c->tls == CONN_PLAIN)
        r = queue_flush(w, c, l, &c->out); /* <proceed/> goes before the handshake */
    if (r == 0)
        r = records_flush(w, c, l);
    if (r < 0) {
        conn_close(w, c, "the client's connection is broken");
        return;
    }
    if (l->flags & LIVE_JOB_WAITS)
        jobs_on_output(w, c);
    if (!out_pending(c)) {
        l->queued = 0;
        l->flags &= ~(unsigned)LIVE_SLOW;
        l->out_deadline_s = 0;
        if (!(c->flags & CONN_CLOSE_SENT))
            return;
        if (l->flags & LIVE_EOF)
            conn_close(w, c, "the client has closed the connection");
        else
            shutdown(l->fd, SHUT_WR);
        return;
    }
    if (l->flags & LIVE_SLOW) {
        proc_count(w->proc, COUNTER_SLOW_CUT, 1);
        log_info(conn_ctx(w, c), "cut: the client does not read, %u bytes wait",
                c->out.bytes + c->wire.bytes);
        conn_close(w, c, "the client does not read");
        return;
    }
    if (l->out_deadline_s == 0)
        l->out_deadline_s =
                w->now_s + (uint32_t)(conn_listener(w, c)->send_timeout_ms / 1000) + 1;
}

void
out_flush_all(struct worker *w)
{
    while (w->dirty) {
        struct conn *c = &w->conns[w->dirty - 1];
        struct live *l = live_of(w, c);

        w->dirty = l->next_dirty;
        l->next_dirty = 0;
        l->flags &= ~(unsigned)LIVE_DIRTY;
        if (!(l->flags & LIVE_DEAD))
            out_flush(w, c);
    }
}
