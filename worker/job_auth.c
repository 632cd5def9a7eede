/*
 * job_auth.c -- steps that wait for the auth process
 *
 * The question is kept in the slot and asked again after a while, and by a successor:
 * the auth process keeps nothing beyond its own death. Answers are told apart by the
 * number of the job; one that comes twice finds the job elsewhere.
 */
#include "worker/jobs.h"

#include "ipc/post.h"
#include "worker/conn.h"
#include "worker/outbox.h"

enum {
    AGAIN_MS = 10 * 1000
};

/* The question is a list: its name, then its arguments. */
static struct ipc_list
question(const struct slot_job *s, struct str *ret_name)
{
    struct ipc_list list = { .packed = { s->request, s->request_n }, .n = 1 };

    ipc_list_next(&list, ret_name);
    list.n = 0;
    for (struct str rest = list.packed; rest.n >= sizeof(uint32_t); list.n++) {
        uint32_t n;

        memcpy(&n, rest.p, sizeof n);
        rest.p += sizeof n + n;
        rest.n -= sizeof n + n;
    }
    return list;
}

void
job_auth_send(struct worker *w, struct slot_job *s)
{
    struct ipc_call m = { .id = s->number };

    m.args = question(s, &m.name);
    list_del(&s->live->waiting);
    list_add(&w->jobs->auth, &s->live->waiting);
    loop_timer_set(w->loop, &s->live->timer, AGAIN_MS);
    outbox_send(w, ipc_addr_of(PROC_AUTH, 0), IPC_ACCOUNT_CALL, &m);
}

void
job_auth(
        struct job *j, unsigned step, const char *name, const struct str *arg, size_t n)
{
    struct slot_job *s = job_goes_on(j, step, JOB_WAIT_AUTH);
    struct buf packed = { 0 };

    ipc_list_add(&packed, str_from(name));
    for (size_t i = 0; i < n; i++)
        ipc_list_add(&packed, arg[i]);
    SET(j->w, s->request, slot_dup(j->w, buf_str(&packed)));
    SET(j->w, s->request_n, (uint32_t)packed.n);
    j->w->jobs->bytes += packed.n;
    buf_fini(&packed);
    job_auth_send(j->w, s);
}

static enum sql_status
status_of(uint8_t status)
{
    switch ((enum ipc_status)status) {
    case IPC_OK:
        return SQL_OK;
    case IPC_NOT_FOUND:
        return SQL_NOT_FOUND;
    case IPC_CONFLICT:
        return SQL_CONFLICT;
    case IPC_UNAVAILABLE:
        return SQL_UNAVAILABLE;
    case IPC_INVALID:
    case IPC_DENIED:
    case IPC_FAILED:
        break;
    }
    return SQL_ERROR;
}

void
jobs_on_auth_reply(struct worker *w, const struct ipc_reply *m)
{
    struct sql_value status = sql_int(m->status);
    struct sql_result result = {
        .status = status_of(m->status), .n_rows = 1, .n_cols = 1, .value = &status
    };

    list_for(node, &w->jobs->auth)
    {
        struct job_live *l = list_entry(node, struct job_live, waiting);

        if (l->slot->number != m->id)
            continue;
        list_del(&l->waiting);
        loop_timer_cancel(w->loop, &l->timer);
        job_run(w, l->slot, &result);
        return;
    }
}
