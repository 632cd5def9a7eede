/* Which mechanisms a host offers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "auth/mech.h"
#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"

#define S1    CRED_BIT(CRED_SCRAM_SHA1)
#define S256  CRED_BIT(CRED_SCRAM_SHA256)
#define S512  CRED_BIT(CRED_SCRAM_SHA512)
#define PLAIN CRED_BIT(CRED_PLAIN)

static void
test_offer(void **state)
{
    static const struct {
        struct auth_policy policy;
        bool tls, cb, sasl2;
        const char *offer;
    } cases[] = {
        { { .stored = S1, .weakest = MECH_PLAIN }, true, true, false,
                "SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN " },
        { { .stored = S1, .weakest = MECH_PLAIN }, true, false, false,
                "SCRAM-SHA-1 PLAIN " },
        { { .stored = S1, .weakest = MECH_PLAIN }, false, false, false,
                "SCRAM-SHA-1 " },
        { { .stored = S1, .weakest = MECH_PLAIN, .plain_without_tls = true }, false,
                false, false, "SCRAM-SHA-1 PLAIN " },
        { { .stored = PLAIN, .weakest = MECH_PLAIN }, true, true, false,
                "SCRAM-SHA-512-PLUS SCRAM-SHA-512 SCRAM-SHA-256-PLUS SCRAM-SHA-256 "
                "SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN " },
        { { .stored = S256 | S512, .weakest = MECH_SCRAM_SHA_1 }, true, false, false,
                "SCRAM-SHA-512 SCRAM-SHA-256 " },
        { { .stored = PLAIN, .weakest = MECH_SCRAM_SHA_256 }, true, false, false,
                "SCRAM-SHA-512 SCRAM-SHA-256 " },
        { { .stored = PLAIN,
                  .weakest = MECH_PLAIN,
                  .disabled = 1 << MECH_PLAIN | 1 << MECH_SCRAM_SHA_512 },
                true, false, false, "SCRAM-SHA-256 SCRAM-SHA-1 " },
        { { .stored = S1 | S512, .weakest = MECH_PLAIN, .hidden_in_sasl1 = S512 }, true,
                false, false, "SCRAM-SHA-1 PLAIN " },
        { { .stored = S1 | S512, .weakest = MECH_PLAIN, .hidden_in_sasl1 = S512 }, true,
                false, true, "SCRAM-SHA-512 SCRAM-SHA-1 PLAIN " },
        { { .stored = 0, .weakest = MECH_PLAIN }, true, true, true, "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned offer = auth_mechanisms(
                &cases[i].policy, cases[i].tls, cases[i].cb, cases[i].sasl2);
        struct buf b = { 0 };

        for (int m = 0; m < MECHS; m++) {
            if (offer & 1u << m)
                buf_addf(&b, "%s ", mech_name((enum mech)m));
        }
        print_message("case %zu\n", i);
        assert_string_equal(buf_c(&b), cases[i].offer);
        buf_fini(&b);
    }
}

/* What the words of a configuration mean. */
static void
test_configured(void **state)
{
    static const struct {
        const char *yaml;
        unsigned stored, hidden, disabled;
        enum digest digest;
        bool downgrade_protection;
    } cases[] = {
        { "", S1 | S256 | S512, 0, 0, DIGEST_SHA1, true },
        { "auth_password_format: plain\n", PLAIN, 0, 0, DIGEST_SHA1, true },
        { "auth_password_format: scram\n", S1, 0, 0, DIGEST_SHA1, true },
        { "auth_scram_hash: sha256\n", S256, 0, 0, DIGEST_SHA256, true },
        { "auth_password_format: scram\nauth_scram_hash: sha512\n", S512, 0, 0,
                DIGEST_SHA512, true },
        { "auth_stored_password_types: [plain, scram_sha256]\n", PLAIN | S256, 0, 0,
                DIGEST_SHA1, true },
        { "auth_password_types_hidden_in_sasl1: [plain, scram_sha512]\n",
                S1 | S256 | S512, PLAIN | S512, 0, DIGEST_SHA1, true },
        { "disable_sasl_mechanisms: [plain, SCRAM-SHA-1-plus, digest-md5]\n",
                S1 | S256 | S512, 0, 1 << MECH_PLAIN | 1 << MECH_SCRAM_SHA_1_PLUS,
                DIGEST_SHA1, true },
        { "disable_sasl_scram_downgrade_protection: true\n", S1 | S256 | S512, 0, 0,
                DIGEST_SHA1, false },
        { "host_config: {a.example: {auth_password_format: plain}}\n", PLAIN, 0, 0,
                DIGEST_SHA1, true },
    };
    const struct conf_loader loader = { .home = "/h", .skip_files = true };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf yaml = { 0 };
        struct conf_report report;
        struct conf *conf = NULL;
        struct auth_policy p;

        print_message("%s", cases[i].yaml);
        conf_report_init(&report);
        buf_addf(&yaml, "hosts: [a.example]\n%s", cases[i].yaml);
        assert_int_equal(
                conf_load_text("t.yml", buf_str(&yaml), &loader, &report, &conf), 0);
        auth_policy_of(&conf->hosts[0], &p);
        assert_int_equal(p.stored, cases[i].stored);
        assert_int_equal(p.hidden_in_sasl1, cases[i].hidden);
        assert_int_equal(p.disabled, cases[i].disabled);
        assert_int_equal(p.digest, cases[i].digest);
        assert_int_equal(p.downgrade_protection, cases[i].downgrade_protection);
        assert_int_equal(p.iterations, 4096);
        conf_free(&conf);
        conf_report_fini(&report);
        buf_fini(&yaml);
    }
}

static void
test_names(void **state)
{
    enum mech m;

    (void)state;
    for (int i = 0; i < MECHS; i++) {
        const char *name = mech_name((enum mech)i);

        assert_int_equal(mech_from(str_from(name), &m), 0);
        assert_int_equal(m, i);
        assert_int_equal(mech_is_plus(m), strstr(name, "-PLUS") != NULL);
    }
    assert_int_equal(mech_from(STR("SCRAM-SHA-1-plus"), &m), -ENOENT);
    assert_int_equal(mech_from(STR(""), &m), -ENOENT);
    assert_string_equal(auth_cb_name(AUTH_CB_EXPORTER), "tls-exporter");
    assert_int_equal(cred_type_of(DIGEST_SHA1), 2);
    assert_int_equal(cred_type_of(DIGEST_SHA512), 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offer),
        cmocka_unit_test(test_configured),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
