#ifndef WORKER_ACCOUNT_LOAD_H
#define WORKER_ACCOUNT_LOAD_H

#include "worker/account.h"

/*
 * Asks the databases for it; it is LOADING until they have answered, READY at once if
 * nobody is to be asked. existence: whether there is such an account is asked, too.
 */
void account_load(struct worker *w, struct account *a, bool existence);

/* It is read from the database again; its sessions wait for that. */
void account_read_again(struct worker *w, struct account *a);

/* After a reload of the configuration: the hosts and modules are others. */
void accounts_reload(struct worker *w);

#endif
