#ifndef WORKER_SESSION_H
#define WORKER_SESSION_H

#include "worker/module.h"
#include "worker/worker.h"

/*
 * A session: a connection whose resource is bound (RFC 6121). All functions run within
 * a transaction.
 */

/* Handler of stream.def for the state OPEN. */
void session_on_stanza(struct worker *w, struct conn *c, struct xml_el *el);

/*
 * The end of a session, once: unavailable presence to whom it concerns, and the router
 * forgets it. Does nothing for connections that carry none.
 */
void session_end(struct worker *w, struct conn *c);

/* Tells a new router what it must know of a session, or of a request to bind. */
void session_resync(struct worker *w, struct conn *c);

/* The session has another connection now: the router hears of it. */
void session_rebind(struct worker *w, struct conn *c);

/* Its flags in the route table have changed: the router is told. */
void session_flags_changed(struct worker *w, struct conn *c);
/* The same, if those of its account are others than the router knows. */
void session_flags_settle(struct worker *w, struct conn *c);

/* worker/iq.c: requests to the server itself, and to accounts. */
void iq_on_request(struct worker *w, struct conn *c, struct xml_el *el,
        enum iq_type type, const struct jid *to);
/* A request to an account whose home has let it in. */
void iq_at_home(struct worker *w, struct stanza *s);
/* An answer to what the server has asked. */
/*
 * A request before authentication: false, nobody takes it. iq_early_answer: the reply
 * to one; false: it is no such connection, or none that waits for an answer.
 */
bool iq_on_early(struct worker *w, struct conn *c, struct xml_el *el);
bool iq_early_answer(struct worker *w, uint64_t conn, const struct xml_el *reply);
void iq_on_response(struct worker *w, struct conn *c, struct xml_el *el);
void iq_tick(struct worker *w);
void iq_free(struct worker *w);

/*
 * worker/send.c: to a domain that is no host of ours; s has el or bytes. false: nobody
 * there whom we know.
 */
bool send_elsewhere(struct worker *w, struct stanza *s);
bool send_has_way(const struct worker *w, struct str domain);
/* To whatever domain; nothing is said of what cannot be sent. s has bytes for a host.
 */
bool send_anywhere(struct worker *w, struct stanza *s);

/* worker/iq.c: asks the client whether it is there (XEP-0199). */
void iq_ping(struct worker *w, struct conn *c);

/* Answers a stanza of the client with an error, where one may be sent. */
void session_bounce(
        struct worker *w, struct conn *c, const struct xml_el *el, enum stanza_error e);

#endif
