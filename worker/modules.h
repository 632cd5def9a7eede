#ifndef WORKER_MODULES_H
#define WORKER_MODULES_H

#include "worker/module.h"
#include "worker/worker.h"

/*
 * The modules of this process, and what each host uses of them.
 */
struct host_module {
    const struct module *module;
    const struct conf_module *options; /* NULL: the core's own steps */
    void *config;
    uint32_t hash; /* of its name: survives processes */
    int part;      /* index in struct account, -1: none */
    uint8_t which; /* enum sql_which: its database */
};

struct hook_entry {
    hook_fn call;
    const struct host_module *hm;
    int order;
};

struct service {
    struct str domain;
    const struct conf_host *host;
    const struct host_module *hm;
};

/* What runs for one host of the configuration; in the same order as conf->hosts. */
struct host_run {
    const struct conf_host *host;
    struct host_module *module;
    size_t n_modules;
    struct hook_entry *hook[HOOKS];
    unsigned n_hooks[HOOKS];
    uint32_t parts; /* changes when other parts of accounts are loaded */
};

/* Before the sandbox is closed: opens all shared objects of the modules' folder. */
void modules_open(void);

/* Makes w->run for the configuration in force; and takes it apart. */
void modules_load(struct worker *w);
void modules_unload(struct worker *w);

struct host_run *host_run_of(const struct worker *w, const struct conf_host *host);
const struct host_module *host_module_of(
        const struct worker *w, const struct conf_host *host, const struct module *m);
const struct host_module *host_module_by_hash(
        const struct worker *w, const struct conf_host *host, uint32_t hash);
uint32_t module_hash(const struct module *m);

/* The index of its part in struct account, -1: none; and back. */
int module_part_index(const struct module *m);
const struct module *module_of_part(const struct worker *w, unsigned part);

/* Which database its operations go to: its db_type, or the host's default_db. */
unsigned module_db(
        const struct worker *w, const struct conf_host *host, const struct module *m);

bool hook_exists(const struct worker *w, const struct conf_host *host, enum hook hook);

/* The service that has this domain; NULL: nobody. */
const struct service *service_find(const struct worker *w, struct str domain);

/* A command that a module knows: its host's modules first; NULL: none does. */
const struct module_call *module_call_find(const struct worker *w,
        const struct conf_host *host, struct str name,
        const struct module **ret_module);

/* worker/core.c: the steps that deliver.c and presence.c need. */
extern const struct module core_module;

#endif
