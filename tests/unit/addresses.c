/*
 * addresses.c -- what counts as one address, and how often a refusal is told
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "worker/addresses.h"

static uint64_t
key_of(const char *text)
{
    uint8_t addr[16] = { 0 };

    if (strchr(text, ':')) {
        assert_int_equal(inet_pton(AF_INET6, text, addr), 1);
    } else {
        addr[10] = addr[11] = 0xff;
        assert_int_equal(inet_pton(AF_INET, text, addr + 12), 1);
    }
    return address_key(addr);
}

static void
keys_and_their_text(void **state)
{
    static const struct {
        const char *address, *text;
    } cases[] = {
        { "192.0.2.7", "192.0.2.7" },
        { "0.0.0.0", "0.0.0.0" },
        { "255.255.255.255", "255.255.255.255" },
        { "::ffff:192.0.2.7", "192.0.2.7" },
        { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
        { "2001:db8:1:2::1", "2001:db8:1:2::/64" },
        { "fe80::1", "fe80::/64" },
        { "::1", "::/64" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[ADDRESS_TEXT_SIZE];

        print_message("%s\n", cases[i].address);
        assert_true(key_of(cases[i].address) != 0);
        assert_string_equal(
                address_text(key_of(cases[i].address), text), cases[i].text);
    }
    assert_true(key_of("2001:db8:1:2::1") == key_of("2001:db8:1:2:ffff::"));
    assert_true(key_of("2001:db8:1:2::1") != key_of("2001:db8:1:3::1"));
    assert_true(key_of("192.0.2.7") != key_of("192.0.2.8"));
}

static void
one_line_a_minute(void **state)
{
    static struct refusals r;
    struct refusal told;
    uint64_t a = key_of("192.0.2.7"), b = key_of("192.0.2.8");
    size_t at = 0;

    (void)state;
    assert_true(refusal_note(&r, a, 1000, &told));
    assert_int_equal(told.n, 0);
    for (int i = 0; i < 500; i++)
        assert_false(refusal_note(&r, a, 1000 + (uint32_t)i / 10, &told));
    assert_true(refusal_note(&r, b, 1001, &told));
    assert_int_equal(told.n, 0);
    assert_false(refusal_next(&r, &at, 1059, &told));
    at = 0;
    assert_true(refusal_next(&r, &at, 1060, &told));
    assert_true(told.key == a);
    assert_int_equal(told.n, 500);
    assert_false(refusal_next(&r, &at, 1060, &told));
    /* Its next minute has begun with that line. */
    assert_false(refusal_note(&r, a, 1070, &told));
    at = 0;
    assert_false(refusal_next(&r, &at, 1119, &told));
    at = 0;
    assert_true(refusal_next(&r, &at, 1120, &told));
    assert_int_equal(told.n, 1);
    /* A quiet minute ends it. */
    assert_true(refusal_note(&r, a, 1200, &told));
    assert_int_equal(told.n, 0);
}

/* More addresses than places: who is displaced is told with its count. */
static void
nobody_is_forgotten_unsaid(void **state)
{
    static struct refusals r;
    uint64_t refused = 0, told_n = 0;
    struct refusal told;
    size_t at = 0;

    (void)state;
    for (uint32_t i = 0; i < 5000; i++) {
        for (int k = 0; k < 3; k++) {
            refused++;
            if (refusal_note(&r, 0xffff00000000 + i, 1000, &told))
                told_n += 1 + told.n;
        }
    }
    while (refusal_next(&r, &at, 2000, &told))
        told_n += told.n;
    assert_int_equal(told_n, refused);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_their_text),
        cmocka_unit_test(one_line_a_minute),
        cmocka_unit_test(nobody_is_forgotten_unsaid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
