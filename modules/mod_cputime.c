/*
 * mod_cputime.c -- an example: a request to the server
 *
 *     <iq type='get' to='example.org' id='1'><query xmlns='ejabberd:cputime'/></iq>
 *     <iq type='result' …><query
 * xmlns='ejabberd:cputime'><time>1234</time></query></iq>
 *
 * The time is that of the worker process which answers, in milliseconds. doc/MODULES.md
 * explains each part of this file.
 */
#include "worker/module.h"

#include <stdio.h>
#include <time.h>

#define NS_CPUTIME "ejabberd:cputime"

enum {
    STEP_CPUTIME
};

static void
cputime(struct job *j, const struct sql_result *result)
{
    const struct conf_module *options = conf_module_find(j->host, STR("mod_cputime"));
    struct conf_access access = conf_module_access(options, "access");
    struct conf_subject asker = { j->from.local, j->from.domain, j->from.resource,
        NULL };
    struct xml_el *query;
    struct timespec used;
    char text[32];

    (void)result;
    if (!conf_access_allows(j->host, &access, &asker)) {
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
        return;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    snprintf(text, sizeof text, "%lld",
            (long long)used.tv_sec * 1000 + used.tv_nsec / 1000000);
    query = job_result(j, "query", NS_CPUTIME);
    xml_add_leaf(query, "time", NULL, str_dup(j->arena, str_from(text)));
    job_send_result(j, query);
}

static const job_fn steps[] = { [STEP_CPUTIME] = cputime };

static const struct module_iq iqs[] = {
    { NS_CPUTIME, "query", IQ_SERVER, IQ_GETS, IQ_NO_QUEUE, STEP_CPUTIME },
    { 0 },
};

static const char *const features[] = { NS_CPUTIME, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_cputime",
    .doc = "CPU time of the server (an example)",
    .features = features,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
};
