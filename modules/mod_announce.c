/*
 * mod_announce.c -- messages of administrators to everybody
 *
 * A message to HOST/announce/all and the like is an order; so are the ad-hoc commands
 * (announce_command.c) and those of stanzactl (announce_call.c).
 */
#include "modules/announce.h"

static const struct {
    const char *name;
    enum announce_kind kind;
} resources[] = {
    { "all", ANNOUNCE_ALL },
    { "online", ANNOUNCE_ONLINE },
    { "motd", ANNOUNCE_MOTD },
    { "motd/update", ANNOUNCE_MOTD_UPDATE },
    { "motd/delete", ANNOUNCE_MOTD_DELETE },
};

/* Everywhere means: on every host that has the module; all of them must allow it. */
bool
announce_is_allowed(struct worker *w, const struct module *m,
        const struct conf_host *host, bool all_hosts, const struct jid *who)
{
    const struct conf *conf = worker_conf(w);
    struct conf_subject subject = { who->local, who->domain, who->resource, NULL };

    for (size_t i = 0; i < conf->n_hosts; i++) {
        const struct conf_host *h = &conf->hosts[i];
        const struct announce *cf = module_config(w, h, m);

        if (cf && (all_hosts || h == host) &&
                !conf_access_allows(h, &cf->access, &subject))
            return false;
    }
    return true;
}

/* --- What is to be done on one host --- */

static void
begin_on(struct worker *w, const struct module *m, const struct conf_host *host,
        const struct conf_host *from, enum announce_kind kind, struct str message)
{
    char data = (char)kind;
    struct job_start start = { .module = m,
        .host = host,
        .step = ANNOUNCE_STEP_BEGIN,
        .from = { .domain = from->name },
        .stanza = message,
        .data = { &data, 1 } };

    job_begin(w, &start);
}

void
announce_begin(struct worker *w, const struct module *m, const struct conf_host *from,
        bool all_hosts, enum announce_kind kind, const struct xml_el *message)
{
    const struct conf *conf = worker_conf(w);
    struct buf bytes = { 0 };

    xml_write(&bytes, message, STR(NS_CLIENT));
    for (size_t i = 0; i < conf->n_hosts; i++) {
        const struct conf_host *host = &conf->hosts[i];

        if (module_config(w, host, m) && (all_hosts || host == from))
            begin_on(w, m, host, from, kind, buf_str(&bytes));
    }
    buf_fini(&bytes);
}

static void
begin(struct job *j, const struct sql_result *result)
{
    enum announce_kind kind;
    struct buf message = { 0 };

    (void)result;
    if (!j->el || j->data.n != 1)
        return;
    kind = (enum announce_kind)j->data.p[0];
    switch (kind) {
    case ANNOUNCE_ALL:
        announce_to_accounts(j);
        break;
    case ANNOUNCE_ONLINE:
        xml_set(j->el, "from", j->from.domain);
        xml_write(&message, j->el, STR(NS_CLIENT));
        workers_notify(
                j->w, j->module, j->host, ANNOUNCE_NOTE_ONLINE, buf_str(&message));
        break;
    case ANNOUNCE_MOTD:
    case ANNOUNCE_MOTD_UPDATE:
    case ANNOUNCE_MOTD_DELETE:
        announce_motd(j, kind);
        break;
    }
    buf_fini(&message);
}

struct xml_el *
announce_message(struct arena *arena, const struct conf_host *host, const char *type,
        struct str subject, struct str body)
{
    struct xml_el *el = xml_el_new(arena, "message", NS_CLIENT);

    xml_set(el, "from", host->name);
    xml_set(el, "to", host->name);
    if (type)
        xml_set_c(el, "type", type);
    if (subject.n)
        xml_add_leaf(el, "subject", NULL, subject);
    xml_add_leaf(el, "body", NULL, body);
    return el;
}

/* --- Messages to the server --- */

/* For the archive of who sent it. */
static void
tell_sent(struct event *e)
{
    struct event sent = *e;
    struct buf bytes = { 0 };
    struct stanza s = *e->s;

    xml_write(&bytes, s.el, STR(NS_CLIENT));
    s.bytes = buf_str(&bytes);
    sent.s = &s;
    hook_run(e->w, HOOK_USER_SENT, &sent);
    buf_fini(&bytes);
}

static enum hook_result
on_send(struct event *e)
{
    const struct conf_host *host = e->s->to.local.n || e->s->kind != STANZA_MESSAGE
                                           ? NULL
                                           : host_of(e->w, e->s->to.domain);
    struct str order = e->s->to.resource;
    bool all_hosts;
    size_t i = 0;

    if (!host || !str_starts(order, STR("announce/")) ||
            !module_config(e->w, host, e->module) || e->s->type == MESSAGE_ERROR)
        return HOOK_PASS;
    order = (struct str){ order.p + 9, order.n - 9 };
    all_hosts = str_starts(order, STR("all-hosts/"));
    if (all_hosts)
        order = (struct str){ order.p + 10, order.n - 10 };
    while (i < ARRAY_LEN(resources) && !str_eq_c(order, resources[i].name))
        i++;
    if (i == ARRAY_LEN(resources))
        return HOOK_PASS;
    if (!announce_is_allowed(e->w, e->module, host, all_hosts, &e->s->from))
        route_error(e->w, e->s, STANZA_ERROR_FORBIDDEN, NULL);
    else if (jobs_are_many(e->w))
        route_error(e->w, e->s, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else
        announce_begin(e->w, e->module, host, all_hosts, resources[i].kind, e->s->el);
    tell_sent(e);
    return HOOK_DONE;
}

/* --- The module --- */

static void
notify(struct event *e, unsigned what, struct str data)
{
    if (e->account)
        return;
    switch ((enum announce_note)what) {
    case ANNOUNCE_NOTE_ONLINE:
        announce_to_sessions(e, data, false);
        break;
    case ANNOUNCE_NOTE_MOTD_ONLINE:
        announce_forget(e->config);
        announce_to_sessions(e, data, true);
        break;
    case ANNOUNCE_NOTE_MOTD:
        announce_forget(e->config);
        break;
    }
}

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct announce *cf = mem_zalloc(sizeof *cf);

    (void)host;
    cf->access = conf_module_access(options, "access");
    announce_forget(cf);
    return cf;
}

static void
unconfigure(void *config)
{
    mem_free_p(config);
}

static const struct module_hook hooks[] = {
    { HOOK_USER_SEND, 50, on_send },
    { HOOK_PRESENCE, 60, announce_on_presence },
    { HOOK_DISCO_INFO, 50, announce_on_disco_info },
    { HOOK_DISCO_ITEMS, 50, announce_on_disco_items },
    { 0 },
};

static const job_fn steps[ANNOUNCE_STEPS] = {
    [ANNOUNCE_STEP_BEGIN] = begin,
    [ANNOUNCE_STEP_ACCOUNTS] = announce_accounts,
    [ANNOUNCE_STEP_PAGE] = announce_page,
    [ANNOUNCE_STEP_SESSIONS] = announce_sessions,
    [ANNOUNCE_STEP_MARKED] = announce_marked,
    [ANNOUNCE_STEP_CHANGED] = announce_changed,
    [ANNOUNCE_STEP_LOOK] = announce_look,
    [ANNOUNCE_STEP_FOUND] = announce_found,
    [ANNOUNCE_STEP_SEEN] = announce_seen,
    [ANNOUNCE_STEP_COMMAND] = announce_command,
    [ANNOUNCE_STEP_COMMAND_FORM] = announce_command_form,
    [ANNOUNCE_STEP_CALL_ALL] = announce_call_all,
    [ANNOUNCE_STEP_CALL_ONLINE] = announce_call_online,
    [ANNOUNCE_STEP_CALL_MOTD] = announce_call_motd,
    [ANNOUNCE_STEP_CALL_UPDATE] = announce_call_update,
    [ANNOUNCE_STEP_CALL_DELETE] = announce_call_delete,
    [ANNOUNCE_STEP_CALL_GET] = announce_call_get,
    [ANNOUNCE_STEP_CALL_GOT] = announce_call_got,
};

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_announce",
    .doc = "Messages of administrators to everybody",
    .configure = configure,
    .unconfigure = unconfigure,
    .hooks = hooks,
    .steps = steps,
    .n_steps = ANNOUNCE_STEPS,
    .calls = announce_calls,
    .commands = announce_commands,
    .notify = notify,
};
