/*
 * caps.c -- the verification strings of XEP-0115, and infos that must not be believed
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
#include "xmpp/caps.h"
#include "xmpp/form.h"
#include "xmpp/ns.h"

static struct xml_el *
query(const char *content)
{
    struct buf text = { 0 };
    struct xml_el *el;

    buf_addf(&text, "<query xmlns='" NS_DISCO_INFO "'>%s</query>", content);
    el = parse(buf_c(&text));
    buf_fini(&text);
    return el;
}

#define FEATURE(var)  "<feature var='" var "'/>"
#define DISCO         "http://jabber.org/protocol/disco"
#define FORM(content) "<x xmlns='jabber:x:data' type='result'>" content "</x>"
#define TYPE(value) \
    "<field var='FORM_TYPE' type='hidden'><value>" value "</value></field>"
#define FIELD(var, values) "<field var='" var "'>" values "</field>"
#define VALUE(value)       "<value>" value "</value>"

/* XEP-0115, 5.2 and 5.3 */
#define SIMPLE                                                             \
    "<identity category='client' type='pc' name='Exodus 0.9.1'/>" FEATURE( \
            "http://jabber.org/protocol/muc") FEATURE(DISCO "#items")      \
            FEATURE(DISCO "#info") FEATURE("http://jabber.org/protocol/caps")
#define COMPLEX                                                                        \
    "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"            \
    "<identity xml:lang='el' category='client' name='&#936; 0.11' "                    \
    "type='pc'/>" FEATURE("http://jabber.org/protocol/caps") FEATURE(DISCO             \
            "#info") FEATURE(DISCO "#items") FEATURE("http://jabber.org/protocol/muc") \
            FORM(TYPE("urn:xmpp:dataforms:softwareinfo") FIELD("os_version",           \
                    VALUE("10.5.1")) FIELD("ip_version", VALUE("ipv6") VALUE("ipv4"))  \
                            FIELD("os", VALUE("Mac")) FIELD("software", VALUE("Psi"))  \
                                    FIELD("software_version", VALUE("0.11")))

static void
examples(void **state)
{
    static const struct {
        const char *hash, *info, *ver;
        int r;
    } cases[] = {
        { "sha-1", SIMPLE, "QgayPKawpkPSDYmwT/WM94uAlu0=", 0 },
        { "sha-1", COMPLEX, "q07IKJEyjvHSyhy//CH0CxmKi8w=", 0 },
        /* Forms that do not count change nothing. */
        { "sha-1", SIMPLE FORM(FIELD("os", VALUE("x"))),
                "QgayPKawpkPSDYmwT/WM94uAlu0=", 0 },
        { "sha-1", SIMPLE FORM(FIELD("FORM_TYPE", VALUE("urn:x"))),
                "QgayPKawpkPSDYmwT/WM94uAlu0=", 0 },
        { "sha-1", SIMPLE FORM(TYPE("")), "QgayPKawpkPSDYmwT/WM94uAlu0=", 0 },
        { "sha-1", SIMPLE "<other xmlns='urn:x'/>", "QgayPKawpkPSDYmwT/WM94uAlu0=", 0 },
        { "sha-1", "", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", 0 },
        { "sha-256", "", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", 0 },
        { "sha-1", SIMPLE FEATURE("urn:y"), "QgayPKawpkPSDYmwT/WM94uAlu0=", -EINVAL },
        { "sha-1", SIMPLE, "qgayPKawpkPSDYmwT/WM94uAlu0=", -EINVAL },
        { "sha-1", SIMPLE, "", -EINVAL },
        { "SHA-1", SIMPLE, "QgayPKawpkPSDYmwT/WM94uAlu0=", -ENOTSUP },
        { "md5", SIMPLE, "QgayPKawpkPSDYmwT/WM94uAlu0=", -ENOTSUP },
        { NULL, SIMPLE, "1.0", -ENOTSUP },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct caps caps = { str_from(cases[i].hash), STR("urn:node"),
            str_from(cases[i].ver) };
        int r = caps_verify(&arena, &caps, query(cases[i].info));

        if (r != cases[i].r)
            fail_msg("case %zu: %d", i, r);
    }
    arena_reset(&arena);
}

static void
ill_formed(void **state)
{
    static const char *const cases[] = {
        FEATURE("a") FEATURE("b") FEATURE("a"),
        FEATURE(""),
        "<feature/>",
        FEATURE("a&lt;b"),
        "<identity category='c' type='t'/><identity category='c' type='t'/>",
        "<identity category='c' type='t' name='n' xml:lang='l'/>"
        "<identity category='c' type='u'/>"
        "<identity category='c' type='t' name='n' xml:lang='l'/>",
        "<identity category='c'/>",
        "<identity type='t'/>",
        "<identity category='c' type='t' name='client/pc//x&lt;'/>",
        FORM(TYPE("a")) FORM(TYPE("b")) FORM(TYPE("a")),
        FORM("<field var='FORM_TYPE' "
             "type='hidden'><value>a</value><value>b</value></field>"),
        FORM(TYPE("a") FIELD("v", VALUE("x&lt;y"))),
        FORM(TYPE("a") FIELD("v&lt;", VALUE("x"))),
    };
    static const char well_formed[] =
            FORM("<field var='FORM_TYPE' type='hidden'><value>a</value><value>a</value>"
                 "</field>") "<identity category='c' type='t' name='n'/>"
                             "<identity category='c' type='t'/>";
    struct caps_info info = { .n_features = 77 };
    struct xml_el *in_greek = query(well_formed);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (caps_read(&arena, query(cases[i]), &info) != -EINVAL)
            fail_msg("%s", cases[i]);
    assert_int_equal(caps_read(&arena, NULL, &info), -EINVAL);
    assert_int_equal(caps_read(&arena, parse("<query/>"), &info), -EINVAL);
    assert_int_equal(info.n_features, 77);
    assert_int_equal(caps_read(&arena, query(well_formed), &info), 0);
    assert_int_equal(info.n_forms, 1);
    assert_int_equal(info.n_identities, 2);
    xml_set_ns(in_greek, "lang", XML_NS, STR("el"));
    assert_int_equal(caps_read(&arena, in_greek, &info), 0);
    assert_null(info.identities[0].lang.p);
    arena_reset(&arena);
}

/* Our own caps: from lists, in whatever order. */
static void
from_lists(void **state)
{
    static const struct caps_identity identities[] = {
        { STR("client"), STR("pc"), STR("en"), STR("Psi 0.11") },
        { STR("client"), STR("pc"), STR("el"), STR("\xce\xa8 0.11") },
    };
    static const struct str features[] = { STR("http://jabber.org/protocol/muc"),
        STR(DISCO "#items"), STR("http://jabber.org/protocol/caps"),
        STR(DISCO "#info") };
    struct xml_el *x = form_new(&arena, FORM_RESULT, "urn:xmpp:dataforms:softwareinfo"),
                  *field;
    const struct xml_el *forms[] = { x };
    struct caps_info info = { identities, features, forms, 2, 4, 1 };
    struct str ver;

    (void)state;
    form_add_value(x, "software", STR("Psi"));
    form_add_value(x, "software_version", STR("0.11"));
    form_add_value(x, "os", STR("Mac"));
    form_add_value(x, "os_version", STR("10.5.1"));
    field = form_add_value(x, "ip_version", STR("ipv6"));
    form_put(field, STR("ipv4"));
    assert_int_equal(caps_ver(&arena, STR("sha-1"), &info, &ver), 0);
    assert_true(str_eq(ver, STR("q07IKJEyjvHSyhy//CH0CxmKi8w=")));
    assert_int_equal(caps_ver(&arena, STR("sha-512"), &info, &ver), 0);
    assert_int_equal(ver.n, 88);
    assert_int_equal(caps_ver(&arena, STR("sha-3"), &info, &ver), -ENOTSUP);
    assert_int_equal(caps_ver(&arena, STR("sha-1"), &(struct caps_info){ 0 }, &ver), 0);
    assert_true(str_eq(ver, STR("2jmj7l5rSw0yVb/vlWAYkK/YBwk=")));
    arena_reset(&arena);
}

static void
announcing(void **state)
{
    struct xml_el *el = xml_el_new(&arena, "presence", NS_CLIENT);
    struct caps caps = { STR("sha-1"), STR("http://x/"), STR("a+/=") }, got;
    struct buf out = { 0 };

    (void)state;
    assert_int_equal(caps_find(el, &got), -ENOENT);
    caps_add(el, &caps);
    xml_write(&out, el, STR(NS_CLIENT));
    assert_string_equal(buf_c(&out),
            "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
            "node='http://x/' ver='a+/='/></presence>");
    assert_int_equal(caps_find(el, &got), 0);
    assert_true(str_eq(got.ver, caps.ver));
    el = parse(
            "<presence><c xmlns='" NS_CAPS "' node='n' ver='1' ext='e'/></presence>");
    assert_int_equal(caps_find(el, &got), 0);
    assert_null(got.hash.p);
    el = parse("<presence><c xmlns='" NS_CAPS "' node='n' hash='sha-1'/></presence>");
    assert_int_equal(caps_find(el, &got), -EINVAL);
    buf_fini(&out);
    arena_reset(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples),
        cmocka_unit_test(ill_formed),
        cmocka_unit_test(from_lists),
        cmocka_unit_test(announcing),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
