/*
 * mod_shared_roster.c -- contacts that all members of a group have
 *
 * See shared_roster.h for how a group comes to the rosters. This file: the events of
 * accounts and sessions that groups of all users, or of all who are online, depend on.
 *
 * What these cost: nothing without such groups. With one of those who are online, each
 * first session of a user and each last one is a frame to each worker, which asks the
 * route table whether the user is online, and then goes through its sessions, 100 a
 * turn; a client gets a push if a group shows it the user.
 */
#include "modules/shared_roster.h"

enum {
    CLOSED_FIRST_MS = 1,
    CLOSED_MOST_MS = 1000
};

static enum hook_result
on_loading(struct event *e)
{
    return sr_is_ready(e->w, e->module, e->host) ? HOOK_PASS : HOOK_DONE;
}

static enum hook_result
on_loaded(struct event *e)
{
    struct str bare = account_bare(e->account);
    struct sr_table *t = sr_table_of(e->host->name);
    struct sr_change ch = { .what = SR_REGISTERED, .first = bare };
    struct sr_user *u;

    if (!sr_is_ready(e->w, e->module, e->host))
        return HOOK_PASS; /* after a reload: when they are read */
    u = sr_find_user(t->now, bare);
    if (t->now->has_all && account_exists(e->account) && !(u && u->registered))
        sr_tell(e->w, e->module, e->host, &ch); /* a new account */
    sr_merge(e->w, e->module, e->account, 0);
    return HOOK_PASS;
}

static enum hook_result
on_removed(struct event *e)
{
    struct sr_change ch = { .what = SR_REMOVED, .first = account_bare(e->account) };

    sr_tell(e->w, e->module, e->host, &ch);
    return HOOK_PASS;
}

/* --- Who is online --- */

static bool
somebody_asks(const struct conf_host *host)
{
    const struct sr_table *t = sr_table_of(host->name);

    return t->state != SR_READY || t->now->has_online;
}

static enum hook_result
on_open(struct event *e)
{
    struct sr_change ch = { .what = SR_ONLINE, .first = conn_bare(e->c) };
    const struct route_snapshot *snap;

    if (somebody_asks(e->host) && route_sessions(e->w, ch.first, 0, &snap) <= 1)
        sr_tell(e->w, e->module, e->host, &ch);
    return HOOK_PASS;
}

static enum hook_result
on_close(struct event *e)
{
    struct job_start start = { .module = e->module,
        .host = e->host,
        .step = SR_STEP_CLOSED,
        .conn = conn_id(e->w, e->c),
        .from = conn_jid(e->c) };

    if (somebody_asks(e->host))
        job_begin(e->w, &start);
    return HOOK_PASS;
}

/* When the route table shows it no more: was it the last one? */
static void
closed(struct job *j, const struct sql_result *result)
{
    struct sr_change ch = { .what = SR_ONLINE };
    const struct route_snapshot *snap;
    uint32_t ms = CLOSED_FIRST_MS;
    size_t n;

    (void)result;
    ch.first = jid_bare_text(j->arena, &j->from);
    n = route_sessions(j->w, ch.first, 0, &snap);
    for (size_t i = 0; i < n; i++) {
        if (snap->entry[i].conn != j->conn)
            continue;
        if (j->data.n == sizeof ms)
            memcpy(&ms, j->data.p, sizeof ms);
        job_sleep(j, SR_STEP_CLOSED, ms);
        ms = ms * 2 < CLOSED_MOST_MS ? ms * 2 : CLOSED_MOST_MS;
        job_keep(j, (struct str){ (const char *)&ms, sizeof ms });
        return;
    }
    if (n == 0)
        sr_tell(j->w, j->module, j->host, &ch);
}

/* --- The module --- */

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct sr_config *cf = mem_zalloc(sizeof *cf);

    (void)host;
    cf->life_ms = conf_module_time_ms(options, "cache_life_time");
    return cf;
}

static void
unconfigure(void *config)
{
    mem_free_p(config);
}

static const struct module_hook hooks[] = {
    { HOOK_ACCOUNT_LOADING, 50, on_loading },
    { HOOK_ACCOUNT_LOADED, 10, on_loaded },
    { HOOK_USER_REMOVED, 60, on_removed },
    { HOOK_SESSION_OPEN, 50, on_open },
    { HOOK_SESSION_CLOSE, 50, on_close },
    { 0 },
};

static const job_fn steps[SR_STEPS] = {
    [SR_STEP_LOAD] = sr_load,
    [SR_STEP_LOAD_ROWS] = sr_load_rows,
    [SR_STEP_APPLY] = sr_apply,
    [SR_STEP_APPLY_LOAD] = sr_apply_load,
    [SR_STEP_APPLY_ONE] = sr_apply_one,
    [SR_STEP_CLOSED] = closed,
    [SR_STEP_CALL] = sr_call,
    [SR_STEP_CALL_OPTS] = sr_call_opts,
    [SR_STEP_CALL_DONE] = sr_call_done,
};

static const struct module_part part = { .load = sr_part_load, .free = sr_part_free };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_shared_roster",
    .doc = "Contacts that all members of a group have",
    .configure = configure,
    .unconfigure = unconfigure,
    .hooks = hooks,
    .steps = steps,
    .n_steps = SR_STEPS,
    .calls = sr_calls,
    .part = &part,
    .notify = sr_notify,
};
