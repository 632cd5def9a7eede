/*
 * bind.c -- from the tree to a struct conf
 *
 * Everything that the file says is checked first, where it stands, so that all errors
 * are found in one run. Then the values are taken, globally and for each host. The
 * second pass cannot fail on what the first one accepted, and says nothing.
 */
#include "conf/bind.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "conf/acl.h"

static const char *
advice_unknown(struct conf_binder *b, struct str name, bool in_host)
{
    struct conf_guess g;
    struct buf text = { 0 };
    const struct conf_option *section = NULL;
    const char *ret;

    conf_guess_init(&g, name);
    for (size_t i = 0; i < conf_options.n; i++) {
        const struct conf_option *o = &conf_options.row[i];

        if (o->row == CONF_ROW_OPTION && (o->host || !in_host))
            conf_guess_try(&g, str_from(o->name));
    }
    if (conf_table_find(&conf_modules, name, 1u << CONF_ROW_SECTION))
        buf_add_c(&text, "a module goes below `modules:`; indent it");
    for (size_t i = 0; !text.n && i < conf_listen_options.n; i++) {
        section = &conf_listen_options.row[i];
        if (section->row == CONF_ROW_SECTION &&
                conf_section_find(&conf_listen_options, section, name))
            buf_add_c(&text, "it is an option of listeners; indent it below `listen:`");
    }
    if (g.best.p && !(text.n && g.distance > 0)) {
        buf_reset(&text, 256);
        buf_addf(&text, "did you mean %.*s?", STR_ARG(g.best));
    } else if (!text.n) {
        buf_add_c(&text, "stanzad.yml(5) lists the options");
    }
    ret = str_dup_c(b->arena, buf_str(&text));
    buf_fini(&text);
    return ret;
}

static int
check_shapers(struct conf_binder *b, const struct conf_node *map)
{
    return conf_bind_shapers(b, map);
}

static int
check_rules(struct conf_binder *b, const struct conf_option *opt,
        const struct conf_node *node)
{
    struct conf_rules *ignored;

    return conf_rules_new(b, opt->type == CONF_T_ACL ? node : NULL,
            opt->type == CONF_T_ACCESS_RULES ? node : NULL,
            opt->type == CONF_T_SHAPER_RULES ? node : NULL, &ignored);
}

static int check_hosts(struct conf_binder *b, const struct conf_node *hosts);

static int
check_option(struct conf_binder *b, const struct conf_option *opt,
        const struct conf_node *node)
{
    int r;

    if (!opt->effect)
        conf_say(b, CONF_WARNING, node->key->pos, NULL, "%s has no effect yet",
                opt->name);
    switch (opt->type) {
    case CONF_T_MODULES:
        return conf_check_modules(b, node);
    case CONF_T_LISTEN:
        return conf_bind_listeners(b, node);
    case CONF_T_ACL:
    case CONF_T_ACCESS_RULES:
    case CONF_T_SHAPER_RULES:
        return check_rules(b, opt, node);
    case CONF_T_SHAPERS:
        return check_shapers(b, node);
    case CONF_T_HOST_CONFIG:
        b->in_append = str_eq_c(STR("append_host_config"), opt->name);
        r = check_hosts(b, node);
        b->in_append = false;
        return r;
    default: /* every type that is a value */
        return conf_value(b, opt, "", node, NULL);
    }
}

static int
check_map(struct conf_binder *b, const struct conf_node *map, bool in_host)
{
    int r = 0, one;

    conf_node_for(c, map)
    {
        struct str name = c->key->text;
        const struct conf_option *opt = conf_table_find(
                &conf_options, name, 1u << CONF_ROW_OPTION | 1u << CONF_ROW_GONE);

        if (!opt) {
            conf_say(b, CONF_ERROR, c->key->pos, advice_unknown(b, name, in_host),
                    "unknown option: %.*s", STR_ARG(name));
            one = -EINVAL;
        } else if (opt->row == CONF_ROW_GONE) {
            conf_say(b, CONF_WARNING, c->key->pos, opt->words,
                    "the option %s exists no more, and is ignored", opt->name);
            one = 0;
        } else if (in_host && !opt->host) {
            conf_say(b, CONF_ERROR, c->key->pos, "move it to the top level",
                    "%s is for all hosts, and cannot stand in host_config", opt->name);
            one = -EINVAL;
        } else {
            one = check_option(b, opt, c);
        }
        if (one < 0)
            r = one;
    }
    return r;
}

static int
check_hosts(struct conf_binder *b, const struct conf_node *hosts)
{
    int r = 0, one;

    if (hosts->kind != CONF_MAP) {
        if (hosts->kind == CONF_LIST && hosts->n == 0)
            return 0;
        conf_say(b, CONF_ERROR, hosts->pos, "write `example.org:` below it",
                "invalid value of option %.*s: expected a map of hosts",
                STR_ARG(hosts->key->text));
        return -EINVAL;
    }
    conf_node_for(h, hosts)
    {
        struct str name;

        one = 0;
        if (conf_prep(b, CONF_PREP_DOMAIN, h->key->text, &name) < 0) {
            conf_say(b, CONF_ERROR, h->key->pos, NULL, "not a valid domain: %.*s",
                    STR_ARG(h->key->text));
            one = -EINVAL;
        } else if (h->kind == CONF_MAP) {
            one = check_map(b, h, true);
        } else if (h->kind == CONF_SCALAR || h->n) {
            conf_say(b, CONF_ERROR, h->pos, "write options below it, or {}",
                    "the host %.*s has no options", STR_ARG(h->key->text));
            one = -EINVAL;
        }
        if (one < 0)
            r = one;
    }
    return r;
}

int
conf_bind_shapers(struct conf_binder *b, const struct conf_node *map)
{
    static const struct conf_option rate = {
        .name = "rate", .type = CONF_T_POS_INF, .words = ""
    };
    struct conf *conf = b->conf;
    int r = 0;

    if (map->kind != CONF_MAP) {
        conf_say(b, CONF_ERROR, map->pos, "write `normal: 10000` below it",
                "invalid value of option shaper: expected a map of shapers");
        return -EINVAL;
    }
    conf->n_shapers = 0;
    conf->shapers = arena_alloc(b->arena, (map->n + 1) * sizeof *conf->shapers);
    conf_node_for(c, map)
    {
        struct conf_shaper s = { .name = str_dup(b->arena, c->key->text) };
        const struct conf_node *speed = c, *burst = NULL;
        bool taken = conf_is_infinite(s.name) || str_eq_c(s.name, "none");

        if (c->kind == CONF_MAP) {
            speed = conf_node_get(c, "rate");
            burst = conf_node_get(c, "burst_size");
        }
        if (taken || conf_node_find(map, s.name) != c) {
            conf_say(b, CONF_ERROR, c->key->pos, "choose another name",
                    "shaper->%.*s: the name is %s", STR_ARG(s.name),
                    taken ? "predefined" : "given twice");
            r = -EINVAL;
        } else if (!speed || c->kind == CONF_LIST ||
                   (c->kind == CONF_MAP && c->n != 1u + (burst != NULL))) {
            conf_say(b, CONF_ERROR, c->pos,
                    "write bytes per second, or rate and burst_size",
                    "shaper->%.*s: expected a number or a map of rate and burst_size",
                    STR_ARG(s.name));
            r = -EINVAL;
        } else if (speed->kind == CONF_SCALAR && str_eq_c(speed->text, "none")) {
            s.rate = s.burst = CONF_INFINITY;
        } else if (conf_value(b, &rate, "shaper->", speed, &s.rate) < 0 ||
                   (burst && conf_value(b, &rate, "shaper->burst_size: ", burst,
                                     &s.burst))) {
            r = -EINVAL;
        }
        if (!burst)
            s.burst = s.rate;
        else if (s.burst == CONF_INFINITY)
            s.burst = CONF_BURST_MAX;
        conf->shapers[conf->n_shapers++] = s;
    }
    return r;
}

const struct conf_node *
conf_top(const struct conf_binder *b, const char *name)
{
    return conf_node_get(b->tree->root, name);
}

static void
take_global(struct conf_binder *b, const struct conf_option *opt)
{
    const struct conf_node *node = conf_top(b, opt->name);
    char *field = (char *)b->conf + opt->offset;

    assert(opt->size == conf_type_size(opt->type));
    conf_default(b, opt, field);
    if (node)
        conf_value(b, opt, "", node, field);
}

static void
take_globals(struct conf_binder *b)
{
    struct conf *conf = b->conf;
    struct conf_nets nets = { 0 };
    struct conf_strs fqdn = { 0 };
    const struct conf_node *node;
    struct buf path = { 0 };
    char name[256];

    for (size_t i = 0; i < conf_options.n; i++)
        if (conf_options.row[i].row == CONF_ROW_OPTION &&
                conf_options.row[i].where == CONF_IN_CONF)
            take_global(b, &conf_options.row[i]);
    node = conf_top(b, "trusted_proxies");
    if (node)
        conf_value(b,
                conf_table_find(
                        &conf_options, STR("trusted_proxies"), 1u << CONF_ROW_OPTION),
                "", node, &nets);
    conf->trusted_proxies = nets.at;
    conf->n_trusted_proxies = nets.n;
    conf->trusted_proxies_all = nets.all;
    node = conf_top(b, "fqdn");
    if (node)
        conf_value(b,
                conf_table_find(&conf_options, STR("fqdn"), 1u << CONF_ROW_OPTION), "",
                node, &fqdn);
    if (fqdn.n) {
        conf->fqdn = fqdn.at[0];
    } else {
        if (gethostname(name, sizeof name) < 0)
            strcpy(name, "localhost");
        name[sizeof name - 1] = '\0';
        conf->fqdn = str_dup(b->arena, str_from(name));
    }
    buf_addf(&path, "%.*s/stanzad.log", STR_ARG(conf->log_path));
    conf->log_file = str_dup(b->arena, buf_str(&path));
    buf_fini(&path);
    node = conf_top(b, "shaper");
    if (node)
        conf_bind_shapers(b, node);
}

/* The names of all hosts, each once. */
static int
take_hosts(struct conf_binder *b, struct conf_strs *ret)
{
    const struct conf_node *node = conf_top(b, "hosts");
    const struct conf_option *opt =
            conf_table_find(&conf_options, STR("hosts"), 1u << CONF_ROW_OPTION);
    struct conf_pos pos = b->tree->root->pos;
    struct map seen = { 0 };
    int r;

    if (!node) {
        conf_say(b, CONF_ERROR, (struct conf_pos){ pos.file, 0, 0 },
                "write `hosts: [example.org]` with your domain", "no option hosts");
        return -EINVAL;
    }
    r = conf_value(b, opt, "", node, ret);
    if (r < 0)
        return r;
    if (ret->n == 0 || ret->n > CONF_HOSTS_MAX) {
        conf_say(b, CONF_ERROR, node->pos, NULL, "hosts must name 1 to %d domains",
                CONF_HOSTS_MAX);
        return -EINVAL;
    }
    for (size_t i = 0; i < ret->n; i++)
        if (map_set(&seen, ret->at[i], ret)) {
            conf_say(b, CONF_ERROR, node->pos, "remove one of the two",
                    "hosts: %.*s is given twice", STR_ARG(ret->at[i]));
            r = -EINVAL;
        }
    map_fini(&seen);
    return r;
}

static void
index_end(void *arg)
{
    map_fini(arg);
}

int
conf_bind(struct conf_binder *b)
{
    struct conf_strs names = { 0 };
    const struct conf_node *listen;
    int r, one;

    b->conf->host_index = arena_new(b->arena, struct map);
    arena_on_end(b->arena, index_end, b->conf->host_index);
    r = take_hosts(b, &names);
    b->host_names = names;
    one = check_map(b, b->tree->root, false);
    if (r < 0 || one < 0)
        return -EINVAL;
    b->quiet = true;
    take_globals(b);
    listen = conf_top(b, "listen");
    if (listen)
        conf_bind_listeners(b, listen);
    r = conf_bind_hosts(b, &names);
    b->quiet = false;
    return r == 0 ? conf_judge(b) : r;
}
