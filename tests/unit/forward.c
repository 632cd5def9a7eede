/*
 * forward.c -- stanzas wrapped as bytes: the namespaces inside stay what they were
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "tests/unit/rig/xml.h"
#include "xml/el.h"
#include "xml/writer.h"
#include "xmpp/forward.h"
#include "xmpp/ns.h"

#define OPEN  "<forwarded xmlns='urn:xmpp:forward:0'>"
#define CLOSE "</forwarded>"

static void
start_tags(void **state)
{
    static const struct {
        const char *stanza, *inside;
    } cases[] = {
        { "<message/>", "<message xmlns='jabber:client'/>" },
        { "<message></message>", "<message xmlns='jabber:client'></message>" },
        { "<message to='a'><body>b</body></message>",
                "<message xmlns='jabber:client' to='a'><body>b</body></message>" },
        { "<message xmlns='jabber:client' to='a'/>", NULL },
        { "<message to='a' xmlns='jabber:client'/>", NULL },
        { "<message to=\"a\"\n\txmlns = \"jabber:server\" />", NULL },
        { "<message xmlns='urn:x'><y xmlns='jabber:client'/></message>", NULL },
        { "<m to=' xmlns=\"x\" '/>", "<m xmlns='jabber:client' to=' xmlns=\"x\" '/>" },
        { "<m to='>'><b xmlns='x'/></m>",
                "<m xmlns='jabber:client' to='>'><b xmlns='x'/></m>" },
        { "<m xmlns:x='urn:x' x:y='1'/>",
                "<m xmlns='jabber:client' xmlns:x='urn:x' x:y='1'/>" },
        { "<m xxmlns='1' xmlnsx='2'/>",
                "<m xmlns='jabber:client' xxmlns='1' xmlnsx='2'/>" },
        { "<m a='xmlns'/>", "<m xmlns='jabber:client' a='xmlns'/>" },
        { "<m><a xmlns='urn:x'/></m>",
                "<m xmlns='jabber:client'><a xmlns='urn:x'/></m>" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *inside = cases[i].inside ? cases[i].inside : cases[i].stanza;
        struct buf out = { 0 }, expected = { 0 };
        struct xml_el *before = parse(cases[i].stanza);

        buf_addf(&expected, OPEN "%s" CLOSE, inside);
        assert_int_equal(forward_write(&out, str_from(cases[i].stanza), STR_NULL,
                                 FORWARD_NO_STAMP),
                0);
        assert_string_equal(buf_c(&out), buf_c(&expected));
        if (!xml_equal(before, xml_child(parse(buf_c(&out)), NULL, NULL)))
            fail_msg("%s", buf_c(&out));
        buf_fini(&out);
        buf_fini(&expected);
    }
}

static void
no_start_tag(void **state)
{
    static const char *const cases[] = { NULL, "", "<", "<>", "</m>", "<m", "<m a='b",
        "<m a='b'", "< m/>", "message", " <m/>", "<!-- -->", "<?xml version='1.0'?>",
        "<m<", "<m <n/>>", "\x01zip", "<m/" };
    struct buf out = { 0 };

    (void)state;
    buf_add_c(&out, "before");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str s = str_from(cases[i]);

        if (forward_write(&out, s, STR_NULL, 0) != -EINVAL ||
                carbon_write(&out, CARBON_SENT, STR("a@b"), STR("a@b/c"), MESSAGE_CHAT,
                        s) != -EINVAL)
            fail_msg("%s", cases[i]);
        assert_string_equal(buf_c(&out), "before");
    }
    buf_fini(&out);
}

static void
carbons(void **state)
{
    struct buf out = { 0 };
    struct xml_el *el;
    int64_t stamp = 1;

    (void)state;
    carbon_write(&out, CARBON_RECEIVED, STR("romeo@a.net"), STR("romeo@a.net/<h>"),
            MESSAGE_CHAT, STR("<message type='chat'><body/></message>"));
    assert_string_equal(buf_c(&out),
            "<message from='romeo@a.net' to='romeo@a.net/&lt;h&gt;' type='chat'>"
            "<received xmlns='urn:xmpp:carbons:2'>" OPEN
            "<message xmlns='jabber:client' type='chat'><body/></message>" CLOSE
            "</received></message>");
    el = forward_stanza(xml_child(parse(buf_c(&out)), "received", NS_CARBONS), &stamp);
    assert_true(xml_is(el, "message", NS_CLIENT));
    assert_true(stamp == FORWARD_NO_STAMP);
    buf_reset(&out, 1000);
    carbon_write(&out, CARBON_SENT, STR("a@b"), STR("a@b/c"), MESSAGE_NORMAL,
            STR("<message/>"));
    assert_string_equal(buf_c(&out),
            "<message from='a@b' to='a@b/c'><sent xmlns='urn:xmpp:carbons:2'>" OPEN
            "<message xmlns='jabber:client'/>" CLOSE "</sent></message>");
    buf_fini(&out);
}

static void
stamps(void **state)
{
    struct buf out = { 0 };
    struct xml_el *el;
    int64_t stamp = 0;

    (void)state;
    buf_add_c(&out, "<result>");
    forward_write(&out, STR("<message/>"), STR("a.net"), 1500000);
    buf_add_c(&out, "</result>");
    assert_string_equal(buf_c(&out),
            "<result>" OPEN "<delay xmlns='urn:xmpp:delay' from='a.net' "
            "stamp='1970-01-01T00:00:01.500000Z'/><message "
            "xmlns='jabber:client'/>" CLOSE "</result>");
    el = parse(buf_c(&out));
    assert_true(xml_is(forward_stanza(el, &stamp), "message", NS_CLIENT));
    assert_int_equal(stamp, 1500000);
    assert_true(xml_is(forward_stanza(el, NULL), "message", NS_CLIENT));
    assert_null(forward_stanza(NULL, NULL));
    assert_null(forward_stanza(parse("<a><message/></a>"), &stamp));
    assert_null(forward_stanza(parse("<a>" OPEN "<message/>" CLOSE "</a>"), &stamp));
    assert_int_equal(stamp, 1500000);
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_tags),
        cmocka_unit_test(no_start_tag),
        cmocka_unit_test(carbons),
        cmocka_unit_test(stamps),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
