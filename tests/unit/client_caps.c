/* What a client can do, as worker/module_caps.h gives it to modules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/module.h"

static void
test_features_are_sorted_and_come_once(void **state)
{
    const struct str given[] = { STR("urn:b"), STR("urn:a"), STR(""), STR("urn:b"),
        STR("urn:a+notify"), STR("urn:b") };
    static const char *const expected[] = { "", "urn:a", "urn:a+notify", "urn:b" };
    struct client_caps *caps =
            client_caps_new(STR("sha-1\nnode\nver"), given, ARRAY_LEN(given));
    struct str feature;
    size_t at = 0, n = 0;

    (void)state;
    assert_true(str_eq(client_caps_key(caps), STR("sha-1\nnode\nver")));
    while (client_caps_next(caps, &at, &feature)) {
        assert_true(n < ARRAY_LEN(expected));
        assert_true(str_eq_c(feature, expected[n++]));
    }
    assert_int_equal(n, ARRAY_LEN(expected));
    assert_true(client_caps_has(caps, STR("urn:a")));
    assert_true(client_caps_has(caps, STR("urn:a+notify")));
    assert_false(client_caps_has(caps, STR("urn:a+")));
    assert_false(client_caps_has(caps, STR("urn:c")));
    client_caps_unref(&caps);
    assert_null(caps);
}

static void
test_who_holds_it_keeps_it(void **state)
{
    struct client_caps *caps = client_caps_new(STR("k"), NULL, 0),
                       *other = client_caps_ref(caps);
    struct str feature;
    size_t at = 0;

    (void)state;
    client_caps_unref(&caps);
    assert_true(str_eq(client_caps_key(other), STR("k")));
    assert_false(client_caps_has(other, STR("")));
    assert_false(client_caps_next(other, &at, &feature));
    client_caps_unref(&other);
    client_caps_unref(&other);
    assert_null(client_caps_ref(NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features_are_sorted_and_come_once),
        cmocka_unit_test(test_who_holds_it_keeps_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
