#ifndef WORKER_DELIVER_H
#define WORKER_DELIVER_H

#include "worker/worker.h"
#include "xmpp/stanza.h"

/*
 * A stanza on its way to an account of this service. Its bytes were serialised once,
 * for any jabber:client stream; the tree is there in the worker that parsed it.
 */
enum {
    DELIVER_ONCE = 255 /* one copy of several: not looked up again, or others get two */
};
struct stanza {
    enum stanza_kind kind;
    uint8_t type; /* message_type, presence_type or iq_type */
    uint8_t hops; /* how often it was looked up again; or DELIVER_ONCE */
    struct jid from, to;
    struct str bytes;
    const struct xml_el *el; /* NULL: only the bytes */
};

/*
 * Delivers by the rules of RFC 6121, 8.5; what cannot be delivered is answered with an
 * error as these rules say, never silently lost unless they say so. `to` is an account
 * of a local host. Within a transaction.
 */
void deliver(struct worker *w, const struct stanza *s);

/*
 * Answers a stanza with an error, to its sender wherever it is. Within a transaction.
 */
void deliver_error(struct worker *w, const struct stanza *s, enum stanza_error e);

/* To one session, known by its id: true unless it has gone from this worker. */
bool deliver_to_conn(struct worker *w, uint64_t conn, const struct stanza *s);

/* A frame of another worker. */
void deliver_on_frame(struct worker *w, const struct ipc_deliver *m);

/* All sessions of a bare JID: 0 … n, also when the router is busy with them. */
size_t deliver_lookup(struct worker *w, struct str bare, unsigned want);

#endif
