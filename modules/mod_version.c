/*
 * mod_version.c -- name and version of the server (XEP-0092)
 *
 * The operating system is told only where show_os says so.
 */
#include "worker/module.h"

#include <sys/utsname.h>

enum {
    STEP_VERSION
};

struct config {
    bool show_os;
};

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct config *config = mem_zalloc(sizeof *config);

    (void)host;
    config->show_os = conf_module_bool(options, "show_os");
    return config;
}

static void
answer(struct job *j, const struct sql_result *result)
{
    const struct config *config = j->config;
    struct xml_el *reply = job_result(j, "query", NS_VERSION);
    struct buf os = { 0 };
    struct utsname system;

    (void)result;
    xml_add_leaf(reply, "name", NULL, STR("stanzad"));
    xml_add_leaf(reply, "version", NULL, STR(STANZAD_VERSION));
    if (config->show_os && uname(&system) == 0) {
        buf_addf(&os, "%s %s", system.sysname, system.release);
        xml_add_leaf(reply, "os", NULL, str_dup(j->arena, buf_str(&os)));
        buf_fini(&os);
    }
    job_send_result(j, reply);
}

static const job_fn steps[] = { [STEP_VERSION] = answer };

static const struct module_iq iqs[] = {
    { NS_VERSION, "query", IQ_SERVER, IQ_GETS, IQ_NO_QUEUE, STEP_VERSION },
    { 0 },
};

static const char *const features[] = { NS_VERSION, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_version",
    .doc = "Software version (XEP-0092)",
    .features = features,
    .configure = configure,
    .unconfigure = mem_free_p,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
};
