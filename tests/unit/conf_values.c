/*
 * conf_values.c -- what a configuration means: values, hosts, macros; packing
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/rig/conf.h"

static void
test_defaults(void **state)
{
    struct conf *conf = load("hosts: [A.example]\n");
    const struct conf_host *host = conf_host_find(conf, STR("a.example"));

    (void)state;
    assert_non_null(host);
    assert_int_equal(conf->n_hosts, 1);
    assert_int_equal(conf->loglevel, LOG_LEVEL_INFO);
    assert_int_equal(conf->log_target, CONF_LOG_STDERR);
    assert_int_equal(conf->log_format, CONF_LOG_TEXT);
    assert_int_equal(conf->negotiation_timeout_ms, 120000);
    assert_true(conf->c2s_idle_timeout_ms == CONF_INFINITY);
    assert_true(conf->c2s_connections_per_ip == CONF_INFINITY);
    assert_true(conf->tls_takeover);
    assert_true(conf->workers >= 1);
    assert_true(conf->fqdn.n > 0);
    assert_str(conf->log_file, "/log/stanzad.log");
    assert_int_equal(host->n_auth_methods, 1);
    assert_int_equal(host->auth_method[0], CONF_AUTH_MNESIA);
    assert_int_equal(host->auth_password_format, CONF_PASSWORD_SCRAM);
    assert_int_equal(host->auth_stored_password_types,
            CONF_STORE_SCRAM_SHA1 | CONF_STORE_SCRAM_SHA256 | CONF_STORE_SCRAM_SHA512);
    assert_int_equal(host->default_db, CONF_DB_MNESIA);
    assert_int_equal(host->sql.type, CONF_SQL_ODBC);
    assert_int_equal(host->sql.connect_timeout_ms, 5000);
    assert_int_equal(host->sql.query_timeout_ms, 60000);
    assert_int_equal(host->sql.start_interval_ms, 30000);
    assert_int_equal(host->sql.keepalive_interval_ms, 0);
    assert_true(host->sql.update_schema);
    assert_false(host->sql.multihost);
    assert_str(host->sql.server, "localhost");
    assert_str(host->sql.database, "ejabberd");
    assert_str(host->language, "en");
    assert_int_equal(host->resource_conflict, CONF_CONFLICT_CLOSEOLD);
    assert_true(host->max_fsm_queue == CONF_INFINITY);
    assert_int_equal(host->c2s_tls.protocol_options,
            CONF_TLS_NO_SSLV3 | CONF_TLS_CIPHER_SERVER_PREFERENCE |
                    CONF_TLS_NO_COMPRESSION);
    assert_null(host->c2s_tls.ciphers.p);
    assert_int_equal(conf_host_auth_db(host, 0)->type, CONF_SQL_SQLITE);
    assert_str(conf_host_auth_db(host, 0)->database, "/db/sqlite/a.example.sqlite");
    assert_null(conf_host_find(conf, STR("b.example")));
    conf_free(&conf);
    assert_null(conf);
}

static void
test_values(void **state)
{
    struct conf *conf = load(H
            "loglevel: 5\nworkers: 3\nnegotiation_timeout: \"2min\"\n"
            "c2s_idle_timeout: 1 day\nc2s_connections_per_ip: 50\nlog_format: json\n"
            "log_target: file\ntls_takeover: off\nlog_rotate_size: infinity\n"
            "auth_method: [sql, internal]\ndefault_db: sql\nsql_type: pgsql\n"
            "sql_server: db.example\nsql_username: u\nsql_password: \"1234\"\n"
            "sql_pool_size: 4\nsql_keepalive_interval: 30\nsql_ssl: true\n"
            "sql_schema_multihost: true\nupdate_sql_schema: false\n"
            "auth_scram_hash: sha512\n"
            "auth_stored_password_types: [plain, scram_sha256]\n"
            "disable_sasl_mechanisms: [digest-md5, X-OAUTH2]\n"
            "resource_conflict: acceptnew\nmax_fsm_queue: 77\n"
            "certfiles: [/etc/*.pem, rel.pem]\n"
            "c2s_ciphers: [AES, '!NULL']\nc2s_protocol_options: 'no_tlsv1|no_tlsv1_1'\n"
            "trusted_proxies: [10.0.0.0/8, '2001:db8::1']\n"
            "shaper: {a: 100, b: {rate: 5, burst_size: 50}, c: none}\n");
    const struct conf_host *host = conf_host_find(conf, STR("b.example"));
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

    (void)state;
    assert_int_equal(conf->loglevel, LOG_LEVEL_DEBUG);
    assert_int_equal(conf->workers, 3);
    assert_int_equal(conf->negotiation_timeout_ms, 120000);
    assert_int_equal(conf->c2s_idle_timeout_ms, 86400000);
    assert_int_equal(conf->c2s_connections_per_ip, 50);
    assert_int_equal(conf->log_format, CONF_LOG_JSON);
    assert_int_equal(conf->log_target, CONF_LOG_FILE);
    assert_false(conf->tls_takeover);
    assert_true(conf->log_rotate_size == CONF_INFINITY);
    assert_int_equal(host->n_auth_methods, 2);
    assert_int_equal(host->auth_method[0], CONF_AUTH_SQL);
    assert_int_equal(host->auth_method[1], CONF_AUTH_MNESIA);
    assert_ptr_equal(conf_host_auth_db(host, 0), &host->sql);
    assert_ptr_equal(conf_host_auth_db(host, 1), &host->embedded);
    assert_int_equal(host->sql.type, CONF_SQL_PGSQL);
    assert_int_equal(host->sql.port, 5432);
    assert_str(host->sql.password, "1234");
    assert_int_equal(host->sql.pool_size, 4);
    assert_int_equal(host->sql.keepalive_interval_ms, 30000);
    assert_true(host->sql.ssl);
    assert_true(host->sql.multihost);
    assert_false(host->sql.update_schema);
    assert_int_equal(host->auth_scram_hash, CONF_SCRAM_SHA512);
    assert_int_equal(host->auth_stored_password_types,
            CONF_STORE_PLAIN | CONF_STORE_SCRAM_SHA256);
    assert_int_equal(host->disable_sasl_mechanisms.n, 2);
    assert_str(host->disable_sasl_mechanisms.at[0], "DIGEST-MD5");
    assert_int_equal(host->resource_conflict, CONF_CONFLICT_CLOSEOLD);
    assert_int_equal(host->max_fsm_queue, 77);
    assert_int_equal(conf->certfiles.n, 2);
    assert_str(conf->certfiles.at[0], "/etc/*.pem");
    assert_str(conf->certfiles.at[1], "/h/rel.pem");
    assert_str(host->c2s_tls.ciphers, "AES:!NULL");
    assert_int_equal(
            host->c2s_tls.protocol_options, CONF_TLS_NO_TLSV1 | CONF_TLS_NO_TLSV1_1);
    /* Hosts that say nothing of their own share one database. */
    assert_true(conf_sql_eq(&conf->hosts[0].sql, &conf->hosts[1].sql));
    assert_false(conf_sql_eq(&conf->hosts[0].embedded, &conf->hosts[1].embedded));

    inet_pton(AF_INET, "10.1.2.3", &in.sin_addr);
    assert_true(conf_is_trusted_proxy(conf, (struct sockaddr *)&in));
    inet_pton(AF_INET, "11.1.2.3", &in.sin_addr);
    assert_false(conf_is_trusted_proxy(conf, (struct sockaddr *)&in));
    inet_pton(AF_INET6, "::ffff:10.9.9.9", &in6.sin6_addr);
    assert_true(conf_is_trusted_proxy(conf, (struct sockaddr *)&in6));
    inet_pton(AF_INET6, "2001:db8::2", &in6.sin6_addr);
    assert_false(conf_is_trusted_proxy(conf, (struct sockaddr *)&in6));

    assert_int_equal(conf_shaper_find(conf, STR("a"))->burst, 100);
    assert_int_equal(conf_shaper_find(conf, STR("b"))->rate, 5);
    assert_int_equal(conf_shaper_find(conf, STR("b"))->burst, 50);
    conf_free(&conf);
}

static void
test_listeners(void **state)
{
    struct conf *conf = load(H
            "certfiles: /c.pem\nmax_fsm_queue: 55\nlisten:\n"
            "- {port: 5222, module: ejabberd_c2s, starttls_required: true, "
            "max_stanza_size: 1000, backlog: 7, send_timeout: 20}\n"
            "- {port: 5223, ip: '::1', module: ejabberd_c2s, tls: true, "
            "use_proxy_protocol: true, max_fsm_queue: 9, protocol_options: no_tlsv1_2, "
            "access: [deny: all], shaper: none}\n"
            "- {port: 'unix:run/c.sock', module: ejabberd_c2s, "
            "unix_socket: {mode: '0660', group: 12}}\n"
            "- {port: 5269, module: ejabberd_s2s_in}\n");
    const struct conf_listener *ln = conf->listeners;
    const struct conf_subject who = { .user = STR("u"), .server = STR("a.example") };
    struct conf_tls tls;

    (void)state;
    assert_int_equal(conf->n_listeners, 3);
    assert_str(ln[0].name, "0.0.0.0:5222");
    assert_str(ln[0].module, "ejabberd_c2s");
    assert_int_equal(ln[0].addr.ss_family, AF_INET);
    assert_int_equal(ln[0].addr_len, sizeof(struct sockaddr_in));
    assert_true(ln[0].starttls && ln[0].starttls_required && !ln[0].tls);
    assert_int_equal(ln[0].max_stanza_size, 1000);
    assert_int_equal(ln[0].pre_auth_max_stanza_size, 1000);
    assert_int_equal(ln[0].pre_auth_max_stanza_elements, 32);
    assert_int_equal(ln[0].backlog, 7);
    assert_int_equal(ln[0].send_timeout_ms, 20000);
    assert_int_equal(ln[0].max_fsm_queue, 55);
    assert_str(ln[0].access.name, "all");
    assert_str(ln[0].shaper.name, "none");
    assert_int_equal(ln[0].pos.line, 6);

    assert_str(ln[1].name, "[::1]:5223");
    assert_int_equal(
            ((const struct sockaddr_in6 *)&ln[1].addr)->sin6_port, htons(5223));
    assert_true(ln[1].tls && !ln[1].starttls && ln[1].use_proxy_protocol);
    assert_int_equal(ln[1].max_stanza_size, CONF_STANZA_SIZE_MAX);
    assert_true(ln[1].max_stanza_elements == CONF_INFINITY);
    assert_int_equal(ln[1].pre_auth_max_stanza_size, 8192);
    assert_int_equal(ln[1].max_fsm_queue, 9);
    assert_null(ln[1].access.name.p);
    assert_false(conf_access_allows(&conf->hosts[0], &ln[1].access, &who));
    tls = conf_tls_for(&conf->hosts[0], &ln[1]);
    assert_int_equal(tls.protocol_options, CONF_TLS_NO_TLSV1_2);
    tls = conf_tls_for(&conf->hosts[0], &ln[0]);
    assert_int_equal(tls.protocol_options, conf->hosts[0].c2s_tls.protocol_options);

    assert_str(ln[2].unix_path, "/h/run/c.sock");
    assert_str(ln[2].name, "unix:/h/run/c.sock");
    assert_int_equal(ln[2].addr.ss_family, AF_UNIX);
    assert_int_equal(ln[2].unix_mode, 0660);
    assert_int_equal(ln[2].unix_group, 12);
    assert_int_equal(ln[2].unix_owner, -1);
    conf_free(&conf);
}

static void
test_host_config(void **state)
{
    struct conf *conf = load(
            H "language: en\ndisable_sasl_mechanisms: [PLAIN]\n"
              "acl: {admin: {user: a1}, staff: {user: s1}}\n"
              "access_rules: {x: {allow: admin}, y: {allow: staff}}\n"
              "modules: {mod_ping: {send_pings: true}, mod_muc: {host: 'm.@HOST@'}}\n"
              "host_config:\n"
              "  A.example:\n"
              "    language: de\n"
              "    acl: {admin: {user: a2}}\n"
              "    modules: {mod_time: {}}\n"
              "append_host_config:\n"
              "  b.example:\n"
              "    disable_sasl_mechanisms: SCRAM-SHA-1\n"
              "    acl: {admin: {user: a3}}\n"
              "    access_rules: {x: [deny: all]}\n"
              "    modules: {mod_ping: {ping_interval: 5}, mod_time: {}}\n");
    const struct conf_host *a = conf_host_find(conf, STR("a.example"));
    const struct conf_host *b = conf_host_find(conf, STR("b.example"));
    static const struct {
        const char *user;
        bool a_admin, b_admin, a_staff, b_staff;
    } users[] = {
        { "a1", false, true, false, false },
        { "a2", true, false, false, false },
        { "a3", false, true, false, false },
        { "s1", false, false, true, true },
    };
    const struct conf_module *m;

    (void)state;
    assert_str(a->language, "de");
    assert_str(b->language, "en");
    assert_int_equal(a->disable_sasl_mechanisms.n, 1);
    assert_int_equal(b->disable_sasl_mechanisms.n, 2);
    assert_str(b->disable_sasl_mechanisms.at[1], "SCRAM-SHA-1");
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        struct conf_subject who = { .user = str_from(users[i].user),
            .server = STR("a.example") };

        if (conf_access(a, STR("x"), &who) != users[i].a_admin ||
                conf_access(b, STR("x"), &who) != users[i].b_admin ||
                conf_access(a, STR("y"), &who) != users[i].a_staff ||
                conf_access(b, STR("y"), &who) != users[i].b_staff)
            fail_msg("%s", users[i].user);
    }
    /* host_config replaces the modules, append_host_config adds to them. */
    assert_int_equal(a->n_modules, 1);
    assert_null(conf_module_find(a, STR("mod_ping")));
    assert_non_null(conf_module_find(a, STR("mod_time")));
    assert_int_equal(b->n_modules, 3);
    m = conf_module_find(b, STR("mod_ping"));
    assert_true(conf_module_bool(m, "send_pings"));
    assert_int_equal(conf_module_time_ms(m, "ping_interval"), 5000);
    assert_str(conf_module_text(m, "timeout_action"), "none");
    m = conf_module_find(b, STR("mod_muc"));
    assert_str(conf_module_text(m, "host"), "m.b.example");
    assert_int_equal(conf_module_number(m, "history_size"), 20);
    assert_true(conf_module_number(m, "max_room_name") == CONF_INFINITY);
    conf_free(&conf);
}

static void
test_macros_and_keywords(void **state)
{
    struct conf *conf =
            load("define_macro:\n"
                 "  HOSTS: [a.example, b.example]\n"
                 "  DB: pg\n"
                 "  FULL: \"@DB@.example\"\n"
                 "  PORT: 6000\n"
                 "  LN: {port: PORT, ip: 127.0.0.1, module: ejabberd_c2s}\n"
                 "hosts: HOSTS\nauth_password_format: scram\n"
                 "sql_type: sqlite\nauth_method: sql\n"
                 "sql_server: FULL\nsql_username: \"x@DB@y@UNKNOWN@\"\n"
                 "sql_database: \"@DATABASE_PATH@/@HOST@.db\"\n"
                 "sql_port: \"@PORT@\"\n"
                 "listen: [LN]\n"
                 "define_keyword: {K: global, L: lang}\n"
                 "language: \"@L@-@VERSION@-@SEMVER@\"\n"
                 "modules: {mod_disco: {name: '@K@ @HOST@'}, mod_ping: {}}\n"
                 "host_config:\n"
                 "  b.example:\n"
                 "    define_keyword: {K: own}\n");
    const struct conf_host *a = conf_host_find(conf, STR("a.example"));
    const struct conf_host *b = conf_host_find(conf, STR("b.example"));

    (void)state;
    assert_int_equal(conf->n_hosts, 2);
    assert_str(a->sql.server, "pg.example");
    assert_str(a->sql.username, "xpgy@UNKNOWN@");
    assert_str(a->sql.database, "/db/a.example.db");
    assert_str(b->sql.database, "/db/b.example.db");
    assert_int_equal(a->sql.port, 6000);
    assert_str(conf->listeners[0].name, "127.0.0.1:6000");
    assert_str(a->language, "lang-1.2-1.2.3");
    assert_str(conf_module_text(conf_module_find(a, STR("mod_disco")), "name"),
            "global a.example");
    assert_str(conf_module_text(conf_module_find(b, STR("mod_disco")), "name"),
            "own b.example");
    conf_free(&conf);
}

static const char with_secrets[] =
        "define_macro: {SECRET: hush-macro, K: hush-unused}\n" H
        "define_keyword: {KW: hush-keyword}\n"
        "auth_method: sql\nsql_type: pgsql\nsql_server: hush-server\n"
        "sql_password: SECRET\nsql_username: hush-user\nldap_password: hush-ldap\n"
        "redis_password: hush-redis\nworkers: 5\nlanguage: fr\n"
        "host_config: {b.example: {sql_password: hush-b, default_db: sql}}\n"
        "modules: {mod_stun_disco: {secret: hush-turn}, mod_ping: {}, mod_s3_upload: "
        "{key: hush-s3}}\n"
        "listen: [{port: 1, module: ejabberd_service, hosts: {c: {password: hush-c}}}, "
        "{port: 2, ip: 127.0.0.1, module: ejabberd_c2s}]\n"
        "acl: {x: {user_regexp: '^a'}}\naccess_rules: {r: {allow: x}}\n";

static void
test_pack(void **state)
{
    static const struct conf_loader empty = { .home = "/nowhere" };
    struct conf *conf = load(with_secrets), *copy = NULL;
    struct buf packed = { 0 }, again = { 0 };
    struct conf_subject who = { .user = STR("ab"), .server = STR("a.example") };

    (void)state;
    conf_pack(conf, 0, &packed);
    assert_null(memmem(packed.p, packed.n, "hush", 4));
    assert_int_equal(conf_unpack(buf_str(&packed), &empty, &copy), 0);
    assert_int_equal(copy->workers, 5);
    assert_str(copy->hosts[1].language, "fr");
    assert_int_equal(copy->hosts[1].default_db, CONF_DB_SQL);
    assert_str(copy->hosts[0].embedded.database, "/db/sqlite/a.example.sqlite");
    assert_str(copy->hosts[0].sql.password, "");
    assert_int_equal(copy->n_listeners, 1);
    assert_str(copy->listeners[0].name, "127.0.0.1:2");
    assert_int_equal(copy->listeners[0].pos.line, conf->listeners[0].pos.line);
    assert_string_equal(copy->listeners[0].pos.file, "t.yml");
    assert_true(conf_access(&copy->hosts[0], STR("r"), &who));
    assert_true(str_eq(copy->fqdn, conf->fqdn));
    conf_free(&copy);

    buf_reset(&packed, 65536);
    conf_pack(conf, CONF_SECRET_SQL, &packed);
    assert_null(memmem(packed.p, packed.n, "hush-ldap", 9));
    assert_null(memmem(packed.p, packed.n, "hush-turn", 9));
    assert_null(memmem(packed.p, packed.n, "hush-keyword", 12));
    assert_int_equal(conf_unpack(buf_str(&packed), &empty, &copy), 0);
    assert_true(conf_sql_eq(&copy->hosts[0].sql, &conf->hosts[0].sql));
    assert_true(conf_sql_eq(&copy->hosts[1].sql, &conf->hosts[1].sql));
    assert_str(copy->hosts[0].sql.password, "hush-macro");
    assert_str(copy->hosts[1].sql.password, "hush-b");
    conf_pack(copy, CONF_SECRET_SQL, &again);
    assert_true(str_eq(buf_str(&packed), buf_str(&again)));
    conf_free(&copy);

    /* Every cut and a change of every byte: refused or harmless, never a crash. */
    for (size_t n = 0; n < packed.n; n++)
        assert_int_equal(
                conf_unpack((struct str){ packed.p, n }, &empty, &copy), -EBADMSG);
    for (size_t i = 0; i < packed.n; i++) {
        packed.p[i] ^= 0x55;
        if (conf_unpack(buf_str(&packed), &empty, &copy) == 0)
            conf_free(&copy);
        packed.p[i] ^= 0x55;
    }
    buf_fini(&packed);
    buf_fini(&again);
    conf_free(&conf);
}

static void
test_explain(void **state)
{
    struct conf *conf = load(with_secrets);
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    (void)state;
    conf_explain(conf, out);
    fclose(out);
    assert_non_null(strstr(text, "file t.yml\n"));
    assert_non_null(strstr(text, "listener 127.0.0.1:2: ejabberd_c2s, not encrypted"));
    assert_non_null(strstr(text, "host b.example\n"));
    assert_non_null(
            strstr(text, "accounts: pgsql hush-user@hush-server:5432/ejabberd"));
    assert_non_null(strstr(text, "data: sqlite /db/sqlite/a.example.sqlite"));
    assert_null(strstr(text, "hush-macro"));
    assert_null(strstr(text, "hush-b"));
    free(text);
    conf_free(&conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_host_config),
        cmocka_unit_test(test_macros_and_keywords),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_explain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
