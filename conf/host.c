/*
 * host.c -- the options of one host
 *
 * A host has the global options with host_config and append_host_config on top. Hosts
 * about which nothing is said share what one template holds, but for the few values
 * that have the host's name in them.
 */
#include <assert.h>
#include <errno.h>

#include "base/hash.h"
#include "base/mem.h"
#include "conf/acl.h"
#include "conf/bind.h"

/* What host_config and append_host_config say about one host. */
struct overrides {
    const struct conf_node *replace, *append;
};

static const struct conf_node *
effective(
        struct conf_binder *b, const struct overrides *o, const struct conf_option *opt)
{
    const struct conf_node *global = conf_top(b, opt->name), *node = NULL;
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
    else
        host->wants_password_types = (host->auth_stored_password_types &
                                      (host->auth_stored_password_types - 1)) != 0;
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
    if (conf_top(b, multihost->name))
        conf_value(b, multihost, "", conf_top(b, multihost->name), &sql->multihost);
    if (conf_top(b, update->name))
        conf_value(b, update, "", conf_top(b, update->name), &sql->update_schema);
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
        host->sql.database = conf_replace(b, host->sql.database, STR("@HOST@"), name);
    if (host->sql.type == CONF_SQL_SQLITE)
        host->sql.database = conf_absolute(b, host->sql.database);
}

/* host_config by prepared name, so that it is found however it was written. */
static void
collect_overrides(
        struct conf_binder *b, const char *option, struct map *overrides, bool append)
{
    const struct conf_node *hosts = conf_top(b, option);

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

int
conf_bind_hosts(struct conf_binder *b, const struct conf_strs *names)
{
    struct conf *conf = b->conf;
    struct map overrides = { 0 };
    const struct overrides none = { 0 };
    struct conf_host *template = arena_new(b->arena, struct conf_host);
    int r;

    conf->hosts = arena_zalloc(b->arena, names->n * sizeof *conf->hosts);
    conf->n_hosts = names->n;
    for (size_t i = 0; i < names->n; i++) {
        conf->hosts[i].name = names->at[i];
        map_set(conf->host_index, names->at[i], &conf->hosts[i]);
    }
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
