/*
 * mam_purge.c -- commands of administrators: counting and deleting
 *
 * Rows are deleted in portions, each a change of its own, so that the database does
 * other things in between. A repeated portion, after a kill, does not say how many rows
 * it has deleted: those are missing in the number that a status tells, and it is taken
 * for one that may not have been the last.
 *
 * delete_old_mam_messages_batch goes on by itself, slowed to a rate (worker/purge.c).
 */
#include "modules/mam.h"

#include "base/clock.h"

enum {
    PORTION = 500
};
#define DAY_US INT64_C(86400000000)

static void
reply(struct job *j, struct str text)
{
    job_call_reply(j, IPC_OK, text);
}

/* True: it has, and the command is answered. */
static bool
has_failed(struct job *j, const struct sql_result *result)
{
    if (result->status == SQL_OK)
        return false;
    job_call_reply(j, result->status == SQL_UNAVAILABLE ? IPC_UNAVAILABLE : IPC_FAILED,
            STR("Database failure"));
    return true;
}

static bool
may_be_more(const struct sql_result *result)
{
    return result->changed > 0 || result->repeated;
}

/* --- get_mam_count USER HOST --- */

void
mam_step_count(struct job *j, const struct sql_result *result)
{
    struct sql_value user = sql_text(job_arg(j, 0));

    (void)result;
    job_release(j);
    job_sql(j, MAM_STEP_COUNTED, SQL_ARCHIVE_USER_COUNT, &user, 1);
}

void
mam_step_counted(struct job *j, const struct sql_result *result)
{
    char text[24];

    if (has_failed(j, result))
        return;
    snprintf(text, sizeof text, "%lld",
            (long long)(result->n_rows ? result->value[0].i : 0));
    reply(j, str_from(text));
}

/* --- remove_mam_for_user[_with_peer] USER HOST [PEER] --- */

void
mam_step_remove(struct job *j, const struct sql_result *result)
{
    struct str with = job_arg(j, 2);
    struct sql_value param[3];
    size_t n = 0;

    (void)result;
    job_release(j);
    param[n++] = sql_text(job_arg(j, 0));
    if (with.n)
        param[n++] = sql_text(with);
    param[n++] = sql_int(PORTION);
    job_sql(j, MAM_STEP_REMOVED, with.n ? SQL_ARCHIVE_DEL_PEER : SQL_ARCHIVE_DEL_USER,
            param, n);
}

void
mam_step_removed(struct job *j, const struct sql_result *result)
{
    if (has_failed(j, result))
        return;
    if (may_be_more(result))
        mam_step_remove(j, NULL);
    else
        reply(j, STR("MAM archive removed"));
}

/* --- delete_old_mam_messages HOST TYPE DAYS --- */

/* "chat", "groupchat", or "all": "" to the database; p == NULL: none of them. */
static struct str
kind_of(struct str type)
{
    if (str_eq_c(type, "all"))
        return STR("");
    return str_eq_c(type, "chat") || str_eq_c(type, "groupchat") ? type : STR_NULL;
}

static int64_t
number_of(struct str text)
{
    int64_t n = 0;

    return str_to_i64(text, &n) < 0 ? 0 : n;
}

static int64_t
time_before(int64_t days)
{
    int64_t now = (int64_t)clock_wall_us();

    return days > now / DAY_US ? 0 : now - days * DAY_US;
}

static void
ask_delete(struct job *j, unsigned step, int64_t before, struct str kind, int64_t n)
{
    struct sql_value param[] = { sql_int(before), sql_text(kind), sql_int(n) };

    job_sql(j, step, SQL_ARCHIVE_DEL_OLD, param, ARRAY_LEN(param));
}

void
mam_step_purge(struct job *j, const struct sql_result *result)
{
    struct str kind = kind_of(job_arg(j, 1));
    int64_t before;

    (void)result;
    job_release(j);
    if (!kind.p) {
        job_call_reply(j, IPC_INVALID, STR("unsupported_type"));
        return;
    }
    if (!j->data.n) { /* what gets old meanwhile is not meant */
        before = time_before(number_of(job_arg(j, 2)));
        job_keep(j, (struct str){ (const char *)&before, sizeof before });
    }
    memcpy(&before, j->data.p, sizeof before);
    ask_delete(j, MAM_STEP_PURGED, before, kind, PORTION);
}

void
mam_step_purged(struct job *j, const struct sql_result *result)
{
    if (has_failed(j, result))
        return;
    if (may_be_more(result))
        mam_step_purge(j, NULL);
    else
        reply(j, STR_NULL);
}

/* --- delete_old_mam_messages_batch HOST TYPE DAYS BATCH_SIZE RATE, and about it --- */

void
mam_step_batch(struct job *j, const struct sql_result *result)
{
    struct purge purge = { .size = purge_number(job_arg(j, 3), PURGE_SIZE_MAX),
        .rate = purge_number(job_arg(j, 4), UINT32_MAX),
        .before = time_before(number_of(job_arg(j, 2))) };
    struct str kind = kind_of(job_arg(j, 1));

    (void)result;
    if (!kind.p || purge.size == 0 || purge.rate == 0) {
        job_call_reply(j, IPC_INVALID, STR("unsupported_type"));
        return;
    }
    memcpy(purge.kind, kind.p, kind.n);
    purge_begin(j, &purge, MAM_STEP_BATCH_RUN);
}

void
mam_step_batch_run(struct job *j, const struct sql_result *result)
{
    struct purge purge;

    (void)result;
    if (purge_is_due(j, MAM_STEP_BATCH_RUN, &purge))
        ask_delete(
                j, MAM_STEP_BATCH_RAN, purge.before, str_from(purge.kind), purge.size);
}

void
mam_step_batch_ran(struct job *j, const struct sql_result *result)
{
    purge_ran(j, MAM_STEP_BATCH_RUN, MAM_STEP_BATCH_RAN, result);
}
