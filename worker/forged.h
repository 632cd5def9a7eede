#ifndef WORKER_FORGED_H
#define WORKER_FORGED_H

#include "worker/module.h"

/*
 * A message of a client: takes out what only our servers may say, and refuses copies
 * that no client can make. false: refused and answered. s->el may be changed,
 * s->traits with it.
 */
bool forged_check(struct worker *w, struct stanza *s);

#endif
