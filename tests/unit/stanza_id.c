/*
 * stanza_id.c -- names of stanzas: given, read, and forged ones removed
 */
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
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza_id.h"

static void
adding(void **state)
{
    struct xml_el *el = xml_el_new(&arena, "message", NS_CLIENT);
    struct buf tree = { 0 }, bytes = { 0 };

    (void)state;
    stanza_id_add(el, STR("j@a.net"), STR("1'2"));
    stanza_id_write(&bytes, STR("j@a.net"), STR("1'2"));
    xml_write(&tree, el->first, STR(NS_CLIENT));
    assert_string_equal(buf_c(&tree),
            "<stanza-id xmlns='urn:xmpp:sid:0' by='j@a.net' id='1&apos;2'/>");
    assert_string_equal(buf_c(&bytes), buf_c(&tree));
    assert_null(origin_id_get(el).p);
    origin_id_add(el, STR("o"));
    assert_true(str_eq(origin_id_get(el), STR("o")));
    assert_null(origin_id_get(NULL).p);
    buf_fini(&tree);
    buf_fini(&bytes);
}

#define SID "<stanza-id xmlns='urn:xmpp:sid:0' "

static void
reading_and_removing(void **state)
{
    static const struct {
        const char *text, *by, *id; /* id NULL: none */
        size_t n;                   /* how many are removed */
    } cases[] = {
        { "", "j@a.net", NULL, 0 },
        { SID "by='j@a.net' id='1'/>", "j@a.net", "1", 1 },
        { SID "by='J@A.NET' id='1'/>", "j@a.net", "1", 1 },
        { SID "by='j@a.net/r' id='1'/>", "j@a.net", NULL, 0 },
        { SID "by='a.net' id='1'/>", "j@a.net", NULL, 0 },
        { SID "id='1'/>", "j@a.net", NULL, 0 },
        { SID "by='' id='1'/>", "j@a.net", NULL, 0 },
        { SID "by='j@a.net'/>" SID "by='j@a.net' id='2'/>", "j@a.net", "2", 2 },
        { SID "by='r@c.net' id='1'/>" SID "by='j@a.net' id='2'/>", "j@a.net", "2", 1 },
        { "<archived xmlns='urn:xmpp:mam:tmp' by='j@a.net' id='1'/>", "j@a.net", NULL,
                1 },
        { "<stanza-id xmlns='urn:x' by='j@a.net' id='1'/>", "j@a.net", NULL, 0 },
        { "<x xmlns='urn:x'>" SID "by='j@a.net' id='1'/></x>", "j@a.net", NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text = { 0 };
        struct jid by;
        struct xml_el *el;
        struct str id;

        buf_addf(&text,
                "<message>%s<origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>",
                cases[i].text);
        el = parse(buf_c(&text));
        assert_int_equal(jid_parse(&arena, str_from(cases[i].by), &by), 0);
        id = stanza_id_get(el, &by);
        if (!id.p != !cases[i].id || !str_eq_c(id, cases[i].id))
            fail_msg("%s: '%.*s'", cases[i].text, STR_ARG(id));
        if (stanza_id_remove(el, &by) != cases[i].n)
            fail_msg("%s", cases[i].text);
        assert_null(stanza_id_get(el, &by).p);
        assert_true(str_eq(origin_id_get(el), STR("o")));
        buf_fini(&text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adding),
        cmocka_unit_test(reading_and_removing),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
