/*
 * conn.c -- a client connection: its record in the slot, its heap part, its end
 *
 * A record is used again and again; its generation tells one use from another
 * (conn_identity.c). A closed connection stays readable until the end of the turn,
 * because callers further up may still look at it.
 */
#include "worker/conn.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "base/mem.h"
#include "worker/account.h"
#include "worker/addresses.h"
#include "worker/held.h"
#include "worker/jobs.h"
#include "worker/keep.h"
#include "worker/outbox.h"
#include "worker/process.h"
#include "worker/recover.h"
#include "worker/saved.h"
#include "worker/session.h"
#include "worker/sm.h"
#include "worker/tls.h"

uint16_t
conn_route_flags(const struct worker *w, const struct conn *c)
{
    const struct account *a = session_account(w, c);

    /* One that is being read, after a death or a reload: what it said before. */
    return (uint16_t)((c->tls != CONN_PLAIN ? ROUTE_TLS : 0) | c->route_flags |
                      (a ? account_route_flags(a) : c->account_flags));
}

const struct conf_listener *
conn_listener(const struct worker *w, const struct conn *c)
{
    const struct conf *conf = w->proc->conf;

    /* A reload may have taken the listener away: the first one's rules go on. */
    return &conf->listeners[c->listener < conf->n_listeners ? c->listener : 0];
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
    conn_set_addr(c, addr);
    SET(w, c->state, (uint8_t)state);
    worker_commit(w);

    l = live_of(w, c);
    *l = (struct live){ .fd = fd, .flags = LIVE_WRITABLE, .last_rx_s = w->now_s };
    recover_kernel_counts_new(fd, &c->tx_total, &c->rx_total);
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
    keep_release(w, conn_id(w, c));
    l->flags |= LIVE_DEAD;
    if (w->n_dead == w->dead_size) {
        w->dead_size = w->dead_size ? w->dead_size * 2 : 64;
        w->dead = mem_realloc(w->dead, w->dead_size * sizeof *w->dead);
    }
    w->dead[w->n_dead++] = conn_index(w, c);
    proc_count(w->proc, COUNTER_C2S_CLOSED, 1);
    process_turn_due(w);
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
