#ifndef WORKER_PRESENCE_H
#define WORKER_PRESENCE_H

#include "worker/module.h"
#include "worker/worker.h"

/*
 * Who speaks: a session, NULL if it is not here or has ended; own_list: its list then.
 */
struct speaker {
    struct account *a;
    struct conn *c;
    struct str own_list;
};

/*
 * Presence (RFC 6121, 4). All functions run within a transaction.
 *
 * worker/presence.c: of the sessions of this worker. Without `to` it is for everybody
 * who is subscribed, and oneself; with one it is for that address alone.
 */
void presence_broadcast(struct worker *w, struct conn *c, struct xml_el *el);

/* Notes who has to hear of the end. false: they are too many, nothing may be sent. */
bool presence_directed(
        struct worker *w, struct conn *c, struct xml_el *el, const struct jid *to);

/* The session ends, with or without unavailable presence. */
void presence_end(struct worker *w, struct conn *c);

/*
 * The router does not show the session any more: its end, to those who are subscribed,
 * and to those who were when it ended (packed as groups are).
 */
void presence_say_ended(struct worker *w, const struct speaker *who,
        const struct jid *full, struct str presence, struct str subscribed);

/* The router has committed a change of presence. */
void session_on_present(
        struct worker *w, struct conn *c, const struct ipc_route_present *m);
/* The account is there (again): what had to wait for it. */
void session_on_loaded(struct worker *w, struct conn *c);

/*
 * worker/presence_contacts.c: to and from contacts; see also worker/module_presence.h.
 * bytes and presences are without `to`.
 */

/* To everybody who is subscribed to the account's presence. */
void presence_to_contacts(struct worker *w, const struct speaker *who,
        const struct jid *from, struct str bytes, enum presence_type type);

/* What the contacts last said, to a session that has just become available. */
void presence_probe_contacts(struct worker *w, struct conn *c, struct account *a);

/*
 * What a session of `from` (its resource is e's) last said, to a session of ours, which
 * may be inactive and have to wait.
 */
void presence_give(struct worker *w, struct conn *c, const struct jid *from,
        const struct route_entry *e, struct str to);

/* The answer to a probe, from the account's home. */
void presence_answer_probe(struct worker *w, struct account *a, const struct jid *to);
/* What it was shown is not to be seen any more: to a session, from the contact's home.
 */
void presence_answer_unsee(
        struct worker *w, struct account *a, uint64_t conn, const struct jid *to);
/* The answer of one session, which alone knows whether it may. */
void presence_answer(struct worker *w, struct conn *c, const struct jid *to);

/* <presence type='unavailable'/> of a full JID. */
void presence_write_unavailable(struct buf *out, struct str full);

/* To those of a list (packed as groups are) who are not subscribed any more. */
void presence_to_former(struct worker *w, const struct speaker *who,
        const struct jid *from, struct str bytes, struct str list);

/* worker/core.c: presence_answer_unsee() in the contact's home. */
void core_unsee(struct worker *w, struct conn *c, struct str contact);

#endif
