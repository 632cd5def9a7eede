/*
 * xml_simple.c -- which stanzas expat never sees, and that nobody can tell
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/rig/xml.h"
#include "tests/unit/rig/xml_seen.h"

#define X4(s)  s s s s
#define X16(s) X4(X4(s))
#define X64(s) X4(X16(s))

static struct xml_pool *by_expat; /* expat reads all of it */

static int
setup(void **state)
{
    by_expat = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    xml_pool_use_expat(by_expat);
    return xml_setup(state);
}

static int
teardown(void **state)
{
    xml_pool_free(&by_expat);
    return xml_teardown(state);
}

/* What the counters of pool have gained since *before, which is brought up to date. */
static struct xml_pool_stats
gained(struct xml_pool_stats *before)
{
    struct xml_pool_stats now, diff;

    xml_pool_stats(pool, &now);
    diff = (struct xml_pool_stats){
        .created = now.created - before->created,
        .worn = now.worn - before->worn,
        .scanned = now.scanned - before->scanned,
        .simple = now.simple - before->simple,
        .by_expat = now.by_expat - before->by_expat,
    };
    *before = now;
    return diff;
}

static const struct xml_limits small = {
    .stanza_size_max = 200,
    .tag_size_max = 50,
    .depth_max = 3,
    .attrs_max = 4,
    .elements_max = 5,
    .namespaces_max = 4,
};

enum taken {
    TAKEN, /* expat does not see it */
    GIVEN_UP
};

static const struct {
    const char *text;
    enum taken taken;
    enum xml_error error;
} cases[] = {
    { "<a/>", TAKEN, XML_OK },
    { "<a />", TAKEN, XML_OK },
    { "<a\n\t></a >", TAKEN, XML_OK },
    { "<a></a\n>", TAKEN, XML_OK },
    { "<message to='a@b' id=\"1\"><body>hi</body><x/></message>", TAKEN, XML_OK },
    { "<a>&lt;&gt;&amp;&apos;&quot;</a>", TAKEN, XML_OK },
    { "<a b='&lt;&gt;&amp;&apos;&quot;'/>", TAKEN, XML_OK },
    { "<a>&amp;lt;</a>", TAKEN, XML_OK },
    { "<a>tab\tline\n'\"]]&gt;] ]] ></a>", TAKEN, XML_OK },
    { "<a b='\"' c=\"'\" d=']]>'/>", TAKEN, XML_OK },
    { "<a>\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80</a>", TAKEN, XML_OK },
    { "<a b='\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'/>", TAKEN, XML_OK },
    { "<a_B-1.2 _c='' C9=''/>", TAKEN, XML_OK },
    { "<a>1<b>2</b>3<b/>4</a>", TAKEN, XML_OK },
    { "<a xmlns='u'><b xmlns=''/></a>", TAKEN, XML_OK },
    { "<x:a y:b='1' b='2' xmlns:x='u' xmlns:y='v'/>", TAKEN, XML_OK },
    { "<stream:error xml:lang='en'/>", TAKEN, XML_OK },
    /* References to expat's judgement */
    { "<a>&#65;</a>", GIVEN_UP, XML_OK },
    { "<a>&#x41;</a>", GIVEN_UP, XML_OK },
    { "<a b='&#65;'/>", GIVEN_UP, XML_OK },
    { "<a>&nbsp;</a>", GIVEN_UP, XML_ERR_RESTRICTED },
    { "<a>&lt</a>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a>&</a>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a b='x\ny'/>", GIVEN_UP, XML_OK },
    { "<a b='x\ty'/>", GIVEN_UP, XML_OK },
    { "<a>x\ry</a>", GIVEN_UP, XML_OK },
    { "<a\r/>", GIVEN_UP, XML_OK },
    { "<a b = 'c'/>", GIVEN_UP, XML_OK },
    { "<a b= 'c'/>", GIVEN_UP, XML_OK },
    { "<a><![CDATA[x]]></a>", GIVEN_UP, XML_OK },
    { "<a><!-- --></a>", GIVEN_UP, XML_ERR_RESTRICTED },
    { "<a><?x?></a>", GIVEN_UP, XML_ERR_RESTRICTED },
    { "<a>&#65;<!-- </a> -- --></a>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a><![CDATA[</a>]]></a>", GIVEN_UP, XML_OK },
    { "<a><b></b >1<a> </a></a>", TAKEN, XML_OK },
    { "<a><b></b >&#65;<a> </a></a >", GIVEN_UP, XML_OK },
    { "<a>]]></a>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a>]]]></a>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<\xc3\xa9/>", GIVEN_UP, XML_OK },
    { "<a \xc3\xa9=''/>", GIVEN_UP, XML_OK },
    { "<a b='1' b='2'/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a b='1'c='2'/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a b/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a b:'1'/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a b+'1'/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a b=1/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a b='<'/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a / >", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "< a/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<1/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<-/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a 1=''/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a></b>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a></ab>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<ab></a>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a></ a>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a><b></a></b>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a>\x01</a>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a>\xed\xa0\x80</a>", GIVEN_UP, XML_ERR_BAD_ENCODING },
    { "<a>\xc0\xbc</a>", GIVEN_UP, XML_ERR_BAD_ENCODING },
    { "<a>\xef\xbf\xbe</a>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    { "<a b='\xef\xbf\xbf'/>", GIVEN_UP, XML_ERR_NOT_WELL_FORMED },
    /* Names that expat does not judge; what reads them is the same for both. */
    { "<x:a/>", TAKEN, XML_ERR_NAMESPACE },
    { "<xml:a/>", TAKEN, XML_ERR_NAMESPACE },
    { "<a x:b='1'/>", TAKEN, XML_ERR_NAMESPACE },
    { "<a:b:c/>", TAKEN, XML_ERR_NAMESPACE },
    { "<a xmlns:x=''/>", TAKEN, XML_ERR_NAMESPACE },
    /* Limits: as much as is allowed, and one more */
    { "<a><a><a/></a></a>", TAKEN, XML_OK },
    { "<a><a><a><a/></a></a></a>", GIVEN_UP, XML_ERR_TOO_DEEP },
    { "<a><b/><b/><b/><b/></a>", TAKEN, XML_OK },
    { "<a><b/><b/><b/><b/><b/></a>", GIVEN_UP, XML_ERR_TOO_MANY },
    { "<a a='' b='' c='' d=''/>", TAKEN, XML_OK },
    { "<a a='' b='' c='' d='' e=''/>", GIVEN_UP, XML_ERR_TOO_MANY },
    { "<a xmlns:a='u' xmlns:b='u'/>", TAKEN, XML_OK },
    { "<a xmlns:a='u' xmlns:b='u'><b xmlns='v'/></a>", TAKEN, XML_ERR_TOO_MANY },
    { "<a b='" X4("0123456789") "'/>", TAKEN, XML_OK },               /* 49 */
    { "<a b='" X4("0123456789") "0'/>", TAKEN, XML_OK },              /* 50 */
    { "<a b='" X4("0123456789") "01'/>", GIVEN_UP, XML_ERR_TOO_BIG }, /* 51 */
    { "<a>" X4("0123456789") X4("0123456789") X4("0123456789")
                    X4("0123456789") "012345678901234567890123456789012</a>",
            TAKEN, XML_OK }, /* 200 */
    { "<a>" X4("0123456789") X4("0123456789") X4("0123456789")
                    X4("0123456789") "0123456789012345678901234567890123</a>",
            GIVEN_UP, XML_ERR_TOO_BIG },
};

/* The same trees as by expat, whatever is behind it, and whatever was before. */
static void
what_is_taken(void **state)
{
    static const char *const around[][2] = { { "", "" }, { "<q/>", "<z/>" },
        { " \r\r\n\t", " \r" }, { "<q>&#65;</q>", "<z>&#65;</z>" } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t k = 0; k < ARRAY_LEN(around); k++) {
            struct seen seen = { 0 }, expected = { 0 };
            struct xml_pool_stats before = { 0 }, stats;
            struct xml_parser *p, *q;
            struct buf text = { 0 };
            enum xml_error e;
            uint64_t n_around = k == 1 ? 1 + (cases[i].error == XML_OK) : 0;

            buf_addf(&text, "%s%s%s", around[k][0], cases[i].text, around[k][1]);
            gained(&before);
            p = xml_parser_get(pool, &small, STR_NULL, &handlers, &seen);
            q = xml_parser_get(by_expat, &small, STR_NULL, &handlers, &expected);
            e = feed_in_pieces(p, &seen, buf_str(&text), text.n);
            if (e != cases[i].error ||
                    e != feed_in_pieces(q, &expected, buf_str(&text), text.n))
                fail_msg("%s: %s", text.p, xml_error_text(e));
            stats = gained(&before);
            /* What is behind a stanza that expat reads may be in the same piece. */
            if (cases[i].taken == GIVEN_UP && stats.simple > n_around)
                fail_msg("%s: was taken", text.p);
            if (cases[i].taken == TAKEN && stats.simple != n_around + 1)
                fail_msg("%s: was not taken", text.p);
            assert_string_equal(buf_c(&seen.text), buf_c(&expected.text));
            assert_int_equal(xml_parser_kept(p), xml_parser_kept(q));
            if (e == XML_OK)
                assert_int_equal(xml_parser_n_space(p), xml_parser_n_space(q));
            assert_int_equal(xml_parser_idle(p), xml_parser_idle(q));
            xml_parser_put(&p);
            xml_parser_put(&q);
            seen_fini(&seen);
            seen_fini(&expected);
            buf_fini(&text);
        }
    }
}

/* More than the scanner has room for, though the limits would allow it. */
static void
more_than_there_is_room_for(void **state)
{
    static const struct {
        const char *before, *each, *after;
        unsigned n;
        enum taken taken;
    } texts[] = {
        { "<a>", "<b/>", "</a>", 127, TAKEN }, /* 256 marks */
        { "<a>", "<b/>", "</a>", 128, GIVEN_UP },
        { "<a><c/>", "<b/>", "</a>", 126, TAKEN },
        { "<a>x", "<b/>", "</a>", 127, GIVEN_UP },
        { "<a>", "<b>", "", 31, TAKEN },
        { "<a>", "<b>", "", 32, GIVEN_UP },
        { "<a", " a%u=''", "/>", 16, TAKEN },
        { "<a", " a%u=''", "/>", 17, GIVEN_UP },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct xml_pool_stats before = { 0 }, stats;
        struct buf text = { 0 };
        struct xml_el *el = NULL;
        size_t n = 0;

        buf_add_c(&text, texts[i].before);
        for (unsigned k = 0; k < texts[i].n; k++) {
            if (strchr(texts[i].each, '%'))
                buf_addf(&text, " a%u=''", k);
            else
                buf_add_c(&text, texts[i].each);
        }
        if (!*texts[i].after) {
            for (unsigned k = 0; k < texts[i].n; k++)
                buf_add_c(&text, "</b>");
            buf_add_c(&text, "</a>");
        }
        buf_add_c(&text, texts[i].after);
        gained(&before);
        assert_int_equal(
                xml_parse(pool, NULL, &arena, buf_str(&text), "u", &el), XML_OK);
        stats = gained(&before);
        if (stats.simple != (texts[i].taken == TAKEN) ||
                stats.by_expat != (texts[i].taken == GIVEN_UP))
            fail_msg("case %zu: simple %llu", i, (unsigned long long)stats.simple);
        for (const struct xml_attr *a = el->attrs; a; a = a->next)
            n++;
        for (const struct xml_el *c = el->first; c; c = c->first ? c->first : c->next)
            n += xml_is(c, "b", "u");
        assert_int_equal(n, texts[i].n);
        arena_reset(&arena);
        buf_fini(&text);
    }
}

static const char mixed[] =
        "<a/>\n<b>&#65;<b>1</b></b> \t<m to='x'>&lt;</m><m>\r</m>\r\n<m x='1'/><e "
        "xmlns:p='u'><p:e/>]]</e><c>\xe2\x82\xac</c><![CDATA[";

/* Simple ones, others and white space by turns, cut anywhere: all indexes are right. */
static void
split_at_every_byte(void **state)
{
    const size_t n = sizeof mixed - 1;
    struct xml_pool_stats before = { 0 };

    (void)state;
    for (size_t i = 0; i <= n; i++) {
        for (size_t k = i; k <= n; k++) {
            const size_t cuts[] = { 0, i, k, n };
            struct seen seen = { 0 }, expected = { 0 };
            struct xml_parser *p =
                    xml_parser_get(pool, NULL, STR_NULL, &handlers, &seen);
            struct xml_parser *q =
                    xml_parser_get(by_expat, NULL, STR_NULL, &handlers, &expected);

            gained(&before);
            for (size_t c = 0; c + 1 < ARRAY_LEN(cuts); c++) {
                size_t at = cuts[c], size = cuts[c + 1] - at;
                enum xml_error e, f;

                if (size == 0)
                    continue;
                seen.offset = expected.offset = at;
                e = xml_parser_feed(p, mixed + at, size);
                f = xml_parser_feed(q, mixed + at, size);
                if (e != f || e != (at + size < n - 1 ? XML_OK : XML_ERR_TEXT))
                    break;
                if (strcmp(buf_c(&seen.text), buf_c(&expected.text)) != 0)
                    fail_msg("%zu, %zu:\n%s\n%s", i, k, seen.text.p, expected.text.p);
                assert_int_equal(xml_parser_kept(p), xml_parser_kept(q));
                assert_int_equal(xml_parser_idle(p), xml_parser_idle(q));
                if (e == XML_OK)
                    assert_int_equal(xml_parser_n_space(p), xml_parser_n_space(q));
            }
            assert_int_equal(seen.n_stanzas, 7);
            assert_true(gained(&before).simple > 0);
            xml_parser_put(&p);
            xml_parser_put(&q);
            seen_fini(&seen);
            seen_fini(&expected);
        }
    }
}

/* One look at a stanza that comes in pieces, not one with each piece. */
static void
pieces_are_not_scanned_again(void **state)
{
    struct xml_pool_stats before = { 0 }, stats;
    struct seen seen = { 0 };
    struct buf text = { 0 };
    struct xml_parser *p;

    (void)state;
    gained(&before);
    p = xml_parser_get(pool, NULL, STR_NULL, &handlers, &seen);
    buf_add_c(&text, "<a>");
    for (unsigned i = 0; i < 1000; i++)
        buf_add_c(&text, "<b c='d>'>text></b>");
    buf_add_c(&text, "</a>");
    assert_int_equal(feed_in_pieces(p, &seen, buf_str(&text), 1), XML_OK);
    stats = gained(&before);
    assert_int_equal(stats.scanned, 1);
    assert_int_equal(stats.by_expat, 1);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(xml_parser_feed(p, "<a/>", 4), XML_OK);
    stats = gained(&before);
    assert_int_equal(stats.scanned, 10);
    assert_int_equal(stats.simple, 10);
    xml_parser_put(&p);
    seen_fini(&seen);
    buf_fini(&text);
}

/*
 * Pieces that end anywhere: expat gets what is left of one stanza, and no more, even if
 * a child has its name or the end tag comes in pieces.
 */
static void
expat_gets_one_stanza(void **state)
{
    static const char one[] =
            "<message to='a@b'><message/><body>The quick brown "
            "fox</body><q:message xmlns:q='u'>1</q:message></message>";
    const unsigned n = 2000;

    (void)state;
    for (size_t piece = 5000; piece < 5000 + sizeof one; piece += 3) {
        struct xml_pool_stats before = { 0 }, stats;
        struct seen seen = { 0 };
        struct buf text = { 0 };
        struct xml_parser *p = xml_parser_get(pool, NULL, STR_NULL, &handlers, &seen);
        size_t n_pieces;

        for (unsigned i = 0; i < n; i++)
            buf_add_c(&text, one);
        n_pieces = (text.n + piece - 1) / piece;
        gained(&before);
        assert_int_equal(feed_in_pieces(p, &seen, buf_str(&text), piece), XML_OK);
        stats = gained(&before);
        assert_int_equal(seen.n_stanzas, n);
        assert_int_equal(seen.last_end, text.n);
        assert_int_equal(stats.simple + stats.by_expat, n);
        if (stats.by_expat > n_pieces)
            fail_msg("by %zu: %llu of %zu", piece, (unsigned long long)stats.by_expat,
                    n_pieces);
        xml_parser_put(&p);
        seen_fini(&seen);
        buf_fini(&text);
    }
}

/* What a handler has stopped behind a simple stanza is lent again. */
static void
stopped_parsers_are_used_again(void **state)
{
    static const char text[] = "<a/><b>1</b>&#32;<c/><d>&#65;</d><e/>";
    struct xml_pool_stats before = { 0 }, stats;
    struct seen seen = { 0 };
    size_t at = 0;

    (void)state;
    gained(&before);
    for (unsigned i = 0; at < sizeof text - 1; i++) {
        struct xml_parser *p = xml_parser_get(pool, NULL, STR_NULL, &handlers, &seen);

        seen.stop_at = i + 1;
        seen.offset = at;
        assert_int_equal(
                xml_parser_feed(p, text + at, sizeof text - 1 - at), XML_STOPPED);
        assert_int_equal(seen.n_stanzas, i + 1);
        assert_int_equal(xml_parser_kept(p), 0);
        assert_false(xml_parser_idle(p));
        at = seen.last_end;
        xml_parser_put(&p);
    }
    stats = gained(&before);
    assert_string_equal(buf_c(&seen.text),
            "<a xmlns='jabber:client'/> end=4\n<b xmlns='jabber:client'>1</b> end=12\n"
            "<c xmlns='jabber:client'/> end=21\n"
            "<d xmlns='jabber:client'>A</d> end=33\n"
            "<e xmlns='jabber:client'/> end=37\n");
    assert_int_equal(stats.simple, 3);
    assert_int_equal(stats.by_expat, 2);
    assert_true(stats.created <= 3); /* the first, and behind each of the others */
    seen_fini(&seen);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken),
        cmocka_unit_test(more_than_there_is_room_for),
        cmocka_unit_test(split_at_every_byte),
        cmocka_unit_test(pieces_are_not_scanned_again),
        cmocka_unit_test(expat_gets_one_stanza),
        cmocka_unit_test(stopped_parsers_are_used_again),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
