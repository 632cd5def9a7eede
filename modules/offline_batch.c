/*
 * offline_batch.c -- old messages are deleted in portions, at a rate (worker/purge.c)
 */
#include "modules/offline.h"

void
offline_batch(struct job *j, const struct sql_result *result)
{
    struct purge purge = { .before = offline_days_ago(job_arg(j, 1)),
        .size = purge_number(job_arg(j, 2), PURGE_SIZE_MAX),
        .rate = purge_number(job_arg(j, 3), UINT32_MAX) };

    (void)result;
    if (purge.before < 0 || purge.size == 0 || purge.rate == 0) {
        job_call_reply(j, IPC_INVALID, STR("days, batch_size and rate are numbers"));
        return;
    }
    purge_begin(j, &purge, STEP_BATCH_RUN);
}

void
offline_batch_run(struct job *j, const struct sql_result *result)
{
    struct purge purge;
    struct sql_value param[2];

    (void)result;
    if (!purge_is_due(j, STEP_BATCH_RUN, &purge))
        return;
    param[0] = sql_int(purge.before);
    param[1] = sql_int(purge.size);
    job_sql(j, STEP_BATCH_RAN, SQL_SPOOL_DEL_OLD, param, ARRAY_LEN(param));
}

void
offline_batch_ran(struct job *j, const struct sql_result *result)
{
    purge_ran(j, STEP_BATCH_RUN, STEP_BATCH_RAN, result);
}
