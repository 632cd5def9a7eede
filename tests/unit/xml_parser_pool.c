/*
 * xml_parser_pool.c -- any split of the input, parsers that are shared, and their cost
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/unit/rig/xml.h"
#include "tests/unit/rig/xml_seen.h"

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
random_element(struct buf *out, unsigned depth)
{
    static const char *const names[] = { "message", "iq", "b", "stream:features",
        "x:e" };
    static const char *const attrs[] = { " to='a@b/c>d'", " id=\"it's\"",
        " xml:lang='en'", " xmlns='urn:a'", " xmlns:y='urn:y' y:z='&lt;\xc3\xa9'",
        " a='\n&#13;&quot;'" };
    static const char *const texts[] = { "hello", " ", "\r\n", "]]", "&amp;",
        "\xe2\x82\xac", "<![CDATA[ <>&]] ]>]]>", "&#x1F600;", "\r", "<![CDATA[]]>",
        "'\"" };
    unsigned name = dice(ARRAY_LEN(names));

    buf_addf(out, "<%s", names[name]);
    if (name == 4)
        buf_add_c(out, " xmlns:x='urn:x'");
    for (unsigned i = 0; i < ARRAY_LEN(attrs); i++)
        if (dice(4) == 0)
            buf_add_c(out, attrs[i]);
    if (dice(5) == 0) {
        buf_add_c(out, "/>");
        return;
    }
    buf_add_char(out, '>');
    for (unsigned n = dice(5); n > 0; n--) {
        if (depth < 5 && dice(2))
            random_element(out, depth + 1);
        else
            buf_add_c(out, texts[dice(ARRAY_LEN(texts))]);
    }
    buf_addf(out, "</%s%s>", names[name], dice(8) ? "" : " ");
}

static size_t
random_stream(struct buf *out)
{
    static const char *const headers[] = { HEADER,
        "<stream:stream xmlns:stream='" NS_STREAMS "'>",
        "\n<?xml version='1.0'?>\n<stream:stream xmlns:db='urn:db' xmlns='urn:q' "
        "xmlns:stream='" NS_STREAMS "' xml:lang='fr'>" };
    static const char *const between[] = { "", "", "\n", " \r\n ", "\r", "\r\r" };

    size_t header_n;

    buf_add_c(out, headers[dice(ARRAY_LEN(headers))]);
    header_n = out->n;
    for (unsigned n = dice(12); n > 0; n--) {
        buf_add_c(out, between[dice(ARRAY_LEN(between))]);
        random_element(out, 1);
    }
    if (dice(2))
        buf_add_c(out, "</stream:stream>");
    return header_n;
}

/*
 * However a stream is cut, the same header and stanzas come out at the same offsets:
 * with one parser, with one from the pool after every idle moment, and with crashes
 * after which only the kept bytes are fed again.
 */
static void
any_split(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        struct buf stream = { 0 };
        struct seen whole = { 0 }, split = { 0 };
        struct xml_parser *p = xml_parser_open(pool, NULL, &handlers, &whole);
        enum xml_error e, expected;
        unsigned mode = dice(3), piece_max = 1 + dice(dice(2) ? 4 : 200);

        random_stream(&stream);
        expected = xml_parser_feed(p, stream.p, stream.n);
        xml_parser_put(&p);
        if (expected != XML_OK && expected != XML_STOPPED)
            fail_msg("%s: %s", xml_error_text(expected), stream.p);

        e = XML_OK;
        for (size_t i = 0; i < stream.n && e == XML_OK;) {
            size_t n = 1 + dice(piece_max);

            if (n > stream.n - i)
                n = stream.n - i;
            if (!p && split.has_scopes)
                p = xml_parser_get(
                        pool, NULL, buf_str(&split.scopes), &handlers, &split);
            else if (!p)
                p = xml_parser_open(pool, NULL, &handlers, &split);
            split.offset = i;
            e = xml_parser_feed(p, stream.p + i, n);
            i += n;
            if (e != XML_OK)
                break;
            if (xml_parser_kept(p) > i - split.last_end)
                fail_msg("keeps %zu of %zu: %.*s", xml_parser_kept(p),
                        i - split.last_end, (int)i, stream.p);
            assert_int_equal(
                    xml_parser_idle(p), split.has_scopes && xml_parser_kept(p) == 0);
            if (mode == 1 && xml_parser_idle(p)) {
                xml_parser_put(&p);
            } else if (mode == 2 && dice(3) == 0) {
                i -= xml_parser_kept(p);
                xml_parser_put(&p);
                piece_max = 300; /* or it would never get anywhere */
            }
        }
        xml_parser_put(&p);
        if (e != expected || strcmp(buf_c(&whole.text), buf_c(&split.text)) != 0)
            fail_msg("mode %u, %s\n%s\n%s", mode, stream.p, buf_c(&whole.text),
                    buf_c(&split.text));
        buf_fini(&stream);
        seen_fini(&whole);
        seen_fini(&split);
    }
}

/* A handler may stop; the rest goes to another parser. */
static void
stop_and_go_on(void **state)
{
    static const char text[] = "<a/> <b>x</b><c/>";
    struct seen seen = { .stop_at = 2 };
    struct xml_parser *p = xml_parser_get(pool, NULL, STR_NULL, &handlers, &seen);

    (void)state;
    assert_int_equal(xml_parser_feed(p, text, sizeof text - 1), XML_STOPPED);
    assert_int_equal(seen.n_stanzas, 2);
    assert_int_equal(seen.last_end, 13);
    assert_false(xml_parser_idle(p));
    xml_parser_put(&p);
    p = xml_parser_get(pool, NULL, STR_NULL, &handlers, &seen);
    assert_int_equal(xml_parser_feed(p, text + 13, sizeof text - 1 - 13), XML_OK);
    assert_int_equal(seen.n_stanzas, 3);
    assert_true(xml_parser_idle(p));
    xml_parser_put(&p);
    seen_fini(&seen);
}

static void
keep_alives_are_counted(void **state)
{
    struct seen seen = { 0 };
    struct xml_parser *p = xml_parser_get(pool, NULL, STR_NULL, &handlers, &seen);

    (void)state;
    assert_int_equal(xml_parser_feed(p, " ", 1), XML_OK);
    assert_true(xml_parser_idle(p));
    assert_int_equal(xml_parser_feed(p, "\n <a> </a>", 10), XML_OK);
    assert_int_equal(xml_parser_n_space(p), 3);
    xml_parser_put(&p);
    p = xml_parser_get(pool, NULL, STR_NULL, &handlers, &seen);
    assert_int_equal(xml_parser_n_space(p), 0);
    xml_parser_put(&p);
    seen_fini(&seen);
}

static void
parsers_are_shared(void **state)
{
    struct xml_pool *own = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    struct seen seen = { 0 };
    struct xml_pool_stats stats;
    struct xml_parser *p = xml_parser_open(own, NULL, &handlers, &seen), *q;

    (void)state;
    assert_int_equal(
            xml_parser_feed(p, HEADER "<a/>", sizeof HEADER "<a/>" - 1), XML_OK);
    assert_true(seen.has_scopes);
    assert_int_equal(seen.scopes.n, 0); /* the pool's own need no memory */
    xml_parser_put(&p);
    for (int i = 0; i < 10; i++) {
        p = xml_parser_get(own, NULL, STR_NULL, &handlers, &seen);
        assert_int_equal(xml_parser_feed(p, "<a/>", 4), XML_OK);
        xml_parser_put(&p);
    }
    p = xml_parser_get(own, NULL, STR_NULL, &handlers, &seen);
    q = xml_parser_get(own, NULL, STR_NULL, &handlers, &seen);
    xml_pool_stats(own, &stats);
    assert_int_equal(stats.n_out, 2);
    assert_int_equal(stats.n_idle, 0);
    assert_int_equal(stats.created, 2);
    assert_int_equal(stats.reused, 11);
    xml_parser_put(&p);
    /* One that is in the middle of something is not used again. */
    assert_int_equal(xml_parser_feed(q, "<a", 2), XML_OK);
    assert_int_equal(xml_parser_kept(q), 2);
    xml_parser_put(&q);
    xml_pool_stats(own, &stats);
    assert_int_equal(stats.n_out, 0);
    assert_int_equal(stats.n_idle, 1);
    xml_pool_free(&own);
    assert_null(own);
    seen_fini(&seen);
}

/*
 * Expat never forgets a name: who keeps inventing them gets a new parser, unnoticed.
 * The references make expat read each second stanza.
 */
static void
worn_parsers_are_replaced(void **state)
{
    struct xml_pool *own = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    struct seen seen = { 0 };
    struct xml_pool_stats stats;
    struct xml_parser *p = xml_parser_get(own, NULL, STR_NULL, &handlers, &seen);
    struct buf text = { 0 };
    size_t n = 20000;

    (void)state;
    for (size_t i = 0; i < n; i++)
        buf_addf(&text, "<a%zu b%zu=''>&#65;%zu</a%zu><a/>", i, i, i, i);
    for (size_t i = 0; i < text.n; i += 65536) {
        size_t left = text.n - i;

        seen.offset = i;
        assert_int_equal(
                xml_parser_feed(p, text.p + i, left < 65536 ? left : 65536), XML_OK);
    }
    assert_int_equal(seen.n_stanzas, 2 * n);
    assert_int_equal(seen.last_end, text.n);
    assert_true(xml_parser_idle(p));
    xml_pool_stats(own, &stats);
    assert_true(stats.worn > 10);
    xml_parser_put(&p);
    xml_pool_free(&own);
    buf_fini(&text);
    seen_fini(&seen);
}

/*
 * Byte by byte costs no more than a small multiple of all at once, and never the
 * square.
 */
static void
huge_tags_are_not_quadratic(void **state)
{
    static const struct xml_limits limits = { .tag_size_max = 65536 };
    struct buf text = { 0 };
    uint64_t start;

    (void)state;
    buf_add_c(&text, "<a b='");
    while (text.n < 65000)
        buf_add_char(&text, '>');
    buf_add_c(&text, "'/>");
    start = clock_ms();
    for (int i = 0; i < 4; i++) {
        struct seen seen = { 0 };
        struct xml_parser *p =
                i < 2 ? xml_parser_get(pool, &limits, STR_NULL, &handlers, &seen)
                      : xml_parser_open(pool, &limits, &handlers, &seen);
        enum xml_error e = feed_in_pieces(p, &seen, buf_str(&text), 1);

        if (i < 2)
            assert_int_equal(e, XML_OK);
        else
            assert_int_equal(e, XML_ERR_PREFIX);
        xml_parser_put(&p);
        seen_fini(&seen);
    }
    /* Quadratic would be 10^10 steps: many seconds. */
    assert_true(clock_ms() - start < 5000);
    buf_fini(&text);
}

static void
a_million_attributes(void **state)
{
    struct seen seen = { 0 };
    struct xml_parser *p = xml_parser_get(pool, NULL, STR_NULL, &handlers, &seen);
    struct buf text = { 0 };

    (void)state;
    buf_add_c(&text, "<a");
    for (unsigned i = 0; i < 1000000; i++)
        buf_addf(&text, " a%u=''", i);
    buf_add_c(&text, "/>");
    assert_int_equal(xml_parser_feed(p, text.p, text.n), XML_ERR_TOO_BIG);
    xml_parser_put(&p);
    buf_fini(&text);
    seen_fini(&seen);
}

static void
whole_texts(void **state)
{
    static const struct {
        const char *text;
        enum xml_error error;
    } texts[] = {
        { "<a><b/></a>", XML_OK },
        { " \n<a/>\r\n", XML_OK },
        { "", XML_ERR_NOT_WELL_FORMED },
        { " ", XML_ERR_NOT_WELL_FORMED },
        { "<a>", XML_ERR_NOT_WELL_FORMED },
        { "<a/><b/>", XML_ERR_NOT_WELL_FORMED },
        { "<a/></stream:stream>", XML_ERR_NOT_WELL_FORMED },
        { "<a/><", XML_ERR_NOT_WELL_FORMED },
        { "<stream:a/>", XML_ERR_NAMESPACE },
        { "<?xml version='1.0'?><a/>", XML_ERR_RESTRICTED },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct xml_el *el = NULL;
        enum xml_error e = xml_parse(
                pool, NULL, &arena, str_from(texts[i].text), "urn:default", &el);

        if (e != texts[i].error)
            fail_msg("%s: %s", texts[i].text, xml_error_text(e));
        if (e == XML_OK) {
            assert_true(xml_is(el, "a", "urn:default"));
            assert_ptr_equal(el->arena, &arena);
        }
    }
    arena_fini(&arena);
}

static size_t
n_idle(void)
{
    struct xml_pool_stats stats;

    xml_pool_stats(pool, &stats);
    return stats.n_idle;
}

static void
use_at_once(size_t n)
{
    struct xml_parser *p[64];

    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++)
        p[i] = xml_parser_get(pool, NULL, STR_NULL, &handlers, NULL);
    for (size_t i = 0; i < n; i++)
        xml_parser_put(&p[i]);
}

/* What a crowd has left is given up when it was not needed for the time between two
 * calls. */
static void
what_a_crowd_left_goes(void **state)
{
    size_t kept;

    (void)state;
    xml_pool_trim(pool);
    use_at_once(50);
    assert_in_range(n_idle(), 50, 128);
    xml_pool_trim(pool); /* they have just been needed */
    assert_in_range(n_idle(), 50, 128);
    use_at_once(20);
    assert_in_range(xml_pool_trim(pool), 26, 108);
    kept = n_idle();
    assert_in_range(kept, 20, 24);
    xml_pool_trim(pool); /* none was needed since then */
    assert_in_range(n_idle(), 1, 4);
    assert_int_equal(xml_pool_trim(pool), 0);
}

/* As in WebSocket frames: nothing is in force that the frame does not declare. */
static void
no_scopes(void **state)
{
    struct seen seen = { 0 };
    struct xml_parser *p =
            xml_parser_get(pool, NULL, XML_SCOPES_NONE, &handlers, &seen);
    static const char text[] = "<open xmlns='urn:framing'/><a/>";

    (void)state;
    assert_int_equal(xml_parser_feed(p, text, sizeof text - 1), XML_OK);
    assert_string_equal(
            buf_c(&seen.text), "<open xmlns='urn:framing'/> end=27\n<a/> end=31\n");
    xml_parser_put(&p);
    seen_fini(&seen);
}

static bool
on_stanza_parses(void *arg, struct xml_el *el, size_t end)
{
    struct xml_el *inner = NULL;

    (void)arg, (void)el, (void)end;
    assert_int_equal(
            xml_parse(pool, NULL, &arena, STR("<x><y/></x>"), "", &inner), XML_OK);
    return true;
}

static void
a_handler_may_use_other_parsers(void **state)
{
    static const struct xml_handlers nested = { .on_stanza = on_stanza_parses };
    struct xml_parser *p = xml_parser_get(pool, NULL, STR_NULL, &nested, NULL);

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(xml_parser_feed(p, "<a>1</a><b>2</b>", 16), XML_OK);
    xml_parser_put(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split),
        cmocka_unit_test(stop_and_go_on),
        cmocka_unit_test(keep_alives_are_counted),
        cmocka_unit_test(parsers_are_shared),
        cmocka_unit_test(worn_parsers_are_replaced),
        cmocka_unit_test(huge_tags_are_not_quadratic),
        cmocka_unit_test(a_million_attributes),
        cmocka_unit_test(whole_texts),
        cmocka_unit_test(what_a_crowd_left_goes),
        cmocka_unit_test(no_scopes),
        cmocka_unit_test(a_handler_may_use_other_parsers),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
