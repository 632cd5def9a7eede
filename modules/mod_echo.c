/*
 * mod_echo.c -- an example: a service with a domain of its own
 *
 * Messages to any address of echo.HOST come back; presence is greeted; pings and
 * questions for its nature are answered. doc/MODULES.md explains each part of this
 * file.
 */
#include "worker/module.h"

enum {
    STEP_STANZA
};

static size_t
domains(struct arena *arena, const struct conf_host *host, void *config,
        struct str *ret, size_t max)
{
    const struct conf_module *options = conf_module_find(host, STR("mod_echo"));

    (void)config;
    return module_domains(arena, host, options, ret, max);
}

/* The same back to its sender; errors are not echoed, or two echoes would never end. */
static void
message(struct job *j)
{
    struct xml_el *echo;

    if (j->type == MESSAGE_ERROR)
        return;
    echo = xml_copy(j->arena, j->el);
    xml_set(echo, "from", jid_text(j->arena, &j->to));
    xml_set(echo, "to", jid_text(j->arena, &j->from));
    route_el(j->w, echo);
}

static void
presence(struct job *j)
{
    struct xml_el *reply = xml_el_new(j->arena, "presence", NS_CLIENT);

    switch ((enum presence_type)j->type) {
    case PRESENCE_AVAILABLE:
        break;
    case PRESENCE_SUBSCRIBE:
        xml_set_c(reply, "type", "subscribed");
        break;
    default:
        return;
    }
    xml_set(reply, "from", jid_text(j->arena, &j->to));
    xml_set(reply, "to", jid_text(j->arena, &j->from));
    route_el(j->w, reply);
}

static void
request(struct job *j)
{
    struct xml_el *query, *identity;

    if (j->type != IQ_GET && j->type != IQ_SET)
        return;
    if (j->type == IQ_GET && xml_is(j->payload, "ping", NS_PING)) {
        job_reply(j, NULL);
    } else if (j->type == IQ_GET && xml_is(j->payload, "query", NS_DISCO_INFO)) {
        query = job_result(j, "query", NS_DISCO_INFO);
        identity = xml_add(query, "identity", NULL);
        xml_set_c(identity, "category", "client");
        xml_set_c(identity, "type", "bot");
        xml_set_c(identity, "name", "Echo");
        xml_set_c(xml_add(query, "feature", NULL), "var", NS_DISCO_INFO);
        xml_set_c(xml_add(query, "feature", NULL), "var", NS_PING);
        job_send_result(j, query);
    } else {
        job_error(j, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    }
}

static void
stanza(struct job *j, const struct sql_result *result)
{
    (void)result;
    switch (j->kind) {
    case STANZA_MESSAGE:
        message(j);
        break;
    case STANZA_PRESENCE:
        presence(j);
        break;
    case STANZA_IQ:
        request(j);
        break;
    case STANZA_OTHER:
        break;
    }
}

static const job_fn steps[] = { [STEP_STANZA] = stanza };
static const struct module_service service = { domains, STEP_STANZA };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_echo",
    .doc = "A service that sends messages back (an example)",
    .service = &service,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
};
