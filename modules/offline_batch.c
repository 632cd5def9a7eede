/*
 * offline_batch.c -- old messages are deleted in portions, at a rate
 *
 * A job that nobody waits for; it is found by its key. When it has ended it stays for a
 * day, so that it can be asked what has become of it.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "modules/offline.h"
#include "xmpp/datetime.h"

enum {
    BATCH_MOST = 10000,
    DAY_MS = 24 * 60 * 60 * 1000
};

enum batch_state {
    BATCH_WORKING,
    BATCH_COMPLETED,
    BATCH_ABORTED,
    BATCH_FAILED
};

struct batch {
    int64_t before, size, rate; /* rate: messages per minute */
    uint64_t deleted, since_us;
    uint8_t state;
    bool over; /* it only waits to be asked */
};

static struct str
batch_key(struct job *j)
{
    struct buf key = { 0 };
    struct str ret;

    buf_addf(&key, "mod_offline batch %.*s", STR_ARG(j->host->name));
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

static struct str
bytes_of(const struct batch *b)
{
    return (struct str){ (const char *)b, sizeof *b };
}

/* A number above 0, at most `most`; 0: it is none. */
static int64_t
number_of(struct str text, uint64_t most)
{
    uint64_t n;

    if (str_to_u64(text, &n) < 0)
        return 0;
    return (int64_t)(n < most ? n : most);
}

void
offline_batch(struct job *j, const struct sql_result *result)
{
    struct batch b = { .size = number_of(job_arg(j, 2), BATCH_MOST),
        .rate = number_of(job_arg(j, 3), UINT32_MAX),
        .since_us = clock_wall_us() };
    struct str key = batch_key(j);
    struct job_start start = {
        .module = j->module, .host = j->host, .step = STEP_BATCH_RUN, .key = key
    };
    struct batch last;

    (void)result;
    b.before = offline_days_ago(job_arg(j, 1));
    start.data = bytes_of(&b);
    if (b.before < 0 || b.size == 0 || b.rate == 0) {
        job_call_reply(j, IPC_INVALID, STR("days, batch_size and rate are numbers"));
        return;
    }
    if (!batch_of(job_peek(j->w, key), &last)) {
        job_begin(j->w, &start);
    } else if (last.state == BATCH_WORKING) {
        job_call_reply(j, IPC_CONFLICT, STR("Operation in progress"));
        return;
    } else {
        job_tell(j->w, key, bytes_of(&b)); /* the last one has waited to be asked */
    }
    job_call_reply(j, IPC_OK, STR(""));
}

/* Ended: for a while it can be asked how. */
static void
rest(struct job *j, struct batch *b)
{
    b->over = true;
    job_keep(j, bytes_of(b));
    job_sleep(j, STEP_BATCH_RUN, DAY_MS);
}

/* The next portion, when the rate allows for it. */
static void
go_on(struct job *j, const struct batch *b)
{
    uint64_t now = clock_wall_us(),
             due = b->since_us + b->deleted * 60 * 1000000 / (uint64_t)b->rate,
             ms = due > now ? (due - now) / 1000 + 1 : 0;
    struct sql_value param[] = { sql_int(b->before), sql_int(b->size) };

    if (ms)
        job_sleep(j, STEP_BATCH_RUN, ms < DAY_MS ? (uint32_t)ms : DAY_MS);
    else
        job_sql(j, STEP_BATCH_RAN, SQL_SPOOL_DEL_OLD, param, ARRAY_LEN(param));
}

void
offline_batch_run(struct job *j, const struct sql_result *result)
{
    struct batch b;

    (void)result;
    if (!batch_of(j->data, &b) || (b.state != BATCH_WORKING && b.over))
        return;
    if (b.state == BATCH_WORKING)
        go_on(j, &b);
    else
        rest(j, &b); /* aborted while it slept */
}

void
offline_batch_ran(struct job *j, const struct sql_result *result)
{
    struct batch b;

    if (!batch_of(j->data, &b))
        return;
    b.deleted += result->changed;
    if (b.state == BATCH_WORKING && offline_retries(j, STEP_BATCH_RAN, result))
        return;
    if (b.state == BATCH_WORKING && result->status != SQL_OK)
        b.state = BATCH_FAILED;
    else if (b.state == BATCH_WORKING && result->changed == 0 && !result->repeated)
        b.state = BATCH_COMPLETED;
    if (b.state != BATCH_WORKING) {
        rest(j, &b);
        return;
    }
    job_keep(j, bytes_of(&b));
    job_again(j, STEP_BATCH_RUN);
}

void
offline_batch_status(struct job *j, const struct sql_result *result)
{
    struct buf text = { 0 };
    struct batch b;

    (void)result;
    if (!batch_of(job_peek(j->w, batch_key(j)), &b)) {
        job_call_reply(j, IPC_OK, STR("Operation not started"));
        return;
    }
    switch ((enum batch_state)b.state) {
    case BATCH_WORKING:
        buf_addf(&text, "Operation in progress, deleted %" PRIu64 " messages",
                b.deleted);
        break;
    case BATCH_COMPLETED:
        buf_addf(&text, "Operation was completed after deleting %" PRIu64 " messages",
                b.deleted);
        break;
    case BATCH_ABORTED:
        buf_addf(&text, "Operation was aborted after deleting %" PRIu64 " messages",
                b.deleted);
        break;
    case BATCH_FAILED:
        buf_addf(&text,
                "Operation failed after deleting %" PRIu64
                " messages with error Database failure",
                b.deleted);
        break;
    }
    job_call_reply(j, IPC_OK, buf_str(&text));
    buf_fini(&text);
}

void
offline_batch_abort(struct job *j, const struct sql_result *result)
{
    struct str key = batch_key(j);
    struct batch b;

    (void)result;
    if (!batch_of(job_peek(j->w, key), &b) || b.state != BATCH_WORKING) {
        job_call_reply(j, IPC_OK, STR("No task running"));
        return;
    }
    b.state = BATCH_ABORTED;
    job_tell(j->w, key, bytes_of(&b));
    job_call_reply(j, IPC_OK, STR("Operation aborted"));
}
