/*
 * mod_vcard.c -- vCards (XEP-0054) of accounts and of the server
 *
 * A vCard is stored as it was sent, with a row of what it can be found by, as ejabberd
 * has them; both in one change, in the account's home. Anybody may read it.
 */
#include "modules/vcard.h"

/* The columns of vcard_search, as the operations name them. */
static const enum vcard_field columns[] = { VCARD_FN, VCARD_FAMILY, VCARD_GIVEN,
    VCARD_MIDDLE, VCARD_NICKNAME, VCARD_BDAY, VCARD_CTRY, VCARD_LOCALITY, VCARD_EMAIL,
    VCARD_ORGNAME, VCARD_ORGUNIT };

/* --- Reading --- */

void
vcard_ask(struct job *j, unsigned step, struct str user)
{
    struct sql_value param = sql_text(user);

    job_sql(j, step, SQL_VCARD_GET, &param, 1);
}

struct xml_el *
vcard_of(struct job *j, const struct sql_result *result)
{
    struct xml_el *vcard;

    if (result->n_rows == 0)
        return NULL;
    vcard = stanza_parse(j->w, j->arena, result->value[0].s);
    if (xml_is(vcard, "vCard", NS_VCARD))
        return vcard;
    log_error(NULL, "a vCard in the database is no vCard");
    return NULL;
}

static void
get(struct job *j, const struct sql_result *result)
{
    (void)result;
    vcard_ask(j, VCARD_STEP_GOT, j->to.local);
}

/* Who has none cannot be told from who is not there (3.3); oneself may know (3.1). */
static void
got(struct job *j, const struct sql_result *result)
{
    struct xml_el *reply, *vcard;

    if (job_failed(j, result))
        return;
    vcard = vcard_of(j, result);
    if (!vcard && !jid_eq_bare(&j->from, &j->to)) {
        job_error(j, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    reply = iq_result(j->arena, j->el);
    xml_add_el(reply, vcard ? vcard : xml_el_new(j->arena, "vCard", NS_VCARD));
    job_reply(j, reply);
}

static void
get_of_server(struct job *j, const struct sql_result *result)
{
    const struct vcard_config *config = j->config;
    struct xml_el *reply = iq_result(j->arena, j->el);

    (void)result;
    xml_add_el(reply, xml_copy(j->arena, config->of_server));
    job_reply(j, reply);
}

/* --- Storing --- */

bool
vcard_is_large(struct job *j, const struct xml_el *vcard)
{
    const struct vcard_config *config = j->config;
    struct buf bytes = { 0 };
    bool large;

    xml_write(&bytes, vcard, STR_NULL);
    large = bytes.n > config->size_max;
    buf_fini(&bytes);
    return large;
}

void
vcard_store(struct job *j, unsigned step, struct str user, const struct xml_el *vcard)
{
    struct sql_value param[3 + 2 * ARRAY_LEN(columns)], *at = param;
    struct vcard_search row;

    vcard_search(j->arena, vcard, &row);
    *at++ = sql_text(user);
    *at++ = sql_text(xml_string(j->arena, vcard, STR_NULL));
    *at++ = sql_text(user);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        *at++ = sql_text(row.value[columns[i]]);
        *at++ = sql_text(row.folded[columns[i]]);
    }
    job_sql(j, step, SQL_VCARD_SET, param, (size_t)(at - param));
}

void
vcard_tell(struct job *j, struct xml_el *vcard)
{
    struct event e = { .w = j->w,
        .host = j->host,
        .arena = j->arena,
        .account = j->account,
        .el = vcard };

    hook_run(j->w, HOOK_VCARD_SET, &e);
}

static void
set(struct job *j, const struct sql_result *result)
{
    (void)result;
    if (vcard_is_large(j, j->payload))
        job_error(j, STANZA_ERROR_POLICY_VIOLATION, "the vCard is too large");
    else
        vcard_store(j, VCARD_STEP_STORED, j->to.local, j->payload);
}

static void
stored(struct job *j, const struct sql_result *result)
{
    if (job_failed(j, result))
        return;
    vcard_tell(j, j->payload);
    job_reply(j, NULL);
}

static void
forbidden(struct job *j, const struct sql_result *result)
{
    (void)result;
    job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
}

/* --- The module --- */

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct vcard_config *config = mem_zalloc(sizeof *config);

    config->host = host;
    config->options = options;
    config->size_max = conf_module_number(options, "max_size");
    config->matches = conf_module_number(options, "matches");
    config->search = conf_module_bool(options, "search");
    config->all_hosts = conf_module_bool(options, "search_all_hosts");
    config->allow_return_all = conf_module_bool(options, "allow_return_all");
    arena_init(&config->arena, 1024);
    config->of_server = module_vcard(&config->arena, options);
    if (!config->of_server) {
        config->of_server = xml_el_new(&config->arena, "vCard", NS_VCARD);
        xml_add_leaf(config->of_server, "FN", NULL, STR("stanzad"));
    }
    return config;
}

static void
unconfigure(void *arg)
{
    struct vcard_config *config = arg;

    arena_fini(&config->arena);
    mem_free_p(config);
}

static const job_fn steps[VCARD_STEPS] = {
    [VCARD_STEP_GET] = get,
    [VCARD_STEP_GOT] = got,
    [VCARD_STEP_SET] = set,
    [VCARD_STEP_STORED] = stored,
    [VCARD_STEP_FORBIDDEN] = forbidden,
    [VCARD_STEP_SERVER] = get_of_server,
    [VCARD_STEP_SERVICE] = vcard_service_step,
    [VCARD_STEP_FOUND] = vcard_search_found,
    [VCARD_STEP_SEARCH] = vcard_search_step,
    [VCARD_STEP_COMMAND_GET] = vcard_command_get,
    [VCARD_STEP_COMMAND_GET_MULTI] = vcard_command_get_multi,
    [VCARD_STEP_COMMAND_GOT] = vcard_command_got,
    [VCARD_STEP_COMMAND_GOT_MULTI] = vcard_command_got_multi,
    [VCARD_STEP_COMMAND_SET] = vcard_command_set,
    [VCARD_STEP_COMMAND_SET_MULTI] = vcard_command_set_multi,
    [VCARD_STEP_COMMAND_SET_NICKNAME] = vcard_command_set_nickname,
    [VCARD_STEP_COMMAND_TO_CHANGE] = vcard_command_to_change,
    [VCARD_STEP_COMMAND_CHANGED] = vcard_command_changed,
};

static const struct module_iq iqs[] = {
    { NS_VCARD, "vCard", IQ_OWN | IQ_OTHERS, IQ_GETS, IQ_PARALLEL, VCARD_STEP_GET },
    { NS_VCARD, "vCard", IQ_OWN, IQ_SETS, IQ_HOME, VCARD_STEP_SET },
    { NS_VCARD, "vCard", IQ_OTHERS, IQ_SETS, IQ_NO_QUEUE, VCARD_STEP_FORBIDDEN },
    { NS_VCARD, "vCard", IQ_SERVER, IQ_GETS, IQ_NO_QUEUE, VCARD_STEP_SERVER },
    { NS_VCARD, "vCard", IQ_SERVER, IQ_SETS, IQ_NO_QUEUE, VCARD_STEP_FORBIDDEN },
    { 0 },
};

static const char *const features[] = { NS_VCARD, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_vcard",
    .doc = "vCards and user search (XEP-0054, XEP-0055)",
    .features = features,
    .account_features = features,
    .configure = configure,
    .unconfigure = unconfigure,
    .iqs = iqs,
    .steps = steps,
    .n_steps = VCARD_STEPS,
    .calls = vcard_calls,
    .service = &vcard_service,
};
