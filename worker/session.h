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

/* The router has committed a change of presence. */
void session_on_present(
        struct worker *w, struct conn *c, const struct ipc_route_present *m);

/* Tells a new router what it must know of a session, or of a request to bind. */
void session_resync(struct worker *w, struct conn *c);

/* The session has another connection now: the router hears of it. */
void session_rebind(struct worker *w, struct conn *c);

/* worker/presence.c: presence of a session to everybody (no `to`), and to somebody. */
void presence_broadcast(struct worker *w, struct conn *c, struct xml_el *el);
void presence_directed(
        struct worker *w, struct conn *c, struct xml_el *el, const struct jid *to);
void presence_end(struct worker *w, struct conn *c);

/* The account is there (again): what had to wait for it. */
void session_on_loaded(struct worker *w, struct conn *c);

/* Its flags in the route table have changed: the router is told. */
void session_flags_changed(struct worker *w, struct conn *c);

/* The answer to a probe, from the account's home; and the end of a session that was
 * lost. */
void presence_answer_probe(struct worker *w, struct account *a, const struct jid *to);
void presence_say_ended(struct worker *w, struct account *a, const struct jid *full);
/* worker/core.c: that end, when the account is loaded. */
void core_session_ended(struct worker *w, struct conn *c);

/* worker/iq.c: requests to the server itself, and to accounts. */
void iq_on_request(struct worker *w, struct conn *c, struct xml_el *el,
        enum iq_type type, const struct jid *to);
/* An answer to what the server has asked. */
void iq_on_response(struct worker *w, struct conn *c, struct xml_el *el);
void iq_tick(struct worker *w);
void iq_free(struct worker *w);

/* worker/send.c: true when one of our services has that domain. */
bool send_to_service(struct worker *w, struct stanza *s);

/* worker/iq.c: asks the client whether it is there (XEP-0199). */
void iq_ping(struct worker *w, struct conn *c);

/* Answers a stanza of the client with an error, where one may be sent. */
void session_bounce(
        struct worker *w, struct conn *c, const struct xml_el *el, enum stanza_error e);

#endif
