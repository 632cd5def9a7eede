/*
 * mod_register.c -- in-band registration (XEP-0077)
 *
 * Before authentication a client makes an account; afterwards it changes the password
 * of its own, or removes it. Those to whom access_from allows it make accounts for
 * others.
 *
 * Fields come plain or as a data form, of which the form counts (XEP-0077, 5).
 */
#include "modules/register.h"

#include "xmpp/form.h"

/* --- Configuration --- */

static bool
names_us(const struct conf_node *modules)
{
    if (!modules || modules->kind == CONF_SCALAR)
        return !modules || str_eq(modules->text, STR("all")) ||
               str_eq(modules->text, STR("mod_register"));
    conf_node_for(c, modules)
    {
        if (str_eq(c->text, STR("mod_register")) || str_eq(c->text, STR("all")))
            return true;
    }
    return false;
}

static struct str
text_of(const struct conf_node *map, const char *key)
{
    const struct conf_node *node = conf_node_get(map, key);

    return node && node->kind == CONF_SCALAR ? node->text : STR_NULL;
}

/* It may have a fraction, as in ejabberd: whole bits. */
static uint64_t
bits_of(struct str text)
{
    struct str whole;
    uint64_t bits = 0;

    if (!str_cut(&text, '.', &whole))
        whole = text;
    return str_to_u64(whole, &bits) == 0 ? bits : 0;
}

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct register_config *c = mem_zalloc(sizeof *c);
    const struct conf_node *greeting = conf_module_node(options, "welcome_message");

    (void)host;
    c->access = conf_module_access(options, "access");
    c->access_from = conf_module_access(options, "access_from");
    c->access_remove = conf_module_access(options, "access_remove");
    c->ip_access = conf_module_access(options, "ip_access");
    c->watchers = conf_module_node(options, "registration_watchers");
    c->redirect_url = conf_module_text(options, "redirect_url");
    c->strength = bits_of(conf_module_text(options, "password_strength"));
    c->subject = text_of(greeting, "subject");
    c->body = text_of(greeting, "body");
    c->closed = !names_us(conf_module_node(options, "allow_modules")) ||
                conf_module_bool(options, "captcha_protected"); /* better than open */
    c->unencrypted = conf_module_bool(options, "allow_unencrypted");
    return c;
}

static void
unconfigure(void *config)
{
    mem_free_p(config);
}

/* --- Who asks --- */

/* The first step runs while the client's stream is here. */
void
register_asker(struct job *j, struct register_asker *ret)
{
    const struct conn *c = conn_find(j->w, j->conn);

    *ret = (struct register_asker){ .who = { j->from.local, j->from.domain,
                                            j->from.resource,
                                            (const struct sockaddr *)&ret->ip } };
    if (c) {
        conn_sockaddr(c, &ret->ip);
        ret->encrypted = conn_is_encrypted(c);
        ret->source = session_address(c, ret->text);
    }
    if (j->from.local.n)
        ret->source = jid_bare_text(j->arena, &j->from);
}

static bool
is_own(const struct job *j, struct str user)
{
    return j->from.local.n && str_eq(j->from.domain, j->host->name) &&
           (!user.p || str_eq(j->from.local, user));
}

/* --- Get --- */

static void
add_form(struct xml_el *query, struct str user)
{
    struct xml_el *x = form_add(query, FORM_FORM, NS_REGISTER), *field;

    form_title(x, STR("An account on this server"));
    form_instructions(x, STR("Choose a user name and a password."));
    field = form_add_field(x, FIELD_TEXT_SINGLE, "username", STR("User name"));
    if (user.n)
        form_put(field, user);
    form_required(field);
    form_required(form_add_field(x, FIELD_TEXT_PRIVATE, "password", STR("Password")));
}

/* XEP-0077, 4 */
static void
add_redirection(struct job *j, struct xml_el *query, struct str url)
{
    struct buf text = { 0 };
    struct xml_el *x;

    buf_addf(&text, "To register, visit %.*s", STR_ARG(url));
    xml_add_leaf(query, "instructions", NULL, str_dup(j->arena, buf_str(&text)));
    buf_fini(&text);
    x = xml_add(query, "x", NS_OOB);
    xml_add_leaf(x, "url", NULL, url);
}

static void
get(struct job *j, const struct register_asker *asker)
{
    const struct register_config *config = j->config;
    bool own = is_own(j, STR_NULL);
    struct str user = own ? j->from.local : STR_NULL;
    enum stanza_error e;
    const char *text;
    struct xml_el *query;

    if (!own && !register_is_open(config, j->host, (const struct sockaddr *)&asker->ip,
                        asker->encrypted, &e, &text)) {
        job_error(j, e, text);
        return;
    }
    query = job_result(j, "query", NS_REGISTER);
    if (!own && config->redirect_url.n) {
        add_redirection(j, query, config->redirect_url);
        job_send_result(j, query);
        return;
    }
    if (own)
        xml_add(query, "registered", NULL);
    xml_add_leaf(query, "instructions", NULL,
            own ? STR("You are registered. A new password may be set here.")
                : STR("Choose a user name and a password."));
    if (user.n)
        xml_add_leaf(query, "username", NULL, user);
    else
        xml_add(query, "username", NULL);
    xml_add(query, "password", NULL);
    add_form(query, user);
    job_send_result(j, query);
}

/* --- Set --- */

/* An empty field is not given, as is one that is not there. */
static bool
fields_of(const struct xml_el *query, struct register_fields *ret, bool *ret_cancel)
{
    struct xml_el *x = form_child(query, NULL);
    enum form_type type;

    *ret_cancel = false;
    if (!x) {
        ret->user = xml_child_text(query, "username", NS_REGISTER);
        ret->password = xml_child_text(query, "password", NS_REGISTER);
        return true;
    }
    if (form_check(x, &type) < 0 || (type != FORM_SUBMIT && type != FORM_CANCEL))
        return false;
    *ret_cancel = type == FORM_CANCEL;
    ret->user = form_value(x, "username");
    ret->password = form_value(x, "password");
    return true;
}

static void
set_remove(struct job *j, const struct register_asker *asker)
{
    const struct xml_el *first = xml_child(j->payload, NULL, NULL);

    if (xml_next(first, NULL, NULL))
        job_error(j, STANZA_ERROR_BAD_REQUEST, "remove stands alone");
    else if (!j->from.local.n)
        job_error(j, STANZA_ERROR_UNEXPECTED_REQUEST, NULL);
    else if (!is_own(j, STR_NULL))
        job_error(j, STANZA_ERROR_REGISTRATION_REQUIRED, NULL);
    else
        register_remove(j, asker);
}

/* Of somebody who is logged in: his own password, or an account for somebody else. */
static void
set_authenticated(struct job *j, const struct register_fields *fields,
        const struct register_asker *asker)
{
    const struct register_config *config = j->config;
    struct str user;

    if (fields->user.n == 0)
        job_error(j, STANZA_ERROR_BAD_REQUEST, "a user name is needed");
    else if (jid_prep_local(j->arena, fields->user, &user) < 0)
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE, "that user name is not possible");
    else if (is_own(j, user))
        register_change(j, fields->password, asker);
    else if (!conf_access_allows(j->host, &config->access_from, &asker->who))
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
    else
        register_new(j, fields, asker);
}

static void
set(struct job *j, const struct register_asker *asker)
{
    struct register_fields fields;
    bool cancel;

    if (xml_child(j->payload, "remove", NS_REGISTER))
        set_remove(j, asker);
    else if (!fields_of(j->payload, &fields, &cancel))
        job_error(j, STANZA_ERROR_BAD_REQUEST, "no form that was filled in");
    else if (cancel)
        job_reply(j, NULL);
    else if (j->from.local.n)
        set_authenticated(j, &fields, asker);
    else
        register_new(j, &fields, asker);
}

static void
request(struct job *j, const struct sql_result *result)
{
    struct register_asker asker;

    (void)result;
    register_asker(j, &asker);
    if (j->type == IQ_GET)
        get(j, &asker);
    else
        set(j, &asker);
}

/* XEP-0077, 8: offered to those who may. */
static enum hook_result
on_features(struct event *e)
{
    struct sockaddr_storage ip;
    enum stanza_error error;
    const char *text;

    conn_sockaddr(e->c, &ip);
    if (register_is_open(e->config, e->host, (const struct sockaddr *)&ip,
                conn_is_encrypted(e->c), &error, &text))
        buf_add_c(e->out, "<register xmlns='" NS_REGISTER_FEATURE "'/>");
    return HOOK_PASS;
}

static const struct module_hook hooks[] = {
    { HOOK_EARLY_FEATURES, 50, on_features },
    { 0 },
};

static const struct module_iq iqs[] = {
    { .ns = NS_REGISTER,
            .name = "query",
            .where = IQ_EARLY | IQ_SERVER | IQ_OWN,
            .types = IQ_BOTH,
            .discipline = IQ_PARALLEL,
            .step = REGISTER_STEP_REQUEST },
    { 0 },
};

static const job_fn steps[REGISTER_STEPS] = {
    [REGISTER_STEP_REQUEST] = request,
    [REGISTER_STEP_MADE] = register_made,
    [REGISTER_STEP_CHANGE] = register_change_home,
    [REGISTER_STEP_CHANGED] = register_changed,
};

static const char *const features[] = { NS_REGISTER, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_register",
    .doc = "In-band registration (XEP-0077)",
    .features = features,
    .configure = configure,
    .unconfigure = unconfigure,
    .hooks = hooks,
    .iqs = iqs,
    .steps = steps,
    .n_steps = REGISTER_STEPS,
};
