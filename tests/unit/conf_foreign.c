/*
 * conf_foreign.c -- options of modules that others have written (conf/foreign.h)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "conf/foreign.h"
#include "conf/table.h"

static const char *const bad[] = {
    "",
    "# nothing\n",
    "option | host | STRING | | before the module\n",
    "module | echo | not mod_\n",
    "module | mod_ping | known already\n",
    "module | mod_x | one\nmodule | mod_y | two\n",
    "module | mod_x | one\noption | host | STRINGS2 | | no such type\n",
    "module | mod_x | one\noption | Host | STRING | | bad name\n",
    "module | mod_x | one\noption | host\n",
    "module | mod_x | one\noption | host | STRING\n",
    "module | mod_x | one\nneeds | ping\n",
    "module | mod_x | one\nwhat | is | this\n",
};

static void
test_bad(void **state)
{
    size_t before = conf_modules.n;
    unsigned line;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (conf_foreign_add(str_from(bad[i]), &line) == 0)
            fail_msg("accepted: %s", bad[i]);
    }
    assert_int_equal(conf_modules.n, before);
}

static struct conf *
load(const char *yaml, struct conf_report *report)
{
    struct conf *conf = NULL;

    conf_load_text(
            "test.yml", str_from(yaml), &(struct conf_loader){ 0 }, report, &conf);
    return conf;
}

static void
test_good(void **state)
{
    struct conf_report report = { 0 };
    const struct conf_module *m;
    struct conf *conf;
    unsigned line;

    (void)state;
    assert_int_equal(conf_foreign_add(STR("# comment\n\nmodule | mod_parrot | Talks\n"
                                          "option|mode|ENUM loud|low|quiet|low|How\n"
                                          "option | times | POS | 3 | How often\n"
                                          "option | name | STRING | | Whose\n"
                                          "needs | mod_ping"),
                             &line),
            0);
    assert_int_equal(
            conf_foreign_add(
                    STR("module | mod_owl | Sees\noption | eyes | NAT | 2 | All"),
                    &line),
            0);
    conf = load("hosts: [example.org]\nmodules:\n  mod_ping: {}\n  mod_owl: {eyes: 4}\n"
                "  mod_parrot:\n    mode: quiet\n",
            &report);
    assert_non_null(conf);
    m = conf_module_find(&conf->hosts[0], STR("mod_parrot"));
    assert_non_null(m);
    assert_int_equal(conf_module_number(m, "times"), 3);
    assert_true(str_eq(conf_module_text(m, "mode"), STR("quiet")));
    m = conf_module_find(&conf->hosts[0], STR("mod_owl"));
    assert_int_equal(conf_module_number(m, "eyes"), 4);
    conf_free(&conf);

    conf = load("hosts: [example.org]\nmodules:\n  mod_ping: {}\n  mod_parrot: {mode: "
                "shy}\n",
            &report);
    assert_null(conf);
    conf = load("hosts: [example.org]\nmodules:\n  mod_parrot: {}\n", &report);
    assert_null(conf); /* it needs mod_ping */
    conf_report_fini(&report);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_good),
    };

    return cmocka_run_group_tests_name("conf_foreign", tests, NULL, NULL);
}
