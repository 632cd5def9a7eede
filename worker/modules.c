/*
 * modules.c -- shared objects, and which host uses what of them
 *
 * All modules of the folder are opened before the sandbox closes, because afterwards no
 * file can be: a reload may so add any of them to a host. What a host does not name
 * costs it nothing: hooks are lists per host, and an empty list is one comparison.
 */
#include "worker/modules.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/foreign.h"
#include "conf/table.h"
#include "worker/account.h"

enum {
    MODULES_MAX = 128,
    DOMAINS_MAX = 16
};

struct opened {
    const struct module *module;
    uint32_t hash;
    int part;
};

/* Of the process: never closed. */
static struct {
    struct opened at[MODULES_MAX];
    size_t n;
    int n_parts;
} opened;

static uint32_t
name_hash(const char *name)
{
    uint32_t h = 2166136261u; /* FNV-1a: the same in every process and build */

    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return h;
}

static const struct opened *
opened_find(const struct module *m)
{
    for (size_t i = 0; i < opened.n; i++) {
        if (opened.at[i].module == m)
            return &opened.at[i];
    }
    return NULL;
}

uint32_t
module_hash(const struct module *m)
{
    const struct opened *o = opened_find(m);

    return o ? o->hash : name_hash(m->name);
}

int
module_part_index(const struct module *m)
{
    const struct opened *o = opened_find(m);

    return o ? o->part : -1;
}

const struct module *
module_of_part(const struct worker *w, unsigned part)
{
    (void)w;
    for (size_t i = 0; i < opened.n; i++) {
        if (opened.at[i].part == (int)part)
            return opened.at[i].module;
    }
    return NULL;
}

static void
add(const struct module *m)
{
    struct opened o = { .module = m, .hash = name_hash(m->name), .part = -1 };

    if (opened.n == MODULES_MAX) {
        log_error(NULL, "%s: too many modules", m->name);
        return;
    }
    for (size_t i = 0; i < opened.n; i++) {
        if (opened.at[i].hash == o.hash) {
            log_error(NULL, "%s: there is another module of that name", m->name);
            return;
        }
    }
    if (m->part && opened.n_parts < ACCOUNT_PARTS_MAX)
        o.part = opened.n_parts++;
    opened.at[opened.n++] = o;
}

static void
open_one(const char *dir, const char *file)
{
    struct buf path = { 0 };
    const struct module *m;
    void *lib;

    buf_addf(&path, "%s/%s", dir, file);
    lib = dlopen(buf_c(&path), RTLD_NOW | RTLD_LOCAL);
    m = lib ? dlsym(lib, "module") : NULL;
    if (!m)
        log_error(NULL, "cannot load module %s: %s", buf_c(&path), dlerror());
    else if (m->abi != MODULE_ABI)
        log_error(NULL,
                "module %s is for version %u of the interface, not %u: rebuild it",
                buf_c(&path), m->abi, MODULE_ABI);
    else if (strncmp(m->name, file, strlen(m->name)) != 0)
        log_error(NULL, "module %s calls itself %s", buf_c(&path), m->name);
    else
        add(m);
    buf_fini(&path);
}

static int
cmp_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
modules_open(void)
{
    char dir[4096], *name[MODULES_MAX];
    size_t n = 0;
    struct dirent *d;
    DIR *dp;

    if (opened.n > 0)
        return;
    add(&core_module);
    conf_modules_dir(dir, sizeof dir);
    dp = opendir(dir);
    while (dp && (d = readdir(dp))) {
        struct str file = str_from(d->d_name);

        if (str_starts(file, STR("mod_")) && str_ends(file, STR(".so")) &&
                n < MODULES_MAX)
            name[n++] = str_heap_c(file);
    }
    if (dp)
        closedir(dp);
    else
        log_warning(NULL, "no modules: %s: %s", dir, strerror(errno));
    qsort(name, n, sizeof *name,
            cmp_names); /* parts have the same numbers everywhere */
    for (size_t i = 0; i < n; i++) {
        open_one(dir, name[i]);
        mem_free_p(name[i]);
    }
}

/* --- Per host --- */

struct host_run *
host_run_of(const struct worker *w, const struct conf_host *host)
{
    return &w->run[host - w->proc->conf->hosts];
}

const struct host_module *
host_module_by_hash(const struct worker *w, const struct conf_host *host, uint32_t hash)
{
    const struct host_run *run = host_run_of(w, host);

    for (size_t i = 0; i < run->n_modules; i++) {
        if (run->module[i].hash == hash)
            return &run->module[i];
    }
    return NULL;
}

const struct host_module *
host_module_of(
        const struct worker *w, const struct conf_host *host, const struct module *m)
{
    const struct host_run *run = host_run_of(w, host);

    for (size_t i = 0; i < run->n_modules; i++) {
        if (run->module[i].module == m)
            return &run->module[i];
    }
    return NULL;
}

void *
module_config(
        const struct worker *w, const struct conf_host *host, const struct module *m)
{
    const struct host_module *hm = host_module_of(w, host, m);

    return hm ? hm->config : NULL;
}

unsigned
module_db(const struct worker *w, const struct conf_host *host, const struct module *m)
{
    const struct host_module *hm = host_module_of(w, host, m);

    return hm ? hm->which : SQL_WHICH_DEFAULT;
}

static uint8_t
db_of(const struct conf_host *host, const struct conf_module *options)
{
    struct str type = STR_NULL;

    if (options && conf_section_find(&conf_modules, options->def, STR("db_type")))
        type = conf_module_text(options, "db_type");
    if (type.n)
        return str_eq(type, STR("sql")) ? SQL_WHICH_SQL : SQL_WHICH_EMBEDDED;
    return host->default_db == CONF_DB_SQL ? SQL_WHICH_SQL : SQL_WHICH_EMBEDDED;
}

static int
cmp_hooks(const void *va, const void *vb)
{
    const struct hook_entry *a = va, *b = vb;

    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return a->hm < b->hm ? -1 : a->hm > b->hm;
}

static void
run_hooks(struct host_run *run, const struct host_module *hm)
{
    for (const struct module_hook *h = hm->module->hooks; h && h->call; h++) {
        unsigned n = run->n_hooks[h->on]++;

        run->hook[h->on] =
                mem_realloc(run->hook[h->on], (n + 1) * sizeof *run->hook[h->on]);
        run->hook[h->on][n] = (struct hook_entry){ h->call, hm, h->order };
    }
}

static void
run_module(
        struct host_run *run, const struct opened *o, const struct conf_module *options)
{
    struct host_module *hm = &run->module[run->n_modules++];

    *hm = (struct host_module){ .module = o->module,
        .options = options,
        .hash = o->hash,
        .part = o->part,
        .which = db_of(run->host, options) };
    if (o->module->db_of)
        hm->which = db_of(
                run->host, conf_module_find(run->host, str_from(o->module->db_of)));
    if (o->module->configure)
        hm->config = o->module->configure(run->host, options);
    if (o->part >= 0)
        run->parts = run->parts * 31 + o->hash + hm->which;
}

/* "echo.@HOST@" for this host, prepared; p == NULL: it cannot be a domain. */
static struct str
domain_of(struct arena *arena, const struct conf_host *host, struct str text)
{
    struct str mark = STR("@HOST@"), ret = STR_NULL;
    struct buf name = { 0 };

    while (text.n) {
        if (str_starts(text, mark)) {
            buf_add_str(&name, host->name);
            text.p += mark.n;
            text.n -= mark.n;
        } else {
            buf_add_char(&name, *text.p++);
            text.n--;
        }
    }
    if (jid_prep_domain(arena, buf_str(&name), &ret) < 0) {
        log_error(NULL, "%s cannot be the domain of a service", buf_c(&name));
        ret = STR_NULL;
    } else {
        ret = str_dup(arena, ret);
    }
    buf_fini(&name);
    return ret;
}

size_t
module_domains(struct arena *arena, const struct conf_host *host,
        const struct conf_module *options, struct str *ret, size_t max)
{
    const struct conf_node *hosts =
            conf_section_find(&conf_modules, options->def, STR("hosts"))
                    ? conf_module_node(options, "hosts")
                    : NULL;
    size_t n = 0;

    if (hosts && hosts->kind == CONF_SCALAR && max > 0)
        ret[n] = domain_of(arena, host, hosts->text), n += ret[n].n > 0;
    for (const struct conf_node *c = hosts ? hosts->first : NULL; c && n < max;
            c = c->next)
        ret[n] = domain_of(arena, host, c->text), n += ret[n].n > 0;
    if (n == 0 && max > 0)
        ret[n] = domain_of(arena, host, conf_module_text(options, "host")),
        n += ret[n].n > 0;
    return n;
}

static void
services_add(
        struct worker *w, const struct host_module *hm, const struct conf_host *host)
{
    struct str domain[DOMAINS_MAX];
    size_t n;

    if (!hm->module->service)
        return;
    n = hm->module->service->domains(
            &w->run_arena, host, hm->config, domain, DOMAINS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct service *s = arena_new(&w->run_arena, struct service);

        *s = (struct service){ domain[i], host, hm };
        if (conf_host_find(w->proc->conf, domain[i]) ||
                map_get(&w->services, domain[i]))
            log_error(NULL, "%s: the domain %.*s is taken already", hm->module->name,
                    STR_ARG(domain[i]));
        else
            map_set(&w->services, domain[i], s);
    }
}

static void
run_load(struct worker *w, struct host_run *run, const struct conf_host *host)
{
    run->host = host;
    run->module = mem_zalloc((host->n_modules + 1) * sizeof *run->module);
    for (size_t i = 0; i < opened.n; i++) {
        const struct module *m = opened.at[i].module;
        const struct conf_module *options = conf_module_find(host, str_from(m->name));

        if (options || m == &core_module)
            run_module(run, &opened.at[i], options);
    }
    for (size_t i = 0; i < run->n_modules; i++) {
        run_hooks(run, &run->module[i]);
        services_add(w, &run->module[i], host);
    }
    for (unsigned h = 0; h < HOOKS; h++) {
        if (run->n_hooks[h] > 1)
            qsort(run->hook[h], run->n_hooks[h], sizeof *run->hook[h], cmp_hooks);
    }
}

void
modules_load(struct worker *w)
{
    const struct conf *conf = w->proc->conf;

    arena_init(&w->run_arena, 4096);
    w->run = mem_zalloc(conf->n_hosts * sizeof *w->run);
    w->n_run = conf->n_hosts;
    for (size_t i = 0; i < conf->n_hosts; i++)
        run_load(w, &w->run[i], &conf->hosts[i]);
}

void
modules_unload(struct worker *w)
{
    for (size_t i = 0; i < w->n_run; i++) {
        struct host_run *run = &w->run[i];

        for (size_t k = 0; k < run->n_modules; k++) {
            const struct module *m = run->module[k].module;

            if (run->module[k].config && m->unconfigure)
                m->unconfigure(run->module[k].config);
        }
        for (unsigned h = 0; h < HOOKS; h++)
            mem_free_p(run->hook[h]);
        mem_free_p(run->module);
    }
    mem_free(&w->run);
    w->n_run = 0;
    map_fini(&w->services);
    arena_fini(&w->run_arena);
}

/* --- Use --- */

bool
hook_exists(const struct worker *w, const struct conf_host *host, enum hook hook)
{
    return host_run_of(w, host)->n_hooks[hook] > 0;
}

enum hook_result
hook_run(struct worker *w, enum hook hook, struct event *e)
{
    const struct host_run *run = host_run_of(w, e->host);

    e->arena = &w->scratch;
    for (unsigned i = 0; i < run->n_hooks[hook]; i++) {
        const struct hook_entry *h = &run->hook[hook][i];

        e->module = h->hm->module;
        e->config = h->hm->config;
        e->part = e->account && h->hm->part >= 0 ? e->account->part[h->hm->part] : NULL;
        if (h->call(e) == HOOK_DONE)
            return HOOK_DONE;
    }
    return HOOK_PASS;
}

const struct service *
service_find(const struct worker *w, struct str domain)
{
    return w->services.n ? map_get(&w->services, domain) : NULL;
}

const struct module_call *
module_call_find(const struct worker *w, const struct conf_host *host, struct str name,
        const struct module **ret_module)
{
    const struct host_run *run = host_run_of(w, host);

    for (size_t i = 0; i < run->n_modules; i++) {
        const struct module_call *call = run->module[i].module->calls;

        for (; call && call->name; call++) {
            if (str_eq_c(name, call->name)) {
                *ret_module = run->module[i].module;
                return call;
            }
        }
    }
    return NULL;
}

static bool
command_is_for(struct worker *w, const struct conf_host *host,
        const struct host_module *hm, const struct module_command *c,
        const struct jid *who)
{
    return !c->may || c->may(w, host, hm->config, c, who);
}

void
module_commands(struct worker *w, const struct conf_host *host, unsigned where,
        const struct jid *who,
        void (*each)(void *arg, const struct module_command *command), void *arg)
{
    const struct host_run *run = host_run_of(w, host);

    for (size_t i = 0; i < run->n_modules; i++) {
        const struct module_command *c = run->module[i].module->commands;

        for (; c && c->node; c++) {
            if (c->where & where && command_is_for(w, host, &run->module[i], c, who))
                each(arg, c);
        }
    }
}

const struct module_command *
module_command_find(struct worker *w, const struct conf_host *host, unsigned where,
        const struct jid *who, struct str node, const struct module **ret_module,
        bool *ret_exists)
{
    const struct host_run *run = host_run_of(w, host);

    *ret_exists = false;
    for (size_t i = 0; i < run->n_modules; i++) {
        const struct module_command *c = run->module[i].module->commands;

        for (; c && c->node; c++) {
            if (!(c->where & where) || !str_eq_c(node, c->node))
                continue;
            *ret_exists = true;
            *ret_module = run->module[i].module;
            return command_is_for(w, host, &run->module[i], c, who) ? c : NULL;
        }
    }
    return NULL;
}

void
module_features(struct worker *w, const struct conf_host *host, bool account,
        void (*each)(void *arg, const char *feature), void *arg)
{
    const struct host_run *run = host_run_of(w, host);

    for (size_t i = 0; i < run->n_modules; i++) {
        const struct module *m = run->module[i].module;
        const char *const *f = account ? m->account_features : m->features;

        for (; f && *f; f++)
            each(arg, *f);
    }
}

static int
cmp_domains(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

size_t
module_services(struct worker *w, const struct conf_host *host, struct arena *arena,
        const struct str **ret)
{
    struct str *domain = arena_alloc(arena, (w->services.n + 1) * sizeof *domain);
    size_t n = 0, at = 0;
    struct map_entry *e;

    while ((e = map_next(&w->services, &at))) {
        const struct service *s = e->value;

        if (s->host == host)
            domain[n++] = s->domain;
    }
    qsort(domain, n, sizeof *domain, cmp_domains);
    *ret = domain;
    return n;
}

const struct module *
module_find(const struct worker *w, const struct conf_host *host, const char *name)
{
    const struct host_run *run = host_run_of(w, host);

    for (size_t i = 0; i < run->n_modules; i++) {
        if (strcmp(run->module[i].module->name, name) == 0)
            return run->module[i].module;
    }
    return NULL;
}

bool
host_has_module(const struct worker *w, const struct conf_host *host, const char *name)
{
    return module_find(w, host, name) != NULL;
}
