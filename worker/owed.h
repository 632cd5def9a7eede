#ifndef WORKER_OWED_H
#define WORKER_OWED_H

#include "worker/worker.h"

/*
 * Answers to <r/> (XEP-0198) that wait a moment to go out with a stanza, where stanzas
 * follow each other closely. All but the last two run within a transaction.
 */

/* To an <r/>: the answer, now or soon. */
void owed_ask(struct worker *w, struct conn *c);

/* The answer that is owed, if one is: something else goes out, or nothing more will. */
void owed_pay(struct worker *w, struct conn *c);

/* There will be none: the session waits for its client, which asks anew. */
void owed_forget(struct worker *w, struct conn *c);

/* At the turn's end: those whose time has come; or all. */
void owed_pay_due(struct worker *w);
void owed_pay_all(struct worker *w);

void owed_free(struct worker *w);

#endif
