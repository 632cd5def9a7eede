/*
 * mod_disco.c -- service discovery (XEP-0030) for the server and its accounts
 *
 * The answer is made by hooks, those of this module first: what they add for the server
 * when nobody in particular asks is what its capabilities (XEP-0115) are a hash of.
 *
 * An account is answered for in its home, where its contacts are known: whether there
 * is such an account, and which resources it has, is nobody's business but theirs
 * (XEP-0030, 8).
 */
#include "worker/module.h"

enum {
    STEP_INFO,
    STEP_ITEMS,
    STEP_ACCOUNT_INFO,
    STEP_ACCOUNT_ITEMS
};

enum {
    ORDER_FIRST = 10,
    ORDER_LAST = 90 /* forms come behind all features */
};

/* --- What is always there --- */

static void
add_feature(void *arg, const char *feature)
{
    disco_feature(arg, feature);
}

static enum hook_result
on_info(struct event *e)
{
    const struct conf_module *m = conf_module_find(e->host, STR("mod_disco"));
    bool account = e->disco_to.local.n > 0;

    if (e->node.n)
        return HOOK_PASS;
    if (account)
        disco_identity(e->query, "account", "registered", STR_NULL);
    else
        disco_identity(e->query, "server", "im", conf_module_text(m, "name"));
    module_features(e->w, e->host, account, add_feature, e->query);
    return HOOK_PASS;
}

static enum hook_result
on_info_end(struct event *e)
{
    if (e->node.n == 0 && e->disco_to.local.n == 0)
        disco_server_info(e->query, e->host, "mod_disco");
    return HOOK_PASS;
}

static void
add_domain(struct event *e, struct str text)
{
    struct jid jid;

    if (jid_parse(e->query->arena, text, &jid) == 0)
        disco_item(e->query, &jid, STR_NULL, STR_NULL);
    else
        log_warning(NULL, "mod_disco: extra_domains: no domain: %.*s", STR_ARG(text));
}

static void
server_items(struct event *e)
{
    const struct conf_module *m = conf_module_find(e->host, STR("mod_disco"));
    const struct conf_node *more = conf_module_node(m, "extra_domains");
    const struct str *domain;
    size_t n = module_services(e->w, e->host, e->query->arena, &domain);

    for (size_t i = 0; i < n; i++)
        add_domain(e, domain[i]);
    if (more && more->kind == CONF_SCALAR)
        add_domain(e, more->text);
    conf_node_for(c, more) add_domain(e, c->text);
}

static void
account_items(struct event *e)
{
    const struct route_snapshot *snap;
    size_t n = route_sessions(e->w, account_bare(e->account), 0, &snap);
    struct jid full = account_jid(e->account);

    for (size_t i = 0; i < n; i++) {
        if (!snap->entry[i].available)
            continue;
        full.resource = snap->entry[i].resource;
        disco_item(e->query, &full, STR_NULL, STR_NULL);
    }
}

static enum hook_result
on_items(struct event *e)
{
    if (e->node.n)
        return HOOK_PASS;
    if (e->disco_to.local.n == 0)
        server_items(e);
    else if (e->disco_allowed)
        account_items(e);
    return HOOK_PASS;
}

/* --- Requests --- */

static struct str
node_of(const struct job *j)
{
    struct str node = xml_attr(j->payload, "node");

    return node.n ? node : STR_NULL;
}

/* The answer as the hooks make it; NULL: there is no such node. */
static struct xml_el *
ask(struct job *j, enum hook hook, bool allowed)
{
    struct event e = { .w = j->w,
        .host = j->host,
        .arena = j->arena,
        .c = conn_find(j->w, j->conn),
        .account = j->account,
        .job = j,
        .disco_from = j->from,
        .disco_to = j->to,
        .disco_allowed = allowed,
        .node = node_of(j) };
    bool known;

    e.query = job_result(
            j, "query", hook == HOOK_DISCO_INFO ? NS_DISCO_INFO : NS_DISCO_ITEMS);
    if (e.node.n)
        xml_set(e.query, "node", e.node);
    known = hook_run(j->w, hook, &e) == HOOK_DONE;
    return known || e.node.n == 0 ? e.query : NULL;
}

static void
answer(struct job *j, enum hook hook, bool allowed)
{
    struct xml_el *query = ask(j, hook, allowed);

    if (query)
        job_send_result(j, query);
    else
        job_error(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
}

static void
info(struct job *j, const struct sql_result *result)
{
    (void)result;
    answer(j, HOOK_DISCO_INFO, true);
}

static void
items(struct job *j, const struct sql_result *result)
{
    (void)result;
    answer(j, HOOK_DISCO_ITEMS, true);
}

static void
account_info(struct job *j, const struct sql_result *result)
{
    (void)result;
    if (account_shows(j->account, &j->from))
        answer(j, HOOK_DISCO_INFO, true);
    else
        job_error(j, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

/* Who may not see the resources may still see other items, if there are any. */
static void
account_items_asked(struct job *j, const struct sql_result *result)
{
    bool allowed = account_shows(j->account, &j->from);
    struct xml_el *query =
            account_exists(j->account) ? ask(j, HOOK_DISCO_ITEMS, allowed) : NULL;

    (void)result;
    if (!query && allowed) {
        job_error(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    if (!query) {
        query = job_result(j, "query", NS_DISCO_ITEMS);
        xml_set(query, "node", node_of(j));
    }
    job_send_result(j, query);
}

static const struct module_hook hooks[] = {
    { HOOK_DISCO_INFO, ORDER_FIRST, on_info },
    { HOOK_DISCO_INFO, ORDER_LAST, on_info_end },
    { HOOK_DISCO_ITEMS, ORDER_FIRST, on_items },
    { 0 },
};

static const job_fn steps[] = {
    [STEP_INFO] = info,
    [STEP_ITEMS] = items,
    [STEP_ACCOUNT_INFO] = account_info,
    [STEP_ACCOUNT_ITEMS] = account_items_asked,
};

static const struct module_iq iqs[] = {
    { NS_DISCO_INFO, "query", IQ_SERVER, IQ_GETS, IQ_NO_QUEUE, STEP_INFO },
    { NS_DISCO_ITEMS, "query", IQ_SERVER, IQ_GETS, IQ_NO_QUEUE, STEP_ITEMS },
    { NS_DISCO_INFO, "query", IQ_OWN | IQ_OTHERS, IQ_GETS, IQ_HOME, STEP_ACCOUNT_INFO },
    { NS_DISCO_ITEMS, "query", IQ_OWN | IQ_OTHERS, IQ_GETS, IQ_HOME,
            STEP_ACCOUNT_ITEMS },
    { 0 },
};

static const char *const features[] = { NS_DISCO_INFO, NS_DISCO_ITEMS, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_disco",
    .doc = "Service discovery (XEP-0030)",
    .features = features,
    .account_features = features,
    .hooks = hooks,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
};
