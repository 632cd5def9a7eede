/*
 * mod_roster.c -- contact lists and subscriptions (RFC 6121, 2 and 3)
 *
 * See roster.h for how a contact gets from one place to the next. An account's requests
 * about its roster are its own; nobody else may send a client anything that looks like
 * a push of its server.
 */
#include "modules/roster.h"

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct roster_config *c = mem_zalloc(sizeof *c);

    c->host = host;
    c->access = conf_module_access(options, "access");
    c->versioning = conf_module_bool(options, "versioning");
    c->stored = conf_module_bool(options, "store_current_id");
    c->max_items = conf_module_number(options, "max_items");
    c->max_requests = conf_module_number(options, "max_requests");
    return c;
}

static void
unconfigure(void *config)
{
    mem_free_p(config);
}

/*
 * A roster push to a client, or an answer about a roster, that another client has made
 * (2.1.6): a client that does not check the sender would believe it.
 */
static enum hook_result
on_send(struct event *e)
{
    struct stanza *s = e->s;

    if (s->kind != STANZA_IQ || !s->to.resource.n || !s->to.local.n ||
            !xml_child(s->el, NULL, NS_ROSTER) || !host_of(e->w, s->to.domain))
        return HOOK_PASS;
    if (s->type == IQ_GET || s->type == IQ_SET)
        route_error(e->w, s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    return HOOK_DONE;
}

/* 2.6.1, 3.4.1 */
static enum hook_result
on_features(struct event *e)
{
    const struct roster_config *config = e->config;

    if (config->versioning)
        buf_add_c(e->out, "<ver xmlns='" NS_ROSTERVER "'/>");
    buf_add_c(e->out, "<sub xmlns='" NS_PREAPPROVAL "'/>");
    return HOOK_PASS;
}

static const struct module_hook hooks[] = {
    { HOOK_USER_SEND, 10, on_send },
    { HOOK_STREAM_FEATURES, 50, on_features },
    { HOOK_SUBSCRIPTION_OUT, 50, roster_on_out },
    { HOOK_SUBSCRIPTION_IN, 50, roster_on_in },
    { HOOK_PRESENCE, 50, roster_on_presence },
    { HOOK_USER_REMOVED, 50, roster_on_user_removed },
    { HOOK_CONTACT_CHANGED, 50, roster_on_contact },
    { 0 },
};

static const struct module_iq iqs[] = {
    { .ns = NS_ROSTER,
            .name = "query",
            .where = IQ_OWN | IQ_OTHERS,
            .types = IQ_BOTH,
            .discipline = IQ_PARALLEL,
            .step = ROSTER_STEP_REQUEST },
    { 0 },
};

static const job_fn steps[ROSTER_STEPS] = {
    [ROSTER_STEP_REQUEST] = roster_request,
    [ROSTER_STEP_DIFFERENCES] = roster_differences,
    [ROSTER_STEP_SET] = roster_set,
    [ROSTER_STEP_OUT] = roster_out,
    [ROSTER_STEP_IN] = roster_in,
    [ROSTER_STEP_CHANGED] = roster_changed,
    [ROSTER_STEP_CALL_GET] = roster_call_get,
    [ROSTER_STEP_CALL_COUNT] = roster_call_count,
    [ROSTER_STEP_CALL_ADD] = roster_call_add,
    [ROSTER_STEP_CALL_DELETE] = roster_call_delete,
};

static const struct module_part part = { .load = roster_load, .free = roster_free };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_roster",
    .doc = "Contact lists (RFC 6121)",
    .configure = configure,
    .unconfigure = unconfigure,
    .hooks = hooks,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ROSTER_STEPS,
    .calls = roster_calls,
    .part = &part,
    .notify = roster_note,
};
