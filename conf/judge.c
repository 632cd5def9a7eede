/*
 * judge.c -- what only shows when everything is known
 *
 * Names that nothing defines, databases that cannot be used, TLS without a certificate.
 * What would make a server that starts and then refuses everyone is an error; what is
 * merely surprising is a warning, because files written for ejabberd must load.
 */
#include <errno.h>
#include <glob.h>

#include "base/mem.h"
#include "conf/acl.h"
#include "conf/bind.h"

static struct conf_pos
whole_file(const struct conf_binder *b)
{
    return (struct conf_pos){ b->path, 0, 0 };
}

/* Where an option of a host is said: for the host, globally, or nowhere. */
static struct conf_pos
pos_of(const struct conf_binder *b, const struct conf_host *host, const char *option)
{
    static const char *const scopes[] = { "append_host_config", "host_config" };
    const struct conf_node *node = NULL;

    for (size_t i = 0; !node && i < ARRAY_LEN(scopes); i++)
        node = conf_node_get(
                conf_node_find(conf_top(b, scopes[i]), host->name), option);
    if (!node)
        node = conf_top(b, option);
    return node ? node->pos : (struct conf_pos){ 0 };
}

static int
judge_database(struct conf_binder *b, const struct conf_host *host)
{
    static const char *const reasons[] = { "sql_type", "auth_method", "default_db",
        "hosts" };
    struct conf_pos pos = { 0 };
    bool used = host->default_db == CONF_DB_SQL, said;

    for (size_t i = 0; i < host->n_auth_methods; i++)
        used |= host->auth_method[i] == CONF_AUTH_SQL;
    if (!used || host->sql.type == CONF_SQL_PGSQL || host->sql.type == CONF_SQL_SQLITE)
        return 0;
    said = pos_of(b, host, "sql_type").line != 0;
    for (size_t i = 0; !pos.line && i < ARRAY_LEN(reasons); i++)
        pos = pos_of(b, host, reasons[i]);
    if (said)
        conf_say(b, CONF_ERROR, pos, "use pgsql or sqlite",
                "this sql_type is not supported yet");
    else
        conf_say(b, CONF_ERROR, pos, "add `sql_type: pgsql` or `sql_type: sqlite`",
                "sql is used, but sql_type is not set: it means odbc then, which is "
                "not "
                "supported yet");
    return -EINVAL;
}

static void
warn_undefined(struct conf_binder *b, struct conf_pos pos, const char *what,
        struct str name, struct conf_guess *g, const char *effect)
{
    struct buf advice = { 0 };

    if (g->best.p)
        buf_addf(&advice, "did you mean %.*s?", STR_ARG(g->best));
    conf_say(b, CONF_WARNING, pos, g->best.p ? buf_c(&advice) : NULL,
            "there is no %s %.*s: %s", what, STR_ARG(name), effect);
    buf_fini(&advice);
}

static void
judge_entry(struct conf_binder *b, const struct conf_rules *rules,
        const struct conf_entry *e)
{
    struct conf_guess g;

    for (size_t i = 0; i < e->n; i++)
        for (size_t j = 0; j < e->all[i].n; j++) {
            const struct conf_cond *c = &e->all[i].cond[j];

            if (c->kind != CONF_COND_ACL || str_eq_c(c->text, "all") ||
                    str_eq_c(c->text, "none") || conf_rules_acl(rules, c->text))
                continue;
            conf_guess_init(&g, c->text);
            for (size_t k = 0; k < rules->n_acls; k++)
                conf_guess_try(&g, rules->acl[k].name);
            warn_undefined(
                    b, c->pos, "access control list", c->text, &g, "it matches nobody");
        }
    if (e->verdict != CONF_VERDICT_SHAPER || conf_shaper_find(b->conf, e->shaper))
        return;
    conf_guess_init(&g, e->shaper);
    for (size_t k = 0; k < b->conf->n_shapers; k++)
        conf_guess_try(&g, b->conf->shapers[k].name);
    warn_undefined(b, e->pos, "shaper", e->shaper, &g, "nothing is limited");
}

static void
judge_rule(struct conf_binder *b, const struct conf_rules *rules,
        const struct conf_rule *rule)
{
    for (size_t i = 0; i < rule->n; i++)
        judge_entry(b, rules, &rule->entry[i]);
}

static void
judge_rules(struct conf_binder *b, const struct conf_rules *rules)
{
    for (size_t i = 0; i < rules->n_access; i++)
        judge_rule(b, rules, &rules->access[i]);
    for (size_t i = 0; i < rules->n_shapers; i++)
        judge_rule(b, rules, &rules->shaper[i]);
}

/* A listener serves all hosts: a rule is undefined when no host has it. */
static void
judge_listener_rules(struct conf_binder *b, const struct conf_listener *ln)
{
    const struct conf *conf = b->conf;
    struct str access = ln->access.name, shaper = ln->shaper.name;
    bool no_access = access.p && !str_eq_c(access, "all") && !str_eq_c(access, "none");
    bool no_shaper = shaper.p && !str_eq_c(shaper, "none") && !conf_is_infinite(shaper);
    struct conf_guess guess_access, guess_shaper;

    conf_guess_init(&guess_access, access);
    conf_guess_init(&guess_shaper, shaper);
    for (size_t i = 0; i < conf->n_hosts; i++) {
        const struct conf_rules *rules = conf->hosts[i].rules;

        if (i > 0 && rules == conf->hosts[i - 1].rules)
            continue;
        no_access = no_access && !conf_rules_access(rules, access);
        no_shaper = no_shaper && !conf_rules_shaper(rules, shaper);
        for (size_t k = 0; no_access && k < rules->n_access; k++)
            conf_guess_try(&guess_access, rules->access[k].name);
        for (size_t k = 0; no_shaper && k < rules->n_shapers; k++)
            conf_guess_try(&guess_shaper, rules->shaper[k].name);
    }
    if (no_access)
        warn_undefined(b, ln->access.pos, "access rule", access, &guess_access,
                "nobody can log in here");
    if (no_shaper)
        warn_undefined(b, ln->shaper.pos, "shaper rule", shaper, &guess_shaper,
                "nothing is limited");
    if (ln->access.rule)
        judge_rule(b, conf->hosts[0].rules, ln->access.rule);
    if (ln->shaper.rule)
        judge_rule(b, conf->hosts[0].rules, ln->shaper.rule);
}

static bool
is_loopback(const struct conf_listener *ln)
{
    static const struct conf_net nets[] = {
        { .addr = { [10] = 0xff, [11] = 0xff, [12] = 127 }, .prefix = 104 },
        { .addr = { [15] = 1 }, .prefix = 128 },
    };
    const struct sockaddr *sa = (const struct sockaddr *)(const void *)&ln->addr;

    return ln->unix_path.p || conf_net_has(&nets[0], sa) || conf_net_has(&nets[1], sa);
}

/* How many files certfiles names; patterns that match nothing are told. */
static size_t
count_certfiles(struct conf_binder *b)
{
    const struct conf_strs *globs = &b->conf->certfiles;
    const struct conf_node *node = conf_top(b, "certfiles");
    size_t n = 0;

    if (b->loader->skip_files)
        return globs->n;
    for (size_t i = 0; i < globs->n; i++) {
        glob_t found = { 0 };
        int e = glob(globs->at[i].p, 0, NULL, &found);

        if (e != 0)
            conf_say(b, CONF_WARNING, node->pos,
                    "check the path and the directory's mode",
                    "certfiles: no file is there as %.*s", STR_ARG(globs->at[i]));
        else
            n += found.gl_pathc;
        globfree(&found);
    }
    return n;
}

static int
judge_tls(struct conf_binder *b)
{
    const struct conf *conf = b->conf;
    size_t n = count_certfiles(b);
    int r = 0;

    for (size_t i = 0; i < conf->n_listeners; i++) {
        const struct conf_listener *ln = &conf->listeners[i];

        if (!n && (ln->tls || ln->starttls_required)) {
            conf_say(b, CONF_ERROR, ln->pos,
                    "set certfiles to the files with the certificate and its key",
                    "%.*s needs TLS, but there is no certificate", STR_ARG(ln->name));
            r = -EINVAL;
        } else if (!n && ln->starttls) {
            conf_say(b, CONF_WARNING, ln->pos,
                    "set certfiles to the files with the certificate and its key",
                    "%.*s cannot offer STARTTLS: there is no certificate",
                    STR_ARG(ln->name));
        } else if (!ln->tls && !ln->starttls_required && !is_loopback(ln)) {
            conf_say(b, CONF_WARNING, ln->pos, "add `starttls_required: true`",
                    "%.*s lets clients in without encryption", STR_ARG(ln->name));
        }
    }
    return r;
}

int
conf_judge(struct conf_binder *b)
{
    const struct conf *conf = b->conf;
    int r = 0, one;

    for (size_t i = 0; i < conf->n_hosts; i++) {
        const struct conf_host *host = &conf->hosts[i];

        one = judge_database(b, host);
        if (one < 0)
            r = one;
        if (i == 0 || host->rules != conf->hosts[i - 1].rules)
            judge_rules(b, host->rules);
    }
    for (size_t i = 0; i < conf->n_listeners; i++)
        judge_listener_rules(b, &conf->listeners[i]);
    if (conf->n_listeners == 0)
        conf_say(b, CONF_WARNING, whole_file(b),
                "add a listener with `module: ejabberd_c2s`",
                "nobody can connect: there is no listener for clients");
    one = judge_tls(b);
    return one < 0 ? one : r;
}
