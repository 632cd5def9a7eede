/*
 * recover.c -- going on where a predecessor died
 *
 * The slot says what had been committed, the kernel what had really been read and
 * written: both counts of a direction differ by at most the one system call whose
 * result the predecessor could not note any more. recv() had written straight into the
 * buffer, so the difference is only added; what send() had taken is taken off the
 * queue.
 *
 * A client may have gone meanwhile. What it sent before is still there to be read, and
 * then its end, as if we had been here all the time.
 *
 * A connection whose TLS records are OpenSSL's (TLS 1.2, tls_takeover: false) cannot go
 * on: that state died. It is ended; so are handshakes under way. Nor can one whose
 * records the kernel makes: of the text that it had taken some may not be among the
 * bytes that it counts.
 */
#include "worker/recover.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/sockios.h>
#include <linux/tcp.h>
#endif

#include "base/clock.h"
#include "base/killpoint.h"
#include "worker/account.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/in.h"
#include "worker/keep.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/owed.h"
#include "worker/quarantine.h"
#include "worker/session.h"
#include "worker/shaper.h"
#include "worker/sm.h"
#include "worker/tls.h"

#if defined(__linux__)
static struct tcp_info
tcp_info(int fd)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof info;

    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    return info;
}

/* The kernel's names for them are in a header that goes with no other. */
enum tcp_state {
    STATE_FIN_WAIT1 = 4,
    STATE_FIN_WAIT2 = 5,
    STATE_TIME_WAIT = 6,
    STATE_CLOSE = 7,
    STATE_CLOSE_WAIT = 8,
    STATE_LAST_ACK = 9,
    STATE_CLOSING = 11
};

/*
 * The end of a direction (FIN) is counted like a byte: by tcpi_bytes_received (but not
 * by SIOCINQ) when it comes, by SIOCOUTQ and tcpi_bytes_acked when it goes out.
 */
static bool
end_came(unsigned state)
{
    return state == STATE_CLOSE_WAIT || state == STATE_LAST_ACK ||
           state == STATE_CLOSING || state == STATE_TIME_WAIT;
}

static bool
end_went(unsigned state)
{
    return state == STATE_FIN_WAIT1 || state == STATE_FIN_WAIT2 ||
           state == STATE_LAST_ACK || state == STATE_CLOSING ||
           state == STATE_TIME_WAIT;
}

/* Several calls read what belongs together: until all stands still between two of them.
 */
void
recover_kernel_counts(int fd, uint64_t *ret_took, uint64_t *ret_gave)
{
    struct tcp_info info, after = tcp_info(fd);
    int out = 0, in = 0;

    do {
        info = after;
        ioctl(fd, SIOCOUTQ, &out);
        ioctl(fd, SIOCINQ, &in);
        after = tcp_info(fd);
    } while (after.tcpi_bytes_acked != info.tcpi_bytes_acked ||
             after.tcpi_bytes_received != info.tcpi_bytes_received ||
             after.tcpi_state != info.tcpi_state);
    *ret_took = info.tcpi_bytes_acked + (uint64_t)out - end_went(info.tcpi_state);
    *ret_gave = info.tcpi_bytes_received - (uint64_t)in - end_came(info.tcpi_state);
}

/* Nothing is under way to the client, and nothing that came was taken. */
void
recover_kernel_counts_new(int fd, uint64_t *ret_took, uint64_t *ret_gave)
{
    *ret_took = tcp_info(fd).tcpi_bytes_acked;
    *ret_gave = 0;
}

/* Both directions have ended, or it was reset: what was counted is not known any more.
 */
static bool
is_over(int fd)
{
    return tcp_info(fd).tcpi_state == STATE_CLOSE;
}
#else
static bool
is_over(int fd)
{
    (void)fd;
    return false;
}

void
recover_kernel_counts(int fd, uint64_t *ret_took, uint64_t *ret_gave)
{
    (void)fd;
    *ret_took = *ret_gave = 0;
}

void
recover_kernel_counts_new(int fd, uint64_t *ret_took, uint64_t *ret_gave)
{
    (void)fd;
    *ret_took = *ret_gave = 0;
}
#endif

/*
 * Who hears of an account whose sessions have not come back to it looks for them in the
 * route table. One that has just moved here may not be there yet.
 */
static bool
is_routed(struct worker *w, const struct conn *c)
{
    const struct route_snapshot *snap;
    size_t n = route_sessions(w, conn_bare(c), 0, &snap);

    for (size_t i = 0; i < n; i++) {
        if (snap->entry[i].conn == conn_id(w, c))
            return true;
    }
    return false;
}

void
recover_begin(struct worker *w)
{
    uint64_t sessions = 0;

    w->recovering = true;
    for (uint32_t i = 0; i < w->slot->conns_used; i += LIVE_BLOCK) {
        w->live[i / LIVE_BLOCK] = mem_zalloc(LIVE_BLOCK * sizeof(struct live));
        for (uint32_t k = 0; k < LIVE_BLOCK; k++)
            w->live[i / LIVE_BLOCK][k].fd = -1;
    }
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (c->state == STREAM_FREE ||
                (c->flags & (CONN_BOUND | CONN_SESSION_ENDED)) != CONN_BOUND)
            continue;
        sessions++;
        /* Jobs look for sessions before their sockets are here. */
        live_of(w, c)->host = conf_host_find(w->proc->conf, conn_domain(c));
        if (!is_routed(w, c))
            account_join(w, c);
    }
    proc_count(w->proc, COUNTER_SESSIONS, sessions);
    recover_ask(w);
}

void
recover_ask(struct worker *w)
{
    struct ipc_u64 m = { .value = clock_wall_us() };

    w->keeper_question = m.value;
    outbox_send(w, ipc_addr_of(PROC_KEEPER, w->proc->slot), IPC_KEEP_GIVE, &m);
}

/*
 * Compares with the kernel; false: the counts make no sense, the connection must end.
 *
 * Of a connection that is over one byte more may be the end: this is far likelier than
 * that the predecessor died in the very instant in which it had read a single byte.
 */
static bool
reconcile(struct worker *w, struct conn *c, int fd)
{
    uint64_t took, gave, sent, got;
    struct queue *q = c->tls == CONN_PLAIN ? &c->out : &c->wire;

    recover_kernel_counts(fd, &took, &gave);
    sent = took - c->tx_total;
    got = gave - c->rx_total;
    if (is_over(fd)) {
        if (got == 1)
            got = 0, gave--;
        if (sent == q->bytes + 1u)
            sent--, took--;
    }
    if (took < c->tx_total || gave < c->rx_total || sent > q->bytes ||
            (got > 0 && (!c->in || got > c->in->size - c->in->len)))
        return false;
    worker_begin(w, NULL);
    SET(w, c->tx_total, took);
    if (sent > 0)
        out_drop(w, q, (size_t)sent);
    SET(w, c->rx_total, gave);
    if (got > 0)
        SET(w, c->in->len, c->in->len + (uint32_t)got);
    worker_commit(w);
    killpoint(TAKE_COUNTED);
    return true;
}

/* Whether the state of the connection was all in the slot. */
static bool
can_go_on(const struct conn *c)
{
    switch ((enum stream_state)c->state) {
    case STREAM_HEADER:
    case STREAM_FEATURES:
    case STREAM_IQ_WAIT: /* its job goes on */
    case STREAM_BIND:
    case STREAM_BIND_WAIT:
    case STREAM_SM_WAIT:
    case STREAM_SASL:
    case STREAM_SASL_WAIT:
    case STREAM_OPEN:
    case STREAM_CLOSING:
        return c->tls == CONN_PLAIN || (c->tls_state && !(c->flags & CONN_KTLS));
    case STREAM_FREE:
    case STREAM_PROXY:
    case STREAM_TLS:
    case STREAM_DETACHED:
    case STREAM_MOVED:
    case STREAM_CLOSED:
    case STREAM_STATES:
        return false;
    }
    return false;
}

/* What waited for an answer that the predecessor may have had already. */
static void
go_on(struct worker *w, struct conn *c)
{
    if (c->state == STREAM_SASL_WAIT) {
        sasl_on_timeout(w, c);
    } else if (c->state == STREAM_BIND_WAIT) {
        /* Asked again, the router answers the same. */
        stream_enter(w, c, STREAM_BIND);
        c2s_bind_again(w, c);
    }
}

enum {
    POISON_LOGGED = 200
};

/* Processes in a row died while they handled a stanza of this connection. */
static bool
is_poisoned(const struct worker *w, uint64_t conn)
{
    return w->slot->poison_conn.what == conn &&
           w->slot->poison_conn.weight >= POISON_STANZA;
}

/*
 * A stanza that killed twice shall not do it a third time: it goes into a file for the
 * administrator, its connection is ended, and everybody else goes on.
 */
static void
set_aside(struct worker *w, struct conn *c)
{
    const struct chunk *text = c->tls == CONN_PLAIN ? c->in : c->plain;
    struct str bad = STR_NULL;
    struct ipc_quarantine q = { .what = STR("input of a client"),
        .deaths = w->slot->poison_conn.deaths };
    struct jid jid;

    if (text && text->len > c->text_done)
        bad = (struct str){ text->data + c->text_done, text->len - c->text_done };
    q.bytes = bad;
    if (c->jid) {
        jid = conn_jid(c);
        q.jid = jid_text(&w->scratch, &jid);
    }
    if (bad.n > POISON_LOGGED)
        bad.n = POISON_LOGGED;
    log_error(conn_ctx(w, c),
            "quarantine: %u worker processes died of this input: %.*s",
            w->slot->poison_conn.deaths, STR_ARG(bad));
    worker_begin(w, NULL);
    SET(w, w->slot->poison_conn.what, 0);
    quarantine_send(w, &q);
    stream_fail(w, c, STREAM_ERROR_INTERNAL_SERVER_ERROR, NULL);
    worker_commit(w);
    out_dirty(w, c);
}

void
recover_conn(struct worker *w, uint64_t conn, int fd)
{
    struct conn *c = conn_find(w, conn);
    struct live *l, before;

    bool gone = !c || c->state == STREAM_DETACHED || c->state == STREAM_MOVED;

    if (gone || live_of(w, c)->fd >= 0) {
        if (gone)
            shutdown(fd, SHUT_RDWR);
        close(fd);
        if (gone)
            keep_release(w, conn);
        return;
    }
    l = live_of(w, c);
    before = *l; /* frames may have come before the socket */
    *l = (struct live){ .fd = fd,
        .flags = LIVE_WRITABLE | LIVE_READABLE | LIVE_MESSAGES |
                 (before.flags & (LIVE_DIRTY | LIVE_JOB_WAITS | LIVE_COUNTED)),
        .last_rx_s = w->now_s,
        .fed = c->text_done,
        .account = before.account,
        .next_session = before.next_session,
        .next_dirty = before.next_dirty,
        .caps = before.caps,
        .caps_state = before.caps_state };
    l->host = conf_host_find(w->proc->conf, conn_domain(c));
    w->n_conns++;
    proc_count(w->proc, COUNTER_CONNECTIONS, 1);
    if (!can_go_on(c) || (c->jid && !l->host) || !reconcile(w, c, fd) ||
            loop_add_fd(w->loop, fd, WORKER_CLASS_CONN,
                    (uint64_t)c->generation << 22 | conn_index(w, c)) < 0) {
        conn_close(w, c, "its state died with the worker process");
        return;
    }
    if (c->state != STREAM_OPEN)
        conn_deadline(w, c,
                c->state == STREAM_CLOSING ? STREAM_CLOSING_MS
                                           : w->proc->conf->negotiation_timeout_ms);
    shaper_choose(w, c);
    if (is_poisoned(w, conn)) {
        set_aside(w, c);
        return;
    }
    worker_begin(w, NULL);
    go_on(w, c);
    owed_pay(w, c);
    worker_commit(w);
    killpoint(TAKE_SOCKET);
    out_dirty(w, c);
    in_resume(w, c);
}

void
recover_end(struct worker *w)
{
    unsigned kept = 0, lost = 0;

    if (!w->recovering)
        return;
    w->recovering = false;
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (c->state == STREAM_FREE) {
            conn_record_free(w, c);
        } else if (c->state == STREAM_DETACHED || c->state == STREAM_MOVED) {
            live_of(w, c)->host = conf_host_find(w->proc->conf, conn_domain(c));
            if (c->state == STREAM_DETACHED && c->flags & CONN_BOUND)
                account_join(w, c); /* its client will not say anything */
            kept++;
        } else if (live_of(w, c)->fd < 0 && (sm_can_wait(c) || sm_is_coming(c))) {
            conn_close(w, c, "its socket was lost with the worker process");
            lost++;
        } else if (live_of(w, c)->fd < 0 && !(live_of(w, c)->flags & LIVE_DEAD)) {
            conn_forget(w, c);
            lost++;
        } else {
            kept++;
        }
    }
    log_notice(NULL, "took over %u connections of the predecessor, %u were lost", kept,
            lost);
}

void
recover_keeper(struct worker *w)
{
    ipc_addr keeper = ipc_addr_of(PROC_KEEPER, w->proc->slot);

    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];
        struct ipc_conn m = { .conn = conn_id(w, c) };
        int fd;

        if (c->state == STREAM_FREE || c->state == STREAM_CLOSED ||
                live_of(w, c)->fd < 0)
            continue;
        fd = fcntl(live_of(w, c)->fd, F_DUPFD_CLOEXEC, 0);
        if (fd >= 0)
            post_send_fd(w->proc->post, keeper, IPC_KEEP, &m, fd);
    }
    outbox_send(w, keeper, IPC_KEEPER_FULL, &(struct ipc_nothing){ 0 });
}
