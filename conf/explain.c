/*
 * explain.c -- what a configuration means, in words: `stanzad -t`
 */
#include <inttypes.h>

#include "conf/acl.h"
#include "conf/bind.h"

static void
explain_limit(FILE *out, const char *name, uint64_t n)
{
    if (n == CONF_INFINITY)
        fprintf(out, ", %s unlimited", name);
    else
        fprintf(out, ", %s %" PRIu64, name, n);
}

static void
explain_listener(const struct conf_listener *ln, FILE *out)
{
    struct str access = ln->access.name.p ? ln->access.name : STR("a rule of its own");
    struct str shaper = ln->shaper.name.p ? ln->shaper.name : STR("a rule of its own");

    fprintf(out, "listener %.*s: %.*s, %s%s%s", STR_ARG(ln->name), STR_ARG(ln->module),
            ln->tls                 ? "TLS from the first byte"
            : ln->starttls_required ? "STARTTLS required"
            : ln->starttls          ? "STARTTLS offered"
                                    : "not encrypted",
            ln->tls_verify ? ", client certificates" : "",
            ln->use_proxy_protocol ? ", PROXY protocol" : "");
    explain_limit(out, "stanzas up to", ln->max_stanza_size);
    explain_limit(out, "before log-in", ln->pre_auth_max_stanza_size);
    fprintf(out, ", access %.*s, shaper %.*s\n", STR_ARG(access), STR_ARG(shaper));
}

static void
explain_sql(const struct conf_sql *sql, FILE *out)
{
    static const char *const names[] = { [CONF_SQL_MSSQL] = "mssql",
        [CONF_SQL_MYSQL] = "mysql",
        [CONF_SQL_ODBC] = "odbc",
        [CONF_SQL_PGSQL] = "pgsql",
        [CONF_SQL_SQLITE] = "sqlite" };

    if (sql->type == CONF_SQL_SQLITE)
        fprintf(out, "sqlite %.*s", STR_ARG(sql->database));
    else
        fprintf(out, "%s %.*s@%.*s:%u/%.*s%s, %u connections", names[sql->type],
                STR_ARG(sql->username), STR_ARG(sql->server), sql->port,
                STR_ARG(sql->database), sql->ssl ? " (TLS)" : "", sql->pool_size);
    fprintf(out, "%s%s", sql->multihost ? ", one schema for all hosts" : "",
            sql->update_schema ? "" : ", the schema is not updated");
}

static void
explain_host(const struct conf_host *host, FILE *out)
{
    static const char *const hashes[] = { [CONF_SCRAM_SHA1] = "SHA-1",
        [CONF_SCRAM_SHA256] = "SHA-256",
        [CONF_SCRAM_SHA512] = "SHA-512" };

    fprintf(out, "host %.*s\n", STR_ARG(host->name));
    for (size_t i = 0; i < host->n_auth_methods; i++) {
        fprintf(out, "  accounts: ");
        explain_sql(conf_host_auth_db(host, i), out);
        fprintf(out, "\n");
    }
    fprintf(out, "  data: ");
    explain_sql(conf_host_db(host, host->default_db), out);
    fprintf(out, "\n  passwords: ");
    if (host->auth_stored_password_types)
        fprintf(out, "%s%s%s%s\n",
                host->auth_stored_password_types & CONF_STORE_PLAIN ? "clear text "
                                                                    : "",
                host->auth_stored_password_types & CONF_STORE_SCRAM_SHA1
                        ? "SCRAM-SHA-1 "
                        : "",
                host->auth_stored_password_types & CONF_STORE_SCRAM_SHA256
                        ? "SCRAM-SHA-256 "
                        : "",
                host->auth_stored_password_types & CONF_STORE_SCRAM_SHA512
                        ? "SCRAM-SHA-512"
                        : "");
    else if (host->auth_password_format == CONF_PASSWORD_PLAIN)
        fprintf(out, "clear text\n");
    else
        fprintf(out, "SCRAM-%s keys\n", hashes[host->auth_scram_hash]);
    if (host->disable_sasl_mechanisms.n) {
        fprintf(out, "  not offered:");
        for (size_t i = 0; i < host->disable_sasl_mechanisms.n; i++)
            fprintf(out, " %.*s", STR_ARG(host->disable_sasl_mechanisms.at[i]));
        fprintf(out, "\n");
    }
    fprintf(out,
            "  access control lists: %zu, access rules: %zu, shaper rules: %zu, "
            "modules: "
            "%zu\n",
            host->rules->n_acls, host->rules->n_access, host->rules->n_shapers,
            host->n_modules);
}

void
conf_explain(const struct conf *conf, FILE *out)
{
    static const char *const targets[] = { [CONF_LOG_STDERR] = "standard error",
        [CONF_LOG_FILE] = NULL,
        [CONF_LOG_SYSLOG] = "syslog" };

    for (size_t i = 0; i < conf->tree->n_files; i++)
        fprintf(out, "file %s\n", conf->tree->files[i]);
    fprintf(out, "workers: %u; log: %s, %s%s\n", conf->workers,
            log_level_name(conf->loglevel),
            conf->log_target == CONF_LOG_FILE ? conf->log_file.p
                                              : targets[conf->log_target],
            conf->log_format == CONF_LOG_JSON ? ", JSON" : "");
    for (size_t i = 0; i < conf->certfiles.n; i++)
        fprintf(out, "certificates: %.*s\n", STR_ARG(conf->certfiles.at[i]));
    for (size_t i = 0; i < conf->n_listeners; i++)
        explain_listener(&conf->listeners[i], out);
    for (size_t i = 0; i < conf->n_hosts; i++)
        explain_host(&conf->hosts[i], out);
}
