/*
 * offline_call.c -- what an administrator asks about stored messages
 */
#include <inttypes.h>

#include "base/clock.h"
#include "modules/offline.h"
#include "xmpp/datetime.h"

enum {
    DELETE_AT_ONCE = 1000
};

static void
fail(struct job *j, const struct sql_result *result)
{
    job_call_reply(j, result->status == SQL_UNAVAILABLE ? IPC_UNAVAILABLE : IPC_FAILED,
            STR("the database could not do it"));
}

static void
reply_number(struct job *j, int64_t n)
{
    struct buf text = { 0 };

    buf_addf(&text, "%" PRId64, n);
    job_call_reply(j, IPC_OK, buf_str(&text));
    buf_fini(&text);
}

/* --- get_offline_count user host --- */

void
offline_call_count(struct job *j, const struct sql_result *result)
{
    struct sql_value user = offline_user(j);

    (void)result;
    job_sql(j, STEP_CALL_COUNTED, SQL_SPOOL_COUNT, &user, 1);
}

void
offline_call_counted(struct job *j, const struct sql_result *result)
{
    if (result->status == SQL_OK)
        reply_number(j, result->value[0].i);
    else
        fail(j, result);
}

/* --- What walks through the store: how many have been deleted, and where it is --- */

struct walk {
    int64_t deleted, at;
    uint8_t last; /* after this deletion nothing is left */
};

static struct walk
walk_of(const struct job *j)
{
    struct walk walk = { 0 };

    if (j->data.n == sizeof walk)
        memcpy(&walk, j->data.p, sizeof walk);
    return walk;
}

static void
walk_keep(struct job *j, const struct walk *walk)
{
    job_keep(j, (struct str){ (const char *)walk, sizeof *walk });
}

/* --- delete_old_messages host days --- */

int64_t
offline_days_ago(struct str days)
{
    int64_t now = (int64_t)clock_wall_us();
    uint64_t n;

    if (str_to_u64(days, &n) < 0)
        return -1;
    return n < (uint64_t)(now / DATETIME_DAY_US) ? now - (int64_t)n * DATETIME_DAY_US
                                                 : 0;
}

void
offline_call_old(struct job *j, const struct sql_result *result)
{
    struct walk walk = walk_of(j);
    struct sql_value param[2];

    (void)result;
    if (!j->data.n) { /* what gets old meanwhile is not meant */
        walk.at = offline_days_ago(job_arg(j, 1));
        walk_keep(j, &walk);
    }
    if (walk.at < 0) {
        job_call_reply(j, IPC_INVALID, STR("days must be a number"));
        return;
    }
    param[0] = sql_int(walk.at);
    param[1] = sql_int(DELETE_AT_ONCE);
    job_sql(j, STEP_CALL_OLD_DONE, SQL_SPOOL_DEL_OLD, param, 2);
}

void
offline_call_old_done(struct job *j, const struct sql_result *result)
{
    struct walk walk = walk_of(j);

    if (result->status != SQL_OK) {
        fail(j, result);
        return;
    }
    walk.deleted += (int64_t)result->changed;
    if (result->changed == 0 && !result->repeated) {
        reply_number(j, walk.deleted);
        return;
    }
    walk_keep(j, &walk);
    job_again(j, STEP_CALL_OLD);
}

/* --- delete_expired_messages host --- */

void
offline_call_expired(struct job *j, const struct sql_result *result)
{
    struct sql_value param[2];

    (void)result;
    param[0] = sql_int(walk_of(j).at);
    param[1] = sql_int(OFFLINE_PAGE);
    job_sql(j, STEP_CALL_EXPIRED_ROWS, SQL_SPOOL_EXPIRING, param, 2);
}

void
offline_call_expired_rows(struct job *j, const struct sql_result *result)
{
    struct sql_value param[2 * OFFLINE_PAGE];
    struct walk walk = walk_of(j);
    size_t n = 0;

    if (result->status != SQL_OK) {
        fail(j, result);
        return;
    }
    for (size_t i = 0; i < result->n_rows; i++) {
        const struct sql_value *v = &result->value[i * result->n_cols];
        struct xml_el *el = stanza_parse(j->w, j->arena, v[2].s);

        walk.at = v[1].i;
        if (!el || !offline_has_expired(j->host, el, v[3].i))
            continue;
        param[n++] = v[0];
        param[n++] = v[1];
    }
    walk.deleted += (int64_t)n / 2;
    walk.last = result->n_rows < OFFLINE_PAGE;
    walk_keep(j, &walk);
    if (n > 0)
        job_sql(j, STEP_CALL_EXPIRED_DONE, SQL_SPOOL_DEL_EACH, param, n);
    else if (walk.last)
        reply_number(j, walk.deleted);
    else
        job_again(j, STEP_CALL_EXPIRED);
}

void
offline_call_expired_done(struct job *j, const struct sql_result *result)
{
    struct walk walk = walk_of(j);

    if (result->status != SQL_OK)
        fail(j, result);
    else if (walk.last)
        reply_number(j, walk.deleted);
    else
        job_again(j, STEP_CALL_EXPIRED);
}
