/*
 * jid.c -- addresses: syntax, preparation, limits, and that a prepared one stays as it
 * is
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "xmpp/jid.h"

static struct arena arena;

static const struct {
    const char *text, *result; /* result NULL: refused; "=": as it is, and not copied */
} cases[] = {
    { "example.com", "=" },
    { "juliet@example.com", "=" },
    { "juliet@example.com/balcony", "=" },
    { "example.com/balcony", "=" },
    { "Juliet@Example.COM/Balcony", "juliet@example.com/Balcony" },
    { "a.b-c_d+e!#$%*{}|~^`=?;()[]\\,@x", "=" },
    { "x/a/b@c/ d", "=" },
    { "a@x/ \"&'/:<>@ ", "=" },
    { "localhost", "=" },
    { "a_b.example", "=" },
    { "127.0.0.1/x", "=" },
    { "a@[::1]/x", "=" },
    { "[2001:DB8:0::1]", "[2001:db8::1]" },
    { "example.com.", "example.com" },
    { "a@example.com./b", "a@example.com/b" },
    /* RFC 7622, 3.5, as far as stringprep agrees */
    { "juliet@example.com/foo bar", "=" },
    { "foo\\20bar@example.com", "=" },
    { "fussball@example.com", "=" },
    { "fu\xc3\x9f"
      "ball@example.com",
            "fussball@example.com" },
    { "\xcf\x80@example.com", "\xcf\x80@example.com" },
    { "\xce\xa3@example.com/foo", "\xcf\x83@example.com/foo" },
    { "king@example.com/\xe2\x99\x9a", "king@example.com/\xe2\x99\x9a" },
    { "a@b/\xf0\x9f\x98\x80",
            "a@b/\xf0\x9f\x98\x80" }, /* newer than stringprep's tables */
    { "\xc3\x89@\xc3\x89.example", "\xc3\xa9@\xc3\xa9.example" },
    { "e\xcc\x81@x", "\xc3\xa9@x" },
    { "\xef\xbd\x81@x", "a@x" }, /* full-width a */
    { "b\xc3\xbc"
      "cher.example",
            "b\xc3\xbc"
            "cher.example" },
    { "xn--bcher-kva.example", "b\xc3\xbc"
                               "cher.example" },
    { "XN--BCHER-KVA.Example", "b\xc3\xbc"
                               "cher.example" },
    { "a\xe3\x80\x82"
      "b\xef\xbc\x8e"
      "c\xef\xbd\xa1"
      "d",
            "a.b.c.d" },
    { "", NULL },
    { "@", NULL },
    { "/", NULL },
    { "@example.com", NULL },
    { "juliet@", NULL },
    { "juliet@/x", NULL },
    { "juliet@example.com/", NULL },
    { "/balcony", NULL },
    { "a@b@c", NULL },
    { "\"juliet\"@example.com", NULL },
    { "foo bar@example.com", NULL },
    { "a:b@x", NULL },
    { "a<b@x", NULL },
    { "a&b@x", NULL },
    { "a'b@x", NULL },
    { "a\x7f@x", NULL },
    { "a\n@x", NULL },
    { "a@x/b\n", NULL },
    { "a@x/\x7f", NULL },
    { "exam ple.com", NULL },
    { "exam!ple.com", NULL },
    { "ex..ample", NULL },
    { ".example", NULL },
    { "example..", NULL },
    { ".", NULL },
    { "[::1", NULL },
    { "[]", NULL },
    { "[1.2.3.4]", NULL },
    { "[::1]x", NULL },
    { "[fe80::1%eth0]", NULL },
    { "\xe2\x85\xa3@x/\xff", NULL },
    { "\xff@x", NULL },
    { "x\xc0\xaf", NULL },
    { "a@x/\xed\xa0\x80", NULL },
    { "\xc2\xa0@x", NULL }, /* no-break space */
    { "a\xef\xbc\xa0"
      "b@x",
            NULL }, /* full-width @ becomes one */
    { "x\xef\xbc\xa0"
      "y",
            NULL },
    { "x\xef\xbc\x8f"
      "y",
            NULL },         /* full-width slash */
    { "\xc2\xad@x", NULL }, /* soft hyphen: mapped to nothing */
    { "a@\xc2\xad", NULL },
    { "a@x/\xc2\xad", NULL },
    { "\xd7\x90"
      "a@x",
            NULL }, /* both directions */
    { "xn--\x80.example", NULL },
    { "xn--99999999.example", NULL },
};

static void
parsing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str text = str_from(cases[i].text), out;
        struct jid jid = { .domain = STR("untouched") }, again;
        int r;

        arena_reset(&arena);
        r = jid_parse(&arena, text, &jid);
        if (!cases[i].result) {
            if (r != -EINVAL)
                fail_msg("%s: taken", cases[i].text);
            assert_true(str_eq(jid.domain, STR("untouched")));
            continue;
        }
        if (r != 0)
            fail_msg("%s: refused", cases[i].text);
        if (strcmp(cases[i].result, "=") == 0)
            assert_int_equal(arena_used(&arena), 0);
        out = jid_text(&arena, &jid);
        if (!str_eq(out,
                    strcmp(cases[i].result, "=") ? str_from(cases[i].result) : text))
            fail_msg("%s: %.*s", cases[i].text, STR_ARG(out));
        assert_int_equal(jid_parse(&arena, out, &again), 0);
        assert_true(jid_eq(&jid, &again));
    }
}

/* Parts may have 1023 bytes, labels 63; and no part may smuggle in a NUL. */
static void
lengths(void **state)
{
    static const struct {
        size_t local, label, resource;
        int result;
    } sizes[] = {
        { 1023, 63, 1023, 0 },
        { 1024, 63, 1, -EINVAL },
        { 1, 64, 1, -EINVAL },
        { 1, 63, 1024, -EINVAL },
        { 5000, 63, 1, -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (unsigned umlaut = 0; umlaut < 2; umlaut++) {
            struct buf text = { 0 };
            struct jid jid;

            /* The same with a character that takes the way through libidn. */
            for (size_t n = 0; n < sizes[i].local - 2 * umlaut && n < 6000; n++)
                buf_add_char(&text, 'a');
            if (umlaut && sizes[i].local > 2)
                buf_add_c(&text, "\xc3\xa4");
            else if (umlaut)
                buf_add_c(&text, "a");
            if (umlaut && sizes[i].local == 1) {
                buf_reset(&text, 100);
                buf_add_c(&text, "a");
            }
            buf_add_char(&text, '@');
            for (size_t n = 0; n < sizes[i].label; n++)
                buf_add_char(&text, 'b');
            buf_add_char(&text, '/');
            for (size_t n = 0; n < sizes[i].resource; n++)
                buf_add_char(&text, 'c');
            if (jid_parse(&arena, buf_str(&text), &jid) != sizes[i].result)
                fail_msg("case %zu.%u", i, umlaut);
            buf_fini(&text);
        }
    }
    for (unsigned long_by = 0; long_by < 2; long_by++) { /* 253 fit into DNS */
        struct buf text = { 0 };
        struct jid jid;

        for (unsigned i = 0; i < 126; i++)
            buf_add_c(&text, "\xc3\xa4.");
        buf_add_c(&text, long_by ? "bb" : "b");
        assert_int_equal(
                jid_parse(&arena, buf_str(&text), &jid), long_by ? -EINVAL : 0);
        buf_fini(&text);
    }
    {
        struct jid jid;

        assert_int_equal(jid_parse(&arena, (struct str){ "a\0b@x", 5 }, &jid), -EINVAL);
        assert_int_equal(
                jid_parse(&arena, (struct str){ "\xc3\xa4\0b@x", 6 }, &jid), -EINVAL);
        assert_int_equal(jid_parse(&arena, (struct str){ "a@x\0y", 5 }, &jid), -EINVAL);
        assert_int_equal(
                jid_parse(&arena, (struct str){ "a@\xc3\xa4\0y", 6 }, &jid), -EINVAL);
        assert_int_equal(jid_parse(&arena, (struct str){ "x/a\0", 4 }, &jid), -EINVAL);
        assert_int_equal(
                jid_parse(&arena, (struct str){ "[::1\0]", 6 }, &jid), -EINVAL);
    }
}

static void
parts(void **state)
{
    struct jid full, other, bare;
    struct buf out = { 0 };
    struct str s;

    (void)state;
    assert_int_equal(jid_parse(&arena, STR("a@b/c"), &full), 0);
    assert_int_equal(jid_parse(&arena, STR("a@b/d"), &other), 0);
    assert_true(jid_is_full(&full));
    assert_false(jid_is_bare(&full));
    assert_false(jid_is_domain(&full));
    assert_false(jid_eq(&full, &other));
    assert_true(jid_eq_bare(&full, &other));
    bare = jid_bare(&full);
    assert_true(jid_is_bare(&bare));
    assert_false(jid_is_domain(&bare));
    bare = jid_of_domain(&full);
    assert_true(jid_is_domain(&bare));
    assert_true(str_eq(jid_text(&arena, &bare), STR("b")));
    assert_true(str_eq(jid_bare_text(&arena, &full), STR("a@b")));
    bare = jid_dup(&arena, &full);
    assert_true(jid_eq(&bare, &full));
    assert_ptr_not_equal(bare.local.p, full.local.p);
    jid_write(&out, &full);
    buf_add_char(&out, ' ');
    jid_write_bare(&out, &full);
    assert_string_equal(buf_c(&out), "a@b/c a@b");
    buf_fini(&out);
    bare = (struct jid){ 0 };
    assert_int_equal(jid_text(&arena, &bare).n, 0);

    assert_int_equal(jid_make(&arena, STR("A"), STR("B"), STR("C"), &full), 0);
    assert_true(str_eq(jid_text(&arena, &full), STR("a@b/C")));
    assert_int_equal(jid_make(&arena, STR("a@b"), STR("c"), STR_NULL, &full), -EINVAL);
    assert_int_equal(jid_make(&arena, STR_NULL, STR("a@b"), STR_NULL, &full), -EINVAL);
    assert_int_equal(jid_make(&arena, STR_NULL, STR("a/b"), STR_NULL, &full), -EINVAL);
    assert_int_equal(jid_prep_local(&arena, STR(""), &s), -EINVAL);
    assert_int_equal(jid_prep_domain(&arena, STR(""), &s), -EINVAL);
    assert_int_equal(jid_prep_resource(&arena, STR(""), &s), -EINVAL);
}

static void
passwords(void **state)
{
    static const struct {
        const char *in;
        const char *stored, *query; /* NULL: refused */
    } words[] = {
        /* RFC 4013, section 3 */
        { "I\xc2\xadX", "IX", "IX" },
        { "user", "user", "user" },
        { "USER", "USER", "USER" },
        { "\xc2\xaa", "a", "a" },
        { "\xe2\x85\xa8", "IX", "IX" },
        { "\x07", NULL, NULL },
        { "\xd8\xa7\x31", NULL, NULL },
        { "with space \" <&", "with space \" <&", "with space \" <&" },
        { "\xc2\xa0x", " x", " x" },
        { "\xc8\xa1", NULL, "\xc8\xa1" }, /* U+0221: unassigned in Unicode 3.2 */
        { "", NULL, NULL },
        { "\xc3", NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        for (int use = JID_STORED; use <= JID_QUERY; use++) {
            const char *expected = use == JID_STORED ? words[i].stored : words[i].query;
            struct str out;
            int r = jid_saslprep(
                    &arena, str_from(words[i].in), (enum jid_prep_use)use, &out);

            if ((r == 0) != (expected != NULL) || (r == 0 && !str_eq_c(out, expected)))
                fail_msg("%s", words[i].in);
        }
    }
}

static void
names_for_dns(void **state)
{
    struct str out;

    (void)state;
    assert_int_equal(jid_domain_ascii(&arena, STR("example.com"), &out), 0);
    assert_true(str_eq(out, STR("example.com")));
    assert_int_equal(jid_domain_ascii(&arena,
                             STR("b\xc3\xbc"
                                 "cher.example"),
                             &out),
            0);
    assert_true(str_eq(out, STR("xn--bcher-kva.example")));
    assert_int_equal(jid_domain_ascii(&arena, STR("[::1]"), &out), 0);
    assert_true(str_eq(out, STR("[::1]")));
    assert_int_equal(jid_domain_ascii(&arena, STR(""), &out), -EINVAL);
    assert_int_equal(jid_domain_ascii(&arena, STR("\xff"), &out), -EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsing),
        cmocka_unit_test(lengths),
        cmocka_unit_test(parts),
        cmocka_unit_test(passwords),
        cmocka_unit_test(names_for_dns),
    };
    int r;

    arena_init(&arena, 4096);
    r = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return r;
}
