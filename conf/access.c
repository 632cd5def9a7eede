/*
 * access.c -- who may do what: access control lists and rules evaluated
 *
 * A user without a server in a condition means a user of any of our own hosts, so that
 * `user: admin` does not let in admin@evil.example. What is not known of a subject
 * matches nothing.
 */
#include <fnmatch.h>
#include <stdio.h>

#include "conf/acl.h"
#include "conf/bind.h"

static bool
re_matches(const regex_t *re, struct str text)
{
    char c[1024];

    if (!text.p || text.n >= sizeof c)
        return false;
    memcpy(c, text.p, text.n);
    c[text.n] = '\0';
    return !re || regexec(re, c, 0, NULL, 0) == 0;
}

static bool
glob_matches(struct str pattern, struct str text)
{
    bool negated = pattern.n > 0 && pattern.p[0] == '!';
    char c[1024];

    if (!text.p || text.n >= sizeof c)
        return false;
    memcpy(c, text.p, text.n);
    c[text.n] = '\0';
    return (fnmatch(pattern.p + negated, c, 0) == 0) != negated;
}

/* The server part of a USER* condition. */
static bool
server_matches(const struct conf *conf, const struct conf_cond *c, struct str server)
{
    if (!server.p)
        return false;
    return c->server.p ? str_eq(c->server, server)
                       : conf_host_find(conf, server) != NULL;
}

static bool
cond_holds(const struct conf_host *host, const struct conf_cond *c,
        const struct conf_subject *who)
{
    switch (c->kind) {
    case CONF_COND_ACL:
        return conf_acl_match(host, c->text, who);
    case CONF_COND_USER:
        return who->user.n && str_eq(c->text, who->user) &&
               server_matches(host->conf, c, who->server);
    case CONF_COND_SERVER:
        return who->server.n && str_eq(c->text, who->server);
    case CONF_COND_RESOURCE:
        return who->resource.n && str_eq(c->text, who->resource);
    case CONF_COND_USER_RE:
        return server_matches(host->conf, c, who->server) && who->user.n &&
               re_matches(c->re, who->user);
    case CONF_COND_SERVER_RE:
        return re_matches(c->re, who->server);
    case CONF_COND_RESOURCE_RE:
        return re_matches(c->re, who->resource);
    case CONF_COND_NODE_RE:
        return re_matches(c->re, who->user) && re_matches(c->server_re, who->server);
    case CONF_COND_USER_GLOB:
        return server_matches(host->conf, c, who->server) && who->user.n &&
               glob_matches(c->text, who->user);
    case CONF_COND_SERVER_GLOB:
        return glob_matches(c->text, who->server);
    case CONF_COND_RESOURCE_GLOB:
        return glob_matches(c->text, who->resource);
    case CONF_COND_NODE_GLOB:
        return glob_matches(c->text, who->user) && glob_matches(c->server, who->server);
    case CONF_COND_SHARED_GROUP:
        return false;
    case CONF_COND_IP:
        return conf_net_has(&c->net, who->ip);
    }
    return false;
}

static bool
any_holds(const struct conf_host *host, const struct conf_any *any,
        const struct conf_subject *who)
{
    for (size_t i = 0; i < any->n; i++)
        if (cond_holds(host, &any->cond[i], who))
            return true;
    return false;
}

static const struct conf_entry *
rule_pick(const struct conf_host *host, const struct conf_rule *rule,
        const struct conf_subject *who)
{
    for (size_t i = 0; i < rule->n; i++) {
        const struct conf_entry *e = &rule->entry[i];
        size_t held = 0;

        while (held < e->n && any_holds(host, &e->all[held], who))
            held++;
        if (held == e->n)
            return e;
    }
    return NULL;
}

const struct conf_acl *
conf_rules_acl(const struct conf_rules *rules, struct str name)
{
    for (size_t i = 0; i < rules->n_acls; i++)
        if (str_eq(rules->acl[i].name, name))
            return &rules->acl[i];
    return NULL;
}

static const struct conf_rule *
find_rule(const struct conf_rule *rules, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(rules[i].name, name))
            return &rules[i];
    return NULL;
}

const struct conf_rule *
conf_rules_access(const struct conf_rules *rules, struct str name)
{
    return find_rule(rules->access, rules->n_access, name);
}

const struct conf_rule *
conf_rules_shaper(const struct conf_rules *rules, struct str name)
{
    return find_rule(rules->shaper, rules->n_shapers, name);
}

bool
conf_acl_match(
        const struct conf_host *host, struct str acl, const struct conf_subject *who)
{
    const struct conf_acl *a;

    if (str_eq_c(acl, "all"))
        return true;
    if (str_eq_c(acl, "none"))
        return false;
    a = conf_rules_acl(host->rules, acl);
    return a && any_holds(host, &a->any, who);
}

static bool
rule_allows(const struct conf_host *host, const struct conf_rule *rule,
        const struct conf_subject *who)
{
    const struct conf_entry *e = rule ? rule_pick(host, rule, who) : NULL;

    return e && e->verdict == CONF_VERDICT_ALLOW;
}

bool
conf_access(
        const struct conf_host *host, struct str rule, const struct conf_subject *who)
{
    if (str_eq_c(rule, "all"))
        return true;
    if (str_eq_c(rule, "none"))
        return false;
    return rule_allows(host, conf_rules_access(host->rules, rule), who);
}

bool
conf_access_allows(const struct conf_host *host, const struct conf_access *access,
        const struct conf_subject *who)
{
    if (access->name.p)
        return conf_access(host, access->name, who);
    return rule_allows(host, access->rule, who);
}

bool
conf_shaper_rule_exists(const struct conf_host *host, struct str rule)
{
    return conf_rules_shaper(host->rules, rule) != NULL;
}

static struct conf_shaper_pick
pick(const struct conf_host *host, const struct conf_rule *rule,
        const struct conf_subject *who)
{
    struct conf_shaper_pick ret = { .kind = CONF_SHAPING_NONE };
    const struct conf_entry *e = rule ? rule_pick(host, rule, who) : NULL;

    if (!e)
        return ret;
    if (e->verdict == CONF_VERDICT_NUMBER) {
        ret.kind = CONF_SHAPING_NUMBER;
        ret.number = e->number;
    } else if (e->verdict == CONF_VERDICT_SHAPER) {
        ret.shaper = conf_shaper_find(host->conf, e->shaper);
        if (ret.shaper && ret.shaper->rate != CONF_INFINITY)
            ret.kind = CONF_SHAPING_SHAPER;
    }
    return ret;
}

struct conf_shaper_pick
conf_shaper_rule(
        const struct conf_host *host, struct str rule, const struct conf_subject *who)
{
    return pick(host, conf_rules_shaper(host->rules, rule), who);
}

struct conf_shaper_pick
conf_shaper_pick(const struct conf_host *host, const struct conf_shaper_access *shaper,
        const struct conf_subject *who)
{
    if (shaper->name.p)
        return conf_shaper_rule(host, shaper->name, who);
    return pick(host, shaper->rule, who);
}

const struct conf_shaper *
conf_shaper_find(const struct conf *conf, struct str name)
{
    for (size_t i = 0; i < conf->n_shapers; i++)
        if (str_eq(conf->shapers[i].name, name))
            return &conf->shapers[i];
    return NULL;
}

bool
conf_is_trusted_proxy(const struct conf *conf, const struct sockaddr *ip)
{
    if (conf->trusted_proxies_all)
        return true;
    for (size_t i = 0; i < conf->n_trusted_proxies; i++)
        if (conf_net_has(&conf->trusted_proxies[i], ip))
            return true;
    return false;
}
