/*
 * vcard_command.c -- fields of vCards, as administrators read and write them
 *
 * The arguments are user, host, the name of a field (FN, NICKNAME), often a name within
 * it (N FAMILY), and what it is to be. Changes are made in the account's home, so that
 * reading and writing back is one thing.
 */
#include "modules/vcard.h"

enum {
    VALUES_MAX = 100
};

const struct module_call vcard_calls[] = {
    { "get_vcard", true, VCARD_STEP_COMMAND_GET },
    { "get_vcard2", true, VCARD_STEP_COMMAND_GET },
    { "get_vcard2_multi", true, VCARD_STEP_COMMAND_GET_MULTI },
    { "set_vcard", true, VCARD_STEP_COMMAND_SET },
    { "set_vcard2", true, VCARD_STEP_COMMAND_SET },
    { "set_vcard2_multi", true, VCARD_STEP_COMMAND_SET_MULTI },
    { "set_nickname", true, VCARD_STEP_COMMAND_SET_NICKNAME },
    { 0 },
};

/* --- Reading --- */

static bool
exists(struct job *j)
{
    if (!account_exists(j->account))
        job_call_reply(j, IPC_NOT_FOUND, STR("unknown_user"));
    return account_exists(j->account);
}

void
vcard_command_get(struct job *j, const struct sql_result *result)
{
    (void)result;
    if (exists(j))
        vcard_ask(j, VCARD_STEP_COMMAND_GOT, job_arg(j, 0));
}

void
vcard_command_get_multi(struct job *j, const struct sql_result *result)
{
    (void)result;
    if (exists(j))
        vcard_ask(j, VCARD_STEP_COMMAND_GOT_MULTI, job_arg(j, 0));
}

/* The field asked for; NULL: that is the answer. */
static struct xml_el *
field_of(struct job *j, const struct sql_result *result)
{
    struct xml_el *vcard, *field;

    if (job_failed(j, result))
        return NULL;
    vcard = vcard_of(j, result);
    if (!vcard) {
        job_call_reply(j, IPC_NOT_FOUND, STR("error_no_vcard_found"));
        return NULL;
    }
    field = vcard_get(vcard, job_arg(j, 2), job_arg(j, 3));
    if (!field)
        job_call_reply(j, IPC_NOT_FOUND, STR("error_no_value_found_in_vcard"));
    return field;
}

void
vcard_command_got(struct job *j, const struct sql_result *result)
{
    const struct xml_el *field = field_of(j, result);

    if (field)
        job_call_reply(j, IPC_OK, xml_text(field));
}

void
vcard_command_got_multi(struct job *j, const struct sql_result *result)
{
    const struct xml_el *field = field_of(j, result);
    struct str value[VALUES_MAX];
    size_t n = 0;

    if (!field)
        return;
    for (; field && n < VALUES_MAX; field = vcard_get_next(field))
        value[n++] = xml_text(field);
    job_call_reply_list(j, value, n);
}

/* --- Writing --- */

/* What to change, kept from step to step: a letter that says how to read the arguments.
 */
static void
change(struct job *j, struct str how)
{
    if (!exists(j))
        return;
    job_keep(j, how);
    vcard_ask(j, VCARD_STEP_COMMAND_TO_CHANGE, job_arg(j, 0));
}

void
vcard_command_set(struct job *j, const struct sql_result *result)
{
    (void)result;
    change(j, job_n_args(j) > 4 ? STR("2") : STR("1"));
}

void
vcard_command_set_multi(struct job *j, const struct sql_result *result)
{
    (void)result;
    change(j, STR("m"));
}

void
vcard_command_set_nickname(struct job *j, const struct sql_result *result)
{
    (void)result;
    change(j, STR("n"));
}

/* Separated by commas, as ejabberdctl has lists. */
static size_t
values_of(struct str text, struct str value[VALUES_MAX])
{
    size_t n = 0;

    while (n < VALUES_MAX && text.n && str_cut(&text, ',', &value[n]))
        n++;
    return n;
}

/* 0, or -EINVAL. */
static int
apply(struct job *j, struct xml_el *vcard)
{
    struct str value[VALUES_MAX] = { job_arg(j, job_n_args(j) - 1) };

    switch (j->data.p[0]) {
    case 'n':
        return vcard_set(vcard, STR("NICKNAME"), STR_NULL, value, value[0].n > 0);
    case '1':
        return vcard_set(vcard, job_arg(j, 2), STR_NULL, value, 1);
    case '2':
        return vcard_set(vcard, job_arg(j, 2), job_arg(j, 3), value, 1);
    default:
        return vcard_set(
                vcard, job_arg(j, 2), job_arg(j, 3), value, values_of(value[0], value));
    }
}

static struct xml_el *
changed(struct job *j, const struct sql_result *result)
{
    struct xml_el *vcard = result->n_rows ? vcard_of(j, result)
                                          : xml_el_new(j->arena, "vCard", NS_VCARD);

    if (!vcard)
        job_call_reply(j, IPC_FAILED, STR("the vCard in the database is damaged"));
    else if (apply(j, vcard) < 0)
        job_call_reply(j, IPC_INVALID, STR("no field of a vCard has that name"));
    else if (vcard_is_large(j, vcard))
        job_call_reply(j, IPC_INVALID, STR("the vCard becomes too large"));
    else
        return vcard;
    return NULL;
}

void
vcard_command_to_change(struct job *j, const struct sql_result *result)
{
    struct xml_el *vcard;

    if (job_failed(j, result))
        return;
    vcard = changed(j, result);
    if (!vcard)
        return;
    vcard_store(j, VCARD_STEP_COMMAND_CHANGED, job_arg(j, 0), vcard);
    job_keep(j, xml_string(j->arena, vcard, STR_NULL));
}

void
vcard_command_changed(struct job *j, const struct sql_result *result)
{
    struct xml_el *vcard;

    if (job_failed(j, result))
        return;
    vcard = stanza_parse(j->w, j->arena, j->data);
    if (vcard)
        vcard_tell(j, vcard);
    job_call_reply(j, IPC_OK, STR_NULL);
}
