/*
 * mod_poison.c -- for tests: a module with bugs
 *
 * A message whose body begins with "poison" kills the worker that handles it; a request
 * of the namespace urn:poison kills it in the second step of its job, until somebody
 * sets that aside.
 */
#include <stdlib.h>

#include "worker/module.h"

#define NS_POISON "urn:poison"

enum {
    STEP_BEGIN,
    STEP_DIE
};

static enum hook_result
on_send(struct event *e)
{
    const struct xml_el *body =
            e->s->kind == STANZA_MESSAGE ? xml_child(e->s->el, "body", NULL) : NULL;

    if (body && str_starts(xml_text(body), STR("poison")))
        abort();
    return HOOK_PASS;
}

static void
begin(struct job *j, const struct sql_result *result)
{
    (void)result;
    job_sleep(j, STEP_DIE, 1);
}

static void
die(struct job *j, const struct sql_result *result)
{
    (void)j, (void)result;
    abort();
}

static const job_fn steps[] = { [STEP_BEGIN] = begin, [STEP_DIE] = die };

static const struct module_iq iqs[] = {
    { NS_POISON, "query", IQ_SERVER, IQ_SETS, IQ_NO_QUEUE, STEP_BEGIN },
    { 0 },
};

static const struct module_hook hooks[] = {
    { HOOK_USER_SEND, 10, on_send },
    { 0 },
};

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_poison",
    .doc = "Dies of what it is told to die of",
    .hooks = hooks,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
};
