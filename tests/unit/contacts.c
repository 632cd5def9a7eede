/*
 * contacts.c -- packed rosters (worker/contacts.h)
 */
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
#include "worker/contacts.h"

static void
assert_str(struct str got, const char *want)
{
    if (!str_eq_c(got, want))
        fail_msg("%.*s instead of %s", STR_ARG(got), want);
}

static void
test_put_find_del(void **state)
{
    struct contacts cs = { 0 };
    struct buf groups = { 0 };
    struct contact c = { .jid = STR("romeo@example.net"),
        .name = STR("Romeo"),
        .ask = STR("<presence/>"),
        .bits = CONTACT_TO | CONTACT_ASK_IN };
    struct contact got;
    struct str rest, group;

    (void)state;
    contact_group_add(&groups, STR("Friends"));
    contact_group_add(&groups, STR(""));
    contact_group_add(&groups, STR("Lovers"));
    c.groups = buf_str(&groups);
    assert_false(contacts_find(&cs, c.jid, &got));
    contacts_put(&cs, &c);
    assert_true(contacts_find(&cs, c.jid, &got));
    assert_str(got.name, "Romeo");
    assert_str(got.ask, "<presence/>");
    assert_int_equal(got.bits, CONTACT_TO | CONTACT_ASK_IN);
    rest = got.groups;
    assert_true(contact_group_next(&rest, &group));
    assert_str(group, "Friends");
    assert_true(contact_group_next(&rest, &group));
    assert_str(group, "");
    assert_true(contact_group_next(&rest, &group));
    assert_str(group, "Lovers");
    assert_false(contact_group_next(&rest, &group));
    assert_true(contact_in_group(&got, STR("Lovers")));
    assert_false(contact_in_group(&got, STR("Lover")));

    /* A view of what is there may be put again; without a request it keeps none. */
    got.bits = CONTACT_FROM;
    contacts_put(&cs, &got);
    assert_int_equal(cs.count, 1);
    assert_true(contacts_find(&cs, c.jid, &got));
    assert_str(got.name, "Romeo");
    assert_int_equal(got.bits, CONTACT_FROM);
    assert_int_equal(got.ask.n, 0);

    assert_true(contacts_del(&cs, c.jid));
    assert_false(contacts_del(&cs, c.jid));
    assert_int_equal(cs.count, 0);
    contacts_trim(&cs);
    assert_null(cs.p);
    buf_fini(&groups);
}

static void
test_many(void **state)
{
    enum {
        N = 500
    };
    struct contacts cs = { 0 };
    struct contact got;
    bool seen[N] = { false };
    char jid[64];
    size_t at = 0, n = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(jid, sizeof jid, "user%d@example.net", i);
        contacts_append(&cs, &(struct contact){ .jid = str_from(jid),
                                     .name = { jid, strlen(jid) - 12 },
                                     .ask = STR("?"),
                                     .bits = i % 3 ? 0 : CONTACT_ASK_IN });
    }
    contacts_trim(&cs);
    for (int i = 0; i < N; i += 2) {
        snprintf(jid, sizeof jid, "user%d@example.net", i);
        assert_true(contacts_del(&cs, str_from(jid)));
    }
    while (contacts_next(&cs, &at, &got)) {
        int i = atoi(got.name.p + 4);

        snprintf(jid, sizeof jid, "user%d@example.net", i);
        assert_str(got.jid, jid);
        assert_false(seen[i]);
        assert_int_equal(got.ask.n, i % 3 ? 0 : 1);
        seen[i] = true;
        n++;
    }
    assert_int_equal(n, N / 2);
    assert_int_equal(cs.count, N / 2);
    contacts_fini(&cs);
}

/* What does not fit into a record is left out, and breaks nothing. */
static void
test_too_long(void **state)
{
    struct contacts cs = { 0 };
    struct contact got;
    size_t n = 70000;
    char *name = mem_zalloc(n);

    (void)state;
    memset(name, 'x', n);
    contacts_put(
            &cs, &(struct contact){
                         .jid = STR("a@b"), .name = { name, n }, .bits = CONTACT_TO });
    assert_true(contacts_find(&cs, STR("a@b"), &got));
    assert_int_equal(got.name.n, 0);
    assert_int_equal(got.bits, CONTACT_TO);
    contacts_fini(&cs);
    mem_free_p(name);
}

static void
test_addresses(void **state)
{
    static const struct {
        const char *text, *local, *domain, *resource;
    } cases[] = {
        { "romeo@example.net", "romeo", "example.net", "" },
        { "example.net", "", "example.net", "" },
        { "example.net/a@b/c", "", "example.net", "a@b/c" },
        { "romeo@example.net/a@b", "romeo", "example.net", "a@b" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct contact c = { .jid = str_from(cases[i].text) };
        struct jid jid = contact_jid(&c);

        assert_str(jid.local, cases[i].local);
        assert_str(jid.domain, cases[i].domain);
        assert_str(jid.resource, cases[i].resource);
    }
}

static void
test_damaged_groups(void **state)
{
    struct str bad = STR("\x05\0ab"), name;

    (void)state;
    assert_false(contact_group_next(&bad, &name));
    bad = STR("\x05");
    assert_false(contact_group_next(&bad, &name));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_find_del),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_damaged_groups),
    };

    return cmocka_run_group_tests_name("contacts", tests, NULL, NULL);
}
