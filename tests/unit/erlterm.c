/*
 * erlterm.c -- Erlang terms as ejabberd stores them: read, looked into, written again
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "xmpp/erlterm.h"

static struct arena arena;

#define E_ACUTE "\xc3\xa9"
#define PI_BIG  "\xd0\x9f" /* a letter whose second byte Latin-1 cannot print */

/* out NULL: refused. Else Erlang/OTP 25 reads in and out as the same term. */
static void
there_and_back_again(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        /* What ejabberd has in its tables */
        { "[{label,<<\"Label\">>},{displayed_groups,[<<\"g1\">>]},"
          "{description,<<\"Desc\">>}]",
                "[{label,<<\"Label\">>},{displayed_groups,[<<\"g1\">>]},"
                "{description,<<\"Desc\">>}]" },
        { "[{<<\"u\">>,<<\"server\">>,<<>>}]", "[{<<\"u\">>,<<\"server\">>,<<>>}]" },
        { "[{affiliations,[{{<<\"u\">>,<<\"host\">>,<<>>},{owner,<<>>}}]},{roles,[]},"
          "{subject,[{text,<<>>,<<\"The topic\">>}]},{captcha_whitelist,[]},"
          "{hibernation_time,1764291600000000}]",
                "[{affiliations,[{{<<\"u\">>,<<\"host\">>,<<>>},{owner,<<>>}}]},"
                "{roles,[]},{subject,[{text,<<>>,<<\"The topic\">>}]},"
                "{captcha_whitelist,[]},{hibernation_time,1764291600000000}]" },
        { "<<208,159>>", "<<208,159>>" },
        { "true", "true" },
        /* Space and comments */
        { " [ 1 ,\n\t2 % two\n, 3 ] % end", "[1,2,3]" },
        { "%", NULL },
        { "a b", NULL },
        { "", NULL },
        { " ", NULL },
        /* Atoms */
        { "a@b_C9", "a@b_C9" },
        { "'Hello World'", "'Hello World'" },
        { "'a'", "a" },
        { "''", "''" },
        { "'if'", "'if'" },
        { "'maybe'", "'maybe'" },
        { "'it\\'s'", "'it\\'s'" },
        { "'a\\nb\\\\'", "'a\\nb\\\\'" },
        { "'\\^['", "'\\e'" },
        { "'\\x{1}'", "'\\x{1}'" },
        { "'" PI_BIG "'", "'" PI_BIG "'" },
        { "'\\xe9'", "'\\x{e9}'" },
        { "'\\x{100}'", NULL },
        { "'a", NULL },
        { "'a\\'", NULL },
        { "A", NULL },
        { "_", NULL },
        { E_ACUTE, NULL },
        { "a.", NULL },
        /* Integers */
        { "-5", "-5" },
        { "- 5", "-5" },
        { "+5", "5" },
        { "-0", "0" },
        { "0123", "123" },
        { "16#fF", "255" },
        { "-36#Zz", "-1295" },
        { "1_000", "1000" },
        { "9223372036854775807", "9223372036854775807" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "9223372036854775808", "9223372036854775808" },
        { "-123456789012345678901234567890", "-123456789012345678901234567890" },
        { "$a", "97" },
        { "$\\n", "10" },
        { "$\\x41", "65" },
        { "--5", NULL },
        { "-a", NULL },
        { "1-1", NULL },
        { "1__0", NULL },
        { "1_", NULL },
        { "16#", NULL },
        { "37#1", NULL },
        { "1#0", NULL },
        { "16#1g", NULL },
        { "16#ffffffffffffffffff", NULL },
        { "12a", NULL },
        { "$", NULL },
        { "$ab", NULL },
        /* Floats */
        { "1.0", "1.0" },
        { "-0.0", "-0.0" },
        { "-1.5e100", "-1.5e100" },
        { "1.5E3", "1.5e3" },
        { "0.1", "0.1" },
        { "0.30000000000000004", "0.30000000000000004" },
        { "1.0e22", "1.0e22" },
        { "1.0e-400", "0.0" },
        { "1.0e400", NULL },
        { "1e3", NULL },
        { "1.e3", NULL },
        { "1.", NULL },
        { ".5", NULL },
        { "1.5e", NULL },
        /* Strings */
        { "\"abc\"", "\"abc\"" },
        { "\"a\" \"b\"", "\"ab\"" },
        { "\"\"", "[]" },
        { "\"\" \"\"", "[]" },
        { "[97,98]", "\"ab\"" },
        { "[8,9,10,11,12,13,27]", "\"\\b\\t\\n\\v\\f\\r\\e\"" },
        { "[1,2,3]", "[1,2,3]" },
        { "\"a\\0\"", "[97,0]" },
        { "\"a\\\"b\\\\c\\n\"", "\"a\\\"b\\\\c\\n\"" },
        { "\"\\s\\d\\q\\101\\18\\^A\"", "[32,127,113,65,1,56,1]" },
        { "\"a\\\nb\"", "\"a\\nb\"" },
        { "\"" E_ACUTE "\"", "\"" E_ACUTE "\"" },
        { "\"" PI_BIG "\"", "[208,159]" },
        { "\"\\x{1f600}\" \"a\"", "[128512,97]" },
        { "\"\\777\"", "[511]" },
        { "\"\\xe9\"", "[233]" },
        { "\"\\x{110000}\"", NULL },
        { "\"\\x4\"", NULL },
        { "\"\\x{}\"", NULL },
        { "\"\\x{41\"", NULL },
        { "\"a", NULL },
        { "\"a\\", NULL },
        { "\"a\\\"", NULL },
        /* Binaries */
        { "<<>>", "<<>>" },
        { "<< >>", "<<>>" },
        { "<<\"\">>", "<<>>" },
        { "<<\"a\",1,\"b\">>", "<<97,1,98>>" },
        { "<<\"a\" \"b\">>", "<<\"ab\">>" },
        { "<<256,-1,$a>>", "<<0,255,97>>" },
        { "<<\"x\"/utf8>>", "<<\"x\">>" },
        { "<<\"" PI_BIG "\">>", "<<208,159>>" },
        { "<<\"caf" E_ACUTE "\">>", "<<\"caf" E_ACUTE "\">>" },
        { "<<\"caf\",233>>", "<<99,97,102,233>>" },
        { "<<\"a\\nb\\tc\\\\\\\"d\\e\">>", "<<\"a\\nb\\tc\\\\\\\"d\\e\">>" },
        { "<<127>>", "<<127>>" },
        { "<<\"\\x{1f600}\"/utf8>>", "<<240,159,152,128>>" },
        { "<<\"\\x{1f600}\">>", "<<0>>" },
        { "<<300/utf8>>", "<<\"\xc4\xac\">>" },
        { "<<1:8,2/integer,\"ab\":8>>", "<<1,2,97,98>>" },
        { "<<\"\\x{d800}\"/utf8>>", NULL },
        { "<<16#d800/utf8>>", NULL },
        { "<<-1/utf8>>", NULL },
        { "<<1:16>>", NULL },
        { "<<5:3>>", NULL },
        { "<<\"a\"/binary>>", NULL },
        { "<<\"a\"/utf16>>", NULL },
        { "<<\"a\"/utf8-little>>", NULL },
        { "<<1.0>>", NULL },
        { "<<1 2>>", NULL },
        { "<<1,>>", NULL },
        { "<<1", NULL },
        { "<<1>", NULL },
        { "< <1>>", NULL },
        { "<<a>>", NULL },
        /* Lists, tuples, maps */
        { "[]", "[]" },
        { "{}", "{}" },
        { "#{}", "#{}" },
        { "#{a=>1,\"b\" => <<\"c\">>}", "#{a => 1,\"b\" => <<\"c\">>}" },
        { "[a|b]", "[a|b]" },
        { "[a|[b]]", "[a,b]" },
        { "[a|[b|c]]", "[a,b|c]" },
        { "[97|\"bc\"]", "\"abc\"" },
        { "[a|[]]", "[a]" },
        { "{[],{{}},[[]]}", "{[],{{}},[[]]}" },
        { "[a,]", NULL },
        { "[,]", NULL },
        { "[a|b,c]", NULL },
        { "[|a]", NULL },
        { "[a|]", NULL },
        { "[a", NULL },
        { "{a", NULL },
        { "{a]", NULL },
        { "#{a=>1,}", NULL },
        { "#{a:=1}", NULL },
        { "#{a}", NULL },
        { "#{a=>1", NULL },
        { "#rec{a=1}", NULL },
        { "#Ref<0.1.2.3>", NULL },
        { "<0.9.0>", NULL },
        { "fun lists:map/2", NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *copy = strdup(cases[i].in); /* a sanitizer sees reads beyond its end */
        struct erlterm *term = NULL, *again = NULL;
        struct buf out = { 0 }, twice = { 0 };
        int r = erlterm_parse(&arena, (struct str){ copy, strlen(cases[i].in) }, &term);

        if (r != (cases[i].out ? 0 : -EINVAL))
            fail_msg("%s: %d", cases[i].in, r);
        if (r == 0) {
            erlterm_write(&out, term);
            if (strcmp(buf_c(&out), cases[i].out) != 0)
                fail_msg("%s: %s", cases[i].in, buf_c(&out));
            assert_int_equal(erlterm_parse(&arena, buf_str(&out), &again), 0);
            erlterm_write(&twice, again);
            assert_string_equal(buf_c(&twice), buf_c(&out));
        }
        free(copy);
        buf_fini(&out);
        buf_fini(&twice);
        arena_reset(&arena);
    }
}

static void
limits(void **state)
{
    struct buf text = { 0 };
    struct erlterm *term = NULL;

    (void)state;
    for (unsigned depth = ERLTERM_DEPTH_MAX; depth <= ERLTERM_DEPTH_MAX + 1; depth++) {
        buf_reset(&text, 1 << 20);
        for (unsigned i = 0; i < depth; i++)
            buf_add_char(&text, '{');
        for (unsigned i = 0; i < depth; i++)
            buf_add_char(&text, '}');
        assert_int_equal(erlterm_parse(&arena, buf_str(&text), &term),
                depth > ERLTERM_DEPTH_MAX ? -E2BIG : 0);
    }
    buf_reset(&text, 1 << 20);
    buf_add_char(&text, '[');
    for (unsigned i = 0; i < ERLTERM_TERMS_MAX; i++)
        buf_add_c(&text, i ? ",a" : "a");
    buf_add_char(&text, ']');
    assert_int_equal(erlterm_parse(&arena, buf_str(&text), &term), -E2BIG);
    arena_reset(&arena);
    buf_reset(&text, 1 << 20);
    buf_add_c(&text, "\"\\x{100}");
    for (unsigned i = 0; i < ERLTERM_TERMS_MAX; i++)
        buf_add_char(&text, 'a');
    buf_add_char(&text, '"');
    assert_int_equal(erlterm_parse(&arena, buf_str(&text), &term), -E2BIG);
    arena_reset(&arena);
    buf_reset(&text, 1 << 20);
    for (unsigned i = 0; i <= ERLTERM_SIZE_MAX; i++)
        buf_add_char(&text, 'a');
    assert_int_equal(erlterm_parse(&arena, buf_str(&text), &term), -E2BIG);
    text.n--;
    assert_int_equal(erlterm_parse(&arena, buf_str(&text), &term), 0);
    assert_true(term->type == ERLTERM_ATOM && term->text.n == ERLTERM_SIZE_MAX);
    buf_fini(&text);
    arena_reset(&arena);
}

static void
assert_text(const struct erlterm *term, const char *expected)
{
    struct str s = STR_NULL;

    if (erlterm_text(&arena, term, &s) != (expected ? 0 : -EINVAL) ||
            !str_eq_c(s, expected))
        fail_msg("'%.*s' is not '%s'", STR_ARG(s), expected);
}

static void
look_ups(void **state)
{
    struct erlterm *t;

    (void)state;
    assert_int_equal(
            erlterm_parse(&arena,
                    STR("[{title,<<\"A\">>},{title,<<\"B\">>},{old,\"C\"},"
                        "{older,[68,69]},"
                        "disabled,{x},{y,1,2},{no,[a]},{wide,[300]},{b,true},{n,{}}]"),
                    &t),
            0);
    assert_text(erlterm_prop(t, "title"), "A");
    assert_text(erlterm_prop(t, "old"), "C");
    assert_text(erlterm_prop(t, "older"), "DE");
    assert_text(erlterm_prop(t, "b"), "true");
    assert_text(erlterm_prop(t, "no"), NULL);
    assert_text(erlterm_prop(t, "wide"), NULL);
    assert_text(erlterm_prop(t, "n"), NULL);
    assert_text(NULL, NULL);
    assert_true(erlterm_is_atom(erlterm_prop(t, "disabled"), "true"));
    assert_null(erlterm_prop(t, "x"));
    assert_null(erlterm_prop(t, "y"));
    assert_null(erlterm_prop(NULL, "y"));
    assert_null(erlterm_prop(t->first, "title"));
    assert_true(erlterm_is_tuple(erlterm_nth(t, 6), "y", 3));
    assert_true(erlterm_is_tuple(erlterm_nth(t, 6), NULL, 0));
    assert_false(erlterm_is_tuple(erlterm_nth(t, 6), "y", 2));
    assert_false(erlterm_is_tuple(erlterm_prop(t, "n"), "y", 0));
    assert_int_equal(erlterm_nth(erlterm_nth(t, 6), 2)->integer, 2);
    assert_null(erlterm_nth(erlterm_nth(t, 6), 3));
    assert_null(erlterm_nth(erlterm_nth(t, 4), 0));
    assert_null(erlterm_nth(NULL, 0));
    arena_reset(&arena);
}

static void
building(void **state)
{
    struct erlterm *list = erlterm_list(&arena), *jid, *map;
    struct buf out = { 0 };

    (void)state;
    erlterm_push_prop(
            &arena, list, "label", erlterm_binary(&arena, STR("L\xc3\xb6we")));
    erlterm_push(list, erlterm_atom(&arena, STR("all_users")));
    jid = erlterm_push(list, erlterm_tuple(&arena));
    erlterm_push(jid, erlterm_binary(&arena, STR(PI_BIG)));
    erlterm_push(jid, erlterm_integer(&arena, -1));
    erlterm_push(jid, erlterm_float(&arena, 2.5));
    map = erlterm_push(list, erlterm_map(&arena));
    erlterm_push(map, erlterm_atom(&arena, STR("k")));
    erlterm_push(map, erlterm_list(&arena));
    erlterm_write(&out, list);
    assert_string_equal(buf_c(&out),
            "[{label,<<\"L\xc3\xb6we\">>},all_users,{<<208,159>>,-1,2.5},#{k => []}]");
    buf_fini(&out);
    arena_reset(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back_again),
        cmocka_unit_test(limits),
        cmocka_unit_test(look_ups),
        cmocka_unit_test(building),
    };
    int r;

    arena_init(&arena, 4096);
    r = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return r;
}
