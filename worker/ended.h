#ifndef WORKER_ENDED_H
#define WORKER_ENDED_H

#include "worker/account.h"
#include "worker/job.h"

/*
 * What is said of a session to others when it has ended, when it is time; presence: its
 * unavailable presence; a may be NULL. Within a transaction.
 */
void core_session_ended(
        struct worker *w, struct conn *c, struct account *a, struct str presence);

/*
 * The session is about to leave the route table: what comes back from it goes in front
 * of what is sent from now on. Before the router is told.
 */
void ended_begin_hold(struct worker *w, struct conn *c);

/* The core's steps that are not in worker/core.c (removal: worker/removal.h). */
enum core_step {
    CORE_STEP_ENDED,
    CORE_STEP_HOLD,
    CORE_STEP_HOLD_SENT,
    CORE_STEP_HOLD_PASSED,
    CORE_STEP_REMOVAL_ASKED,
    CORE_STEP_REMOVAL_FORGOT,
    CORE_STEP_OTHERS
};
void ended_say(struct job *j, const struct sql_result *result);
void ended_hold(struct job *j, const struct sql_result *result);
void ended_hold_sent(struct job *j, const struct sql_result *result);
void ended_hold_passed(struct job *j, const struct sql_result *result);

#endif
