#ifndef WORKER_REMOVAL_H
#define WORKER_REMOVAL_H

#include "worker/ended.h"
#include "worker/job.h"
#include "worker/worker.h"

/* Steps of the core: an account is removed, in its home (worker/removal.c). */
void removal_begin(struct job *j, const struct sql_result *result);
void removal_asked(struct job *j, const struct sql_result *result);
void removal_forgot(struct job *j, const struct sql_result *result);

/* What each worker does when it is told. */
void removal_told(struct worker *w, struct account *a, bool by_itself);

/* worker/core.c: the way to tell all workers. */
void core_account_removed(struct worker *w, struct str bare, bool by_itself);

#endif
