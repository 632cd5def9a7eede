/*
 * xml_parser.c -- the streaming parser: attacks and limits
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
#include "xml/writer.h"

static const struct xml_limits small = {
    .stanza_size_max = 1000,
    .tag_size_max = 300,
    .depth_max = 5,
    .attrs_max = 6,
    .elements_max = 8,
    .namespaces_max = 5,
};

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
    { "no prefix", "<stream xmlns='" NS_STREAMS "'>", 0, XML_ERR_PREFIX },
    { "other prefix", "<s:stream xmlns:s='" NS_STREAMS "'>", 0, XML_ERR_PREFIX },
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(stanzas),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
