/*
 * conn.c -- a client connection: its record in the slot, its heap part, its end
 *
 * A record is used again and again; its generation makes ids unique, so that a frame
 * for a connection that has gone is recognised. A closed connection stays readable
 * until the end of the turn, because callers further up may still look at it.
 */
#include "worker/conn.h"
#include "base/killpoint.h"
#include "worker/outbox.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "worker/account.h"
#include "worker/addresses.h"
#include "worker/held.h"
#include "worker/jobs.h"
#include "worker/recover.h"
#include "worker/saved.h"
#include "worker/session.h"
#include "worker/sm.h"
#include "worker/tls.h"

uint32_t
conn_index(const struct worker *w, const struct conn *c)
{
    return (uint32_t)(c - w->conns);
}

struct live *
live_of(const struct worker *w, const struct conn *c)
{
    uint32_t i = conn_index(w, c);

    return &w->live[i / LIVE_BLOCK][i % LIVE_BLOCK];
}

uint64_t
conn_id(const struct worker *w, const struct conn *c)
{
    return conn_id_of(w->proc->slot, conn_index(w, c), c->generation);
}

struct conn *
conn_find(const struct worker *w, uint64_t id)
{
    uint32_t i = conn_id_index(id);
    struct conn *c;

    if (conn_id_slot(id) != w->proc->slot || i >= w->slot->conns_used)
        return NULL;
    c = &w->conns[i];
    return c->state != STREAM_FREE && c->state != STREAM_CLOSED &&
                           c->generation == conn_id_generation(id)
                   ? c
                   : NULL;
}

struct str
conn_domain(const struct conn *c)
{
    size_t at = c->local_n ? c->local_n + 1u : 0;

    return c->jid ? (struct str){ c->jid + at, c->domain_n } : STR_NULL;
}

struct str
conn_bare(const struct conn *c)
{
    size_t at = c->local_n ? c->local_n + 1u : 0;

    return c->jid ? (struct str){ c->jid, at + c->domain_n } : STR_NULL;
}

struct str
conn_full(const struct conn *c)
{
    struct str s = conn_bare(c);

    if (c->resource_n)
        s.n += 1u + c->resource_n;
    return s;
}

struct jid
conn_jid(const struct conn *c)
{
    struct str bare = conn_bare(c);

    return (struct jid){
        .local = { c->jid, c->local_n },
        .domain = conn_domain(c),
        .resource = { c->resource_n ? bare.p + bare.n + 1 : NULL, c->resource_n },
    };
}

void
conn_set_jid(struct worker *w, struct conn *c, const struct jid *jid)
{
    size_t n = jid->local.n + jid->domain.n + jid->resource.n + 3;
    char *p = slot_alloc(w, n), *at = p;

    if (jid->local.n) {
        memcpy(at, jid->local.p, jid->local.n);
        at += jid->local.n;
        *at++ = '@';
    }
    memcpy(at, jid->domain.p, jid->domain.n);
    at += jid->domain.n;
    if (jid->resource.n) {
        *at++ = '/';
        memcpy(at, jid->resource.p, jid->resource.n);
        at += jid->resource.n;
    }
    *at = '\0';
    slot_free(w, c->jid);
    SET(w, c->jid, p);
    SET(w, c->local_n, (uint16_t)jid->local.n);
    SET(w, c->domain_n, (uint16_t)jid->domain.n);
    SET(w, c->resource_n, (uint16_t)jid->resource.n);
}

bool
conn_is_encrypted(const struct conn *c)
{
    return c->tls != CONN_PLAIN;
}

void
conn_sockaddr(const struct conn *c, struct sockaddr_storage *ret_addr)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_addr;

    memset(ret_addr, 0, sizeof *ret_addr);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(c->port);
    memcpy(&in6->sin6_addr, c->addr, 16);
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(c->port) };

        memcpy(&in.sin_addr, c->addr + 12, 4);
        memset(ret_addr, 0, sizeof *ret_addr);
        memcpy(ret_addr, &in, sizeof in);
    }
}

static bool
is_v4(const struct conn *c)
{
    struct in6_addr a;

    memcpy(&a, c->addr, 16);
    return IN6_IS_ADDR_V4MAPPED(&a);
}

const char *
conn_address(const struct conn *c, char ret_text[CONN_REMOTE_SIZE])
{
    if (is_v4(c))
        inet_ntop(AF_INET, c->addr + 12, ret_text, CONN_REMOTE_SIZE);
    else
        inet_ntop(AF_INET6, c->addr, ret_text, CONN_REMOTE_SIZE);
    return ret_text;
}

const char *
conn_remote(const struct conn *c, char ret_text[CONN_REMOTE_SIZE])
{
    char address[CONN_REMOTE_SIZE];

    conn_address(c, address);
    snprintf(ret_text, CONN_REMOTE_SIZE, is_v4(c) ? "%.45s:%u" : "[%.45s]:%u", address,
            c->port);
    return ret_text;
}

uint16_t
conn_route_flags(const struct worker *w, const struct conn *c)
{
    const struct account *a = session_account(w, c);

    /* One that is being read, after a death or a reload: what it said before. */
    return (uint16_t)((c->tls != CONN_PLAIN ? ROUTE_TLS : 0) | c->route_flags |
                      (a ? account_route_flags(a) : c->account_flags));
}

const struct log_ctx *
conn_ctx(const struct worker *w, const struct conn *c)
{
    static struct log_ctx ctx;
    static char remote[CONN_REMOTE_SIZE];

    ctx = (struct log_ctx){ .conn = conn_id(w, c),
        .jid = conn_full(c),
        .remote = str_from(conn_remote(c, remote)) };
    if (c->local_n == 0) {
        ctx.host = ctx.jid;
        ctx.jid = STR_NULL;
    }
    return &ctx;
}

const struct conf_listener *
conn_listener(const struct worker *w, const struct conn *c)
{
    const struct conf *conf = w->proc->conf;

    /* A reload may have taken the listener away: the first one's rules go on. */
    return &conf->listeners[c->listener < conf->n_listeners ? c->listener : 0];
}

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
worker_begin(struct worker *w, const struct conn *c)
{
    struct status_page *page = w->proc->status;

    tx_begin(w->tx);
    if (w->tx->depth > 1 || !c)
        return;
    w->slot->transaction_conn = page->transaction_conn = conn_id(w, c);
    page->transaction = w->tx->number + 1;
    note_jid(page, c);
}

void
worker_commit(struct worker *w)
{
    if (!tx_commit(w->tx))
        return;
    if (w->slot->transaction_conn &&
            w->slot->transaction_conn == w->slot->poison_conn.what)
        w->slot->poison_conn.what = 0; /* it was not this stanza, then */
    w->slot->transaction_conn = 0;
    w->proc->status->transaction = 0;
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

void
conn_deadline(struct worker *w, struct conn *c, uint64_t ms)
{
    struct live *l = live_of(w, c);

    if (ms == 0 || ms == CONF_INFINITY)
        l->deadline_s = 0;
    else
        l->deadline_s = w->now_s + (uint32_t)((ms + 999) / 1000) + 1;
}

static struct conn *
conn_take_record(struct worker *w)
{
    uint32_t i;

    if (w->n_free > 0) {
        i = w->free_index[--w->n_free];
    } else if (w->slot->conns_used < SLOT_CONNS_MAX) {
        i = w->slot->conns_used;
        SET(w, w->slot->conns_used, i + 1);
    } else {
        return NULL;
    }
    if (!w->live[i / LIVE_BLOCK])
        w->live[i / LIVE_BLOCK] = mem_zalloc(LIVE_BLOCK * sizeof(struct live));
    return &w->conns[i];
}

static void
conn_set_addr(struct worker *w, struct conn *c, const struct sockaddr *addr)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    (void)w; /* not noted: the record is not in use before its state says so */
    memset(c->addr, 0, sizeof c->addr);
    c->port = 0;
    if (addr->sa_family == AF_INET) {
        memcpy(&in, addr, sizeof in);
        memcpy(c->addr, mapped, 12);
        memcpy(c->addr + 12, &in.sin_addr, 4);
        c->port = ntohs(in.sin_port);
    } else if (addr->sa_family == AF_INET6) {
        memcpy(&in6, addr, sizeof in6);
        memcpy(c->addr, &in6.sin6_addr, 16);
        c->port = ntohs(in6.sin6_port);
    } else {
        memcpy(c->addr, mapped, 12); /* a Unix socket counts as 127.0.0.1 */
        c->addr[12] = 127;
        c->addr[15] = 1;
    }
}

struct conn *
conn_new(struct worker *w, int fd, uint16_t listener, const struct sockaddr *addr,
        enum stream_state state)
{
    struct conn *c;
    struct live *l;
    uint32_t generation;

    worker_begin(w, NULL);
    c = conn_take_record(w);
    if (!c) {
        worker_commit(w);
        close(fd);
        return NULL;
    }
    generation = c->generation + 1;
    *c = (struct conn){ .generation = generation ? generation : 1,
        .listener = listener,
        .since_us = clock_wall_us() };
    conn_set_addr(w, c, addr);
    SET(w, c->state, (uint8_t)state);
    worker_commit(w);

    l = live_of(w, c);
    *l = (struct live){ .fd = fd, .flags = LIVE_WRITABLE, .last_rx_s = w->now_s };
    c->tx_total = recover_kernel_took(fd);
    c->rx_total = recover_kernel_gave(fd);
    w->n_conns++;
    proc_count(w->proc, COUNTER_CONNECTIONS, 1);
    proc_count(w->proc, COUNTER_C2S_ACCEPTED, 1);
    return c;
}

struct conn *
conn_new_detached(struct worker *w)
{
    struct conn *c;
    uint32_t generation;

    worker_begin(w, NULL);
    c = conn_take_record(w);
    if (c) {
        generation = c->generation + 1;
        *c = (struct conn){ .generation = generation ? generation : 1,
            .since_us = clock_wall_us() };
        SET(w, c->state, STREAM_DETACHED);
        *live_of(w, c) = (struct live){ .fd = -1, .host = w->proc->conf->hosts };
    }
    worker_commit(w);
    return c;
}

static void
queue_free(struct worker *w, struct queue *q)
{
    for (struct chunk *c = q->head; c; c = c->next)
        slot_free(w, c);
    SET(w, q->head, NULL);
    SET(w, q->tail, NULL);
    SET(w, q->bytes, 0);
    SET(w, q->off, 0);
}

/* What belongs to the connection, not to the session. */
static void
conn_empty_io(struct worker *w, struct conn *c)
{
    if (c->in != w->read_chunk) /* what was lent to it is not its own */
        slot_free(w, c->in);
    if (c->plain != w->plain_chunk)
        slot_free(w, c->plain);
    queue_free(w, &c->out);
    queue_free(w, &c->wire);
    slot_free(w, c->tls_state);
    slot_free(w, c->bindings);
    slot_free(w, c->scopes);
    SET(w, c->in, NULL);
    SET(w, c->plain, NULL);
    SET(w, c->tls_state, NULL);
    SET(w, c->bindings, NULL);
    SET(w, c->scopes, NULL);
    SET(w, c->scopes_n, 0);
}

/* Everything the record points to, so that the next use finds it empty. */
static void
conn_empty(struct worker *w, struct conn *c)
{
    conn_empty_io(w, c);
    sm_free(w, c);
    slot_free(w, c->jid);
    slot_free(w, c->lang);
    slot_free(w, c->presence);
    for (struct directed *d = c->directed; d; d = d->next)
        slot_free(w, d);
    for (unsigned i = 0; i < CONN_KEPT; i++)
        slot_free(w, c->kept[i]);
    held_drop_all(w, c);
    SET(w, c->state, STREAM_FREE);
}

void
conn_close(struct worker *w, struct conn *c, const char *why)
{
    if (c->state == STREAM_CLOSED || c->state == STREAM_FREE)
        return;
    if (c->state == STREAM_DETACHED && sm_is_coming(c))
        return;
    if (c->state == STREAM_DETACHED || c->state == STREAM_MOVED) {
        conn_forget(w, c);
        return;
    }
    log_debug(conn_ctx(w, c), "connection closed: %s", why);
    worker_begin(w, c);
    if ((sm_can_wait(c) && (!w->stopping || saved_can(w))) || sm_is_coming(c)) {
        sm_detach(w, c);
    } else {
        session_end(w, c);
        SET(w, c->state, STREAM_CLOSED);
    }
    if (live_of(w, c)->flags & LIVE_JOB_WAITS)
        jobs_on_output(w, c);
    worker_commit(w);
    conn_cut(w, c);
}

void
conn_cut(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    struct ipc_conn msg = { .conn = conn_id(w, c) };

    addresses_leave(w, c);
    if (l->tls)
        tls_free(&l->tls);
    if (l->fd >= 0) { /* a successor has records whose socket has not come yet */
        loop_del_fd(w->loop, l->fd);
        shutdown(l->fd, SHUT_RDWR); /* the keeper's duplicate does not keep it open */
        close_fd(&l->fd);
        w->n_conns--;
        proc_uncount(w->proc, COUNTER_CONNECTIONS, 1);
    }
    killpoint(CLOSE_CUT);
    outbox_send(w, ipc_addr_of(PROC_KEEPER, w->proc->slot), IPC_RELEASE, &msg);
    l->flags |= LIVE_DEAD;
    if (w->n_dead == w->dead_size) {
        w->dead_size = w->dead_size ? w->dead_size * 2 : 64;
        w->dead = mem_realloc(w->dead, w->dead_size * sizeof *w->dead);
    }
    w->dead[w->n_dead++] = conn_index(w, c);
    proc_count(w->proc, COUNTER_C2S_CLOSED, 1);
    loop_again(w->loop); /* so that a turn's end comes, whoever closed it */
}

void
conn_record_free(struct worker *w, struct conn *c)
{
    if (w->recovering)
        return; /* recover_end() finds all that are free: none may be given out twice */
    if (w->n_free == w->free_size) {
        w->free_size = w->free_size ? w->free_size * 2 : 256;
        w->free_index =
                mem_realloc(w->free_index, w->free_size * sizeof *w->free_index);
    }
    w->free_index[w->n_free++] = conn_index(w, c);
}

void
conn_forget(struct worker *w, struct conn *c)
{
    worker_begin(w, c);
    if (c->state != STREAM_CLOSED)
        session_end(w, c);
    addresses_leave(w, c);
    account_leave(w, c);
    conn_empty(w, c);
    if (live_of(w, c)->flags & LIVE_JOB_WAITS)
        jobs_on_output(w, c);
    worker_commit(w);
    if (live_of(w, c)->flags & LIVE_DEAD)
        return; /* conn_reap() will free the record */
    session_set_caps(w, c, SESSION_CAPS_NONE, NULL);
    *live_of(w, c) = (struct live){ .fd = -1 };
    conn_record_free(w, c);
}

void
conn_reap(struct worker *w)
{
    for (size_t i = 0; i < w->n_dead; i++) {
        uint32_t index = w->dead[i];
        struct conn *c = &w->conns[index];
        struct live *l = live_of(w, c);

        xml_parser_put(&l->parser);
        if (c->state == STREAM_FREE) { /* conn_forget() in the same turn */
            session_set_caps(w, c, SESSION_CAPS_NONE, NULL);
            *l = (struct live){ .fd = -1 };
            conn_record_free(w, c);
            continue;
        }
        if (c->state != STREAM_CLOSED) { /* its session lives on, here or elsewhere */
            worker_begin(w, NULL);
            conn_empty_io(w, c);
            worker_commit(w);
            *l = (struct live){ .fd = -1,
                .host = l->host,
                .account = l->account,
                .next_session = l->next_session,
                .caps = l->caps,
                .caps_state = l->caps_state };
            continue;
        }
        account_leave(w, c);
        session_set_caps(w, c, SESSION_CAPS_NONE, NULL);
        worker_begin(w, NULL);
        conn_empty(w, c);
        killpoint(CLOSE_EMPTIED);
        worker_commit(w);
        *l = (struct live){ .fd = -1 };
        conn_record_free(w, c);
    }
    w->n_dead = 0;
}
