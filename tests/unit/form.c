/*
 * form.c -- data forms: built, read, checked, and a submission compared with its form
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
#include "xmpp/form.h"
#include "xmpp/ns.h"

static void
assert_written(const struct xml_el *el, const char *expected)
{
    struct buf out = { 0 };

    xml_write(&out, el, STR(NS_DATA));
    assert_string_equal(buf_c(&out), expected);
    buf_fini(&out);
}

#define assert_str(s, expected)                                      \
    do {                                                             \
        struct str s_ = (s);                                         \
        if (!str_eq_c(s_, (expected)) || !s_.p != !(expected))       \
            fail_msg("'%.*s' is not '%s'", STR_ARG(s_), (expected)); \
    } while (0)

static void
building_a_form(void **state)
{
    struct xml_el *x = form_new(&arena, FORM_FORM, "urn:f"), *f;

    (void)state;
    form_title(x, STR("T"));
    form_instructions(x, STR("one"));
    form_instructions(x, STR("two"));
    form_add_fixed(x, STR("Section"));
    f = form_add_field(x, FIELD_LIST_SINGLE, "a", STR("A & B"));
    form_desc(f, STR("why"));
    form_required(f);
    form_put(f, STR("1"));
    form_option(f, STR("One"), STR("1"));
    form_option(f, STR_NULL, STR("2"));
    form_put_bool(form_add_field(x, FIELD_BOOLEAN, "b", STR_NULL), true);
    form_put_u64(form_add_field(x, FIELD_TEXT_SINGLE, "c", STR_NULL), UINT64_MAX);
    form_put_lines(
            form_add_field(x, FIELD_TEXT_MULTI, "d", STR_NULL), STR("l1\r\n\nl3"));
    assert_written(x,
            "<x type='form'><title>T</title>"
            "<instructions>one</instructions><instructions>two</instructions>"
            "<field var='FORM_TYPE' type='hidden'><value>urn:f</value></field>"
            "<field type='fixed'><value>Section</value></field>"
            "<field var='a' type='list-single' label='A &amp; B'><desc>why</desc>"
            "<required/><value>1</value><option label='One'><value>1</value></option>"
            "<option><value>2</value></option></field>"
            "<field var='b' type='boolean'><value>1</value></field>"
            "<field var='c' type='text-single'><value>18446744073709551615</value>"
            "</field><field var='d' type='text-multi'><value>l1</value><value/>"
            "<value>l3</value></field></x>");
}

static void
building_a_table(void **state)
{
    struct xml_el *parent = xml_el_new(&arena, "query", "jabber:iq:search");
    struct xml_el *x = form_add(parent, FORM_RESULT, NULL), *row;

    (void)state;
    form_add_field(form_add_reported(x), FIELD_JID_SINGLE, "jid", STR("JID"));
    row = form_add_item(x);
    form_add_value(row, "jid", STR("a@b"));
    row = form_add_item(x);
    form_add_value(row, "jid", STR(""));
    assert_written(parent,
            "<query xmlns='jabber:iq:search'><x xmlns='jabber:x:data' type='result'>"
            "<reported><field var='jid' type='jid-single' label='JID'/></reported>"
            "<item><field var='jid'><value>a@b</value></field></item>"
            "<item><field var='jid'><value/></field></item></x></query>");
}

static void
checking(void **state)
{
    static const struct {
        const char *text;
        int r;
        enum form_type type;
    } cases[] = {
        { "<x type='form'/>", 0, FORM_FORM },
        { "<x type='submit'><field var='a'/><field var='b'/></x>", 0, FORM_SUBMIT },
        { "<x type='cancel'/>", 0, FORM_CANCEL },
        { "<x type='result'><field type='fixed'/><field type='fixed'/></x>", 0,
                FORM_RESULT },
        { "<x type='submit'><field xmlns='urn:x'/></x>", 0, FORM_SUBMIT },
        { "<x/>", -EINVAL, 0 },
        { "<x type=''/>", -EINVAL, 0 },
        { "<x type='Submit'/>", -EINVAL, 0 },
        { "<x xmlns='urn:x' type='submit'/>", -EINVAL, 0 },
        { "<y type='submit'/>", -EINVAL, 0 },
        { "<x type='submit'><field/></x>", -EINVAL, 0 },
        { "<x type='submit'><field var=''/></x>", -EINVAL, 0 },
        { "<x type='submit'><field var='a'/><field var='b'/><field var='a'/></x>",
                -EINVAL, 0 },
        { "<x type='form'><field type='fixed' var='a'/><field var='a'/></x>", -EINVAL,
                0 },
    };
    struct buf big = { 0 };
    enum form_type type = FORM_TYPES;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum form_type got = FORM_TYPES;
        int r = form_check(parse_in(cases[i].text, NS_DATA), &got);

        if (r != cases[i].r || got != (r == 0 ? cases[i].type : FORM_TYPES))
            fail_msg("%s: %d", cases[i].text, r);
    }
    assert_int_equal(form_check(NULL, &type), -EINVAL);
    for (unsigned n = FORM_FIELDS_MAX; n <= FORM_FIELDS_MAX + 1; n++) {
        buf_reset(&big, 1 << 20);
        buf_add_c(&big, "<x type='submit'>");
        for (unsigned i = 0; i < n; i++)
            buf_addf(&big, "<field var='v%u'/>", i);
        buf_add_c(&big, "</x>");
        assert_int_equal(form_check(parse_in(buf_c(&big), NS_DATA), &type),
                n > FORM_FIELDS_MAX ? -E2BIG : 0);
    }
    buf_fini(&big);
    arena_reset(&arena);
}

static void
reading(void **state)
{
    struct xml_el *x = parse_in(
            "<x type='submit'><field var='FORM_TYPE'><value>urn:f</value></field>"
            "<field var='a' type='list-multi'><value>1</value><value>2</value></field>"
            "<field var='b'><value> true </value></field><field var='c'/>"
            "<field var='d'><value/></field><field var='e'><value>0</value></field>"
            "<field var='f'><value>yes</value></field>"
            "<field var='g'><value>18446744073709551616</value></field>"
            "<field var='t' type='future'><value>l1</value><value/><value>l3</value>"
            "</field></x>",
            NS_DATA);
    uint64_t n = 7;
    bool is = true;

    (void)state;
    assert_str(form_type_of(x), "urn:f");
    assert_str(form_value(x, "a"), "1");
    assert_str(form_value(x, "c"), "");
    assert_str(form_value(x, "d"), "");
    assert_str(form_value(x, "z"), NULL);
    assert_str(form_value(NULL, "a"), NULL);
    assert_str(form_text(x, "t"), "l1\n\nl3");
    assert_str(form_text(x, "b"), " true ");
    assert_str(form_text(x, "c"), "");
    assert_str(form_text(x, "z"), NULL);
    assert_int_equal(form_field_type(form_field(x, "a")), FIELD_LIST_MULTI);
    assert_int_equal(form_field_type(form_field(x, "b")), FIELD_TEXT_SINGLE);
    assert_int_equal(form_field_type(form_field(x, "t")), FIELD_TEXT_SINGLE);
    assert_int_equal(form_bool(x, "e", &is), 0);
    assert_false(is);
    assert_int_equal(form_bool(x, "b", &is), 0);
    assert_true(is);
    assert_int_equal(form_bool(x, "c", &is), -ENOENT);
    assert_int_equal(form_bool(x, "z", &is), -ENOENT);
    assert_int_equal(form_bool(x, "f", &is), -EINVAL);
    assert_true(is);
    assert_int_equal(form_u64(x, "d", &n), -ENOENT);
    assert_int_equal(form_u64(x, "f", &n), -EINVAL);
    assert_int_equal(form_u64(x, "g", &n), -ERANGE);
    assert_int_equal(n, 7);
    assert_int_equal(form_u64(x, "e", &n), 0);
    assert_int_equal(n, 0);
    n = 0;
    form_for_value(v, form_field(x, "a"))
    {
        assert_str(xml_text(v), n ? "2" : "1");
        n++;
    }
    assert_int_equal(n, 2);
}

static void
which_form(void **state)
{
    struct xml_el *el =
            parse_in("<query><x xmlns='urn:x'/><x type='submit'/><x type='submit'>"
                     "<field var='FORM_TYPE'><value>urn:f</value></field></x></query>",
                    NS_DATA);

    (void)state;
    assert_ptr_equal(form_child(el, NULL), xml_child(el, "x", NS_DATA));
    assert_ptr_equal(form_child(el, "urn:f"), el->last);
    assert_null(form_child(el, "urn:g"));
    assert_null(form_child(NULL, NULL));
}

static void
fitting(void **state)
{
    static const struct {
        const char *fields, *var; /* NULL: fits */
    } cases[] = {
        { "<field var='r'><value>x</value></field>", NULL },
        { "", "r" },
        { "<field var='r'/>", "r" },
        { "<field var='r'><value/></field>", "r" },
        { "<field var='r'><value>x</value><value>y</value></field>", "r" },
#define R "<field var='r'><value>x</value></field>"
        { R "<field var='never offered'><value>x</value><value>y</value></field>",
                NULL },
        { R "<field var='b'><value>true</value></field>", NULL },
        { R "<field var='b'><value/></field>", NULL },
        { R "<field var='b'><value>maybe</value></field>", "b" },
        { R "<field var='l'><value>2</value></field>", NULL },
        { R "<field var='l'><value>3</value></field>", "l" },
        { R "<field var='l'><value>1</value><value>2</value></field>", "l" },
        { R "<field var='m'><value>1</value><value>2</value></field>", NULL },
        { R "<field var='m'><value>1</value><value>9</value></field>", "m" },
        { R "<field var='j'><value>a@b</value></field>", NULL },
        { R "<field var='j'><value>a@b</value><value>@</value></field>", "j" },
        { R "<field var='t'><value>1</value><value>2</value></field>", NULL },
    };
    struct xml_el *form = parse_in(
            "<x type='form'><field type='fixed'><required/></field>"
            "<field var='r' type='text-single'><required/></field>"
            "<field var='b' type='boolean'/>"
            "<field var='l' type='list-single'><option><value>1</value></option>"
            "<option><value>2</value></option></field>"
            "<field var='m' type='list-multi'><option><value>1</value></option>"
            "<option><value>2</value></option></field>"
            "<field var='j' type='jid-multi'/><field var='t' type='text-multi'/></x>",
            NS_DATA);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text = { 0 };
        struct str var = STR_NULL;
        int r;

        buf_addf(&text, "<x type='submit'>%s</x>", cases[i].fields);
        r = form_fits(form, parse_in(buf_c(&text), NS_DATA), &var);
        if (r != (cases[i].var ? -EINVAL : 0) || !str_eq_c(var, cases[i].var))
            fail_msg("%s: %d '%.*s'", cases[i].fields, r, STR_ARG(var));
        buf_fini(&text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(building_a_form),
        cmocka_unit_test(building_a_table),
        cmocka_unit_test(checking),
        cmocka_unit_test(reading),
        cmocka_unit_test(which_form),
        cmocka_unit_test(fitting),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
