/*
 * mod_last.c -- last activity (XEP-0012)
 *
 * When a session stops being available, its account gets the time, and what it said;
 * of several sessions the last one counts, as what is newer is not replaced. While
 * there is a session nobody looks at that.
 *
 * Only who may see an account's presence may ask, also its clients (section 4), so that
 * such requests go by way of the account's home.
 */
#include "worker/module.h"
#include "xmpp/datetime.h"

#include "base/clock.h"

enum {
    STEP_SERVER,
    STEP_OWN,
    STEP_OTHERS,
    STEP_KNOWN,
    STEP_RESOURCE,
    STEP_COMMAND_GET,
    STEP_COMMAND_KNOWN,
    STEP_COMMAND_SET,
    STEP_COMMAND_STORED
};

enum {
    STATUS_SIZE = 1000
};

static int64_t
now_s(void)
{
    return (int64_t)(clock_wall_us() / 1000000);
}

/* --- Writing --- */

/* Cut so that no character is in two. */
static struct str
cut(struct str text)
{
    if (text.n <= STATUS_SIZE)
        return text;
    text.n = STATUS_SIZE;
    while (text.n > 0 && ((unsigned char)text.p[text.n] & 0xc0) == 0x80)
        text.n--;
    return text;
}

static void
note(struct event *e, struct str status)
{
    struct job_start start = {
        .module = e->module, .host = e->host, .step = JOB_WRITTEN
    };
    const struct sql_value param[] = { sql_text(conn_jid(e->c).local), sql_int(now_s()),
        sql_text(cut(status)) };

    /* A session of an account that is being removed leaves nothing behind. */
    if ((e->account && !account_exists(e->account)) || jobs_are_many(e->w))
        return;
    job_write(e->w, &start, SQL_LAST_NOTE, param, ARRAY_LEN(param));
}

static enum hook_result
on_presence(struct event *e)
{
    struct str status = xml_child_text(e->s->el, "status", NS_CLIENT);

    if (e->s->type == PRESENCE_UNAVAILABLE && session_is_available(e->c))
        note(e, status.p ? status : STR(""));
    return HOOK_PASS;
}

static enum hook_result
on_close(struct event *e)
{
    if (session_is_available(e->c))
        note(e, STR(""));
    return HOOK_PASS;
}

/* --- Asking --- */

static void
reply(struct job *j, uint64_t seconds, struct str status)
{
    struct xml_el *query = job_result(j, "query", NS_LAST);
    struct buf text = { 0 };

    buf_addf(&text, "%llu", (unsigned long long)seconds);
    xml_set(query, "seconds", str_dup(j->arena, buf_str(&text)));
    buf_fini(&text);
    if (status.n)
        xml_add_text(query, status);
    job_send_result(j, query);
}

static void
of_server(struct job *j, const struct sql_result *result)
{
    (void)result;
    reply(j, worker_uptime_s(j->w), STR_NULL);
}

/* Who asks is there. */
static void
of_own(struct job *j, const struct sql_result *result)
{
    (void)result;
    reply(j, 0, STR_NULL);
}

static bool
is_connected(struct job *j)
{
    const struct route_snapshot *snap;

    return route_sessions(j->w, account_bare(j->account), 0, &snap) > 0;
}

static void
of_others(struct job *j, const struct sql_result *result)
{
    struct sql_value user = sql_text(j->to.local);

    (void)result;
    if (!account_shows(j->account, &j->from))
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
    else if (is_connected(j))
        reply(j, 0, STR_NULL);
    else
        job_sql(j, STEP_KNOWN, SQL_LAST_GET, &user, 1);
}

static void
known(struct job *j, const struct sql_result *result)
{
    int64_t ago;

    if (job_failed(j, result))
        return;
    if (result->n_rows == 0) {
        job_error(j, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL); /* never there */
        return;
    }
    ago = now_s() - result->value[0].i;
    reply(j, ago > 0 ? (uint64_t)ago : 0, str_trim(result->value[1].s));
}

/* A request to a client of another account: let its home see whether it may come. */
static enum hook_result
on_send(struct event *e)
{
    const struct stanza *s = e->s;
    struct jid own = conn_jid(e->c);
    const struct conf_host *host;
    struct home_call call = { .module = e->module, .step = STEP_RESOURCE };

    if (s->kind != STANZA_IQ || s->type != IQ_GET || !s->to.local.n ||
            !s->to.resource.n || !xml_is(iq_payload(s->el), "query", NS_LAST) ||
            jid_eq_bare(&s->to, &own))
        return HOOK_PASS;
    host = host_of(e->w, s->to.domain);
    if (!host || !host_has_module(e->w, host, e->module->name))
        return HOOK_PASS;
    if (jobs_are_many(e->w)) {
        route_error(e->w, s, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
        return HOOK_DONE;
    }
    call.bare = jid_bare_text(s->el->arena, &s->to);
    call.conn = s->conn;
    call.from = s->from;
    call.to = s->to;
    call.el = s->el;
    home_call(e->w, &call);
    return HOOK_DONE;
}

static void
to_resource(struct job *j, const struct sql_result *result)
{
    (void)result;
    if (account_shows(j->account, &j->from))
        route_el(j->w, j->el);
    else
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
}

/* --- Commands: user, host; user, host, timestamp, status --- */

static void
reply_last(struct job *j, int64_t seconds, struct str status)
{
    const struct str cell[] = {
        datetime_text(j->arena, seconds * 1000000, DATETIME_SECONDS), status
    };

    job_call_reply_list(j, cell, ARRAY_LEN(cell));
}

static void
command_get(struct job *j, const struct sql_result *result)
{
    struct sql_value user = sql_text(job_arg(j, 0));

    (void)result;
    if (is_connected(j))
        reply_last(j, now_s(), STR("ONLINE"));
    else
        job_sql(j, STEP_COMMAND_KNOWN, SQL_LAST_GET, &user, 1);
}

static void
command_known(struct job *j, const struct sql_result *result)
{
    if (job_failed(j, result))
        return;
    if (result->n_rows == 0)
        reply_last(j, now_s(), STR("NOT FOUND"));
    else
        reply_last(j, result->value[0].i, result->value[1].s);
}

static void
command_set(struct job *j, const struct sql_result *result)
{
    uint64_t seconds;
    struct sql_value param[] = { sql_text(job_arg(j, 0)), sql_int(0),
        sql_text(job_arg(j, 3)) };

    (void)result;
    if (!account_exists(j->account)) {
        job_call_reply(j, IPC_NOT_FOUND, STR("unknown_user"));
    } else if (str_to_u64(job_arg(j, 2), &seconds) < 0 || seconds > UINT32_MAX) {
        job_call_reply(j, IPC_INVALID, STR("the timestamp is not one"));
    } else {
        param[1] = sql_int((int64_t)seconds);
        job_sql(j, STEP_COMMAND_STORED, SQL_LAST_SET, param, ARRAY_LEN(param));
    }
}

static void
command_stored(struct job *j, const struct sql_result *result)
{
    if (!job_failed(j, result))
        job_call_reply(j, IPC_OK, STR_NULL);
}

/* --- The module --- */

static const struct module_hook hooks[] = {
    { HOOK_PRESENCE_OUT, 90, on_presence },
    { HOOK_SESSION_CLOSE, 50, on_close },
    { HOOK_USER_SEND, 60, on_send },
    { 0 },
};

static const job_fn steps[] = {
    [STEP_SERVER] = of_server,
    [STEP_OWN] = of_own,
    [STEP_OTHERS] = of_others,
    [STEP_KNOWN] = known,
    [STEP_RESOURCE] = to_resource,
    [STEP_COMMAND_GET] = command_get,
    [STEP_COMMAND_KNOWN] = command_known,
    [STEP_COMMAND_SET] = command_set,
    [STEP_COMMAND_STORED] = command_stored,
};

static const struct module_iq iqs[] = {
    { NS_LAST, "query", IQ_SERVER, IQ_GETS, IQ_NO_QUEUE, STEP_SERVER },
    { NS_LAST, "query", IQ_OWN, IQ_GETS, IQ_NO_QUEUE, STEP_OWN },
    { NS_LAST, "query", IQ_OTHERS, IQ_GETS, IQ_HOME, STEP_OTHERS },
    { 0 },
};

static const struct module_call calls[] = {
    { "get_last", true, STEP_COMMAND_GET },
    { "set_last", true, STEP_COMMAND_SET },
    { 0 },
};

static const char *const features[] = { NS_LAST, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_last",
    .doc = "Last activity (XEP-0012)",
    .features = features,
    .account_features = features,
    .hooks = hooks,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
    .calls = calls,
};
