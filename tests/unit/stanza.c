/*
 * stanza.c -- what a stanza is, and what may be answered to it
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/rig/xml.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

static void
kinds(void **state)
{
    static const struct {
        const char *text;
        enum stanza_kind kind;
    } cases[] = {
        { "<message/>", STANZA_MESSAGE },
        { "<presence/>", STANZA_PRESENCE },
        { "<iq/>", STANZA_IQ },
        { "<iq xmlns='jabber:server'/>", STANZA_IQ },
        { "<iq xmlns='jabber:component:accept'/>", STANZA_IQ },
        { "<iq xmlns='urn:x'/>", STANZA_OTHER },
        { "<IQ/>", STANZA_OTHER },
        { "<r xmlns='urn:xmpp:sm:3'/>", STANZA_OTHER },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (stanza_kind(parse(cases[i].text)) != cases[i].kind)
            fail_msg("%s", cases[i].text);
}

static void
types(void **state)
{
    static const struct {
        const char *text;
        int r, type;
    } presences[] = {
        { "<presence/>", 0, PRESENCE_AVAILABLE },
        { "<presence type='unavailable'/>", 0, PRESENCE_UNAVAILABLE },
        { "<presence type='subscribe'/>", 0, PRESENCE_SUBSCRIBE },
        { "<presence type='subscribed'/>", 0, PRESENCE_SUBSCRIBED },
        { "<presence type='unsubscribe'/>", 0, PRESENCE_UNSUBSCRIBE },
        { "<presence type='unsubscribed'/>", 0, PRESENCE_UNSUBSCRIBED },
        { "<presence type='probe'/>", 0, PRESENCE_PROBE },
        { "<presence type='error'/>", 0, PRESENCE_ERROR },
        { "<presence type=''/>", -EINVAL, 0 },
        { "<presence type='available'/>", -EINVAL, 0 },
    };
    static const struct {
        const char *text;
        enum message_type type;
    } messages[] = {
        { "<message/>", MESSAGE_NORMAL },
        { "<message type='normal'/>", MESSAGE_NORMAL },
        { "<message type='chat'/>", MESSAGE_CHAT },
        { "<message type='groupchat'/>", MESSAGE_GROUPCHAT },
        { "<message type='headline'/>", MESSAGE_HEADLINE },
        { "<message type='error'/>", MESSAGE_ERROR },
        { "<message type='Chat'/>", MESSAGE_NORMAL },
    };
    static const struct {
        const char *text;
        int r, type;
    } iqs[] = {
        { "<iq type='get' id='1'><q xmlns='x'/></iq>", 0, IQ_GET },
        { "<iq type='set' id='1'> <q xmlns='x'/> </iq>", 0, IQ_SET },
        { "<iq type='result' id='1'/>", 0, IQ_RESULT },
        { "<iq type='result' id='1'><q xmlns='x'/></iq>", 0, IQ_RESULT },
        { "<iq type='error' id='1'><q xmlns='x'/><error/></iq>", 0, IQ_ERROR },
        { "<iq type='get' id='1'/>", -EINVAL, 0 },
        { "<iq type='get' id='1'>q</iq>", -EINVAL, 0 },
        { "<iq type='set' id='1'><q xmlns='x'/><q xmlns='x'/></iq>", -EINVAL, 0 },
        { "<iq type='result' id='1'><q/><q/></iq>", -EINVAL, 0 },
        { "<iq type='get'><q xmlns='x'/></iq>", -EINVAL, 0 },
        { "<iq type='get' id=''><q xmlns='x'/></iq>", -EINVAL, 0 },
        { "<iq id='1'><q xmlns='x'/></iq>", -EINVAL, 0 },
        { "<iq type='put' id='1'><q xmlns='x'/></iq>", -EINVAL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(presences); i++) {
        enum presence_type type = PRESENCE_TYPES;
        int r = presence_type(parse(presences[i].text), &type);

        if (r != presences[i].r || (r == 0 && (int)type != presences[i].type))
            fail_msg("%s", presences[i].text);
        assert_true(r == 0 || type == PRESENCE_TYPES);
    }
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        if (message_type(parse(messages[i].text)) != messages[i].type)
            fail_msg("%s", messages[i].text);
    for (size_t i = 0; i < ARRAY_LEN(iqs); i++) {
        enum iq_type type = IQ_TYPES;
        int r = iq_type(parse(iqs[i].text), &type);

        if (r != iqs[i].r || (r == 0 && (int)type != iqs[i].type))
            fail_msg("%s", iqs[i].text);
    }
    assert_string_equal(message_type_name(MESSAGE_GROUPCHAT), "groupchat");
    assert_string_equal(presence_type_name(PRESENCE_PROBE), "probe");
    assert_string_equal(iq_type_name(IQ_RESULT), "result");
}

static void
priorities(void **state)
{
    static const struct {
        const char *text;
        int r, priority;
    } cases[] = {
        { "<presence/>", 0, 0 },
        { "<presence><priority>5</priority></presence>", 0, 5 },
        { "<presence><priority> -128\n</priority></presence>", 0, -128 },
        { "<presence><priority>+127</priority></presence>", 0, 127 },
        { "<presence><priority xmlns='x'>9</priority></presence>", 0, 0 },
        { "<presence><priority xmlns='x'>9</priority><priority>1</priority></presence>",
                0, 1 },
        { "<presence><priority>128</priority></presence>", -EINVAL, 0 },
        { "<presence><priority>-129</priority></presence>", -EINVAL, 0 },
        { "<presence><priority/></presence>", -EINVAL, 0 },
        { "<presence><priority>1 2</priority></presence>", -EINVAL, 0 },
        { "<presence><priority>0x1</priority></presence>", -EINVAL, 0 },
        { "<presence><priority>99999999999999999999</priority></presence>", -EINVAL,
                0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int8_t priority = 77;
        int r = presence_priority(parse(cases[i].text), &priority);

        if (r != cases[i].r || priority != (r == 0 ? cases[i].priority : 77))
            fail_msg("%s", cases[i].text);
    }
}

static void
payloads(void **state)
{
    struct xml_el *iq = parse("<iq><error/><q xmlns='x'/></iq>");

    (void)state;
    assert_true(xml_is(iq_payload(iq), "q", "x"));
    assert_null(iq_payload(parse("<iq>text<error/></iq>")));
    assert_null(iq_payload(NULL));
}

static void
replies(void **state)
{
#define BAD "<bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    static const struct {
        const char *text, *error; /* NULL: none may be sent */
    } cases[] = {
        { "<iq type='get' id='1' from='a' to='b'><q xmlns='x'>y</q></iq>",
                "<iq type='error' from='b' to='a' id='1'><error type='modify'>" BAD
                "</error></iq>" },
        { "<message><body>x</body></message>",
                "<message type='error'><error type='modify'>" BAD
                "</error></message>" },
        { "<presence xmlns='jabber:server' to='b&amp;'/>",
                "<presence xmlns='jabber:server' type='error' from='b&amp;'>"
                "<error type='modify'>" BAD "</error></presence>" },
        { "<iq type='bogus' id='1'/>",
                "<iq type='error' id='1'><error type='modify'>" BAD "</error></iq>" },
        { "<iq type='result' id='1' from='a' to='b'/>", NULL },
        { "<iq type='error' id='1' from='a' to='b'/>", NULL },
        { "<message type='error' from='a' to='b'/>", NULL },
        { "<presence type='error' from='a' to='b'/>", NULL },
    };
    struct arena other;
    struct xml_el *el, *payload;
    struct buf out = { 0 };

    (void)state;
    arena_init(&other, 1000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        el = stanza_reply_error(&other, parse(cases[i].text), STANZA_ERROR_BAD_REQUEST,
                ERROR_TYPE_DEFAULT, NULL);
        arena_reset(&arena); /* the reply outlives the request */
        if (!el != !cases[i].error)
            fail_msg("%s", cases[i].text);
        if (!el)
            continue;
        buf_reset(&out, 1000);
        xml_write(&out, el, STR(NS_CLIENT));
        assert_string_equal(buf_c(&out), cases[i].error);
        assert_int_equal(stanza_error_of(el), STANZA_ERROR_BAD_REQUEST);
        assert_true(stanza_is_error(el));
    }
    el = iq_result_with(
            &other, parse("<iq type='get' id='7' from='a'/>"), "q", "x", &payload);
    xml_set_c(payload, "n", "1");
    buf_reset(&out, 1000);
    xml_write(&out, el, STR(NS_CLIENT));
    assert_string_equal(
            buf_c(&out), "<iq type='result' to='a' id='7'><q xmlns='x' n='1'/></iq>");
    buf_fini(&out);
    arena_fini(&other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(types),
        cmocka_unit_test(priorities),
        cmocka_unit_test(payloads),
        cmocka_unit_test(replies),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
