/*
 * xml_el.c -- the tree and the writer: building, looking up, and there and back again
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "xml/el.h"
#include "xml/parser.h"
#include "xml/writer.h"

static struct xml_pool *pool;
static struct arena arena;

static struct xml_el *
parse(const char *text, const char *default_ns)
{
    struct xml_el *el = NULL;
    enum xml_error e = xml_parse(pool, NULL, &arena, str_from(text), default_ns, &el);

    if (e != XML_OK)
        fail_msg("%s: %s", text, xml_error_text(e));
    return el;
}

static void
assert_written(const struct xml_el *el, const char *default_ns, const char *expected)
{
    struct buf out = { 0 };

    xml_write(&out, el, str_from(default_ns));
    assert_string_equal(buf_c(&out), expected);
    buf_fini(&out);
}

#define assert_str(s, expected)                                      \
    do {                                                             \
        struct str s_ = (s);                                         \
        if (!str_eq_c(s_, (expected)))                               \
            fail_msg("'%.*s' is not '%s'", STR_ARG(s_), (expected)); \
    } while (0)

static void
look_ups(void **state)
{
    struct xml_el *el = parse("<iq id='1' xmlns:x='urn:x' x:id='2' xml:lang='de' a=''>"
                              "text<q xmlns='urn:q'><i n='1'/><j/><i n='2'/>more</q>"
                              "<e xmlns='urn:q'/><t>a<b/>b<![CDATA[c]]></t></iq>",
            "urn:d");
    struct xml_el *q = xml_child(el, "q", "urn:q");
    unsigned n = 0;

    (void)state;
    assert_true(xml_is(el, "iq", "urn:d"));
    assert_true(xml_is(el, NULL, "urn:d"));
    assert_false(xml_is(el, "iq", ""));
    assert_false(xml_is(el, "i", NULL));
    assert_false(xml_is(el, "iqq", NULL));
    assert_false(xml_is(NULL, NULL, NULL));
    assert_str(xml_attr(el, "id"), "1");
    assert_str(xml_attr_ns(el, "id", "urn:x"), "2");
    assert_str(xml_attr_ns(el, NULL, "urn:x"), "2");
    assert_non_null(xml_attr(el, "a").p);
    assert_int_equal(xml_attr(el, "a").n, 0);
    assert_null(xml_attr(el, "lang").p);
    assert_null(xml_attr(NULL, "id").p);
    assert_str(xml_lang(xml_path(el, NULL, "q/i")), "de");
    assert_non_null(q);
    assert_ptr_equal(q->parent, el);
    assert_null(xml_child(el, "q", "urn:d"));
    assert_ptr_equal(xml_child(el, NULL, NULL), q);
    xml_for(i, q, "i", NULL) n++;
    assert_int_equal(n, 2);
    assert_null(xml_next(xml_child(q, "j", NULL), "j", NULL));
    assert_str(xml_attr(xml_path(el, "urn:q", "q/i"), "n"), "1");
    assert_null(xml_path(el, "urn:q", "q/k"));
    assert_null(xml_path(el, "urn:d", "q/i"));
    assert_null(xml_path(NULL, NULL, "q"));
    assert_str(xml_text(el), "text");
    assert_str(xml_child_text(el, "q", NULL), "more");
    assert_str(xml_child_text(el, "t", "urn:d"), "abc");
    assert_non_null(xml_child_text(el, "e", NULL).p);
    assert_int_equal(xml_child_text(el, "e", NULL).n, 0);
    assert_null(xml_child_text(el, "none", NULL).p);
    assert_true(xml_is_text(el->first));
    assert_false(xml_is_text(q));
}

static void
building(void **state)
{
    struct xml_el *iq = xml_el_new(&arena, "iq", "urn:d"), *q, *item, *copy;

    (void)state;
    xml_set_c(iq, "type", "get");
    xml_set_c(iq, "type", "set");
    xml_set(iq, "id", STR("a'b<"));
    xml_set(iq, "gone", STR("x"));
    xml_set(iq, "gone", STR_NULL);
    xml_set(iq, "never", STR_NULL);
    xml_set_ns(iq, "lang", XML_NS, STR("en"));
    q = xml_add(iq, "q", "urn:q");
    item = xml_add(q, "item", NULL);
    xml_set_ns(item, "x", "urn:1", STR("1"));
    xml_set_ns(item, "y", "urn:2", STR("2"));
    xml_set_ns(item, "z", "urn:1", STR("3"));
    xml_add_text(item, STR("1 < 2"));
    xml_add_text(item, STR(""));
    xml_add_leaf(q, "leaf", "urn:d", STR("\t\x01\r\n"));
    xml_add_leaf(iq, "empty", "", STR(""));
#define ITEM                                                              \
    "<item xmlns:a0='urn:1' a0:x='1' xmlns:a1='urn:2' a1:y='2' a0:z='3'>" \
    "1 &lt; 2</item>"
#define LEAF "<leaf xmlns='urn:d'>\t\xef\xbf\xbd&#13;\n</leaf>"
    assert_written(iq, "urn:d",
            "<iq type='set' id='a&apos;b&lt;' xml:lang='en'><q xmlns='urn:q'>" ITEM LEAF
            "</q><empty xmlns=''/></iq>");
    assert_written(q, "urn:q", "<q>" ITEM LEAF "</q>");
    assert_written(item->first, "", "1 &lt; 2");

    copy = xml_copy(&arena, q);
    assert_null(copy->parent);
    assert_true(xml_equal(copy, q));
    assert_ptr_not_equal(copy->name.p, q->name.p);
    assert_int_equal(xml_remove(q, "item", NULL), 1);
    assert_false(xml_equal(copy, q));
    assert_written(iq, "urn:d",
            "<iq type='set' id='a&apos;b&lt;' xml:lang='en'><q xmlns='urn:q'>" LEAF
            "</q><empty xmlns=''/></iq>");
    assert_null(item->parent);
    xml_add_el(iq, item); /* keeps its namespace in its new place */
    assert_true(xml_is(iq->last, "item", "urn:q"));
    xml_unlink(xml_child(iq, "empty", NULL));
    xml_unlink(q);
    xml_unlink(q);
    assert_ptr_equal(iq->first, item);
    assert_ptr_equal(iq->last, item);
    xml_unlink(item);
    assert_null(iq->first);
    assert_null(iq->last);
    assert_written(
            iq, "", "<iq xmlns='urn:d' type='set' id='a&apos;b&lt;' xml:lang='en'/>");
    assert_int_equal(xml_remove(copy, NULL, NULL), 2);
    assert_null(copy->last);
}

static bool
is_text_longer_than(const struct xml_el *child, const void *arg)
{
    return xml_is_text(child) && child->text.n > *(const size_t *)arg;
}

static void
removing_what_fits(void **state)
{
    struct xml_el *el = parse("<a>one<b/>two<c/>three<d/>four</a>", "");
    size_t n = 3;

    (void)state;
    assert_int_equal(xml_remove_if(el, is_text_longer_than, &n), 2);
    assert_written(el, "", "<a>one<b/>two<c/><d/></a>");
    xml_add_text(el, STR("last"));
    assert_written(el, "", "<a>one<b/>two<c/><d/>last</a>");
    n = 0;
    assert_int_equal(xml_remove_if(el, is_text_longer_than, &n), 3);
    assert_int_equal(xml_remove_if(el, is_text_longer_than, &n), 0);
    assert_int_equal(xml_remove(el, NULL, NULL), 3);
    assert_null(el->first);
    assert_null(el->last);
}

static void
equality(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        { "<a/>", "<a></a>", true },
        { "<a b='1' c='2'/>", "<a c='2' b='1'/>", true },
        { "<x:a xmlns:x='u'/>", "<a xmlns='u'/>", true },
        { "<a>b</a>", "<a><![CDATA[b]]></a>", true },
        { "<a><b/><c><d/></c></a>", "<a><b/><c><d/></c></a>", true },
        { "<a/>", "<b/>", false },
        { "<a/>", "<a xmlns='u'/>", false },
        { "<a b='1'/>", "<a b='2'/>", false },
        { "<a b='1'/>", "<a/>", false },
        { "<a/>", "<a b='1'/>", false },
        { "<a>b</a>", "<a/>", false },
        { "<a/>", "<a>b</a>", false },
        { "<a><b/></a>", "<a><b/><b/></a>", false },
        { "<a><b/><b/></a>", "<a><b/></a>", false },
        { "<a><b><c/></b></a>", "<a><b/><c/></a>", false },
        { "<a><b/>x</a>", "<a>x<b/></a>", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (xml_equal(parse(cases[i].a, ""), parse(cases[i].b, "")) != cases[i].equal)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
}

static void
escaping(void **state)
{
    static const struct {
        const char *in;
        size_t n;
        const char *out;
    } cases[] = {
        { "plain", 5, "plain" },
        { "<>&'\"", 5, "&lt;&gt;&amp;&apos;&quot;" },
        { "a\tb\nc\rd", 7, "a&#9;b&#10;c&#13;d" },
        { "a\0b\x1f", 4,
                "a\xef\xbf\xbd"
                "b\xef\xbf\xbd" },
        { "\x7f", 1, "\x7f" },
        { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
                "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "\xff", 1, "\xef\xbf\xbd" },
        { "\xc3", 1, "\xef\xbf\xbd" },
        { "\xc0\xbc", 2, "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xe2\x82<", 3, "\xef\xbf\xbd\xef\xbf\xbd&lt;" },
        { "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xef\xbf\xbf", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xef\xbf\xbd", 3, "\xef\xbf\xbd" },
        { "", 0, "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = { 0 };

        xml_escape(&out, (struct str){ cases[i].in, cases[i].n });
        if (strcmp(buf_c(&out), cases[i].out) != 0)
            fail_msg("case %zu: %s", i, buf_c(&out));
        buf_fini(&out);
    }
}

/*
 * Every byte, as text and in an attribute, alone and doubled, comes back or is U+FFFD.
 */
static void
every_byte_stays_well_formed(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char bytes[3] = { (char)c, (char)c, 'x' };
        struct str value = { bytes, 3 };
        struct xml_el *el = xml_el_new(&arena, "a", NULL), *back;
        struct buf out = { 0 };
        bool legal = c == '\t' || c == '\n' || c == '\r' || (c >= ' ' && c < 0x80);

        xml_set(el, "b", value);
        xml_add_text(el, value);
        xml_write(&out, el, STR_NULL);
        back = parse(buf_c(&out), "");
        if (str_eq(xml_attr(back, "b"), value) != legal ||
                str_eq(xml_text(back), value) != legal)
            fail_msg("%02x: %s", c, buf_c(&out));
        buf_fini(&out);
        arena_reset(&arena);
    }
}

static void
by_hand(void **state)
{
    struct buf out = { 0 };
    struct xml_el *el = parse("<a xmlns='u' b='c'><d/>x</a>", "");

    (void)state;
    xml_open(&out, "iq");
    xml_put(&out, "to", STR("<&>"));
    xml_put(&out, "from", STR_NULL);
    xml_put(&out, "e", STR(""));
    buf_add_char(&out, '>');
    xml_leaf(&out, "body", STR("a<'b"));
    xml_leaf(&out, "none", STR_NULL);
    xml_write_start(&out, el, STR_NULL);
    xml_write_children(&out, el, el->ns);
    xml_write_end(&out, el);
    assert_string_equal(buf_c(&out),
            "<iq to='&lt;&amp;&gt;' e=''><body>a&lt;&apos;b</body>"
            "<a xmlns='u' b='c'><d/>x</a>");
    buf_fini(&out);
}

static uint32_t
dice(uint32_t n)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 32) % n;
}

static void
random_tree(struct xml_el *el, unsigned depth)
{
    static const char *const names[] = { "a", "b", "xml", "\xc3\xa9" };
    static const char *const spaces[] = { NULL, "", "urn:1", "urn:'2'", XML_NS };
    static const char *const values[] = { "", "x", "<&>'\"", "\r\n\t ",
        "\xe2\x82\xac]]>" };

    for (unsigned n = dice(4); n > 0; n--)
        xml_set_ns(el, names[dice(3)], spaces[dice(5)], str_from(values[dice(5)]));
    for (unsigned n = dice(5); n > 0; n--) {
        if (depth < 4 && dice(3))
            random_tree(xml_add(el, names[dice(4)], spaces[dice(4)]), depth + 1);
        else if (!xml_is_text(el->last)) /* two in a row would come back as one */
            xml_add_text(el, str_from(values[dice(5)]));
    }
}

static void
there_and_back_again(void **state)
{
    static const char *const around[] = { "", "urn:1", "jabber:client" };

    (void)state;
    for (unsigned round = 0; round < 5000; round++) {
        struct xml_el *el = xml_el_new(&arena, "a", around[dice(3)]), *back;
        const char *default_ns = around[dice(3)];
        struct buf once = { 0 }, twice = { 0 };

        random_tree(el, 1);
        xml_write(&once, el, str_from(default_ns));
        back = parse(once.p, default_ns);
        if (!xml_equal(el, back) || !xml_equal(back, el))
            fail_msg("differs: %s", once.p);
        xml_write(&twice, xml_copy(&arena, back), str_from(default_ns));
        assert_string_equal(once.p, twice.p);
        buf_fini(&once);
        buf_fini(&twice);
        arena_reset(&arena);
    }
}

/* Trees are walked without recursion: depth costs no stack. */
static void
a_deep_tree(void **state)
{
    struct xml_el *root = xml_el_new(&arena, "a", NULL), *el = root;
    struct buf out = { 0 };

    (void)state;
    for (unsigned i = 0; i < 1000000; i++)
        el = xml_add(el, "a", NULL);
    xml_write(&out, root, STR_NULL);
    assert_int_equal(out.n, 7u * 1000000 + 4);
    assert_true(xml_equal(root, xml_copy(&arena, root)));
    buf_fini(&out);
    arena_reset(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_ups),
        cmocka_unit_test(building),
        cmocka_unit_test(removing_what_fits),
        cmocka_unit_test(equality),
        cmocka_unit_test(escaping),
        cmocka_unit_test(every_byte_stays_well_formed),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(there_and_back_again),
        cmocka_unit_test(a_deep_tree),
    };
    int r;

    arena_init(&arena, 65536);
    pool = xml_pool_new(
            "stream:stream", "http://etherx.jabber.org/streams", "jabber:client");
    r = cmocka_run_group_tests(tests, NULL, NULL);
    xml_pool_free(&pool);
    arena_fini(&arena);
    return r;
}
