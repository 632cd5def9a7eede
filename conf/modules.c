/*
 * modules.c -- the modules of a host and their options
 *
 * Options are checked when the file is read, and looked at again only when a module
 * asks for one: conf_module_bool() and its like. @HOST@ is put in where a host's
 * options say it; all other hosts share one table.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "conf/acl.h"
#include "conf/bind.h"

#define SECTION_KINDS \
    (1u << CONF_ROW_SECTION | 1u << CONF_ROW_CONTRIB | 1u << CONF_ROW_REMOVED)

static int
fail_module(struct conf_binder *b, const struct conf_node *node)
{
    struct buf advice = { 0 };
    struct conf_guess g;

    conf_guess_init(&g, node->key->text);
    for (size_t i = 0; i < conf_modules.n; i++)
        if (conf_modules.row[i].row == CONF_ROW_SECTION)
            conf_guess_try(&g, str_from(conf_modules.row[i].name));
    if (g.best.p)
        buf_addf(&advice, "did you mean %.*s?", STR_ARG(g.best));
    else if (conf_table_find(&conf_options, node->key->text, 1u << CONF_ROW_OPTION))
        buf_add_c(&advice, "it is an option of the top level; indent it less");
    else
        buf_add_c(&advice, "stanzad.yml(5) lists the modules");
    conf_say(b, CONF_ERROR, node->key->pos, buf_c(&advice), "unknown module: %.*s",
            STR_ARG(node->key->text));
    buf_fini(&advice);
    return -EINVAL;
}

static int
check_options(struct conf_binder *b, const struct conf_option *section,
        const struct conf_node *map)
{
    const struct conf_option *o = NULL;
    struct buf where = { 0 }, advice = { 0 };
    int r = 0;

    buf_addf(&where, "modules->%s->", section->name);
    conf_node_for(c, map)
    {
        struct conf_guess g;

        if (conf_node_find(map, c->key->text) != c) {
            conf_say(b, CONF_ERROR, c->key->pos, "remove one of the two",
                    "%s%.*s is given twice", buf_c(&where), STR_ARG(c->key->text));
            r = -EINVAL;
            continue;
        }
        if (str_eq_c(c->key->text, "iqdisc")) {
            conf_say(b, CONF_WARNING, c->key->pos, "remove it",
                    "%siqdisc exists no more, and is ignored", buf_c(&where));
            continue;
        }
        o = conf_section_find(&conf_modules, section, c->key->text);
        if (o) {
            if (conf_value(b, o, buf_c(&where), c, NULL) < 0)
                r = -EINVAL;
            else if (section->effect && !o->effect)
                conf_say(b, CONF_WARNING, c->key->pos, NULL, "%s%s has no effect yet",
                        buf_c(&where), o->name);
            continue;
        }
        conf_guess_init(&g, c->key->text);
        while ((o = conf_section_next(&conf_modules, section, o)))
            if (o->row == CONF_ROW_OPTION)
                conf_guess_try(&g, str_from(o->name));
        buf_reset(&advice, 256);
        if (g.best.p)
            buf_addf(&advice, "did you mean %.*s?", STR_ARG(g.best));
        else
            buf_add_c(&advice, "stanzad.yml(5) lists the options");
        conf_say(b, CONF_ERROR, c->key->pos, buf_c(&advice),
                "unknown option of %s: %.*s", section->name, STR_ARG(c->key->text));
        r = -EINVAL;
    }
    buf_fini(&where);
    buf_fini(&advice);
    return r;
}

static void
check_needs(struct conf_binder *b, const struct conf_option *section,
        const struct conf_node *map, const struct conf_node *module, int *r)
{
    const struct conf_option *o = NULL;

    while ((o = conf_section_next(&conf_modules, section, o))) {
        if (o->row != CONF_ROW_DEP || conf_node_get(map, o->name))
            continue;
        conf_say(b, section->effect ? CONF_ERROR : CONF_WARNING, module->key->pos,
                "add it", "the module %s needs the module %s, which is not there",
                section->name, o->name);
        if (section->effect)
            *r = -EINVAL;
    }
}

int
conf_check_modules(struct conf_binder *b, const struct conf_node *map)
{
    int r = 0;

    if (map->kind != CONF_MAP) {
        if (map->kind == CONF_LIST && map->n == 0)
            return 0;
        conf_say(b, CONF_ERROR, map->pos, "write `mod_ping: {}` and the like below it",
                "modules must be a map");
        return -EINVAL;
    }
    conf_node_for(c, map)
    {
        const struct conf_option *s =
                conf_table_find(&conf_modules, c->key->text, SECTION_KINDS);

        if (conf_node_find(map, c->key->text) != c) {
            conf_say(b, CONF_ERROR, c->key->pos, "put their options together",
                    "the module %.*s is given twice", STR_ARG(c->key->text));
            r = -EINVAL;
        } else if (!s) {
            r = fail_module(b, c);
        } else if (s->row == CONF_ROW_CONTRIB) {
            conf_say(b, CONF_WARNING, c->key->pos, NULL,
                    "%s is a contributed module of ejabberd; it is ignored", s->name);
        } else if (s->row == CONF_ROW_REMOVED) {
            conf_say(b, CONF_WARNING, c->key->pos, s->words,
                    "the module %s exists no more, and is ignored", s->name);
        } else if (c->kind != CONF_MAP && !(c->kind == CONF_LIST && c->n == 0)) {
            conf_say(b, CONF_ERROR, c->pos, "write {} when it has no options",
                    "the options of %s must be a map", s->name);
            r = -EINVAL;
        } else {
            if (!s->effect)
                conf_say(b, CONF_WARNING, c->key->pos, NULL,
                        "the module %s has no effect yet", s->name);
            if (check_options(b, s, c) < 0)
                r = -EINVAL;
            else if (!b->in_append)
                check_needs(b, s, map, c, &r);
        }
    }
    return r;
}

static int
cmp_modules(const void *a, const void *b)
{
    return str_cmp(((const struct conf_module *)a)->name,
            ((const struct conf_module *)b)->name);
}

/* Rules that are written where their name could stand; they have been checked. */
struct conf_module_rule {
    struct conf_module_rule *next;
    const struct conf_option *option;
    const struct conf_rule *rule;
};

static bool
is_access(const struct conf_option *o)
{
    return o->row == CONF_ROW_OPTION &&
           (o->type == CONF_T_ACCESS || o->type == CONF_T_SHAPER_ACCESS);
}

static void
bind_rules(struct conf_binder *b, struct conf_module *m)
{
    const struct conf_option *o = NULL;

    m->rules = NULL;
    while ((o = conf_section_next(&conf_modules, m->def, o))) {
        const struct conf_node *node =
                is_access(o) ? conf_module_node(m, o->name) : NULL;
        struct conf_module_rule *rule;

        if (!node || node->kind == CONF_SCALAR)
            continue;
        rule = arena_new(b->arena, struct conf_module_rule);
        rule->option = o;
        rule->next = m->rules;
        m->rules = rule;
        conf_rule_inline(b, o->type, "", o->name, node, &rule->rule);
    }
}

int
conf_bind_modules(
        struct conf_binder *b, struct conf_host *host, const struct conf_node *map)
{
    size_t n = map && map->kind == CONF_MAP ? map->n : 0;

    host->n_modules = 0;
    host->modules = arena_alloc(b->arena, (n + 1) * sizeof *host->modules);
    if (n == 0)
        return 0;
    conf_node_for(c, map)
    {
        const struct conf_option *s =
                conf_table_find(&conf_modules, c->key->text, 1u << CONF_ROW_SECTION);

        if (!s || conf_module_in(host, s))
            continue;
        host->modules[host->n_modules] = (struct conf_module){
            .name = str_from(s->name), .options = c, .def = s
        };
        bind_rules(b, &host->modules[host->n_modules++]);
    }
    qsort(host->modules, host->n_modules, sizeof *host->modules, cmp_modules);
    return 0;
}

static bool
says_host(const struct conf_node *node)
{
    static const struct str marks[] = { { "@HOST@", 6 }, { "@HOST_URL_ENCODE@", 17 } };

    if (node->key && says_host(node->key))
        return true;
    if (node->kind == CONF_SCALAR) {
        for (size_t i = 0; i < ARRAY_LEN(marks); i++)
            if (node->text.n >= marks[i].n &&
                    memmem(node->text.p, node->text.n, marks[i].p, marks[i].n))
                return true;
        return false;
    }
    conf_node_for(c, node) if (says_host(c)) return true;
    return false;
}

static struct str
url_encode(struct conf_binder *b, struct str s)
{
    struct buf out = { 0 };
    struct str ret;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~')
            buf_add_char(&out, s.p[i]);
        else
            buf_addf(&out, "%%%02X", c);
    }
    ret = str_dup(b->arena, buf_str(&out));
    buf_fini(&out);
    return ret;
}

/* A copy with the marks replaced; NULL when there are too many. */
static struct conf_node *
copy_for(struct conf_binder *b, const struct conf_node *node,
        const struct conf_host *host)
{
    struct conf_node *copy, *child;

    if (b->tree->n_derived++ >= CONF_DERIVED_MAX)
        return NULL;
    copy = arena_new(b->arena, struct conf_node);
    *copy = *node;
    copy->next = copy->first = copy->last = NULL;
    copy->n = 0;
    if (node->kind == CONF_SCALAR && says_host(node)) {
        copy->text = conf_replace(b, node->text, STR("@HOST@"), host->name);
        copy->text = conf_replace(
                b, copy->text, STR("@HOST_URL_ENCODE@"), url_encode(b, host->name));
    }
    if (node->key) {
        copy->key = copy_for(b, node->key, host);
        if (!copy->key)
            return NULL;
    }
    conf_node_for(c, node)
    {
        child = copy_for(b, c, host);
        if (!child)
            return NULL;
        conf_node_add(copy, child);
    }
    return copy;
}

int
conf_personalise_modules(struct conf_binder *b, struct conf_host *host)
{
    struct conf_module *own = NULL;
    size_t size = host->n_modules * sizeof *own;

    for (size_t i = 0; i < host->n_modules; i++) {
        if (!says_host(host->modules[i].options))
            continue;
        if (!own) {
            own = arena_alloc(b->arena, size);
            memcpy(own, host->modules, size);
        }
        own[i].options = copy_for(b, host->modules[i].options, host);
        if (!own[i].options) {
            b->quiet = false;
            conf_say(b, CONF_ERROR, host->modules[i].options->pos,
                    "use fewer hosts or fewer options with @HOST@",
                    "the options of all hosts together are too many");
            return -EINVAL;
        }
        bind_rules(b, &own[i]);
    }
    if (own)
        host->modules = own;
    return 0;
}

const struct conf_module *
conf_module_in(const struct conf_host *host, const struct conf_option *def)
{
    for (size_t i = 0; i < host->n_modules; i++)
        if (host->modules[i].def == def)
            return &host->modules[i];
    return NULL;
}

const struct conf_module *
conf_module_find(const struct conf_host *host, struct str name)
{
    struct conf_module wanted = { .name = name };

    return host->n_modules ? bsearch(&wanted, host->modules, host->n_modules,
                                     sizeof wanted, cmp_modules)
                           : NULL;
}

const struct conf_node *
conf_module_node(const struct conf_module *m, const char *option)
{
    return conf_node_get(m->options, option);
}

/* Reads one option with its table's type. false: neither set nor has it a default. */
static bool
module_value(const struct conf_module *m, const char *option,
        const enum conf_type *types, void *out)
{
    const struct conf_option *o =
            conf_section_find(&conf_modules, m->def, str_from(option));
    const struct conf_node *node = conf_module_node(m, option);
    struct conf_node deflt = { .kind = CONF_SCALAR };
    struct arena scratch_arena;
    struct conf_loader loader = { .skip_files = true };
    struct conf_binder b = {
        .arena = &scratch_arena, .loader = &loader, .quiet = true
    };
    size_t i = 0;
    bool ok;

    assert(o);
    while (types[i] != o->type && types[i] != CONF_TYPES)
        i++;
    assert(types[i] == o->type);
    if (!node) {
        if (!o->deflt)
            return false;
        deflt.text = str_from(o->deflt);
        node = &deflt;
    }
    arena_init(&scratch_arena, 256);
    ok = conf_value(&b, o, "", node, out) == 0;
    arena_fini(&scratch_arena);
    return ok;
}

bool
conf_module_bool(const struct conf_module *m, const char *option)
{
    static const enum conf_type types[] = { CONF_T_BOOL, CONF_TYPES };
    bool ret = false;

    module_value(m, option, types, &ret);
    return ret;
}

uint64_t
conf_module_number(const struct conf_module *m, const char *option)
{
    static const enum conf_type narrow[] = { CONF_T_INT, CONF_T_POS, CONF_T_NAT,
        CONF_T_PORT, CONF_T_OCTAL, CONF_TYPES };
    static const enum conf_type wide[] = { CONF_T_POS_INF, CONF_T_NAT_INF, CONF_TYPES };
    const struct conf_option *o =
            conf_section_find(&conf_modules, m->def, str_from(option));
    uint64_t ret = 0;
    uint32_t ret32 = 0;

    assert(o);
    if (o->type == CONF_T_POS_INF || o->type == CONF_T_NAT_INF) {
        module_value(m, option, wide, &ret);
        return ret;
    }
    module_value(m, option, narrow, &ret32);
    return ret32;
}

uint64_t
conf_module_time_ms(const struct conf_module *m, const char *option)
{
    static const enum conf_type types[] = { CONF_T_TIMEOUT, CONF_T_TIMEOUT_INF,
        CONF_T_TIMEOUT_0, CONF_T_MSEC, CONF_TYPES };
    uint64_t ret = 0;

    module_value(m, option, types, &ret);
    return ret;
}

struct str
conf_module_text(const struct conf_module *m, const char *option)
{
    const struct conf_option *o =
            conf_section_find(&conf_modules, m->def, str_from(option));
    const struct conf_node *node = conf_module_node(m, option);

    assert(o);
    if (node)
        return node->kind == CONF_SCALAR ? node->text : STR_NULL;
    return str_from(o->deflt);
}

/* The name in force, or the rule in its place. */
static struct str
access_name(const struct conf_module *m, const char *option,
        const struct conf_rule **ret_rule, struct conf_pos *ret_pos)
{
    const struct conf_option *o =
            conf_section_find(&conf_modules, m->def, str_from(option));
    const struct conf_node *node = conf_module_node(m, option);

    assert(o && is_access(o));
    if (node)
        *ret_pos = node->pos;
    for (const struct conf_module_rule *r = m->rules; r; r = r->next) {
        if (r->option != o)
            continue;
        *ret_rule = r->rule;
        return STR_NULL;
    }
    return node ? node->text : str_from(o->deflt);
}

struct conf_access
conf_module_access(const struct conf_module *m, const char *option)
{
    struct conf_access access = { 0 };

    access.name = access_name(m, option, &access.rule, &access.pos);
    return access;
}

struct conf_shaper_access
conf_module_shaper(const struct conf_module *m, const char *option)
{
    struct conf_shaper_access shaper = { 0 };

    shaper.name = access_name(m, option, &shaper.rule, &shaper.pos);
    return shaper;
}

struct conf_cache
conf_module_cache(const struct conf_host *host, const struct conf_module *m)
{
    struct conf_cache cache = host->cache;

    if (conf_module_node(m, "use_cache"))
        cache.use = conf_module_bool(m, "use_cache");
    if (conf_module_node(m, "cache_size"))
        cache.size = conf_module_number(m, "cache_size");
    if (conf_module_node(m, "cache_life_time"))
        cache.life_time_ms = conf_module_time_ms(m, "cache_life_time");
    return cache;
}
