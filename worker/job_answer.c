/*
 * job_answer.c -- what a step may answer: to a stanza, to a command
 */
#include "worker/jobs.h"

#include "ipc/post.h"
#include "worker/conn.h"
#include "worker/outbox.h"
#include "worker/session.h"

void
job_see_stanza(struct job *j)
{
    enum iq_type iq;
    enum presence_type presence;

    j->kind = j->el ? stanza_kind(j->el) : STANZA_OTHER;
    j->type = 0;
    switch (j->kind) {
    case STANZA_MESSAGE:
        j->type = (uint8_t)message_type(j->el);
        break;
    case STANZA_PRESENCE:
        if (presence_type(j->el, &presence) == 0)
            j->type = (uint8_t)presence;
        break;
    case STANZA_IQ:
        if (iq_type(j->el, &iq) == 0)
            j->type = (uint8_t)iq;
        j->payload = iq_payload(j->el);
        break;
    case STANZA_OTHER:
        break;
    }
}

static void
answer(struct job *j, const struct xml_el *reply)
{
    if (!reply || iq_early_answer(j->w, j->conn, reply))
        return;
    if (j->conn)
        route_to_conn(j->w, j->conn, reply);
    else
        route_el(j->w, reply);
}

void
job_reply(struct job *j, const struct xml_el *result)
{
    if (!result && j->el)
        result = iq_result(j->arena, j->el);
    answer(j, result);
}

struct xml_el *
job_result(struct job *j, const char *name, const char *ns)
{
    struct xml_el *payload;

    iq_result_with(j->arena, j->el, name, ns, &payload);
    return payload;
}

void
job_send_result(struct job *j, struct xml_el *el)
{
    while (el->parent)
        el = el->parent;
    answer(j, el);
}

void
job_error(struct job *j, enum stanza_error e, const char *text)
{
    if (!j->el)
        return;
    worker_count(j->w, COUNTER_STANZAS_BOUNCED, 1);
    answer(j, stanza_reply_error(j->arena, j->el, e, ERROR_TYPE_DEFAULT, text));
}

bool
job_failed(struct job *j, const struct sql_result *result)
{
    if (result->status == SQL_OK)
        return false;
    if (result->status == SQL_UNAVAILABLE) {
        job_error(j, STANZA_ERROR_RESOURCE_CONSTRAINT, "the database is away");
        job_call_reply(j, IPC_UNAVAILABLE, STR("the database is away"));
        return true;
    }
    log_error(NULL, "%s: the database answers %s", j->module->name,
            sql_status_name(result->status));
    job_error(j, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
    job_call_reply(j, IPC_FAILED, STR("the database refused that"));
    return true;
}

/* --- Commands --- */

static bool
caller_of(const struct job *j, struct job_caller *ret, struct ipc_list *ret_args)
{
    const struct slot_job *s = j->slot;
    const char *p;

    if (!s || !(s->flags & SLOT_JOB_CALL))
        return false;
    p = s->text + s->key_n + s->host_n + s->from_n + s->to_n;
    memcpy(ret, p, sizeof *ret);
    *ret_args =
            (struct ipc_list){ .packed = { p + sizeof *ret, s->stanza_n - sizeof *ret },
                .n = ret->n };
    return true;
}

size_t
job_n_args(const struct job *j)
{
    struct job_caller caller;
    struct ipc_list args;

    return caller_of(j, &caller, &args) ? caller.n : 0;
}

struct str
job_arg(const struct job *j, size_t i)
{
    struct job_caller caller;
    struct ipc_list args;
    struct str arg = STR_NULL;

    if (!caller_of(j, &caller, &args))
        return STR_NULL;
    do {
        if (!ipc_list_next(&args, &arg))
            return STR_NULL;
    } while (i-- > 0);
    return arg;
}

static void
call_reply(struct job *j, const struct ipc_reply *reply)
{
    struct ipc_reply m = *reply;
    struct job_caller caller;
    struct ipc_list args;

    if (!caller_of(j, &caller, &args))
        return;
    m.id = caller.id;
    outbox_send(j->w, caller.from, IPC_PROC_REPLY, &m);
}

void
job_call_reply(struct job *j, enum ipc_status status, struct str text)
{
    call_reply(j, &(struct ipc_reply){ .status = (uint8_t)status, .text = text });
}

void
job_call_reply_list(struct job *j, const struct str *results, size_t n)
{
    struct buf packed = { 0 };

    for (size_t i = 0; i < n; i++)
        ipc_list_add(&packed, results[i]);
    call_reply(j,
            &(struct ipc_reply){ .status = IPC_OK, .results = ipc_list_of(&packed) });
    buf_fini(&packed);
}
