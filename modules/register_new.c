/*
 * register_new.c -- an account is made (XEP-0077, 3.1)
 *
 * The auth process makes it, and limits how often one source may. The change has its id
 * from the start, in the question that is kept in the slot: whichever process dies
 * meanwhile, it is asked for again under that id and done once, and nobody is told that
 * the name is taken because he has taken it himself.
 *
 * The password goes where the question goes; what is kept of the stanza is without it.
 */
#include "modules/register.h"

/* Between the name and the source in what is kept; in neither of them. */
#define BETWEEN '\n'

bool
register_is_open(const struct register_config *config, const struct conf_host *host,
        const struct sockaddr *ip, bool encrypted, enum stanza_error *ret_error,
        const char **ret_text)
{
    struct conf_subject from_there = { STR_NULL, host->name, STR_NULL, ip };

    *ret_error = STANZA_ERROR_NOT_ALLOWED;
    *ret_text = NULL;
    if (config->closed)
        return false;
    if (!encrypted && !config->unencrypted) {
        *ret_error = STANZA_ERROR_NOT_AUTHORIZED;
        *ret_text = "not without TLS";
        return false;
    }
    *ret_error = STANZA_ERROR_FORBIDDEN;
    return conf_access_allows(host, &config->ip_access, &from_there);
}

static void
ask(struct job *j, struct str user, struct str password, struct str source)
{
    struct xml_el *child;
    struct sql_write_id id;
    struct buf kept = { 0 };
    struct str arg[5] = { user, j->host->name, password,
        { (const char *)id.b, sizeof id.b }, source };

    sql_write_id_new(&id);
    while ((child = j->payload->first))
        xml_unlink(child);
    buf_add_str(&kept, user);
    buf_add_char(&kept, BETWEEN);
    buf_add_str(&kept, source);
    job_auth(j, REGISTER_STEP_MADE, "register_from", arg, ARRAY_LEN(arg));
    job_keep(j, buf_str(&kept));
    buf_fini(&kept);
}

/* By the rules of names. */
static bool
may_have(struct job *j, struct str user, const struct sockaddr *ip)
{
    const struct register_config *config = j->config;
    struct conf_subject named = { user, j->host->name, STR_NULL, ip };

    return conf_access_allows(j->host, &config->access, &named);
}

void
register_new(struct job *j, const struct register_fields *fields,
        const struct register_asker *asker)
{
    const struct register_config *config = j->config;
    const struct sockaddr *ip = (const struct sockaddr *)&asker->ip;
    enum stanza_error e;
    const char *text;
    struct str user;

    if (!register_is_open(config, j->host, ip, asker->encrypted, &e, &text))
        job_error(j, e, text);
    else if (config->redirect_url.n)
        job_error(j, STANZA_ERROR_NOT_ALLOWED, "not in-band");
    else if (fields->user.n == 0 || fields->password.n == 0)
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE,
                "a user name and a password are needed");
    else if (jid_prep_local(j->arena, fields->user, &user) < 0 || user.n == 0)
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE, "that user name is not possible");
    else if (!may_have(j, user, ip))
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
    else if (!register_is_strong(fields->password, config->strength))
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE, "the password is too weak");
    else
        ask(j, user, fields->password, asker->source);
}

/* --- It is made --- */

static struct xml_el *
message(struct job *j, const char *type, struct str to)
{
    struct xml_el *el = xml_el_new(j->arena, "message", NS_CLIENT);

    xml_set(el, "from", j->host->name);
    xml_set(el, "to", to);
    if (type)
        xml_set_c(el, "type", type);
    return el;
}

static void
welcome(struct job *j, struct str bare)
{
    const struct register_config *config = j->config;
    struct xml_el *el;

    if (!config->subject.n && !config->body.n)
        return;
    el = message(j, NULL, bare);
    if (config->subject.n)
        xml_add_leaf(el, "subject", NULL, config->subject);
    xml_add_leaf(el, "body", NULL, config->body.n ? config->body : STR(""));
    route_el(j->w, el);
}

static void
tell_watcher(struct job *j, struct str watcher, struct str text)
{
    struct xml_el *el;
    struct jid to;

    if (jid_parse(j->arena, watcher, &to) < 0)
        return;
    el = message(j, "chat", jid_text(j->arena, &to));
    xml_add_leaf(el, "body", NULL, text);
    route_el(j->w, el);
}

static void
tell_watchers(struct job *j, struct str bare, struct str source)
{
    const struct register_config *config = j->config;
    struct buf text = { 0 };

    if (!config->watchers)
        return;
    buf_addf(&text, "The account %.*s has been registered, from %.*s.", STR_ARG(bare),
            STR_ARG(source));
    if (config->watchers->kind == CONF_SCALAR)
        tell_watcher(j, config->watchers->text, buf_str(&text));
    conf_node_for(c, config->watchers) tell_watcher(j, c->text, buf_str(&text));
    buf_fini(&text);
}

static void
made(struct job *j)
{
    struct str source = j->data, user;
    struct jid jid;
    struct str bare;

    job_reply(j, NULL);
    if (!str_cut(&source, BETWEEN, &user) ||
            jid_make(j->arena, user, j->host->name, STR_NULL, &jid) < 0)
        return;
    bare = jid_bare_text(j->arena, &jid);
    log_info(NULL, "the account %.*s is registered, from %.*s", STR_ARG(bare),
            STR_ARG(j->host->hide_sensitive_log_data ? STR("(hidden)") : source));
    account_reread(j->w, bare); /* somebody may just have found that it is not there */
    welcome(j, bare);
    tell_watchers(j, bare, source);
}

void
register_made(struct job *j, const struct sql_result *result)
{
    switch ((enum ipc_status)result->value[0].i) {
    case IPC_OK:
        made(j);
        break;
    case IPC_CONFLICT:
        job_error(j, STANZA_ERROR_CONFLICT, NULL);
        break;
    case IPC_INVALID:
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE, "that password is not possible");
        break;
    case IPC_DENIED:
        job_error(j, STANZA_ERROR_RESOURCE_CONSTRAINT,
                "too soon after the last registration");
        break;
    case IPC_UNAVAILABLE:
        job_error(j, STANZA_ERROR_RESOURCE_CONSTRAINT, "not possible now");
        break;
    case IPC_NOT_FOUND:
    case IPC_FAILED:
        job_error(j, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
        break;
    }
}
