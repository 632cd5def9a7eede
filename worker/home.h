#ifndef WORKER_HOME_H
#define WORKER_HOME_H

#include "worker/module.h"
#include "worker/worker.h"

/*
 * Each account has one worker, its home (account_home), in which all that changes it is
 * done, one after the other. These are the frames that lead there and back.
 */
void home_on_frame(struct worker *w, const struct ipc_home *m);
/* home_call() in other ways. */
enum home_way {
    HOME_LOADED,  /* behind what was asked before, when the account is loaded */
    HOME_SESSION, /* not in the home, but where the session is: at once */
    HOME_AHEAD,   /* in front of what waits there, when the account is loaded */
    HOME_QUEUED   /* behind what was asked before; the account is not needed */
};
void home_call_by(struct worker *w, enum home_way way, const struct home_call *call);

void notify_on_frame(struct worker *w, ipc_addr from, const struct ipc_notify *m);

/*
 * To all workers: returns how many others there are, which answer the job (0: nobody
 * is to), and what the module says here.
 */
uint32_t notify_all(struct worker *w, const struct module *m, struct str bare,
        unsigned what, struct str data, uint64_t job, uint32_t *ret_answer);
/* The account has been told (worker/account.c). */
void notify_done(struct worker *w, ipc_addr from, uint64_t job, uint32_t answer);

#endif
