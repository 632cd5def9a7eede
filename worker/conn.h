#ifndef WORKER_CONN_H
#define WORKER_CONN_H

#include "worker/worker.h"

/*
 * A new connection for an accepted socket, which becomes its own; NULL (and the socket
 * closed) when the slot is full.
 */
struct conn *conn_new(struct worker *w, int fd, uint16_t listener,
        const struct sockaddr *addr, enum stream_state state);

/*
 * Ends the connection now, without a word to the client; a session it carried is ended
 * with all that follows (presence, route). The record is released at the turn's end.
 * why: for the log.
 */
void conn_close(struct worker *w, struct conn *c, const char *why);

/*
 * Lets go of the socket: the record is freed, or lives on without it, by its state.
 */
void conn_cut(struct worker *w, struct conn *c);

/* A record for a session without a connection (XEP-0198); NULL: the slot is full. */
struct conn *conn_new_detached(struct worker *w);

/* Releases what was closed in this turn. */
void conn_reap(struct worker *w);

/* A record that is free goes back to those that may be used. */
void conn_record_free(struct worker *w, struct conn *c);

/* Ends a connection whose socket is gone: its session, then its record. */
void conn_forget(struct worker *w, struct conn *c);

/* When the state of the connection ends by itself; 0 ms: never. */
void conn_deadline(struct worker *w, struct conn *c, uint64_t ms);

const struct conf_listener *conn_listener(const struct worker *w, const struct conn *c);

/* What others see of its session in the route table: enum route_flag. */
uint16_t conn_route_flags(const struct worker *w, const struct conn *c);

/* --- worker/conn_identity.c --- */

/* Sets the JID from its parts; local and resource may be empty. */
void conn_set_jid(struct worker *w, struct conn *c, const struct jid *jid);

/* The client's address as text: "192.0.2.1:5222", "[2001:db8::1]:5222". */
enum {
    CONN_REMOTE_SIZE = 64
};
const char *conn_remote(const struct conn *c, char ret_text[CONN_REMOTE_SIZE]);

/* The same without the port. */
const char *conn_address(const struct conn *c, char ret_text[CONN_REMOTE_SIZE]);

/* From the kernel's. Not noted: the record is not in use before its state says so. */
void conn_set_addr(struct conn *c, const struct sockaddr *addr);

/* --- worker/transaction.c --- */

/* Slot memory within a transaction: _free takes effect with the commit. */
void *slot_alloc(struct worker *w, size_t size);
void slot_free(struct worker *w, void *p);
char *slot_dup(struct worker *w, struct str s); /* terminated */

/* A transaction about one connection (for the last words; NULL: about none). */
void transaction_about(struct worker *w, const struct conn *c);
static inline void
worker_begin(struct worker *w, const struct conn *c)
{
    tx_begin(w->tx);
    if (c && w->tx->depth == 1)
        transaction_about(w, c);
}
void worker_commit(struct worker *w);

#endif
