#ifndef WORKER_UNDELIVERED_H
#define WORKER_UNDELIVERED_H

#include "worker/stanza.h"
#include "worker/worker.h"

/*
 * A stanza that was for this session, which is over, and that its client has not got:
 * to the account's other resources or its offline storage, once. at_us: when it came
 * (wall clock). Within a transaction.
 */
void undelivered(struct worker *w, struct conn *c, struct str bytes, uint64_t at_us);

/* The same for one that the session had in its queue. */
void undelivered_item(struct worker *w, struct conn *c, const struct sm_item *item);

/*
 * A message that goes to several sessions at once, by a look-up that began then; and
 * copies to those that want them?
 */
void undelivered_share(struct stanza *s, uint32_t looked_s, bool copied);

/* A session did not take the stanza. */
void undelivered_missed(struct worker *w, struct conn *c, const struct stanza *s);

/* Did the route table say of the session what it says now when it was asked then? */
bool undelivered_was_there(const struct conn *c, uint32_t looked_s);

/* Has the session got it, when it was given to another one? */
bool undelivered_is_known(const struct conn *c, const struct given *given);

#endif
