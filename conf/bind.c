/*
 * bind.c -- from the tree to a struct conf
 *
 * Everything that the file says is checked first, where it stands, so that all errors
 * are found in one run. Then the values are taken: for each host the global ones with
 * host_config and append_host_config on top. Hosts without any of their own share what
 * one template holds. The second pass cannot fail on what the first one accepted, and
 * says nothing.
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
        conf->shapers[conf->n_shapers++] = s;
    }
    return r;
}

static const struct conf_node *
top(const struct conf_binder *b, const char *name)
{
    return conf_node_get(b->tree->root, name);
}

static void
take_global(struct conf_binder *b, const struct conf_option *opt)
{
    const struct conf_node *node = top(b, opt->name);
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
    node = top(b, "trusted_proxies");
    if (node)
        conf_value(b,
                conf_table_find(
                        &conf_options, STR("trusted_proxies"), 1u << CONF_ROW_OPTION),
                "", node, &nets);
    conf->trusted_proxies = nets.at;
    conf->n_trusted_proxies = nets.n;
    conf->trusted_proxies_all = nets.all;
    node = top(b, "fqdn");
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
    node = top(b, "shaper");
    if (node)
        conf_bind_shapers(b, node);
}

/* What host_config and append_host_config say about one host. */
struct overrides {
    const struct conf_node *replace, *append;
};

static const struct conf_node *
effective(
        struct conf_binder *b, const struct overrides *o, const struct conf_option *opt)
{
    const struct conf_node *global = top(b, opt->name), *node = NULL;
    bool named = opt->type == CONF_T_ACL || opt->type == CONF_T_ACCESS_RULES ||
                 opt->type == CONF_T_SHAPER_RULES;

    if (o->replace)
        node = conf_node_get(o->replace, opt->name);
    if (named)
        node = conf_overlay(b, global, node);
    else if (!node)
        node = global;
    return o->append ? conf_append(
                               b, opt->type, node, conf_node_get(o->append, opt->name))
                     : node;
}

static const struct conf_node *
effective_named(struct conf_binder *b, const struct overrides *o, const char *name)
{
    return effective(b, o,
            conf_table_find(&conf_options, str_from(name), 1u << CONF_ROW_OPTION));
}

static void
take_auth_methods(
        struct conf_binder *b, const struct overrides *o, struct conf_host *host)
{
    const struct conf_option *opt =
            conf_table_find(&conf_options, STR("auth_method"), 1u << CONF_ROW_OPTION);
    const struct conf_node *node = effective(b, o, opt);
    uint32_t methods = 0;

    if (node)
        conf_value(b, opt, "", node, &methods);
    if (!methods)
        methods = host->default_db == CONF_DB_SQL ? CONF_AUTH_SQL + 1
                                                  : CONF_AUTH_MNESIA + 1;
    host->n_auth_methods = 0;
    for (; methods && host->n_auth_methods < ARRAY_LEN(host->auth_method);
            methods >>= 4)
        host->auth_method[host->n_auth_methods++] =
                (enum conf_auth_method)((methods & 15) - 1);
}

/*
 * ejabberd stores clear text when nothing is said, and so offers every mechanism, which
 * clients remember (an account that offered SCRAM-SHA-512 once must go on). We keep
 * keys of every hash instead.
 */
static void
take_password_types(
        struct conf_binder *b, const struct overrides *o, struct conf_host *host)
{
    if (!effective_named(b, o, "auth_password_format") &&
            !effective_named(b, o, "auth_scram_hash") &&
            !effective_named(b, o, "auth_stored_password_types"))
        host->auth_stored_password_types = CONF_STORE_SCRAM_SHA1 |
                                           CONF_STORE_SCRAM_SHA256 |
                                           CONF_STORE_SCRAM_SHA512;
}

static void
take_sql(struct conf_binder *b, struct conf_host *host)
{
    static const uint32_t ports[] = { [CONF_SQL_MSSQL] = 1433,
        [CONF_SQL_MYSQL] = 3306,
        [CONF_SQL_ODBC] = 0,
        [CONF_SQL_PGSQL] = 5432,
        [CONF_SQL_SQLITE] = 0 };
    const struct conf_option *multihost = conf_table_find(
            &conf_options, STR("sql_schema_multihost"), 1u << CONF_ROW_OPTION);
    const struct conf_option *update = conf_table_find(
            &conf_options, STR("update_sql_schema"), 1u << CONF_ROW_OPTION);
    struct conf_sql *sql = &host->sql;

    conf_default(b, multihost, &sql->multihost);
    conf_default(b, update, &sql->update_schema);
    if (top(b, multihost->name))
        conf_value(b, multihost, "", top(b, multihost->name), &sql->multihost);
    if (top(b, update->name))
        conf_value(b, update, "", top(b, update->name), &sql->update_schema);
    if (!sql->port)
        sql->port = ports[sql->type];
    if (!sql->pool_size)
        sql->pool_size = sql->type == CONF_SQL_SQLITE ? 1 : 10;
}

static int
bind_host(struct conf_binder *b, const struct overrides *o, struct conf_host *host)
{
    struct conf_rules *rules;

    for (size_t i = 0; i < conf_options.n; i++) {
        const struct conf_option *opt = &conf_options.row[i];
        const struct conf_node *node;
        char *field = (char *)host + opt->offset;

        if (opt->row != CONF_ROW_OPTION || opt->where != CONF_IN_HOST)
            continue;
        assert(opt->size == conf_type_size(opt->type));
        node = effective(b, o, opt);
        conf_default(b, opt, field);
        if (node)
            conf_value(b, opt, "", node, field);
    }
    if ((int)host->resource_conflict > CONF_CONFLICT_CLOSENEW)
        host->resource_conflict = CONF_CONFLICT_CLOSEOLD; /* acceptnew */
    host->c2s_tls.has_protocol_options = true;
    take_auth_methods(b, o, host);
    take_password_types(b, o, host);
    take_sql(b, host);
    conf_rules_new(b, effective_named(b, o, "acl"),
            effective_named(b, o, "access_rules"),
            effective_named(b, o, "shaper_rules"), &rules);
    host->rules = rules;
    return conf_bind_modules(b, host, effective_named(b, o, "modules"));
}

/* Text with @HOST@ in it, for one host. */
static struct str
with_host(struct conf_binder *b, struct str text, struct str host)
{
    struct str mark = STR("@HOST@"), ret;
    struct buf out = { 0 };
    size_t i = 0;

    while (i < text.n) {
        if (str_starts((struct str){ text.p + i, text.n - i }, mark)) {
            buf_add_str(&out, host);
            i += mark.n;
        } else {
            buf_add_char(&out, text.p[i++]);
        }
    }
    ret = str_dup(b->arena, buf_str(&out));
    buf_fini(&out);
    return ret;
}

/* What differs between hosts even when nothing is said about them. */
static void
personalise(struct conf_binder *b, struct conf_host *host, struct str name)
{
    struct str dir = b->conf->database_path;
    struct buf path = { 0 };
    struct str file;

    host->conf = b->conf;
    host->name = name;
    buf_addf(&path, "%.*s/sqlite/%.*s.sqlite", STR_ARG(dir), STR_ARG(name));
    file = str_dup(b->arena, buf_str(&path));
    buf_fini(&path);
    host->embedded = (struct conf_sql){ .type = CONF_SQL_SQLITE,
        .database = file,
        .pool_size = 1,
        .connect_timeout_ms = host->sql.connect_timeout_ms,
        .query_timeout_ms = host->sql.query_timeout_ms,
        .start_interval_ms = host->sql.start_interval_ms,
        .update_schema_timeout_ms = host->sql.update_schema_timeout_ms,
        .prepared_statements = true,
        .multihost = host->sql.multihost,
        .update_schema = host->sql.update_schema };
    if (!host->sql.database.p)
        host->sql.database = host->sql.type == CONF_SQL_SQLITE
                                     ? file
                                     : str_dup(b->arena, STR("ejabberd"));
    else
        host->sql.database = with_host(b, host->sql.database, name);
    if (host->sql.type == CONF_SQL_SQLITE)
        host->sql.database = conf_absolute(b, host->sql.database);
}

static void
index_end(void *arg)
{
    map_fini(arg);
}

/* host_config by prepared name, so that it is found however it was written. */
static void
collect_overrides(
        struct conf_binder *b, const char *option, struct map *overrides, bool append)
{
    const struct conf_node *hosts = top(b, option);

    conf_node_for(h, hosts)
    {
        struct overrides *o;
        struct str name;

        if (h->kind != CONF_MAP ||
                conf_prep(b, CONF_PREP_DOMAIN, h->key->text, &name) < 0)
            continue;
        if (!map_get(b->conf->host_index, name)) {
            b->quiet = false;
            conf_say(b, CONF_WARNING, h->key->pos, "add it to hosts, or remove this",
                    "%s: %.*s is not one of our hosts, and is ignored", option,
                    STR_ARG(name));
            b->quiet = true;
            continue;
        }
        o = map_get(overrides, name);
        if (!o) {
            o = arena_new(b->arena, struct overrides);
            map_set(overrides, name, o);
        }
        if (append)
            o->append = h;
        else
            o->replace = h;
    }
}

static int
bind_hosts(struct conf_binder *b, const struct conf_strs *names)
{
    struct conf *conf = b->conf;
    struct map overrides = { 0 };
    const struct overrides none = { 0 };
    struct conf_host *template = arena_new(b->arena, struct conf_host);
    int r;

    conf->hosts = arena_zalloc(b->arena, names->n * sizeof *conf->hosts);
    conf->n_hosts = names->n;
    for (size_t i = 0; i < names->n; i++)
        map_set(conf->host_index, names->at[i], &conf->hosts[i]);
    collect_overrides(b, "host_config", &overrides, false);
    collect_overrides(b, "append_host_config", &overrides, true);
    template->conf = conf;
    r = bind_host(b, &none, template);
    for (size_t i = 0; i < names->n && r == 0; i++) {
        struct conf_host *host = &conf->hosts[i];
        const struct overrides *o = map_get(&overrides, names->at[i]);

        if (o)
            r = bind_host(b, o, host);
        else
            *host = *template;
        if (r == 0) {
            personalise(b, host, names->at[i]);
            r = conf_personalise_modules(b, host);
        }
    }
    map_fini(&overrides);
    return r;
}

/* The names of all hosts, each once. */
static int
take_hosts(struct conf_binder *b, struct conf_strs *ret)
{
    const struct conf_node *node = top(b, "hosts");
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
    listen = top(b, "listen");
    if (listen)
        conf_bind_listeners(b, listen);
    r = bind_hosts(b, &names);
    b->quiet = false;
    return r == 0 ? conf_judge(b) : r;
}
