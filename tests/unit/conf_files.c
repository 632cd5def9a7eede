/*
 * conf_files.c -- configurations that are in files: included ones, ejabberd's, ours
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/rig/conf.h"

static void
write_file(const char *dir, const char *name, const char *text)
{
    struct buf path = { 0 };
    FILE *f;

    buf_addf(&path, "%s/%s", dir, name);
    f = fopen(buf_c(&path), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
    buf_fini(&path);
}

struct include_case {
    const char *include;         /* the value in main.yml */
    const char *error, *warning; /* in the problem's text */
    const char *language;        /* of a.example, when it loads */
};

static const struct include_case includes[] = {
    { "one.yml", NULL, NULL, "one" },
    { "[one.yml, two.yml]", NULL, NULL, "one" },
    { "[sub/three.yml]", NULL, NULL, "four" },
    { "{one.yml: {disallow: [language]}}", NULL, "language is not allowed", "en" },
    { "{one.yml: {allow_only: [acl]}}", NULL, "language is not allowed", "en" },
    { "{one.yml: {allow_only: language}}", NULL, "acl is not allowed", "one" },
    { "[{one.yml: {}}]", NULL, NULL, "one" },
    { "{one.yml: {allow: [acl]}}", "unknown or repeated option of include", NULL,
            NULL },
    { "none.yml", "cannot read", NULL, NULL },
    { "one.txt", "does not end in .yml", NULL, NULL },
    { "circle.yml", "includes itself", NULL, NULL },
    { "twice.yml", "given twice", NULL, NULL },
    { "bad.yml", "unknown option: lnguage", NULL, NULL },
};

static void
test_includes(void **state)
{
    char dir[] = "/tmp/conf_files.XXXXXX";
    static const char *const files[] = { "one.yml", "two.yml", "circle.yml",
        "twice.yml", "bad.yml", "sub/three.yml", "sub/four.yml", "main.yml", "sub",
        "" };
    const struct conf_loader own = { .home = "/h" };
    struct buf path = { 0 };

    (void)state;
    assert_non_null(mkdtemp(dir));
    buf_addf(&path, "%s/sub", dir);
    assert_int_equal(mkdir(buf_c(&path), 0700), 0);
    write_file(dir, "one.yml", "language: one\nacl: {i: {user: root}}\n");
    write_file(dir, "two.yml", "acl: {j: {user: root}}\n");
    write_file(dir, "circle.yml", "include_config_file: circle.yml\n");
    write_file(dir, "twice.yml", "auth_password_format: plain\n");
    write_file(dir, "bad.yml", "\n lnguage: x\n");
    write_file(dir, "sub/three.yml", "include_config_file: four.yml\n");
    write_file(dir, "sub/four.yml", "language: four\n");
    for (size_t i = 0; i < ARRAY_LEN(includes); i++) {
        const struct include_case *c = &includes[i];
        struct conf *conf = NULL;
        struct conf_report rep;
        struct buf text = { 0 };
        int r;

        buf_addf(&text, "%sacl: {k: {user: k}}\ninclude_config_file: %s\n", H,
                c->include);
        write_file(dir, "main.yml", buf_c(&text));
        buf_fini(&text);
        buf_reset(&path, 256);
        buf_addf(&path, "%s/main.yml", dir);
        conf_report_init(&rep);
        r = conf_load(buf_c(&path), &own, &rep, &conf);
        if ((r < 0) != (c->error != NULL) ||
                (c->error && !says(&rep, CONF_ERROR, c->error)) ||
                (c->warning && !says(&rep, CONF_WARNING, c->warning))) {
            conf_report_print(&rep, stderr);
            fail_msg("%s", c->include);
        }
        if (conf)
            assert_str(conf->hosts[0].language, c->language);
        /* Lists of the main file and of included ones are joined. */
        if (conf && !c->warning && str_starts(str_from(c->include), STR("[one"))) {
            struct conf_subject who = { .user = STR("root"),
                .server = STR("a.example") };

            assert_true(conf_acl_match(&conf->hosts[0], STR("i"), &who));
            assert_true(conf_acl_match(&conf->hosts[0], STR("j"), &who));
            assert_int_equal(conf->tree->n_files, 3);
        }
        conf_free(&conf);
        conf_report_fini(&rep);
    }
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        buf_reset(&path, 256);
        buf_addf(&path, "%s/%s", dir, files[i]);
        assert_int_equal(remove(buf_c(&path)), 0);
    }
    buf_fini(&path);
}

/* A file of ejabberd as it is in use loads, with warnings only. */
static void
test_debian(void **state)
{
    struct conf *conf = NULL;
    struct conf_report rep;
    const struct conf_host *host;
    struct buf packed = { 0 };
    struct conf_subject who = { .user = STR("juliet"), .server = STR("localhost") };

    (void)state;
    conf_report_init(&rep);
    if (conf_load("tests/unit/conf/debian.yml", &loader, &rep, &conf) < 0) {
        conf_report_print(&rep, stderr);
        fail();
    }
    assert_int_equal(rep.n_errors, 0);
    assert_true(rep.n_warnings > 0);
    assert_true(says(&rep, CONF_WARNING, "the module mod_muc has no effect yet"));
    assert_int_equal(conf->n_listeners, 2);
    assert_str(conf->listeners[0].name, "[::]:5222");
    assert_true(conf->listeners[0].starttls_required);
    assert_int_equal(conf->listeners[0].max_stanza_size, 262144);
    assert_str(conf->listeners[0].shaper.name, "c2s_shaper");
    host = conf_host_find(conf, STR("chat.example.org"));
    assert_int_equal(host->auth_scram_hash, CONF_SCRAM_SHA256);
    assert_true(host->c2s_tls.protocol_options & CONF_TLS_NO_TLSV1_1);
    assert_true(conf_access(host, STR("announce"), &who));
    assert_false(conf_access(&conf->hosts[0], STR("announce"), &who));
    assert_str(conf->hosts[0].language, "de");
    assert_int_equal(
            conf_shaper_pick(host, &conf->listeners[0].shaper, &who).shaper == NULL, 1);
    who.user = STR("romeo");
    assert_int_equal(
            conf_shaper_pick(host, &conf->listeners[0].shaper, &who).shaper->rate,
            3000);
    conf_pack(conf, 0, &packed);
    assert_null(memmem(packed.p, packed.n, "hush", 4));
    buf_fini(&packed);
    conf_free(&conf);
    conf_report_fini(&rep);
}

/* The example is secure as it is: no error, no warning but for its certificate. */
static void
test_example(void **state)
{
    struct conf *conf = NULL;
    struct conf_report rep;

    (void)state;
    conf_report_init(&rep);
    if (conf_load("etc/stanzad.yml", &loader, &rep, &conf) < 0 || rep.n_warnings) {
        conf_report_print(&rep, stderr);
        fail();
    }
    for (size_t i = 0; i < conf->n_listeners; i++) {
        assert_true(conf->listeners[i].tls || conf->listeners[i].starttls_required);
        assert_int_equal(conf->listeners[i].max_stanza_size, 262144);
    }
    assert_false(conf->hosts[0].auth_stored_password_types & CONF_STORE_PLAIN);
    assert_int_equal(conf->hosts[0].auth_password_format, CONF_PASSWORD_SCRAM);
    conf_free(&conf);
    conf_report_fini(&rep);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_includes),
        cmocka_unit_test(test_debian),
        cmocka_unit_test(test_example),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
