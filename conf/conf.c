/*
 * conf.c -- loading a configuration, and looking things up in one
 *
 * The stages: YAML, includes, macros, duplicates, keywords, binding. One that finds
 * errors is the last one, because those after it would only find consequences.
 */
#include "conf/conf.h"

#include <errno.h>

#include "base/hash.h"
#include "base/mem.h"
#include "conf/bind.h"
#include "conf/yaml.h"

enum {
    FEW_HOSTS = 8 /* are compared faster than a name is hashed */
};

static struct str
text_or(struct arena *conf_arena, const char *text, const char *deflt)
{
    return str_dup(conf_arena, str_from(text ? text : deflt));
}

static struct conf *
conf_new(const struct conf_loader *loader, const char *path)
{
    struct conf *conf = mem_zalloc(sizeof *conf);
    struct arena *a = &conf->arena;

    arena_init(a, 16384);
    conf->tree = arena_new(a, struct conf_tree);
    conf->home = text_or(a, loader->home, "/var/lib/stanzad");
    conf->database_path = text_or(a, loader->database_path, conf->home.p);
    conf->log_path = text_or(a, loader->log_path, "/var/log/stanzad");
    conf->version = text_or(a, loader->version, STANZAD_VERSION);
    conf->path = text_or(a, path, "");
    return conf;
}

/* yaml.p == NULL: read the file. */
static int
load(const char *path, struct str yaml, const struct conf_loader *loader,
        struct conf_report *report, struct conf **ret_conf)
{
    static const struct conf_loader no_loader = { 0 };
    struct conf *conf = conf_new(loader ? loader : &no_loader, path);
    struct conf_binder b = { .conf = conf,
        .arena = &conf->arena,
        .tree = conf->tree,
        .loader = loader ? loader : &no_loader,
        .report = report,
        .path = conf->path.p,
        .may_include = !yaml.p };
    size_t n_errors = report->n_errors;
    struct conf_node *root = NULL;
    int r;

    if (yaml.p) {
        conf->tree->files[conf->tree->n_files++] = b.path;
        r = conf_yaml_parse(&conf->arena, conf->tree, b.path, yaml, report, &root);
    } else {
        r = conf_yaml_read(&conf->arena, conf->tree, b.path, (struct conf_pos){ 0 },
                report, &root);
    }
    conf->tree->root = root;
    if (r == 0)
        r = conf_include(&b, root);
    if (r == 0)
        r = conf_macros(&b, root);
    if (r == 0)
        r = conf_combine(&b, root);
    if (r == 0)
        r = conf_keywords(&b, root);
    if (r == 0)
        r = conf_bind(&b);
    if (r == 0 && report->n_errors > n_errors)
        r = -EINVAL;
    if (r < 0)
        conf_free(&conf);
    else
        *ret_conf = conf;
    return r;
}

int
conf_load(const char *path, const struct conf_loader *loader,
        struct conf_report *report, struct conf **ret_conf)
{
    return load(path, STR_NULL, loader, report, ret_conf);
}

int
conf_load_text(const char *name, struct str yaml, const struct conf_loader *loader,
        struct conf_report *report, struct conf **ret_conf)
{
    return load(name, yaml.p ? yaml : STR(""), loader, report, ret_conf);
}

void
conf_free(struct conf **conf)
{
    if (!*conf)
        return;
    arena_fini(&(*conf)->arena);
    mem_free(conf);
}

const struct conf_host *
conf_host_find(const struct conf *conf, struct str name)
{
    if (conf->n_hosts > FEW_HOSTS)
        return map_get(conf->host_index, name);
    for (size_t i = 0; i < conf->n_hosts; i++) {
        if (str_eq(conf->hosts[i].name, name))
            return &conf->hosts[i];
    }
    return NULL;
}

const struct conf_sql *
conf_host_db(const struct conf_host *host, enum conf_db db)
{
    return db == CONF_DB_SQL ? &host->sql : &host->embedded;
}

const struct conf_sql *
conf_host_auth_db(const struct conf_host *host, size_t i_method)
{
    return host->auth_method[i_method] == CONF_AUTH_SQL ? &host->sql : &host->embedded;
}

bool
conf_sql_eq(const struct conf_sql *a, const struct conf_sql *b)
{
    if (a->type != b->type || !str_eq(a->database, b->database) ||
            a->multihost != b->multihost)
        return false;
    if (a->type == CONF_SQL_SQLITE)
        return true;
    return a->port == b->port && str_eq(a->server, b->server) &&
           str_eq(a->username, b->username) && str_eq(a->password, b->password) &&
           a->ssl == b->ssl && a->ssl_verify == b->ssl_verify &&
           str_eq(a->ssl_cafile, b->ssl_cafile) &&
           str_eq(a->ssl_certfile, b->ssl_certfile) && a->pool_size == b->pool_size &&
           a->connect_timeout_ms == b->connect_timeout_ms &&
           a->query_timeout_ms == b->query_timeout_ms &&
           a->start_interval_ms == b->start_interval_ms &&
           a->keepalive_interval_ms == b->keepalive_interval_ms &&
           a->prepared_statements == b->prepared_statements;
}

struct conf_tls
conf_tls_for(const struct conf_host *host, const struct conf_listener *ln)
{
    struct conf_tls tls = host->c2s_tls;
    const struct conf_tls *own = &ln->tls_settings;

    if (own->ciphers.p)
        tls.ciphers = own->ciphers;
    if (own->dhfile.p)
        tls.dhfile = own->dhfile;
    if (own->cafile.p)
        tls.cafile = own->cafile;
    else if (!tls.cafile.p)
        tls.cafile = host->conf->ca_file;
    if (own->has_protocol_options)
        tls.protocol_options = own->protocol_options;
    return tls;
}
