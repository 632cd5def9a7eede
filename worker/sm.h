#ifndef WORKER_SM_H
#define WORKER_SM_H

#include "worker/worker.h"

/*
 * Stream management (XEP-0198): what both sides have acknowledged, and sessions that
 * outlive their connections. All functions run within a transaction, unless they say
 * so.
 */

/* mod_stream_mgmt of the host; false: the host does not have it. */
struct sm_policy {
    uint64_t max_ack_queue;          /* stanzas */
    uint32_t resume_s, resume_max_s; /* 0: no resumption */
};
bool sm_policy_of(const struct conf_host *host, struct sm_policy *ret);

/* <enable/>, <r/>, <a/>, <resume/> of an open stream. */
void sm_on_element(struct worker *w, struct conn *c, struct xml_el *el);

/* The same before a resource is bound: <resume/>. true: it was for us. */
bool sm_on_element_unbound(struct worker *w, struct conn *c, struct xml_el *el);

/* A stanza of the client was handled; one is given to it. */
void sm_count_in(struct worker *w, struct conn *c);
void sm_note_out(struct worker *w, struct conn *c, struct str bytes);
/*
 * The one that was given to it last is STANZA_SHARED, or was given to others before; in
 * the same transaction.
 */
void sm_note_shared(struct conn *c, const struct stanza *s);
/* The same for one that another worker, or a file, had: there is always room for it. */
void sm_take(struct worker *w, struct conn *c, struct str bytes, uint64_t at_us);

/* Unasked: what of the client's is safe. */
void sm_say_handled(struct worker *w, struct conn *c);

/* At the turn's end: asks for an acknowledgement if it is time. */
void sm_ask(struct worker *w, struct conn *c);

/* Once a second; not within a transaction. */
void sm_tick(struct worker *w, struct conn *c);

/* May the session wait for its client, should the connection end now? */
bool sm_can_wait(const struct conn *c);

/*
 * Does so much wait to be acknowledged that the session cannot go on? By bytes only, as
 * stanzas may have any size: more would have to be cut when it goes out again.
 */
enum {
    SM_BYTES_MAX = 15 << 20 /* what waits, and one more stanza, fit the outbox */
};
bool sm_is_overfull(const struct conn *c);

/* Has a part of a session come already for the connection, and the rest is under way?
 */
bool sm_is_coming(const struct conn *c);

/*
 * The connection is lost, its session waits. Called by conn_close(), which sees to the
 * socket; conn_reap() frees the buffers.
 */
void sm_detach(struct worker *w, struct conn *c);

/*
 * The session is over: what the client has not acknowledged goes to the account's other
 * resources or its offline storage, as undelivered stanzas do; once.
 */
void sm_give_back(struct worker *w, struct conn *c);

/* The queue is emptied; the state is freed, too. */
void sm_drop_all(struct worker *w, struct conn *c);
void sm_free(struct worker *w, struct conn *c);

/* The client has handled so many; h is within what was sent. */
void sm_acknowledge(struct worker *w, struct conn *c, uint32_t h);

/* worker/sm_move.c: a session goes to the connection that its client has now. */
void sm_resume(struct worker *w, struct conn *c, struct str previd, uint32_t h);
/* As the frame says it, without the queue; directed is empty, and the caller's. */
void sm_describe(
        const struct conn *c, struct buf *directed, struct ipc_sm_session *ret);
/* The one that is taking a session in from that connection; NULL: none is. */
struct conn *sm_coming(struct worker *w, uint64_t conn, uint64_t old);
void sm_on_resume(struct worker *w, const struct ipc_sm_resume *m);
void sm_on_session(struct worker *w, const struct ipc_sm_session *m);
void sm_on_item(struct worker *w, const struct ipc_sm_item *m);
void sm_on_end(struct worker *w, const struct ipc_sm_end *m);
void sm_write_id(const struct conn *c, struct buf *out);
void sm_failed(
        struct worker *w, struct conn *c, enum stanza_error e, const uint32_t *h);

#endif
