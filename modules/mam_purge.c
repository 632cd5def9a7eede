/*
 * mam_purge.c -- commands of administrators: counting and deleting
 *
 * Rows are deleted in portions, each a change of its own, so that the database does
 * other things in between. A repeated portion, after a kill, does not say how many rows
 * it has deleted: those are missing in the number that a status tells, and it is taken
 * for one that may not have been the last.
 *
 * delete_old_mam_messages_batch goes on by itself, slowed to a rate, under a key of the
 * host; its state is what that job has kept, which status and abort look at. It stays
 * for a day after its end, to tell of it.
 */
#include "modules/mam.h"

#include "base/clock.h"

enum {
    PORTION = 500,
    BATCH_MOST = 10 * 1000,
    DAY_MS = 24 * 60 * 60 * 1000
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

enum batch_state {
    BATCH_WORKING,
    BATCH_COMPLETED,
    BATCH_ABORTED,
    BATCH_FAILED
};

struct batch {
    int64_t before, size, rate; /* rate: rows per minute */
    uint64_t deleted, since_us;
    uint8_t state;
    bool over; /* it only waits to be asked */
    char kind[12];
};

static struct str
batch_key(struct job *j)
{
    struct buf key = { 0 };
    struct str ret;

    buf_addf(&key, "mod_mam batch %.*s", STR_ARG(j->host->name));
    ret = str_dup(j->arena, buf_str(&key));
    buf_fini(&key);
    return ret;
}

static bool
batch_of(struct str data, struct batch *ret)
{
    if (data.n != sizeof *ret)
        return false;
    memcpy(ret, data.p, sizeof *ret);
    return true;
}

/* Larger ones would hold up the database, which the rate does not ask for. */
static int64_t
portion_of(struct str text)
{
    int64_t n = number_of(text);

    return n < BATCH_MOST ? n : BATCH_MOST;
}

static struct str
batch_bytes(const struct batch *b)
{
    return (struct str){ (const char *)b, sizeof *b };
}

void
mam_step_batch(struct job *j, const struct sql_result *result)
{
    struct batch b = { .size = portion_of(job_arg(j, 3)),
        .rate = number_of(job_arg(j, 4)),
        .before = time_before(number_of(job_arg(j, 2))),
        .since_us = clock_wall_us() },
                 before;
    struct str kind = kind_of(job_arg(j, 1)), key = batch_key(j);
    struct job_start start = { .module = j->module,
        .host = j->host,
        .step = MAM_STEP_BATCH_RUN,
        .key = key,
        .data = batch_bytes(&b) };

    (void)result;
    if (!kind.p || b.size <= 0 || b.rate <= 0) {
        job_call_reply(j, IPC_INVALID, STR("unsupported_type"));
        return;
    }
    memcpy(b.kind, kind.p, kind.n);
    if (!batch_of(job_peek(j->w, key), &before)) {
        job_begin(j->w, &start);
    } else if (before.state == BATCH_WORKING) {
        job_call_reply(j, IPC_CONFLICT, STR("Operation in progress"));
        return;
    } else {
        job_tell(j->w, key, batch_bytes(&b)); /* the last one has waited to be asked */
    }
    reply(j, STR_NULL);
}

/* Ended: for a while it can be asked how. */
static void
batch_rest(struct job *j, struct batch *b)
{
    b->over = true;
    job_keep(j, batch_bytes(b));
    job_sleep(j, MAM_STEP_BATCH_RUN, DAY_MS);
}

/* The next portion, when the rate allows for it. */
static void
batch_go_on(struct job *j, const struct batch *b)
{
    uint64_t now = clock_wall_us(),
             due = b->since_us + b->deleted * 60 * 1000000 / (uint64_t)b->rate,
             ms = due > now ? (due - now) / 1000 + 1 : 0;

    if (ms)
        job_sleep(j, MAM_STEP_BATCH_RUN, ms < DAY_MS ? (uint32_t)ms : DAY_MS);
    else
        ask_delete(j, MAM_STEP_BATCH_RAN, b->before, str_from(b->kind), b->size);
}

void
mam_step_batch_run(struct job *j, const struct sql_result *result)
{
    struct batch b;

    (void)result;
    if (!batch_of(j->data, &b))
        return;
    if (b.state == BATCH_WORKING)
        batch_go_on(j, &b);
    else if (!b.over)
        batch_rest(j, &b); /* aborted while it slept */
}

void
mam_step_batch_ran(struct job *j, const struct sql_result *result)
{
    struct batch b;

    if (!batch_of(j->data, &b))
        return;
    b.deleted += result->changed;
    if (b.state == BATCH_WORKING && result->status == SQL_UNAVAILABLE) {
        job_retry(j, MAM_STEP_BATCH_RAN);
        return;
    }
    if (b.state == BATCH_WORKING && result->status != SQL_OK)
        b.state = BATCH_FAILED;
    else if (b.state == BATCH_WORKING && !may_be_more(result))
        b.state = BATCH_COMPLETED;
    if (b.state != BATCH_WORKING) {
        batch_rest(j, &b);
        return;
    }
    job_keep(j, batch_bytes(&b));
    job_again(j, MAM_STEP_BATCH_RUN);
}

void
mam_step_batch_status(struct job *j, const struct sql_result *result)
{
    struct batch b;
    struct buf text = { 0 };
    unsigned long long n;

    (void)result;
    if (!batch_of(job_peek(j->w, batch_key(j)), &b)) {
        reply(j, STR("Operation not started"));
        return;
    }
    n = b.deleted;
    switch ((enum batch_state)b.state) {
    case BATCH_WORKING:
        buf_addf(&text, "Operation in progress, deleted %llu messages", n);
        break;
    case BATCH_COMPLETED:
        buf_addf(&text, "Operation was completed after deleting %llu messages", n);
        break;
    case BATCH_ABORTED:
        buf_addf(&text, "Operation was aborted after deleting %llu messages", n);
        break;
    case BATCH_FAILED:
        buf_addf(&text, "Operation failed after deleting %llu messages with error %s",
                n, "Database failure");
        break;
    }
    reply(j, buf_str(&text));
    buf_fini(&text);
}

void
mam_step_batch_abort(struct job *j, const struct sql_result *result)
{
    struct str key = batch_key(j);
    struct batch b;

    (void)result;
    if (!batch_of(job_peek(j->w, key), &b) || b.state != BATCH_WORKING) {
        reply(j, STR("No task running"));
        return;
    }
    b.state = BATCH_ABORTED;
    job_tell(j->w, key, batch_bytes(&b));
    reply(j, STR("Operation aborted"));
}
