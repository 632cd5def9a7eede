/*
 * delay.c -- when a stanza was sent, and who may say so
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
#include "xmpp/delay.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"

static void
adding(void **state)
{
    struct xml_el *el = xml_el_new(&arena, "message", NS_CLIENT);
    struct buf tree = { 0 }, bytes = { 0 };
    static const char expected[] = "<delay xmlns='urn:xmpp:delay' from='a&lt;' "
                                   "stamp='1970-01-01T00:00:00.000001Z'>Offline "
                                   "Storage</delay><delay xmlns='urn:xmpp:delay' "
                                   "stamp='1970-01-01T00:00:01Z'/>";

    (void)state;
    delay_add(el, STR("a<"), 1, STR("Offline Storage"));
    delay_add(el, STR_NULL, 1000000, STR_NULL);
    xml_write_children(&tree, el, STR(NS_CLIENT));
    assert_string_equal(buf_c(&tree), expected);
    delay_write(&bytes, STR("a<"), 1, STR("Offline Storage"));
    delay_write(&bytes, STR_NULL, 1000000, STR_NULL);
    assert_string_equal(buf_c(&bytes), expected);
    buf_fini(&tree);
    buf_fini(&bytes);
}

#define OLD "<x xmlns='jabber:x:delay' "
#define NEW "<delay xmlns='urn:xmpp:delay' "

static void
finding_and_removing(void **state)
{
    static const struct {
        const char *text;
        const char *from; /* NULL: anybody's */
        int64_t us;       /* -1: not found */
        size_t n;         /* how many are removed */
    } cases[] = {
        { "", NULL, -1, 0 },
        { NEW "stamp='1970-01-01T00:00:01Z'/>", NULL, 1000000, 1 },
        { NEW "stamp='1970-01-01T00:00:01Z'/>", "a.net", -1, 0 },
        { NEW "from='A.net.' stamp='1970-01-01T00:00:01Z'/>", "a.net", 1000000, 1 },
        { NEW "from='a.net' stamp='1970-01-01T00:00:01Z'/>", "b.net", -1, 0 },
        { NEW "from='j@a.net/x' stamp='1970-01-01T00:00:01Z'/>", "j@a.net", -1, 0 },
        { NEW "from='@' stamp='1970-01-01T00:00:01Z'/>", "a.net", -1, 0 },
        { NEW "from='a.net' stamp='yesterday'/>" NEW
              "from='a.net' stamp='1970-01-01T00:00:02Z'/>",
                "a.net", 2000000, 2 },
        { NEW "from='a.net'/>", "a.net", -1, 1 },
        { OLD "from='a.net' stamp='19700101T00:00:03'/>", "a.net", 3000000, 1 },
        { OLD "from='a.net' stamp='1970-01-01T00:00:03Z'/>", NULL, 3000000, 1 },
        { NEW "from='a.net' stamp='19700101T00:00:03'/>", NULL, -1, 1 },
        { "<forwarded xmlns='urn:xmpp:forward:0'>" NEW
          "stamp='1970-01-01T00:00:01Z'/></forwarded>",
                NULL, -1, 0 },
        { "<delay xmlns='urn:x' stamp='1970-01-01T00:00:01Z'/>", NULL, -1, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text = { 0 };
        struct jid jid, *from = NULL;
        struct xml_el *el;
        int64_t us = -1;
        int r;

        if (cases[i].from) {
            assert_int_equal(jid_parse(&arena, str_from(cases[i].from), &jid), 0);
            from = &jid;
        }
        buf_addf(&text, "<message>%s<body/></message>", cases[i].text);
        el = parse(buf_c(&text));
        r = delay_find(el, from, &us);
        if (us != cases[i].us || r != (us == -1 ? -ENOENT : 0))
            fail_msg(
                    "%s, %s: %d, %lld", cases[i].text, cases[i].from, r, (long long)us);
        if (delay_remove(el, from) != cases[i].n)
            fail_msg("%s, %s", cases[i].text, cases[i].from);
        assert_int_equal(delay_find(el, from, &us), -ENOENT);
        assert_non_null(xml_child(el, "body", NULL));
        buf_fini(&text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adding),
        cmocka_unit_test(finding_and_removing),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
