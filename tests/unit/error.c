/*
 * error.c -- conditions by name, and as they go over the wire
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/rig/xml.h"
#include "xml/el.h"
#include "xml/writer.h"
#include "xmpp/error.h"
#include "xmpp/ns.h"

static void
names(void **state)
{
    enum stream_error stream;
    enum stanza_error stanza;
    enum sasl_error sasl;

    (void)state;
    for (unsigned i = 0; i < STREAM_ERRORS; i++) {
        const char *name = stream_error_name((enum stream_error)i);

        assert_int_equal(stream_error_from(str_from(name), &stream), 0);
        assert_int_equal(stream, i);
    }
    for (unsigned i = 0; i < STANZA_ERRORS; i++) {
        const char *name = stanza_error_name((enum stanza_error)i);

        assert_int_equal(stanza_error_from(str_from(name), &stanza), 0);
        assert_int_equal(stanza, i);
        assert_true(
                stanza_error_default_type((enum stanza_error)i) != ERROR_TYPE_DEFAULT);
    }
    for (unsigned i = 0; i < SASL_ERRORS; i++) {
        const char *name = sasl_error_name((enum sasl_error)i);

        assert_int_equal(sasl_error_from(str_from(name), &sasl), 0);
        assert_int_equal(sasl, i);
    }
    assert_int_equal(stream_error_from(STR("xml-not-well-formed"), &stream), -EINVAL);
    assert_int_equal(stanza_error_from(STR(""), &stanza), -EINVAL);
    assert_int_equal(sasl_error_from(STR("not-authorized "), &sasl), -EINVAL);
    assert_int_equal(stanza_error_code(STANZA_ERROR_ITEM_NOT_FOUND), 404);
    assert_string_equal(stanza_error_type_name(stanza_error_default_type(
                                STANZA_ERROR_RECIPIENT_UNAVAILABLE)),
            "wait");
}

/* Parsed back with the prefix stream declared. */
static struct xml_el *
read_back(const struct buf *out)
{
    struct buf text = { 0 };
    struct xml_el *el = NULL;

    buf_addf(&text, "<x xmlns:stream='" NS_STREAMS "'>%s</x>", buf_c(out));
    assert_int_equal(
            xml_parse(pool, NULL, &arena, buf_str(&text), NS_CLIENT, &el), XML_OK);
    buf_fini(&text);
    return xml_child(el, NULL, NULL);
}

static void
stream_errors(void **state)
{
    struct buf out = { 0 };
    struct xml_el *el;

    (void)state;
    for (unsigned i = 0; i < STREAM_ERRORS; i++) {
        buf_reset(&out, 1000);
        stream_error_write(&out, (enum stream_error)i, STR("<why> & 'how'"), STR_NULL);
        el = read_back(&out);
        assert_true(xml_is(el, "error", NS_STREAMS));
        assert_int_equal(stream_error_of(el), i);
        assert_true(str_eq(
                xml_child_text(el, "text", NS_STREAM_ERROR), STR("<why> & 'how'")));
    }
    buf_reset(&out, 1000);
    stream_error_write(&out, STREAM_ERROR_CONFLICT, STR_NULL, STR_NULL);
    assert_string_equal(buf_c(&out),
            "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            "</stream:error>");
    buf_reset(&out, 1000);
    stream_error_write(&out, STREAM_ERROR_CONFLICT, STR("x"), STR("de"));
    assert_true(str_eq(xml_lang(xml_child(read_back(&out), "text", NULL)), STR("de")));
    buf_reset(&out, 1000);
    stream_error_write_see_other_host(&out, STR("[::1]:5222"));
    el = read_back(&out);
    assert_int_equal(stream_error_of(el), STREAM_ERROR_SEE_OTHER_HOST);
    assert_true(str_eq(
            xml_child_text(el, "see-other-host", NS_STREAM_ERROR), STR("[::1]:5222")));
    assert_int_equal(stream_error_of(NULL), STREAM_ERROR_UNDEFINED_CONDITION);
    buf_fini(&out);
}

static void
sasl_failures(void **state)
{
    struct buf out = { 0 };

    (void)state;
    sasl_error_write(&out, SASL_ERROR_NOT_AUTHORIZED, STR_NULL);
    assert_string_equal(buf_c(&out),
            "<failure "
            "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>");
    buf_reset(&out, 1000);
    sasl_error_write(&out, SASL_ERROR_ACCOUNT_DISABLED, STR("a<b"));
    assert_true(xml_is(read_back(&out)->first, "account-disabled", NS_SASL));
    assert_true(str_eq(xml_child_text(read_back(&out), "text", NS_SASL), STR("a<b")));
    buf_fini(&out);
}

static void
what_the_parser_found(void **state)
{
    static const struct {
        enum xml_error xml;
        enum stream_error stream;
    } cases[] = {
        { XML_ERR_NOT_WELL_FORMED, STREAM_ERROR_NOT_WELL_FORMED },
        { XML_ERR_NAMESPACE, STREAM_ERROR_NOT_WELL_FORMED },
        { XML_ERR_RESTRICTED, STREAM_ERROR_RESTRICTED_XML },
        { XML_ERR_BAD_ENCODING, STREAM_ERROR_UNSUPPORTED_ENCODING },
        { XML_ERR_TEXT, STREAM_ERROR_BAD_FORMAT },
        { XML_ERR_PREFIX, STREAM_ERROR_BAD_NAMESPACE_PREFIX },
        { XML_ERR_TOO_BIG, STREAM_ERROR_POLICY_VIOLATION },
        { XML_ERR_TOO_DEEP, STREAM_ERROR_POLICY_VIOLATION },
        { XML_ERR_TOO_MANY, STREAM_ERROR_POLICY_VIOLATION },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(stream_error_of_xml(cases[i].xml), cases[i].stream);
}

static void
stanza_errors(void **state)
{
    struct xml_el *el = xml_el_new(&arena, "message", NS_CLIENT);
    struct buf out = { 0 };

    (void)state;
    assert_int_equal(stanza_error_of(el), STANZA_ERROR_UNDEFINED_CONDITION);
    xml_add(stanza_error_add(el, STANZA_ERROR_NOT_ALLOWED, ERROR_TYPE_MODIFY, "no"),
            "x", "urn:x");
    assert_int_equal(stanza_error_of(el), STANZA_ERROR_NOT_ALLOWED);
    xml_write(&out, el, STR(NS_CLIENT));
    assert_string_equal(buf_c(&out),
            "<message><error type='modify'>"
            "<not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
            "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no</text>"
            "<x xmlns='urn:x'/></error></message>");
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(stream_errors),
        cmocka_unit_test(sasl_failures),
        cmocka_unit_test(what_the_parser_found),
        cmocka_unit_test(stanza_errors),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
