#ifndef WORKER_DELIVER_H
#define WORKER_DELIVER_H

#include "worker/module.h"
#include "worker/stanza.h"
#include "worker/worker.h"

/*
 * Delivers by the rules of RFC 6121, 8.5; what cannot be delivered is stored or
 * answered with an error as these rules say, never silently lost unless they say so.
 * `to` is an account of a local host. Within a transaction.
 */
void deliver(struct worker *w, struct stanza *s);

/*
 * The same in the account's home, after it was let in; job: may go on (offline
 * storage).
 */
void deliver_at_home(struct worker *w, struct stanza *s, struct job *job);

/*
 * worker/bounce.c: answers a stanza with an error, to its sender wherever it is; text
 * may be NULL. Within a transaction.
 */
void deliver_error(struct worker *w, const struct stanza *s, enum stanza_error e,
        const char *text);

/* To one session, known by its id: true unless it has gone from this worker. */
bool deliver_to_conn(struct worker *w, uint64_t conn, const struct stanza *s);

/* Has the session gone, as far as this worker can know? */
bool deliver_is_stale(struct worker *w, uint64_t conn);

/* worker/deliver_again.c: the session meant has gone meanwhile: to another one, by the
 * rules. */
void deliver_again(struct worker *w, struct stanza *s, uint64_t gone);

/* A frame of another worker. */
void deliver_on_frame(struct worker *w, const struct ipc_deliver *m);

/* All sessions of a bare JID: 0 … n, also when the router is busy with them. */
size_t deliver_lookup(struct worker *w, struct str bare, unsigned want);

/*
 * One stanza to many sessions, batched per worker (worker/fanout.c): bytes without
 * `to`; each session gets its own bare JID. A session that has gone is left out.
 */
void fanout_begin(struct worker *w, const struct stanza *s);
void fanout_add(struct worker *w, uint64_t conn);
void fanout_end(struct worker *w);
void fanout_on_frame(struct worker *w, const struct ipc_fanout *m);

/* The bytes of a stanza, which start with <message, <presence or <iq, with a `to`. */
void stanza_add_to(struct buf *out, struct str bytes, struct str to);

/* Is the full JID in the route table? 1, 0, or -EAGAIN. */
int deliver_find(struct worker *w, struct str bare, struct str resource,
        struct route_hit *ret_hit);

/* worker/core.c: lets the account's home decide and deliver. */
void core_to_home(struct worker *w, const struct stanza *s, struct str bare);
/* The same, but then to this session; or, when the account has been read here. */
void core_to_session(
        struct worker *w, const struct stanza *s, struct conn *c, bool by_home);
/* deliver_error() in a later turn: for who is just delivering. */
void core_refuse(struct worker *w, const struct stanza *s, enum stanza_error error);
/* A notification that waits for the account to be read. */
void core_notify_later(struct worker *w, ipc_addr from, const struct ipc_notify *m);

#endif
