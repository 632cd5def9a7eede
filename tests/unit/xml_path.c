/*
 * xml_path.c -- values by path, texts removed, children replaced
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "tests/unit/rig/xml.h"
#include "xml/path.h"
#include "xml/writer.h"

static void
values(void **state)
{
    static const struct {
        const struct xml_step path[5];
        const char *text; /* NULL: missing */
    } cases[] = {
        { { XML_ELEM("q", NULL), XML_ELEM("i", NULL), XML_CDATA }, "one" },
        { { XML_ELEM("q", NULL), XML_ELEM("i", NULL) }, "one" },
        { { XML_ELEM("q", "urn:q"), XML_ELEM("i", "urn:q"), XML_ATTR("n") }, "1" },
        { { XML_ELEM("q", "urn:d"), XML_ELEM("i", NULL), XML_CDATA }, "" },
        { { XML_ELEM("q", "urn:d"), XML_ELEM("i", NULL), XML_ATTR("n") }, NULL },
        { { XML_ELEM("q", "urn:x"), XML_CDATA }, NULL },
        { { XML_ELEM("q", NULL), XML_ELEM("none", NULL), XML_ELEM("i", NULL),
                  XML_CDATA },
                NULL },
        { { XML_ELEM("q", NULL), XML_ATTR("none") }, NULL },
        { { XML_ELEM(NULL, "urn:q"), XML_ELEM(NULL, NULL), XML_CDATA }, "one" },
        { { XML_ATTR("id") }, "7" },
        { { XML_CDATA }, "ab" },
        { { XML_ATTR("xmlns") }, NULL },
    };
    struct xml_el *el =
            parse_in("<iq id='7'>a<q xmlns='urn:q'><i n='1'>one</i><i>2</i></q>"
                     "<q><i/></q>b</iq>",
                    "urn:d");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str text = xml_path_text(el, cases[i].path);

        if (!str_eq_c(text, cases[i].text) || !text.p != !cases[i].text)
            fail_msg("case %zu: '%.*s'", i, STR_ARG(text));
        assert_null(xml_path_text(NULL, cases[i].path).p);
    }
    arena_reset(&arena);
}

static void
elements(void **state)
{
    struct xml_el *el = parse_in("<iq><q xmlns='urn:q'/><q><i/></q></iq>", "urn:d");
    struct xml_el *q = xml_child(el, "q", "urn:d");

    (void)state;
    assert_ptr_equal(xml_path_el(el, XML_PATH(XML_ELEM("q", "urn:d"))), q);
    assert_ptr_equal(
            xml_path_el(el, XML_PATH(XML_ELEM("q", "urn:d"), XML_ELEM("i", NULL))),
            q->first);
    assert_null(xml_path_el(el, XML_PATH(XML_ELEM("q", NULL), XML_ELEM("i", NULL))));
    assert_null(xml_path_el(el, XML_PATH(XML_ELEM("q", NULL), XML_CDATA)));
    assert_null(xml_path_el(el, XML_PATH(XML_ELEM("q", NULL), XML_ATTR("a"))));
    assert_null(xml_path_el(NULL, XML_PATH(XML_ELEM("q", NULL))));
    arena_reset(&arena);
}

static void
assert_written(const struct xml_el *el, const char *expected)
{
    struct str text = xml_string(&arena, el, STR("urn:d"));

    assert_string_equal(text.p, expected);
    assert_int_equal(text.n, strlen(expected));
}

static void
changes(void **state)
{
    struct xml_el *el =
            parse_in("<a>1<b>2</b>3<b xmlns='urn:x'/><b/><c/></a>", "urn:d");

    (void)state;
    assert_int_equal(xml_remove_cdata(el), 2);
    assert_written(el, "<a><b>2</b><b xmlns='urn:x'/><b/><c/></a>");
    assert_int_equal(xml_remove_cdata(el), 0);
    assert_int_equal(xml_replace(el, xml_el_new(&arena, "b", "urn:d")), 2);
    assert_written(el, "<a><b xmlns='urn:x'/><c/><b/></a>");
    assert_int_equal(xml_replace(el, xml_el_new(&arena, "d", "urn:d")), 0);
    assert_written(el, "<a><b xmlns='urn:x'/><c/><b/><d/></a>");
    arena_reset(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(elements),
        cmocka_unit_test(changes),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
