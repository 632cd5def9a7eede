/*
 * conf_access.c -- rules of a configuration: who may, and how fast
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/rig/conf.h"

static void
test_access_of_modules(void **state)
{
    struct conf *conf = load(
            H "acl: {admin: {user: root}}\n"
              "access_rules: {x: {allow: admin}}\n"
              "modules:\n"
              "  mod_mam: {access_preferences: x}\n"
              "  mod_muc: {host: 'm.@HOST@', access: [deny: {user: eve}, allow: all]}\n"
              "  mod_offline: {access_max_user_messages: {5: admin, 2: all}}\n");
    static const struct {
        const char *user;
        bool prefs, muc, create;
        unsigned offline;
    } users[] = {
        { "root", true, true, true, 5 },
        { "eve", false, false, true, 2 },
        { "bob", false, true, true, 2 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(users) * conf->n_hosts; i++) {
        const struct conf_host *host = &conf->hosts[i % conf->n_hosts];
        const struct conf_module *mam = conf_module_find(host, STR("mod_mam")),
                                 *muc = conf_module_find(host, STR("mod_muc")),
                                 *off = conf_module_find(host, STR("mod_offline"));
        struct conf_access prefs = conf_module_access(mam, "access_preferences"),
                           access = conf_module_access(muc, "access"),
                           create = conf_module_access(muc, "access_create");
        struct conf_shaper_access most =
                conf_module_shaper(off, "access_max_user_messages");
        struct conf_subject who = { .user = str_from(users[i / conf->n_hosts].user),
            .server = host->name };

        if (conf_access_allows(host, &prefs, &who) != users[i / 2].prefs ||
                conf_access_allows(host, &access, &who) != users[i / 2].muc ||
                conf_access_allows(host, &create, &who) != users[i / 2].create ||
                conf_shaper_pick(host, &most, &who).number != users[i / 2].offline)
            fail_msg("%s at %.*s", users[i / 2].user, STR_ARG(host->name));
    }
    conf_free(&conf);
}

struct access_case {
    const char *user, *server, *resource, *ip;
    const char *allowed; /* names of the rules that allow, in order, blank separated */
};

static const char rules[] =
        H "acl:\n"
          "  admin: {user: [Root, 'op@b.example', {boss: c.example}]}\n"
          "  bots: {user_regexp: '^bot[0-9]+$'}\n"
          "  local: {user_regexp: ''}\n"
          "  far: [server: x.example, {server_regexp: '\\.far$'}]\n"
          "  nodes: {node_regexp: '^n@^y'}\n"
          "  globs: {user_glob: 'g*', server_glob: ['*.glob', '!*.*']}\n"
          "  res: {resource: Phone, resource_regexp: '^tab'}\n"
          "  lan: {ip: [10.0.0.0/8, '2001:db8::/33', 192.0.2.1]}\n"
          "access_rules:\n"
          "  admin: {allow: admin}\n"
          "  notbots: {deny: bots, allow: local}\n"
          "  far: {allow: far}\n"
          "  nodes: [allow: nodes]\n"
          "  globs: [{allow: globs}]\n"
          "  res: {allow: res}\n"
          "  lan: {allow: lan}\n"
          "  both: {allow: {acl: admin, ip: 10.0.0.0/8}}\n"
          "  all2: {allow: [{acl: lan}, {user: any}]}\n"
          "  everyone: allow\n"
          "  nobody: deny\n"
          "  unknown: {allow: missing}\n";

static const struct access_case accesses[] = {
    { "root", "a.example", NULL, NULL, "admin notbots everyone" },
    { "root", "b.example", NULL, "10.1.1.1", "admin notbots lan both everyone" },
    { "root", "evil.example", NULL, NULL, "everyone" },
    { "op", "b.example", NULL, NULL, "admin notbots everyone" },
    { "op", "a.example", NULL, NULL, "notbots everyone" },
    { "boss", "c.example", NULL, NULL, "admin everyone" },
    { "boss", "a.example", NULL, NULL, "notbots everyone" },
    { "bot1", "a.example", NULL, NULL, "everyone" },
    { "xbot1", "a.example", NULL, NULL, "notbots everyone" },
    { NULL, "x.example", NULL, NULL, "far everyone" },
    { NULL, "so.far", NULL, NULL, "far everyone" },
    { NULL, "so.farther", NULL, NULL, "everyone" },
    { "n", "y", NULL, NULL, "nodes globs everyone" },
    { "n", "z.y", NULL, NULL, "everyone" },
    { "gus", "a.example", NULL, NULL, "notbots globs everyone" },
    { "gus", "z.example", NULL, NULL, "everyone" },
    { NULL, "x.glob", NULL, NULL, "globs everyone" },
    { "u", "z.example", "Phone", NULL, "res everyone" },
    { "u", "z.example", "phone", NULL, "everyone" },
    { "u", "z.example", "tablet", NULL, "res everyone" },
    { "u", "z.example", NULL, "10.255.0.1", "lan everyone" },
    { "u", "z.example", NULL, "11.0.0.1", "everyone" },
    { "u", "z.example", NULL, "::ffff:10.0.0.1", "lan everyone" },
    { "u", "z.example", NULL, "2001:db8:7fff::1", "lan everyone" },
    { "u", "z.example", NULL, "2001:db8:8000::1", "everyone" },
    { "u", "z.example", NULL, "192.0.2.1", "lan everyone" },
    { "u", "z.example", NULL, "192.0.2.2", "everyone" },
    { "any", "a.example", NULL, "10.0.0.1", "notbots lan all2 everyone" },
    { NULL, NULL, NULL, NULL, "everyone" },
};

static void
test_access(void **state)
{
    static const char *const names[] = { "admin", "notbots", "far", "nodes", "globs",
        "res", "lan", "both", "all2", "everyone", "nobody", "unknown", "undefined" };
    struct conf *conf = load(rules);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
        const struct access_case *c = &accesses[i];
        struct sockaddr_in in = { .sin_family = AF_INET };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
        struct conf_subject who = { str_from(c->user), str_from(c->server),
            str_from(c->resource), NULL };
        struct buf got = { 0 };

        if (c->ip && inet_pton(AF_INET, c->ip, &in.sin_addr) == 1)
            who.ip = (struct sockaddr *)&in;
        else if (c->ip && inet_pton(AF_INET6, c->ip, &in6.sin6_addr) == 1)
            who.ip = (struct sockaddr *)&in6;
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            if (conf_access(&conf->hosts[0], str_from(names[k]), &who))
                buf_addf(&got, "%s%s", got.n ? " " : "", names[k]);
        if (!str_eq_c(buf_str(&got), c->allowed))
            fail_msg("%s@%s/%s %s: %s, not %s", c->user, c->server, c->resource, c->ip,
                    buf_c(&got), c->allowed);
        buf_fini(&got);
    }
    assert_true(conf_access(&conf->hosts[0], STR("all"), &(struct conf_subject){ 0 }));
    assert_false(
            conf_access(&conf->hosts[0], STR("none"), &(struct conf_subject){ 0 }));
    conf_free(&conf);
}

static void
test_shaper_rules(void **state)
{
    struct conf *conf = load(H "acl: {admin: {user: root}, slow: {user: snail}}\n"
                               "shaper: {normal: 1000, open: none}\n"
                               "shaper_rules:\n"
                               "  max_user_sessions: 10\n"
                               "  offline: {5000: admin, 100: all}\n"
                               "  c2s: [{none: admin}, {normal: slow}]\n"
                               "  s2s: normal\n"
                               "  wide: open\n"
                               "  inf: infinity\n"
                               "  bad: nosuch\n");
    static const struct {
        const char *rule, *user;
        enum conf_shaping kind;
        uint64_t number;
    } wanted[] = {
        { "max_user_sessions", "x", CONF_SHAPING_NUMBER, 10 },
        { "offline", "root", CONF_SHAPING_NUMBER, 5000 },
        { "offline", "x", CONF_SHAPING_NUMBER, 100 },
        { "c2s", "root", CONF_SHAPING_NONE, 0 },
        { "c2s", "snail", CONF_SHAPING_SHAPER, 1000 },
        { "c2s", "x", CONF_SHAPING_NONE, 0 },
        { "s2s", "x", CONF_SHAPING_SHAPER, 1000 },
        { "wide", "x", CONF_SHAPING_NONE, 0 },
        { "inf", "x", CONF_SHAPING_NONE, 0 },
        { "bad", "x", CONF_SHAPING_NONE, 0 },
        { "undefined", "x", CONF_SHAPING_NONE, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        struct conf_subject who = { .user = str_from(wanted[i].user),
            .server = STR("a.example") };
        struct conf_shaper_pick got =
                conf_shaper_rule(&conf->hosts[0], str_from(wanted[i].rule), &who);
        uint64_t n = got.kind == CONF_SHAPING_SHAPER ? got.shaper->rate : got.number;

        if (got.kind != wanted[i].kind || n != wanted[i].number)
            fail_msg("%s for %s", wanted[i].rule, wanted[i].user);
    }
    assert_true(conf_shaper_rule_exists(&conf->hosts[0], STR("max_user_sessions")));
    assert_false(conf_shaper_rule_exists(&conf->hosts[0], STR("undefined")));
    conf_free(&conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access_of_modules),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_shaper_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
