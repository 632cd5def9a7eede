/*
 * shared_roster_call.c -- commands that change groups
 *
 * In the home of the host, one after the other: what a group's options are is read,
 * changed and written without another change between. Then all workers are told the new
 * values, in the order in which they were written.
 *
 * Arguments: the host, what to do, the group, and what that needs.
 */
#include "modules/shared_roster.h"

enum {
    ARG_WHAT = 1,
    ARG_GROUP,
    ARG_FIRST,
    ARG_SECOND,
    ARG_DISPLAYED = 5,
    NAME_MAX_BYTES = 1023
};

const struct module_call sr_calls[] = {
    { "srg_change", false, SR_STEP_CALL },
    { 0 },
};

static bool
is(const struct job *j, const char *what)
{
    return str_eq_c(job_arg(j, ARG_WHAT), what);
}

/* The member's address; or @all@, @online@ of the host. */
static struct str
member(struct job *j, bool *ret_special)
{
    struct str user = job_arg(j, ARG_FIRST), host = job_arg(j, ARG_SECOND);
    struct jid jid;

    *ret_special = str_eq(user, STR("@all@")) || str_eq(user, STR("@online@"));
    if (*ret_special)
        return user;
    if (!user.n || jid_make(j->arena, user, host, STR_NULL, &jid) < 0)
        return STR_NULL;
    return jid_text(j->arena, &jid);
}

/* When the change is about to be written; and the options that will be. */
static void
keep(struct job *j, struct str opts)
{
    uint64_t now = worker_now_ms(j->w);
    struct buf data = { 0 };

    buf_add(&data, &now, sizeof now);
    buf_add_str(&data, opts);
    job_keep(j, buf_str(&data));
    buf_fini(&data);
}

static void
write_opts(struct job *j, struct str opts)
{
    struct sql_value param[] = { sql_text(job_arg(j, ARG_GROUP)), sql_text(opts) };

    keep(j, opts);
    job_sql(j, SR_STEP_CALL_DONE, SQL_SR_GROUP_SET, param, ARRAY_LEN(param));
}

static void
create(struct job *j, bool bare)
{
    size_t n = 0;
    struct str *displayed =
            arena_alloc(j->arena, (job_n_args(j) + 1) * sizeof *displayed);
    struct buf opts = { 0 };

    for (size_t i = ARG_DISPLAYED; i < job_n_args(j); i++)
        displayed[n++] = job_arg(j, i);
    sr_opts_new(j->arena, job_arg(j, ARG_FIRST), job_arg(j, ARG_SECOND), displayed, n,
            bare, &opts);
    write_opts(j, buf_str(&opts));
    buf_fini(&opts);
}

static void
change_member(struct job *j, struct str bare)
{
    struct sql_value param[] = { sql_text(bare), sql_text(job_arg(j, ARG_GROUP)) };

    keep(j, STR_NULL);
    job_sql(j, SR_STEP_CALL_DONE, is(j, "user_add") ? SQL_SR_USER_ADD : SQL_SR_USER_DEL,
            param, ARRAY_LEN(param));
}

static void
remove_group(struct job *j, struct sql_value name)
{
    keep(j, STR_NULL);
    job_sql(j, SR_STEP_CALL_DONE, SQL_SR_GROUP_DEL, &name, 1);
}

void
sr_call(struct job *j, const struct sql_result *result)
{
    struct str group = job_arg(j, ARG_GROUP), bare;
    struct sql_value param = sql_text(group);
    bool special = true;

    (void)result;
    if (is(j, "user_add") || is(j, "user_del"))
        bare = member(j, &special);
    else
        bare = STR("-");
    if (!group.n || group.n > NAME_MAX_BYTES || !bare.p)
        job_call_reply(j, IPC_INVALID, STR("no name of a group, or no address"));
    else if (is(j, "create") || is(j, "add"))
        create(j, is(j, "add"));
    else if (is(j, "delete"))
        remove_group(j, param);
    else if (!special)
        change_member(j, bare);
    else
        job_sql(j, SR_STEP_CALL_OPTS, SQL_SR_GROUP_GET, &param, 1);
}

/* false: the database has not answered as it should; that is said. */
static bool
succeeded(struct job *j, const struct sql_result *result)
{
    if (result->status == SQL_OK)
        return true;
    job_call_reply(j, result->status == SQL_UNAVAILABLE ? IPC_UNAVAILABLE : IPC_FAILED,
            STR("the database does not answer"));
    return false;
}

void
sr_call_opts(struct job *j, const struct sql_result *result)
{
    struct str first = job_arg(j, ARG_FIRST), second = job_arg(j, ARG_SECOND);
    struct buf opts = { 0 };
    struct str before;
    bool good = true;

    if (!succeeded(j, result))
        return;
    if (result->n_rows == 0) {
        job_call_reply(j, IPC_NOT_FOUND, STR("group_not_found"));
        return;
    }
    before = result->value[0].s;
    if (is(j, "set_info"))
        good = sr_opts_set(j->arena, before, first, second, &opts);
    else if (is(j, "add_displayed") || is(j, "del_displayed"))
        sr_opts_display(j->arena, before, first, is(j, "add_displayed"), &opts);
    else
        sr_opts_special(j->arena, before, first, is(j, "user_add"), &opts);
    if (good)
        write_opts(j, buf_str(&opts));
    else
        job_call_reply(j, IPC_INVALID,
                STR("keys are label, description, and with true or false all_users, "
                    "online_users, disabled"));
    buf_fini(&opts);
}

void
sr_call_done(struct job *j, const struct sql_result *result)
{
    struct sr_change ch = { .what = SR_GROUP, .first = job_arg(j, ARG_GROUP) };
    uint64_t when_ms;
    bool special;

    if (!succeeded(j, result) || j->data.n < sizeof when_ms)
        return;
    memcpy(&when_ms, j->data.p, sizeof when_ms);
    ch.second = (struct str){ j->data.p + sizeof when_ms, j->data.n - sizeof when_ms };
    if (is(j, "delete")) {
        ch.what = SR_GROUP_GONE;
    } else if (is(j, "user_add") || is(j, "user_del")) {
        struct str bare = member(j, &special);

        if (!special)
            ch = (struct sr_change){
                .what = is(j, "user_add") ? SR_MEMBER : SR_MEMBER_GONE,
                .first = bare,
                .second = job_arg(j, ARG_GROUP),
            };
    }
    ch.when_ms = when_ms;
    sr_tell(j->w, j->module, j->host, &ch);
    job_call_reply(j, IPC_OK, STR(""));
}
