/*
 * conf_load.c -- configuration files, good and bad, and what is said about them
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"

static const struct conf_loader loader = { .home = "/h",
    .database_path = "/db",
    .log_path = "/log",
    .version = "1.2.3",
    .skip_files = true };

/* The file, and what the first problem of each severity looks like (NULL: none). */
struct load_case {
    const char *yaml, *error, *warning;
};

#define H "hosts: [a.example]\nauth_password_format: scram\n"
#define L                                                                     \
    "listen: [{port: 5222, module: ejabberd_c2s, starttls_required: true}]\n" \
    "certfiles: /x.pem\n"

static const struct load_case cases[] = {
    /* nothing wrong */
    { H L, NULL, NULL },
    { H L "loglevel: 4\n", NULL, NULL },
    { H L "loglevel: warning\n", NULL, NULL },
    { H L "language: \"de\"\n", NULL, NULL },
    { H L "negotiation_timeout: 30\n", NULL, NULL },
    { H L "negotiation_timeout: 2 Minutes\n", NULL, NULL },
    { H L "negotiation_timeout: \"90sec\"\n", NULL, NULL },
    { H L "c2s_connections_per_ip: unlimited\n", NULL, NULL },
    { H L "disable_sasl_mechanisms: digest-md5\n", NULL, NULL },
    { H L "sql_ssl: yes\n", NULL, NULL },
    { H L "sql_ssl: Off\n", NULL, NULL },
    { H L "workers: auto\n", NULL, NULL },
    { H L "define_macro: {X: de}\nlanguage: X\n", NULL, NULL },
    { H L "auth_method: [internal, sql]\nsql_type: sqlite\n", NULL, NULL },

    /* YAML */
    { "hosts: [a\n",
            "t.yml:2:1: error: this is not YAML: did not find expected ',' or "
            "']', while parsing a flow sequence; look at the indentation",
            NULL },
    { "hosts:\n\t- a\n",
            "t.yml:2:1: error: this is not YAML: found character that cannot "
            "start any token, while scanning for the next token; indent with "
            "spaces, not with tabs",
            NULL },
    { "hosts: @a\n",
            "t.yml:1:8: error: this is not YAML: found character that cannot "
            "start any token, while scanning for the next token; put the value "
            "in quotation marks",
            NULL },
    { "- a\n", "t.yml:1:1: error: the file is not a list of options", NULL },
    { "hosts: [a]\n---\nx: y\n", "t.yml:2:1: error: a second document", NULL },
    { "hosts: *a\n", "t.yml:1:8: error: there is no anchor &a", NULL },
    { "hosts: &a [*a]\n", "t.yml:1:12: error: there is no anchor &a", NULL },
    { "? [a]\n: b\n", "t.yml:1:3: error: a key must be a plain word", NULL },
    { "hosts: !!float 1\n", "t.yml:1:8: error: the tag", NULL },
    { "hosts: \"a\\0b\"\n", "t.yml:1:8: error: a zero byte", NULL },
    { "a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
            "t.yml:1:35: error: the configuration is "
            "too large",
            NULL },
    { "", "t.yml: error: no option hosts; write `hosts: [example.org]`", NULL },

    /* names */
    { H L "lisen: []\n",
            "t.yml:5:1: error: unknown option: lisen; did you mean listen?", NULL },
    { H L "sql_passwort: x\n",
            "t.yml:5:1: error: unknown option: sql_passwort; did you mean "
            "sql_password?",
            NULL },
    { H L "starttls_required: true\n",
            "t.yml:5:1: error: unknown option: starttls_required; it is an option of "
            "listeners; indent it below `listen:`",
            NULL },
    { H L "mod_roster: {}\n",
            "t.yml:5:1: error: unknown option: mod_roster; a module "
            "goes below `modules:`; indent it",
            NULL },
    { H L "frobnicate: 1\n",
            "t.yml:5:1: error: unknown option: frobnicate; "
            "stanzad.yml(5) lists the options",
            NULL },
    { H L "modules:\n  mod_rooster: {}\n",
            "t.yml:6:3: error: unknown module: mod_rooster; did you mean mod_roster?",
            NULL },
    { H L "modules:\n  mod_roster:\n    versionning: true\n",
            "t.yml:7:5: error: unknown option of mod_roster: versionning; did you mean "
            "versioning?",
            NULL },
    { H L "modules:\n  mod_roster:\n    versioning: maybe\n",
            "t.yml:7:17: error: invalid value of option "
            "modules->mod_roster->versioning: "
            "expected true or false, got maybe",
            NULL },
    { H L "modules:\n  mod_ping:\n",
            "t.yml:6:12: error: the options of mod_ping must be "
            "a map; write {} when it has no options",
            NULL },
    { H L "modules:\n  mod_ping: {}\n  mod_ping: {}\n",
            "t.yml:7:3: error: the module mod_ping is given twice", NULL },
    { H "listen:\n  - port: 5222\n    module: ejabberd_c2x\n",
            "t.yml:5:13: error: unknown module of a listener: ejabberd_c2x; did you "
            "mean "
            "ejabberd_c2s?",
            NULL },
    { H "listen:\n  - port: 5222\n    module: ejabberd_c2s\n    startls: true\n",
            "t.yml:6:5: error: unknown option of a listener of ejabberd_c2s: startls; "
            "did "
            "you mean starttls?",
            NULL },
    { H "listen:\n  - port: 5222\n", "t.yml:4:5: error: a listener without a module",
            NULL },
    { H "listen:\n  - module: ejabberd_c2s\n",
            "t.yml:4:5: error: a listener without a port", NULL },

    /* values */
    { H L "loglevel: loud\n",
            "t.yml:5:11: error: invalid value of option loglevel: "
            "expected none, emergency, alert",
            NULL },
    { H L "sql_ssl: \"true\"\n",
            "t.yml:5:10: error: invalid value of option sql_ssl: expected "
            "true or false, got \"true\"; remove the quotation marks",
            NULL },
    { H L "sql_port: \"5432\"\n",
            "t.yml:5:11: error: invalid value of option sql_port: expected a port from "
            "1 "
            "to 65535, got \"5432\"; remove the quotation marks",
            NULL },
    { H L "sql_port: 70000\n", "t.yml:5:11: error: invalid value of option sql_port",
            NULL },
    { H L "auth_scram_hash: sha265\n",
            "t.yml:5:18: error: invalid value of option auth_scram_hash: expected sha, "
            "sha256 or sha512, got sha265; did you mean sha256?",
            NULL },
    { H L "auth_stored_password_types: [scram_sha256, scram_md5]\n",
            "t.yml:5:44: error: invalid value of option auth_stored_password_types: "
            "expected one or a list of plain, scram_sha1, scram_sha256 or "
            "scram_sha512, "
            "got scram_md5",
            NULL },
    { H L "c2s_protocol_options: [no_sslv3, no_tlsv1_11]\n",
            "t.yml:5:34: error: invalid value of option c2s_protocol_options: expected "
            "one or a list of TLS options, such as no_tlsv1_1, got no_tlsv1_11; did "
            "you "
            "mean no_tlsv1_1?",
            NULL },
    { H L "negotiation_timeout: 5 minuets\n",
            "t.yml:5:22: error: invalid value of option negotiation_timeout: expected "
            "a "
            "time",
            NULL },
    { H L "negotiation_timeout: 500 ms\n",
            "t.yml:5:22: error: invalid value of option negotiation_timeout: expected "
            "a "
            "time: seconds, or a number and a unit (ms, s, min, h, d), got 500 ms; the "
            "least is one second",
            NULL },
    { H L "negotiation_timeout: 0\n", "t.yml:5:22: error: invalid value", NULL },
    { H L "negotiation_timeout: infinity\n", "t.yml:5:22: error: invalid value", NULL },
    { H L "negotiation_timeout: \"90\"\n",
            "t.yml:5:22: error: invalid value of option negotiation_timeout: expected "
            "a "
            "time: seconds, or a number and a unit (ms, s, min, h, d), got \"90\"; "
            "remove "
            "the quotation marks, or add a unit",
            NULL },
    { H L "sql_password: [hunter2]\n",
            "t.yml:5:15: error: invalid value of option sql_password: expected a "
            "string, "
            "got what is written there",
            NULL },
    { H L "language: en\nlanguage: de\n",
            "t.yml:6:1: error: the option language is given twice, first in t.yml:5; "
            "remove one of the two",
            NULL },
    { H L "workers: 0\n", "t.yml:5:10: error: invalid value of option workers", NULL },
    { H L "trusted_proxies: [10.0.0.0/33]\n",
            "t.yml:5:19: error: invalid value of option trusted_proxies", NULL },
    { "hosts: [a.example, A.example]\n",
            "t.yml:1:8: error: hosts: a.example is given "
            "twice",
            NULL },
    { "hosts: [\"a b\"]\n", "t.yml:1:9: error: invalid value of option hosts", NULL },
    { "hosts: []\n", "t.yml:1:8: error: hosts must name 1 to", NULL },

    /* host_config */
    { H L "host_config: {a.example: {loglevel: info}}\n",
            "t.yml:5:27: error: loglevel is for all hosts, and cannot stand in "
            "host_config",
            NULL },
    { H L "host_config: {a.example: {languag: de}}\n",
            "t.yml:5:27: error: unknown option: languag; did you mean language?",
            NULL },
    { H L "host_config: {b.example: {language: de}}\n", NULL,
            "t.yml:5:15: warning: host_config: b.example is not one of our hosts" },

    /* databases and accounts */
    { H L "default_db: sql\n",
            "t.yml:5:13: error: sql is used, but sql_type is not set: it means odbc "
            "then",
            NULL },
    { H L "auth_method: sql\nsql_type: mysql\n",
            "t.yml:6:11: error: this sql_type is not supported yet; use pgsql or "
            "sqlite",
            NULL },
    { H L "auth_method: [mnesia, ldap]\n",
            "t.yml:5:23: error: auth_method: ldap is not supported yet", NULL },
    { H L "auth_method: sequel\n",
            "t.yml:5:14: error: invalid value of option auth_method", NULL },
    { "hosts: [a]\n" L, NULL, NULL },

    /* listeners */
    { H "listen: [{port: 5222, module: ejabberd_c2s, tls: true}]\n",
            "t.yml:3:10: error: 0.0.0.0:5222 needs TLS, but there is no certificate",
            NULL },
    { H "listen: [{port: 5222, module: ejabberd_c2s}]\n", NULL,
            "t.yml:3:10: warning: 0.0.0.0:5222 lets clients in without encryption" },
    { H "listen: [{port: 5222, ip: 127.0.0.1, module: ejabberd_c2s}]\n", NULL, NULL },
    { H "listen: [{port: \"unix:c.sock\", module: ejabberd_c2s}]\n", NULL, NULL },
    { H "listen: [{port: \"5222\", module: ejabberd_c2s}]\n",
            "t.yml:3:17: error: listen->port: expected a number from 0 to 65535, or "
            "unix:PATH; remove the quotation marks",
            NULL },
    { H "listen: [{port: 5222, ip: localhost, module: ejabberd_c2s}]\n",
            "t.yml:3:27: error: listen->ip: not an IP address", NULL },
    { H "listen:\n- {port: 5222, ip: '::', module: ejabberd_c2s}\n"
        "- {port: 5222, ip: '::1', module: ejabberd_s2s_in}\n",
            "t.yml:5:3: error: the listeners [::1]:5222 and [::]:5222 (line 4) overlap",
            NULL },
    { H "listen:\n- {port: 5222, ip: 127.0.0.1, module: ejabberd_c2s}\n"
        "- {port: 5222, ip: '::1', module: ejabberd_c2s}\n",
            NULL, NULL },
    { H "listen:\n- {port: 1, ip: 127.0.0.1, module: ejabberd_c2s}\n"
        "- {port: 1, ip: 127.0.0.2, module: ejabberd_c2s}\n",
            NULL, NULL },
    { H "listen: [{port: 3478, transport: udp, backlog: 5, module: ejabberd_stun}]\n",
            "t.yml:3:39: error: listen->backlog makes no sense with transport: udp",
            NULL },
    { H "listen: []\n", NULL, "t.yml: warning: nobody can connect" },
    { H "listen: [{port: 5280, module: ejabberd_http}]\n", NULL,
            "t.yml:3:10: warning: the listener 0.0.0.0:5280 is ignored: ejabberd_http "
            "has "
            "no effect yet" },

    /* rules */
    { H L "acl: {admin: {usr: a}}\n",
            "t.yml:5:15: error: acl->admin: unknown kind of condition: usr; did you "
            "mean "
            "user?",
            NULL },
    { H L "acl: {all: {user: a}}\n",
            "t.yml:5:7: error: acl->all: this name is predefined", NULL },
    { H L "acl: {x: {acl: y}}\n",
            "t.yml:5:11: error: acl->x: a list cannot name another", NULL },
    { H L "acl: {x: [{acl: x}]}\n",
            "t.yml:5:12: error: acl->x: a list cannot name another", NULL },
    { H L "acl: {x: {ip: 1.2.3.4/40}}\n",
            "t.yml:5:15: error: acl->x: not an address or network", NULL },
    { H L "acl: {x: {user_regexp: \"(?i)a\"}}\n",
            "t.yml:5:24: error: acl->x: the regular expression (?i)a: (? is PCRE",
            NULL },
    { H L "acl: {x: {user_regexp: \"^\\\\d+$\"}}\n",
            "t.yml:5:24: error: acl->x: the regular expression ^\\d+$: this is POSIX",
            NULL },
    { H L "acl: {x: {user_regexp: \"(a{99}){99}\"}}\n",
            "t.yml:5:24: error: acl->x: the regular expression (a{99}){99}: its "
            "repetitions",
            NULL },
    { H L "acl: {x: {user_regexp: \"(a\"}}\n",
            "t.yml:5:24: error: acl->x: the regular expression (a: ", NULL },
    { H L "access_rules: {x: {permit: all}}\n",
            "t.yml:5:20: error: access_rules->x: expected allow or deny", NULL },
    { H L "access_rules: {x: {allow: admins}}\nacl: {admin: {user: a}}\n", NULL,
            "t.yml:5:27: warning: there is no access control list admins: it matches "
            "nobody; did you mean admin?" },
    { H L "shaper_rules: {x: {fats: all}}\nshaper: {fast: 1000}\n", NULL,
            "t.yml:5:20: warning: there is no shaper fats: nothing is limited; did you "
            "mean fast?" },
    { H "listen: [{port: 1, ip: '::1', module: ejabberd_c2s, access: c2ss}]\n"
        "access_rules: {c2s: {allow: all}}\n",
            NULL,
            "t.yml:3:61: warning: there is no access rule c2ss: nobody can log in "
            "here; "
            "did you mean c2s?" },
    { H L "shaper: {none: 1}\n",
            "t.yml:5:10: error: shaper->none: the name is predefined", NULL },
    { H L "shaper: {x: {burst_size: 1}}\n", "t.yml:5:13: error: shaper->x: expected",
            NULL },

    /* macros */
    { H L "define_macro: {x: 1}\n", "t.yml:5:16: error: invalid name of a macro: x",
            NULL },
    { H L "define_macro: {X: 1, X: 2}\n", "t.yml:5:22: error: X is defined twice",
            NULL },
    { H L "define_macro: {X: Y, Y: X}\nlanguage: X\n",
            "t.yml:5:25: error: a macro that is defined by itself: X", NULL },
    { H L "define_macro: {X: [a]}\nlanguage: \"a@X@\"\n",
            "t.yml:6:11: error: X stands for a list or a map, not for text", NULL },
    { H L "define_macro: {X: [a]}\nlanguage: X\n",
            "t.yml:6:11: error: invalid value of option language: expected a string, "
            "got "
            "a list",
            NULL },

    /* known, but not yet or no more */
    { H L "modules: {mod_matrix_gw: {host: m.example.net}}\n", NULL,
            "t.yml:5:11: warning: the module mod_matrix_gw has no effect yet" },
    { H L "modules: {mod_mam: {default: always, use_cache: true}}\n", NULL,
            "t.yml:5:38: warning: modules->mod_mam->use_cache has no effect yet" },
    { H L "modules: {mod_irc: {}}\n", NULL,
            "t.yml:5:11: warning: the module mod_irc exists no more" },
    { H L "modules: {mod_s3_upload: {x: y}}\n", NULL,
            "t.yml:5:11: warning: mod_s3_upload is a contributed module" },
    { H L "modules: {mod_metrics: {}}\n", NULL,
            "t.yml:5:11: warning: the module mod_metrics has no effect yet" },
    { H L "s2s_access: all\n", NULL,
            "t.yml:5:1: warning: s2s_access has no effect yet" },
    { H L "log_rate_limit: 5\n", NULL,
            "t.yml:5:1: warning: the option log_rate_limit exists no more" },
    { H L "new_sql_schema: true\n", NULL,
            "t.yml:5:1: warning: new_sql_schema is the old name of "
            "sql_schema_multihost" },
    { H "listen: [{port: 5222, module: ejabberd_c2s, tls: true, certfile: /c}]\n", NULL,
            "t.yml:3:56: warning: certfile of a listener is old; it is added to "
            "certfiles" },
    { H L "include_config_file: /etc/passwd.yml\n",
            "t.yml:5:1: error: no file can be included here", NULL },
};

/* The first problem of a severity as text, "" when there is none. */
static void
first(const struct conf_report *rep, enum conf_severity severity, struct buf *out)
{
    for (const struct conf_problem *p = rep->first; p; p = p->next)
        if (p->severity == severity) {
            conf_problem_format(p, out);
            return;
        }
}

static void
check_one(const struct load_case *c, const char *wanted, struct conf_report *rep,
        enum conf_severity severity)
{
    struct buf got = { 0 };

    first(rep, severity, &got);
    if (wanted ? !str_starts(buf_str(&got), str_from(wanted)) : got.n > 0)
        fail_msg("of\n%s\nwanted: %s\ngot:    %s", c->yaml, wanted ? wanted : "nothing",
                buf_c(&got));
    buf_fini(&got);
}

static void
test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct load_case *c = &cases[i];
        struct conf *conf = NULL;
        struct conf_report rep;
        int r;

        conf_report_init(&rep);
        r = conf_load_text("t.yml", str_from(c->yaml), &loader, &rep, &conf);
        check_one(c, c->error, &rep, CONF_ERROR);
        if (!c->error)
            check_one(c, c->warning, &rep, CONF_WARNING);
        if ((r == 0) == (c->error != NULL) || (r == 0) != (conf != NULL))
            fail_msg("of\n%s\nr = %d", c->yaml, r);
        conf_free(&conf);
        conf_report_fini(&rep);
    }
}

static void
test_several_errors_in_one_run(void **state)
{
    struct conf *conf = NULL;
    struct conf_report rep;
    struct buf text = { 0 };

    (void)state;
    conf_report_init(&rep);
    assert_int_equal(
            conf_load_text("t.yml",
                    str_from(H "languge: de\nlisten:\n  - port: 0x\n    module: "
                               "ejabberd_c2s\n    tsl: true\nmodules: {mod_pin: {}}\n"),
                    &loader, &rep, &conf),
            -EINVAL);
    for (const struct conf_problem *p = rep.first; p; p = p->next) {
        conf_problem_format(p, &text);
        buf_add_char(&text, '\n');
    }
    assert_string_equal(buf_c(&text),
            "t.yml:3:1: error: unknown option: languge; did you mean language?\n"
            "t.yml:7:5: error: unknown option of a listener of ejabberd_c2s: tsl; did "
            "you "
            "mean tls?\n"
            "t.yml:5:11: error: listen->port: expected a number from 0 to 65535, or "
            "unix:PATH; write a port such as 5222, or unix:PATH\n"
            "t.yml:8:11: error: unknown module: mod_pin; did you mean mod_ping?\n");
    buf_fini(&text);
    conf_report_fini(&rep);
}

/* Nine levels of nine aliases each: nearly 400 million nodes if it were expanded. */
static void
test_alias_bomb(void **state)
{
    struct conf *conf = NULL;
    struct conf_report rep;
    struct buf yaml = { 0 }, got = { 0 };

    (void)state;
    buf_add_c(&yaml, "a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (char c = 'b'; c <= 'i'; c++) {
        buf_addf(&yaml, "%c: &%c [", c, c);
        for (int i = 0; i < 9; i++)
            buf_addf(&yaml, "*%c,", c - 1);
        buf_add_c(&yaml, "]\n");
    }
    conf_report_init(&rep);
    assert_int_equal(
            conf_load_text("t.yml", buf_str(&yaml), &loader, &rep, &conf), -EINVAL);
    first(&rep, CONF_ERROR, &got);
    assert_non_null(strstr(buf_c(&got), "the configuration is too large"));
    conf_report_fini(&rep);

    /* The same with macros. */
    buf_reset(&yaml, 4096);
    buf_add_c(&yaml, H "define_macro:\n  A: [x,x,x,x,x,x,x,x,x]\n");
    for (char c = 'B'; c <= 'I'; c++)
        buf_addf(&yaml, "  %c: [%c,%c,%c,%c,%c,%c,%c,%c,%c]\n", c, c - 1, c - 1, c - 1,
                c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
    buf_add_c(&yaml, "language: I\n");
    conf_report_init(&rep);
    assert_int_equal(
            conf_load_text("t.yml", buf_str(&yaml), &loader, &rep, &conf), -EINVAL);
    buf_reset(&got, 4096);
    first(&rep, CONF_ERROR, &got);
    assert_non_null(strstr(buf_c(&got), "too large once macros are expanded"));
    conf_report_fini(&rep);
    buf_fini(&yaml);
    buf_fini(&got);
}

/* A report is for a terminal: what a file says cannot forge lines in it. */
static void
test_control_characters(void **state)
{
    struct conf *conf = NULL;
    struct conf_report rep;
    struct buf got = { 0 };

    (void)state;
    conf_report_init(&rep);
    conf_load_text("t.yml", str_from("\"a\\nb\\e[1m\": 1\n"), &loader, &rep, &conf);
    for (const struct conf_problem *p = rep.first; p; p = p->next)
        conf_problem_format(p, &got);
    assert_null(strchr(buf_c(&got), '\n'));
    assert_null(strchr(buf_c(&got), '\x1b'));
    assert_non_null(strstr(buf_c(&got), "unknown option: a\\x0ab\\x1b[1m"));
    buf_fini(&got);
    conf_report_fini(&rep);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_several_errors_in_one_run),
        cmocka_unit_test(test_alias_bomb),
        cmocka_unit_test(test_control_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
