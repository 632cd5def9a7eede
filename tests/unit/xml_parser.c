/*
 * xml_parser.c -- the streaming parser: attacks, limits, and any split of the input
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "xml/parser.h"
#include "xml/writer.h"

#define STREAMS "http://etherx.jabber.org/streams"
#define CLIENT  "jabber:client"
#define HEADER                                                            \
    "<?xml version='1.0'?><stream:stream to='example.com' xmlns='" CLIENT \
    "' xmlns:stream='" STREAMS "' version='1.0'>"

static struct xml_pool *pool;

/* What handlers saw, as text: header, stanzas with their end offsets in the stream. */
struct seen {
    struct buf text;
    struct buf scopes;
    size_t offset; /* of this feed in the stream */
    size_t n_stanzas, last_end;
    bool has_scopes, closed;
    size_t stop_at; /* the handler of this stanza (from 1) stops */
};

static bool
on_open(void *arg, const struct xml_header *header)
{
    struct seen *seen = arg;

    buf_add_c(&seen->text, "open ");
    xml_write_start(&seen->text, header->el, STR(""));
    buf_addf(&seen->text, " default=%.*s end=%zu\n", STR_ARG(header->default_ns),
            seen->offset + header->end);
    buf_reset(&seen->scopes, 0);
    buf_add_str(&seen->scopes, header->scopes);
    seen->has_scopes = true;
    seen->last_end = seen->offset + header->end;
    return true;
}

static bool
on_stanza(void *arg, struct xml_el *el, size_t end)
{
    struct seen *seen = arg;

    xml_write(&seen->text, el, STR(""));
    buf_addf(&seen->text, " end=%zu\n", seen->offset + end);
    seen->last_end = seen->offset + end;
    return ++seen->n_stanzas != seen->stop_at;
}

static bool
on_close(void *arg, size_t end)
{
    struct seen *seen = arg;

    buf_addf(&seen->text, "close end=%zu\n", seen->offset + end);
    seen->closed = true;
    return false;
}

static const struct xml_handlers handlers = { on_open, on_stanza, on_close };

static void
seen_fini(struct seen *seen)
{
    buf_fini(&seen->text);
    buf_fini(&seen->scopes);
}

static const struct xml_limits small = {
    .stanza_size_max = 1000,
    .tag_size_max = 300,
    .depth_max = 5,
    .attrs_max = 6,
    .elements_max = 8,
    .namespaces_max = 5,
};

/* Feeds text in pieces of piece_n bytes; the last byte of text decides. */
static enum xml_error
feed_in_pieces(struct xml_parser *p, struct seen *seen, struct str text, size_t piece_n)
{
    enum xml_error e = XML_OK;

    for (size_t i = 0; i < text.n && e == XML_OK; i += piece_n) {
        /* A copy of its own, so that the sanitizer sees every byte read too far. */
        size_t n = text.n - i < piece_n ? text.n - i : piece_n;
        char *piece = malloc(n);

        assert_non_null(piece);
        memcpy(piece, text.p + i, n);
        seen->offset = i;
        e = xml_parser_feed(p, piece, n);
        free(piece);
    }
    return e;
}

#define X4(s)  s s s s
#define X16(s) X4(X4(s))
#define X64(s) X4(X16(s))

static const struct {
    const char *name, *text;
    size_t n; /* if text holds NUL */
    enum xml_error error;
} header_cases[] = {
    { "good", HEADER, 0, XML_OK },
    { "white space first", "\n \t" HEADER, 0, XML_OK },
    { "encoding",
            "<?xml version='1.0' encoding='UTF-8'?><stream:stream xmlns:stream='s'>", 0,
            XML_OK },
    { "small encoding",
            "<?xml version='1.0' encoding='utf-8' ?> <stream:stream xmlns:stream='s'>",
            0, XML_OK },
    { "latin 1",
            "<?xml version='1.0' encoding='ISO-8859-1'?><stream:stream "
            "xmlns:stream='s'>",
            0, XML_ERR_BAD_ENCODING },
    { "unknown encoding", "<?xml version='1.0' encoding='x-y'?><stream:stream>", 0,
            XML_ERR_BAD_ENCODING },
    { "UTF-16", "\xff\xfe<\0?\0", 6, XML_ERR_BAD_ENCODING },
    { "UTF-16 little, no mark", "<\0s\0t\0>\0", 8, XML_ERR_BAD_ENCODING },
    { "UTF-16 big, no mark", "\0<\0s", 4, XML_ERR_BAD_ENCODING },
    { "byte order mark", "\xef\xbb\xbf<stream:stream>", 0, XML_ERR_NOT_WELL_FORMED },
    { "HTTP", "GET / HTTP/1.1\r\n", 0, XML_ERR_NOT_WELL_FORMED },
    { "other root", "<html>", 0, XML_ERR_PREFIX },
    { "no prefix", "<stream xmlns='" STREAMS "'>", 0, XML_ERR_PREFIX },
    { "other prefix", "<s:stream xmlns:s='" STREAMS "'>", 0, XML_ERR_PREFIX },
    { "undeclared", "<stream:stream>", 0, XML_ERR_NAMESPACE },
    { "DTD", "<!DOCTYPE stream:stream SYSTEM 'http://127.0.0.1/x'><stream:stream>", 0,
            XML_ERR_RESTRICTED },
    { "bomb",
            "<!DOCTYPE lolz [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;'>]>"
            "<stream:stream xmlns:stream='&b;'>",
            0, XML_ERR_RESTRICTED },
    { "comment", "<!-- ' --><stream:stream xmlns:stream='s'>", 0, XML_ERR_RESTRICTED },
    { "instruction", "<?php exit ?><stream:stream xmlns:stream='s'>", 0,
            XML_ERR_RESTRICTED },
    { "CDATA", "<![CDATA[x]]><stream:stream xmlns:stream='s'>", 0,
            XML_ERR_NOT_WELL_FORMED },
    { "closed at once", "<stream:stream xmlns:stream='s'/>", 0, XML_STOPPED },
    { "long", "<stream:stream xmlns:stream='s' a='" X64("0123456789"), 0,
            XML_ERR_TOO_BIG },
    { "white space for ever", "<?xml version='1.0'?>" X64("                    "), 0,
            XML_ERR_TOO_BIG },
    { "declarations",
            "<stream:stream xmlns:stream='s' xmlns:a='a' xmlns:b='a' xmlns:c='a' "
            "xmlns:d='a' xmlns:e='a'>",
            0, XML_ERR_TOO_MANY },
};

static void
headers(void **state)
{
    static const size_t pieces[] = { 1, 2, 3, 7, 100000 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(header_cases); i++) {
        struct str text = { header_cases[i].text, header_cases[i].n };

        if (text.n == 0)
            text.n = strlen(text.p);
        for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
            struct seen seen = { 0 };
            struct xml_parser *p = xml_parser_open(pool, &small, &handlers, &seen);
            enum xml_error e = feed_in_pieces(p, &seen, text, pieces[k]);

            if (e != header_cases[i].error)
                fail_msg("%s, by %zu: %s", header_cases[i].name, pieces[k],
                        xml_error_text(e));
            assert_int_equal(xml_parser_idle(p), e == XML_OK);
            xml_parser_put(&p);
            assert_null(p);
            seen_fini(&seen);
        }
    }
}

/* Each behind the header; result: what is serialised without a default namespace. */
static const struct {
    const char *name, *text;
    size_t n;
    enum xml_error error;
    const char *result;
} cases[] = {
    { "message", "<message to='a@b'><body>hi</body></message>", 0, XML_OK,
            "<message xmlns='jabber:client' to='a@b'><body>hi</body></message>" },
    { "white space between", " \n\t<a/>\r\n\r<b/> ", 0, XML_OK,
            "<a xmlns='jabber:client'/><b xmlns='jabber:client'/>" },
    { "text between", "<a/>x<b/>", 0, XML_ERR_TEXT, "<a xmlns='jabber:client'/>" },
    { "text as reference", "<a/>&#65;<b/>", 0, XML_ERR_TEXT,
            "<a xmlns='jabber:client'/>" },
    { "CDATA between", "<a/><![CDATA[ ]]><b/>", 0, XML_ERR_TEXT,
            "<a xmlns='jabber:client'/>" },
    { "CDATA between left open", "<![CDATA[", 0, XML_ERR_TEXT, "" },
    { "CDATA", "<a><![CDATA[<b>&amp;]] >]]>c<![CDATA[]]></a>", 0, XML_OK,
            "<a xmlns='jabber:client'>&lt;b&gt;&amp;amp;]] &gt;c</a>" },
    { "end of CDATA in text", "<a>]]></a>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    { "references", "<a b='&lt;&#x41;&apos;&#10;'>&gt;&#8364;&quot;</a>", 0, XML_OK,
            "<a xmlns='jabber:client' "
            "b='&lt;A&apos;&#10;'>&gt;\xe2\x82\xac&quot;</a>" },
    { "long reference", "<a>&#" X64("0") X64("0") "65;</a>", 0, XML_OK, NULL },
    { "quotes in quotes", "<a b=\"it's >\" c='\"/>'><d>'</d></a>", 0, XML_OK,
            "<a xmlns='jabber:client' b='it&apos;s &gt;' c='&quot;/&gt;'>"
            "<d>&apos;</d></a>" },
    { "attribute values are normalised", "<a b='x\ny\tz'/>", 0, XML_OK,
            "<a xmlns='jabber:client' b='x y z'/>" },
    { "lines are normalised", "<a>1\r\n2\r3&#13;</a>", 0, XML_OK,
            "<a xmlns='jabber:client'>1\n2\n3&#13;</a>" },
    { "mixed", "<a>1<b>2</b>3<c/>4</a>", 0, XML_OK,
            "<a xmlns='jabber:client'>1<b>2</b>3<c/>4</a>" },
    { "white space in end tag", "<a></a  >", 0, XML_OK, "<a xmlns='jabber:client'/>" },
    { "close", "<a/></stream:stream>", 0, XML_STOPPED, "<a xmlns='jabber:client'/>" },
    { "close and more", "</stream:stream><a/>", 0, XML_STOPPED, "" },
    /* Namespaces */
    { "own default", "<a xmlns='x'><b xmlns=''><c/></b><d/></a><e/>", 0, XML_OK,
            "<a xmlns='x'><b xmlns=''><c/></b><d/></a><e xmlns='jabber:client'/>" },
    { "prefixes", "<x:a xmlns:x='x'><b><x:c/></b><x:d/></x:a>", 0, XML_OK,
            "<a xmlns='x'><b xmlns='jabber:client'><c xmlns='x'/></b><d/></a>" },
    { "stream prefix", "<stream:error/>", 0, XML_OK,
            "<error xmlns='http://etherx.jabber.org/streams'/>" },
    { "hidden prefix", "<x:a xmlns:x='1'><x:b xmlns:x='2'/><x:c/></x:a>", 0, XML_OK,
            "<a xmlns='1'><b xmlns='2'/><c/></a>" },
    { "attribute prefix", "<a xmlns:x='x' x:b='1' b='2' xml:lang='de'/>", 0, XML_OK,
            "<a xmlns='jabber:client' xmlns:a0='x' a0:b='1' b='2' xml:lang='de'/>" },
    { "prefix declared behind its use", "<x:a x:b='1' xmlns:x='x'/>", 0, XML_OK,
            "<a xmlns='x' xmlns:a0='x' a0:b='1'/>" },
    { "prefix ends with its element", "<a><x:b xmlns:x='x'/><x:c/></a>", 0,
            XML_ERR_NAMESPACE, "" },
    { "prefix ends with its stanza", "<x:b xmlns:x='x'/><x:c/>", 0, XML_ERR_NAMESPACE,
            "<b xmlns='x'/>" },
    { "undeclared in attribute", "<a x:b='1'/>", 0, XML_ERR_NAMESPACE, "" },
    { "prefix taken back", "<a xmlns:x='x'><b xmlns:x=''/></a>", 0, XML_ERR_NAMESPACE,
            "" },
    { "xml redefined", "<a xmlns:xml='x'/>", 0, XML_ERR_NAMESPACE, "" },
    { "xml confirmed",
            "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='x'/>", 0,
            XML_OK, "<a xmlns='jabber:client' xml:lang='x'/>" },
    { "xml by another name", "<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>", 0,
            XML_ERR_NAMESPACE, "" },
    { "xml as default", "<a xmlns='http://www.w3.org/XML/1998/namespace'/>", 0,
            XML_ERR_NAMESPACE, "" },
    { "xmlns redefined", "<a xmlns:xmlns='x'/>", 0, XML_ERR_NAMESPACE, "" },
    { "xmlns bound", "<a xmlns:x='http://www.w3.org/2000/xmlns/'/>", 0,
            XML_ERR_NAMESPACE, "" },
    { "xmlns as element", "<xmlns:a/>", 0, XML_ERR_NAMESPACE, "" },
    { "xml as element", "<xml:a/>", 0, XML_ERR_NAMESPACE, "" },
    { "same attribute", "<a b='1' b='2'/>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    { "same attribute by namespace", "<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>", 0,
            XML_ERR_NAMESPACE, "" },
    { "two colons", "<a:b:c xmlns:a='x'/>", 0, XML_ERR_NAMESPACE, "" },
    { "no prefix", "<:a/>", 0, XML_ERR_NAMESPACE, "" },
    { "no name", "<a: xmlns:a='x'/>", 0, XML_ERR_NAMESPACE, "" },
    { "no name in declaration", "<a xmlns:='x'/>", 0, XML_ERR_NAMESPACE, "" },
    { "colon in declaration", "<a xmlns:a:b='x'/>", 0, XML_ERR_NAMESPACE, "" },
    { "digit behind prefix", "<x:1 xmlns:x='x'/>", 0, XML_ERR_NAMESPACE, "" },
    /* What XMPP forbids (RFC 6120, 11.1) */
    { "comment", "<a><!-- ' --></a>", 0, XML_ERR_RESTRICTED, "" },
    { "comment between", "<!---->", 0, XML_ERR_RESTRICTED, "" },
    { "instruction", "<a><?php ?></a>", 0, XML_ERR_RESTRICTED, "" },
    { "second declaration", "<?xml version='1.0'?><a/>", 0, XML_ERR_RESTRICTED, "" },
    { "entity", "<a>&nbsp;</a>", 0, XML_ERR_RESTRICTED, "" },
    { "entity in attribute", "<a b='&x;'/>", 0, XML_ERR_RESTRICTED, "" },
    { "DTD inside", "<!DOCTYPE a []>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    /* Broken */
    { "wrong end", "<a><b></a></b>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    { "no quotes", "<a b=c>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    { "less than in attribute", "<a b='<'/>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    { "bare ampersand", "<a> & </a>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    { "NUL", "<a>\0</a>", 9, XML_ERR_NOT_WELL_FORMED, "" },
    { "NUL in tag", "<a\0>", 4, XML_ERR_NOT_WELL_FORMED, "" },
    { "NUL reference", "<a>&#0;</a>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    { "control", "<a>\x01</a>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    { "not a character", "<a>&#xffff;</a>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    { "surrogate reference", "<a>&#xd800;</a>", 0, XML_ERR_NOT_WELL_FORMED, "" },
    { "bad byte", "<a>\xff</a>", 0, XML_ERR_BAD_ENCODING, "" },
    { "latin 1", "<a>\xe9t\xe9</a>", 0, XML_ERR_BAD_ENCODING, "" },
    { "overlong", "<a>\xc0\xbc</a>", 0, XML_ERR_BAD_ENCODING, "" },
    { "overlong in attribute", "<a b='\xe0\x80\xaf'/>", 0, XML_ERR_BAD_ENCODING, "" },
    { "surrogate", "<a>\xed\xa0\x80</a>", 0, XML_ERR_BAD_ENCODING, "" },
    { "beyond Unicode", "<a>\xf4\x90\x80\x80</a>", 0, XML_ERR_BAD_ENCODING, "" },
    { "cut short", "<a>\xe2\x82</a>", 0, XML_ERR_BAD_ENCODING, "" },
    { "good", "<a>\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80</a>", 0, XML_OK,
            "<a xmlns='jabber:client'>\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80</a>" },
    /* Limits */
    { "depth allowed", "<a><a><a><a><a/></a></a></a></a>", 0, XML_OK, NULL },
    { "depth", "<a><a><a><a><a><a/></a></a></a></a></a>", 0, XML_ERR_TOO_DEEP, "" },
    { "elements allowed", "<a><b/><b/><b/><b/><b/><b/><b/></a><a><b/></a>", 0, XML_OK,
            NULL },
    { "elements", "<a><b/><b/><b/><b/><b/><b/><b/><b/></a>", 0, XML_ERR_TOO_MANY, "" },
    { "attributes allowed", "<a a='' b='' c='' d='' e='' f=''/>", 0, XML_OK, NULL },
    { "attributes", "<a a='' b='' c='' d='' e='' f='' g=''/>", 0, XML_ERR_TOO_MANY,
            "" },
    { "declarations allowed", "<a xmlns:a='a' xmlns:b='a'><b xmlns:c='a'/></a>", 0,
            XML_OK, NULL },
    { "declarations", "<a xmlns:a='a' xmlns:b='a'><b xmlns:c='a' xmlns:d='a'/></a>", 0,
            XML_ERR_TOO_MANY, "" },
    { "text", "<a>" X64("0123456789") X64("0123456789") "</a>", 0, XML_ERR_TOO_BIG,
            "" },
    { "text allowed", "<a>" X64("0123456789") X16("0123456789") "</a>", 0, XML_OK,
            NULL },
    { "tag", "<a b='" X64("01234") "'/>", 0, XML_ERR_TOO_BIG, "" },
    { "tag allowed", "<a b='" X64("0123") "'/>", 0, XML_OK, NULL },
    { "tag without end", "<a b='" X64("0123456789"), 0, XML_ERR_TOO_BIG, "" },
    { "name without end", "<" X64("abcdef"), 0, XML_ERR_TOO_BIG, "" },
    { "entity without end", "<a>&" X64("abc"), 0, XML_ERR_NOT_WELL_FORMED, "" },
};

/* The same as in a tree, but without the offsets. */
static bool
on_case_stanza(void *arg, struct xml_el *el, size_t end)
{
    (void)end;
    xml_write(&((struct seen *)arg)->text, el, STR(""));
    return true;
}

static void
stanzas(void **state)
{
    static const struct xml_handlers quiet = { .on_stanza = on_case_stanza };
    static const size_t pieces[] = { 1, 2, 3, 5, 100000 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str text = { cases[i].text, cases[i].n };

        if (text.n == 0)
            text.n = strlen(text.p);
        for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
            struct seen seen = { 0 };
            struct xml_parser *p =
                    xml_parser_get(pool, &small, STR_NULL, &quiet, &seen);
            enum xml_error e = feed_in_pieces(p, &seen, text, pieces[k]);

            /* A long reference is refused only if it comes in pieces. */
            if (strcmp(cases[i].name, "long reference") == 0 && pieces[k] < 100)
                assert_int_equal(e, XML_ERR_NOT_WELL_FORMED);
            else if (e != cases[i].error)
                fail_msg("%s, by %zu: %s", cases[i].name, pieces[k], xml_error_text(e));
            if (cases[i].result)
                assert_string_equal(buf_c(&seen.text), cases[i].result);
            assert_int_equal(xml_parser_idle(p), e == XML_OK);
            xml_parser_put(&p);
            seen_fini(&seen);
        }
    }
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
        "<stream:stream xmlns:stream='" STREAMS "'>",
        "\n<?xml version='1.0'?>\n<stream:stream xmlns:db='urn:db' xmlns='urn:q' "
        "xmlns:stream='" STREAMS "' xml:lang='fr'>" };
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
    struct xml_pool *own = xml_pool_new("stream:stream", STREAMS, CLIENT);
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

/* Expat never forgets a name: who keeps inventing them gets a new parser, unnoticed. */
static void
worn_parsers_are_replaced(void **state)
{
    struct xml_pool *own = xml_pool_new("stream:stream", STREAMS, CLIENT);
    struct seen seen = { 0 };
    struct xml_pool_stats stats;
    struct xml_parser *p = xml_parser_get(own, NULL, STR_NULL, &handlers, &seen);
    struct buf text = { 0 };
    size_t n = 20000;

    (void)state;
    for (size_t i = 0; i < n; i++)
        buf_addf(&text, "<a%zu b%zu=''>%zu</a%zu>", i, i, i, i);
    for (size_t i = 0; i < text.n; i += 65536) {
        size_t left = text.n - i;

        seen.offset = i;
        assert_int_equal(
                xml_parser_feed(p, text.p + i, left < 65536 ? left : 65536), XML_OK);
    }
    assert_int_equal(seen.n_stanzas, n);
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
    struct arena arena;

    (void)state;
    arena_init(&arena, 1000);
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
    struct arena arena;
    struct xml_el *inner = NULL;

    (void)arg, (void)el, (void)end;
    arena_init(&arena, 1000);
    assert_int_equal(
            xml_parse(pool, NULL, &arena, STR("<x><y/></x>"), "", &inner), XML_OK);
    arena_fini(&arena);
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
        cmocka_unit_test(headers),
        cmocka_unit_test(stanzas),
        cmocka_unit_test(any_split),
        cmocka_unit_test(stop_and_go_on),
        cmocka_unit_test(keep_alives_are_counted),
        cmocka_unit_test(parsers_are_shared),
        cmocka_unit_test(worn_parsers_are_replaced),
        cmocka_unit_test(huge_tags_are_not_quadratic),
        cmocka_unit_test(a_million_attributes),
        cmocka_unit_test(whole_texts),
        cmocka_unit_test(no_scopes),
        cmocka_unit_test(a_handler_may_use_other_parsers),
    };
    int r;

    pool = xml_pool_new("stream:stream", STREAMS, CLIENT);
    r = cmocka_run_group_tests(tests, NULL, NULL);
    xml_pool_free(&pool);
    return r;
}
