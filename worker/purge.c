/*
 * purge.c -- old rows are deleted in portions, at a rate
 *
 * The job is found by its key; its state is what it has kept, which status and abort
 * look at. Each portion is a change of its own, so that the database does other things
 * in between. A portion that is repeated, after a kill, does not say how many rows it
 * has deleted: those are missing in the number, and it is taken for one that may not
 * have been the last.
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "worker/module.h"

enum {
    DAY_MS = 24 * 60 * 60 * 1000
};

enum purge_state {
    PURGE_WORKING,
    PURGE_COMPLETED,
    PURGE_ABORTED,
    PURGE_FAILED
};

int64_t
purge_number(struct str text, int64_t most)
{
    uint64_t n;

    if (str_to_u64(text, &n) < 0)
        return 0;
    return n < (uint64_t)most ? (int64_t)n : most;
}

static struct str
key_of(struct job *j)
{
    struct buf key = { 0 };
    struct str ret;

    buf_addf(&key, "%s batch %.*s", j->module->name, STR_ARG(j->host->name));
    ret = str_dup(j->arena, buf_str(&key));
    buf_fini(&key);
    return ret;
}

static bool
purge_of(struct str data, struct purge *ret)
{
    if (data.n < offsetof(struct purge, kind))
        return false;
    *ret = (struct purge){ 0 };
    memcpy(ret, data.p, data.n < sizeof *ret ? data.n : sizeof *ret);
    return true;
}

static struct str
bytes_of(const struct purge *p)
{
    return (struct str){ (const char *)p, sizeof *p };
}

void
purge_begin(struct job *j, const struct purge *purge, unsigned run)
{
    struct purge now = *purge, last;
    struct str key = key_of(j);
    struct job_start start = { .module = j->module,
        .host = j->host,
        .step = run,
        .key = key,
        .data = bytes_of(&now) };

    now.since_us = clock_wall_us();
    if (!purge_of(job_peek(j->w, key), &last)) {
        job_begin(j->w, &start);
    } else if (last.state == PURGE_WORKING) {
        job_call_reply(j, IPC_CONFLICT, STR("Operation in progress"));
        return;
    } else {
        job_tell(j->w, key, bytes_of(&now)); /* the last one has waited to be asked */
    }
    job_call_reply(j, IPC_OK, STR(""));
}

/* Ended: for a while it can be asked how. */
static void
rest(struct job *j, unsigned run, struct purge *p)
{
    p->over = true;
    job_keep(j, bytes_of(p));
    job_sleep(j, run, DAY_MS);
}

bool
purge_is_due(struct job *j, unsigned run, struct purge *ret)
{
    uint64_t now = clock_wall_us(), due, ms;
    struct purge p;

    if (!purge_of(j->data, &p))
        return false;
    if (p.state != PURGE_WORKING) {
        if (!p.over)
            rest(j, run, &p); /* aborted while it slept */
        return false;
    }
    due = p.since_us + p.deleted * 60 * 1000000 / (uint64_t)p.rate;
    ms = due > now ? (due - now) / 1000 + 1 : 0;
    if (ms) {
        job_sleep(j, run, ms < DAY_MS ? (uint32_t)ms : DAY_MS);
        return false;
    }
    *ret = p;
    return true;
}

void
purge_ran(struct job *j, unsigned run, unsigned ran, const struct sql_result *result)
{
    struct purge p;

    if (!purge_of(j->data, &p))
        return;
    p.deleted += result->changed;
    if (p.state == PURGE_WORKING && result->status == SQL_UNAVAILABLE) {
        job_retry(j, ran);
        return;
    }
    if (p.state == PURGE_WORKING && result->status != SQL_OK)
        p.state = PURGE_FAILED;
    else if (p.state == PURGE_WORKING && result->changed == 0 && !result->repeated)
        p.state = PURGE_COMPLETED;
    if (p.state != PURGE_WORKING) {
        rest(j, run, &p);
        return;
    }
    job_keep(j, bytes_of(&p));
    job_again(j, run);
}

void
purge_status(struct job *j, const struct sql_result *result)
{
    static const char *const said[] = {
        [PURGE_WORKING] = "in progress, deleted",
        [PURGE_COMPLETED] = "was completed after deleting",
        [PURGE_ABORTED] = "was aborted after deleting",
        [PURGE_FAILED] = "failed after deleting",
    };
    struct buf text = { 0 };
    struct purge p;

    (void)result;
    if (!purge_of(job_peek(j->w, key_of(j)), &p) || p.state > PURGE_FAILED) {
        job_call_reply(j, IPC_OK, STR("Operation not started"));
        return;
    }
    buf_addf(&text, "Operation %s %" PRIu64 " messages%s", said[p.state], p.deleted,
            p.state == PURGE_FAILED ? " with error Database failure" : "");
    job_call_reply(j, IPC_OK, buf_str(&text));
    buf_fini(&text);
}

void
purge_abort(struct job *j, const struct sql_result *result)
{
    struct str key = key_of(j);
    struct purge p;

    (void)result;
    if (!purge_of(job_peek(j->w, key), &p) || p.state != PURGE_WORKING) {
        job_call_reply(j, IPC_OK, STR("No task running"));
        return;
    }
    p.state = PURGE_ABORTED;
    job_tell(j->w, key, bytes_of(&p));
    job_call_reply(j, IPC_OK, STR("Operation aborted"));
}
