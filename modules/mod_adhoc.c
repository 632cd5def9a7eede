/*
 * mod_adhoc.c -- ad-hoc commands (XEP-0050)
 *
 * The frame: finds the command that is asked for, lets in who may use it, and has the
 * module that offers it do the rest (struct module_command). What one may not use, one
 * does not see.
 */
#include "worker/module.h"

enum {
    STEP_COMMAND,
    STEP_PING
};

/* --- Service discovery (XEP-0050, 2) --- */

static unsigned
place(const struct jid *to, const struct jid *who)
{
    return to->local.n == 0 ? IQ_SERVER : jid_eq_bare(to, who) ? IQ_OWN : IQ_OTHERS;
}

struct listing {
    struct xml_el *query;
    const struct jid *jid;
};

static void
add_item(void *arg, const struct module_command *command)
{
    const struct listing *l = arg;

    disco_item(l->query, l->jid, str_from(command->node), str_from(command->name));
}

static void
count_item(void *arg, const struct module_command *command)
{
    (void)command;
    ++*(size_t *)arg;
}

/* The commands, or in the list of everything the node that they are under. */
static enum hook_result
on_items(struct event *e)
{
    struct jid to = jid_bare(&e->disco_to);
    struct listing l = { e->query, &to };
    unsigned where = place(&to, &e->disco_from);
    size_t n = 0;

    if (str_eq(e->node, STR(NS_COMMANDS))) {
        module_commands(e->w, e->host, where, &e->disco_from, add_item, &l);
        return HOOK_DONE;
    }
    if (e->node.n || !conf_module_bool(conf_module_find(e->host, STR("mod_adhoc")),
                             "report_commands_node"))
        return HOOK_PASS;
    module_commands(e->w, e->host, where, &e->disco_from, count_item, &n);
    if (n > 0)
        disco_item(e->query, &to, STR(NS_COMMANDS), STR("Commands"));
    return HOOK_PASS;
}

static enum hook_result
on_info(struct event *e)
{
    const struct module_command *command;
    const struct module *m;
    bool exists;

    if (str_eq(e->node, STR(NS_COMMANDS))) {
        disco_identity(e->query, "automation", "command-list", STR("Commands"));
        disco_feature(e->query, NS_COMMANDS);
        return HOOK_DONE;
    }
    command = e->node.n ? module_command_find(e->w, e->host,
                                  place(&e->disco_to, &e->disco_from), &e->disco_from,
                                  e->node, &m, &exists)
                        : NULL;
    if (!command)
        return HOOK_PASS;
    disco_identity(e->query, "automation", "command-node", str_from(command->name));
    disco_feature(e->query, NS_COMMANDS);
    disco_feature(e->query, NS_DATA);
    return HOOK_DONE;
}

/* --- Commands --- */

static void
call(struct job *j, const struct module *m, const struct module_command *command)
{
    struct command_call request;
    bool canceled;
    enum command_error e = command_read(j, &request, &canceled);

    if (e != COMMAND_OK) {
        command_fail(j, e);
    } else if (canceled) {
        job_send_result(j, command_ended(j, true));
    } else {
        job_take(j, m);
        m->steps[command->step](j, NULL);
    }
}

static void
command(struct job *j, const struct sql_result *result)
{
    const struct module *m;
    const struct module_command *found;
    bool exists;

    (void)result;
    if (!j->payload)
        return;
    found = module_command_find(j->w, j->host, place(&j->to, &j->from), &j->from,
            xml_attr(j->payload, "node"), &m, &exists);
    if (found && (!j->account || account_exists(j->account)))
        call(j, m, found);
    else if (exists)
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
    else
        job_error(j,
                j->account ? STANZA_ERROR_SERVICE_UNAVAILABLE
                           : STANZA_ERROR_ITEM_NOT_FOUND,
                NULL);
}

/* --- The one of its own, as ejabberd's --- */

static void
ping(struct job *j, const struct sql_result *result)
{
    struct xml_el *el = command_ended(j, false);

    (void)result;
    command_note(el, "info", STR("Pong"));
    job_send_result(j, el);
}

static const struct module_hook hooks[] = {
    { HOOK_DISCO_INFO, 50, on_info },
    { HOOK_DISCO_ITEMS, 50, on_items },
    { 0 },
};

static const job_fn steps[] = {
    [STEP_COMMAND] = command,
    [STEP_PING] = ping,
};

static const struct module_iq iqs[] = {
    { NS_COMMANDS, "command", IQ_SERVER, IQ_SETS, IQ_PARALLEL, STEP_COMMAND },
    { NS_COMMANDS, "command", IQ_OWN | IQ_OTHERS, IQ_SETS, IQ_HOME, STEP_COMMAND },
    { 0 },
};

static const struct module_command commands[] = {
    { .node = "ping", .name = "Ping", .where = IQ_SERVER, .step = STEP_PING },
    { 0 },
};

static const char *const features[] = { NS_COMMANDS, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_adhoc",
    .doc = "Ad-hoc commands (XEP-0050)",
    .features = features,
    .hooks = hooks,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
    .commands = commands,
};
