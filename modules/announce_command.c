/*
 * announce_command.c -- announcements by ad-hoc commands (XEP-0133, 4.23 ff.)
 *
 * Nodes, titles and forms are ejabberd's. One stage: a form, then it is done.
 */
#include <errno.h>

#include "modules/announce.h"
#include "xmpp/form.h"

enum {
    ANNOUNCE_TEXT_MAX = 64 << 10
};

static const char node_announce[] = "announce", title_announce[] = "Announcements";

/* In the order of announce_commands. */
static const struct {
    enum announce_kind kind;
    bool all_hosts;
} orders[] = {
    { ANNOUNCE_ALL, false },
    { ANNOUNCE_ALL, true },
    { ANNOUNCE_ONLINE, false },
    { ANNOUNCE_ONLINE, true },
    { ANNOUNCE_MOTD, false },
    { ANNOUNCE_MOTD, true },
    { ANNOUNCE_MOTD_UPDATE, false },
    { ANNOUNCE_MOTD_UPDATE, true },
    { ANNOUNCE_MOTD_DELETE, false },
    { ANNOUNCE_MOTD_DELETE, true },
};

static bool
may(struct worker *w, const struct conf_host *host, void *config,
        const struct module_command *command, const struct jid *who)
{
    (void)config;
    return announce_is_allowed(
            w, &module, host, orders[command - announce_commands].all_hosts, who);
}

#define ORDER(node_, name_)                                            \
    {                                                                  \
        .node = NS_ADMIN "#" node_, .name = name_, .where = IQ_SERVER, \
        .step = ANNOUNCE_STEP_COMMAND, .may = may,                     \
    }

const struct module_command announce_commands[] = {
    ORDER("announce-all", "Send announcement to all users"),
    ORDER("announce-all-allhosts", "Send announcement to all users on all hosts"),
    ORDER("announce", "Send announcement to all online users"),
    ORDER("announce-allhosts", "Send announcement to all online users on all hosts"),
    ORDER("set-motd", "Set message of the day and send to online users"),
    ORDER("set-motd-allhosts",
            "Set message of the day on all hosts and send to online users"),
    ORDER("edit-motd", "Update message of the day (don't send)"),
    ORDER("edit-motd-allhosts", "Update message of the day on all hosts (don't send)"),
    ORDER("delete-motd", "Delete message of the day"),
    ORDER("delete-motd-allhosts", "Delete message of the day on all hosts"),
    { 0 },
};

/* --- Service discovery --- */

static bool
is_listed(struct event *e)
{
    return e->disco_to.local.n == 0 && e->disco_from.domain.n &&
           announce_is_allowed(e->w, e->module, e->host, false, &e->disco_from);
}

enum hook_result
announce_on_disco_info(struct event *e)
{
    if (!str_eq_c(e->node, node_announce) || !is_listed(e))
        return HOOK_PASS;
    disco_identity(e->query, "automation", "command-list", str_from(title_announce));
    disco_feature(e->query, NS_COMMANDS);
    return HOOK_DONE;
}

enum hook_result
announce_on_disco_items(struct event *e)
{
    struct jid server = { .domain = e->host->name };

    if (!is_listed(e) || (e->node.n && !str_eq_c(e->node, node_announce)))
        return HOOK_PASS;
    if (!e->node.n) {
        disco_item(
                e->query, &server, str_from(node_announce), str_from(title_announce));
        return HOOK_PASS;
    }
    for (const struct module_command *c = announce_commands; c->node; c++) {
        if (may(e->w, e->host, e->config, c, &e->disco_from))
            disco_item(e->query, &server, str_from(c->node), str_from(c->name));
    }
    return HOOK_DONE;
}

/* --- The form --- */

static size_t
order_of(const struct command_call *call)
{
    size_t i = 0;

    while (announce_commands[i].node &&
            !str_eq_c(call->node, announce_commands[i].node))
        i++;
    return i;
}

static void
send_form(struct job *j, size_t order, struct str subject, struct str body)
{
    struct xml_el *command =
            command_executing(j, 1, COMMAND_COMPLETE, COMMAND_COMPLETE);
    struct xml_el *x = form_add(command, FORM_FORM, NS_ADMIN), *field;

    form_title(x, str_from(announce_commands[order].name));
    if (orders[order].kind == ANNOUNCE_MOTD_DELETE) {
        field = form_add_field(
                x, FIELD_BOOLEAN, "confirm", STR("Really delete message of the day?"));
        form_put_bool(field, true);
    } else {
        field = form_add_field(x, FIELD_TEXT_SINGLE, "subject", STR("Subject"));
        if (subject.n)
            form_put(field, subject);
        field = form_add_field(x, FIELD_TEXT_MULTI, "body", STR("Message body"));
        if (body.n)
            form_put_lines(field, body);
    }
    job_send_result(j, command);
}

/* With the message that is there. */
void
announce_command_form(struct job *j, const struct sql_result *result)
{
    struct command_call call = command_call(j);
    struct xml_el *message = NULL;

    if (job_failed(j, result))
        return;
    if (result->n_rows > 0 && result->value[0].kind == SQL_TEXT)
        message = stanza_parse(j->w, j->arena, result->value[0].s);
    send_form(j, order_of(&call), xml_child_text(message, "subject", NULL),
            xml_child_text(message, "body", NULL));
}

/* --- What was filled in --- */

static void
submitted(struct job *j, size_t order, const struct xml_el *form)
{
    bool is_delete = orders[order].kind == ANNOUNCE_MOTD_DELETE, confirmed = false;
    struct str subject = form_value(form, "subject"), body = form_text(form, "body");
    struct xml_el *message;

    if (is_delete && form_bool(form, "confirm", &confirmed) == -EINVAL) {
        command_fail(j, COMMAND_BAD_PAYLOAD);
        return;
    }
    if (!is_delete && body.n == 0) {
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE,
                "No body provided for announce message");
        return;
    }
    if (subject.n > ANNOUNCE_TEXT_MAX || body.n > ANNOUNCE_TEXT_MAX) {
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE, "too long");
        return;
    }
    message = announce_message(j->arena, j->host,
            orders[order].kind == ANNOUNCE_ALL ? NULL : "headline", subject, body);
    if (!is_delete || confirmed)
        announce_begin(j->w, j->module, j->host, orders[order].all_hosts,
                orders[order].kind, message);
    job_send_result(j, command_ended(j, false));
}

void
announce_command(struct job *j, const struct sql_result *result)
{
    struct command_call call = command_call(j);
    size_t order = order_of(&call);

    (void)result;
    if (call.form)
        submitted(j, order, call.form);
    else if (call.stage > 0)
        command_fail(j, COMMAND_BAD_PAYLOAD);
    else if (orders[order].kind == ANNOUNCE_MOTD_UPDATE)
        job_sql(j, ANNOUNCE_STEP_COMMAND_FORM, SQL_MOTD_GET, NULL, 0);
    else
        send_form(j, order, STR_NULL, STR_NULL);
}
