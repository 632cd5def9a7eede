/*
 * vcard.c -- vCards: the row they are searched by, fields by name, the photo
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
#include "xmpp/ns.h"
#include "xmpp/vcard.h"

static struct xml_el *
vcard(const char *content)
{
    struct xml_el *el = NULL;
    struct buf text = { 0 };
    enum xml_error e;

    buf_addf(&text, "<vCard>%s</vCard>", content);
    e = xml_parse(pool, NULL, &arena, buf_str(&text), NS_VCARD, &el);
    if (e != XML_OK)
        fail_msg("%s: %s", content, xml_error_text(e));
    buf_fini(&text);
    return el;
}

#define assert_str(s, expected)                                      \
    do {                                                             \
        struct str s_ = (s);                                         \
        if (!str_eq_c(s_, (expected)) || !s_.p != !(expected))       \
            fail_msg("'%.*s' is not '%s'", STR_ARG(s_), (expected)); \
    } while (0)

/* What the library gives that ejabberd uses (p1_stringprep: tolower_nofilter). */
static void
folding(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "", "" },
        { "abc 1", "abc 1" },
        { "ABC@Z[", "abc@z[" },
        { "Stra\xc3\x9f"
          "e \xc4\xb0 \xef\xac\x81 \xc3\x85",
                "strasse i\xcc\x87 fi \xc3\xa5" },
        { "a\xc2\xad"
          "b",
                "ab" },
        { "\xce\xa3\xce\x8a\xce\xa3\xce\xa5\xce\xa6\xce\x9f\xce\xa3",
                "\xcf\x83\xce\xaf\xcf\x83\xcf\x85\xcf\x86\xce\xbf\xcf\x83" },
        { "\xc7\x84", "d\xc5\xbe" },
        { "\xe2\x85\xb7 \xe2\x91\xa0", "viii 1" },
        { "\xf0\xaf\xa1\xa8", "\xf0\xa1\x8d\xaa" },
        /* Not in Unicode 3.2: as it is */
        { "\xe1\xba\x9e", "\xe1\xba\x9e" },
        { "\xef\xbf\xbf", "\xef\xbf\xbf" },
        /* Right to left: alone, and mixed, which is refused */
        { "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d" },
        { "\xd7\xa9\xd7\x9c A", "\xd7\xa9\xd7\x9c A" },
        { "\xd7\xa9 \xe2\x80\x8e\xd7\xa9", "\xd7\xa9 \xe2\x80\x8e\xd7\xa9" },
        /* The longest decomposition there is */
        { "\xef\xb7\xba",
                "\xd8\xb5\xd9\x84\xd9\x89 \xd8\xa7\xd9\x84\xd9\x84\xd9\x87 "
                "\xd8\xb9\xd9\x84\xd9\x8a\xd9\x87 \xd9\x88\xd8\xb3\xd9\x84\xd9\x85" },
        { "\xff"
          "A",
                "\xff"
                "A" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str out = vcard_fold(&arena, str_from(cases[i].in));

        if (!str_eq_c(out, cases[i].out))
            fail_msg("%s: '%.*s'", cases[i].in, STR_ARG(out));
    }
    arena_reset(&arena);
}

static void
searching(void **state)
{
    static const struct {
        const char *content;
        enum vcard_field field;
        const char *value, *folded;
    } cases[] = {
        { "<FN>Peter SA</FN>", VCARD_FN, "Peter SA", "peter sa" },
        { "<FN/>", VCARD_FN, "", "" },
        { "", VCARD_FN, "", "" },
        { "<FN xmlns='urn:x'>x</FN>", VCARD_FN, "", "" },
        { "<N><FAMILY>F</FAMILY><GIVEN>G</GIVEN><MIDDLE>M</MIDDLE></N>", VCARD_FAMILY,
                "F", "f" },
        { "<N><FAMILY>F</FAMILY><GIVEN>G</GIVEN><MIDDLE>M</MIDDLE></N>", VCARD_GIVEN,
                "G", "g" },
        { "<N><FAMILY>F</FAMILY><GIVEN>G</GIVEN><MIDDLE>M</MIDDLE></N>", VCARD_MIDDLE,
                "M", "m" },
        { "<N/><N><GIVEN>G</GIVEN></N>", VCARD_GIVEN, "", "" },
        { "<NICKNAME>N</NICKNAME>", VCARD_NICKNAME, "N", "n" },
        { "<BDAY>1966-08-06</BDAY>", VCARD_BDAY, "1966-08-06", "1966-08-06" },
        { "<ADR><CTRY>USA</CTRY><LOCALITY>Denver</LOCALITY></ADR>", VCARD_CTRY, "USA",
                "usa" },
        { "<ADR><CTRY>USA</CTRY><LOCALITY>Denver</LOCALITY></ADR>", VCARD_LOCALITY,
                "Denver", "denver" },
        { "<EMAIL><INTERNET/><USERID>A@B</USERID></EMAIL>", VCARD_EMAIL, "A@B", "a@b" },
        { "<EMAIL>A@B</EMAIL>", VCARD_EMAIL, "A@B", "a@b" },
        { "<EMAIL>x<USERID>A@B</USERID></EMAIL>", VCARD_EMAIL, "A@B", "a@b" },
        { "<ORG><ORGNAME>O</ORGNAME><ORGUNIT>U</ORGUNIT></ORG>", VCARD_ORGNAME, "O",
                "o" },
        { "<ORG><ORGNAME>O</ORGNAME><ORGUNIT>U</ORGUNIT></ORG>", VCARD_ORGUNIT, "U",
                "u" },
    };
    struct vcard_search row;
    enum vcard_field field = VCARD_FIELDS;
    struct buf text = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        vcard_search(&arena, vcard(cases[i].content), &row);
        if (!str_eq_c(row.value[cases[i].field], cases[i].value) ||
                !str_eq_c(row.folded[cases[i].field], cases[i].folded))
            fail_msg("%s: '%.*s' '%.*s'", cases[i].content,
                    STR_ARG(row.value[cases[i].field]),
                    STR_ARG(row.folded[cases[i].field]));
    }
    vcard_search(&arena, NULL, &row);
    for (unsigned i = 0; i < VCARD_FIELDS; i++)
        assert_str(row.value[i], "");
    /* Whole characters, before and after folding: each of these becomes two. */
    buf_add_c(&text, "<FN>");
    for (unsigned i = 0; i < 300; i++)
        buf_add_c(&text, "\xc3\x9f");
    buf_add_c(&text, "</FN>");
    vcard_search(&arena, vcard(buf_c(&text)), &row);
    assert_int_equal(row.value[VCARD_FN].n, 2 * VCARD_SEARCH_MAX);
    assert_int_equal(row.folded[VCARD_FN].n, VCARD_SEARCH_MAX);
    buf_fini(&text);
    assert_string_equal(vcard_column(VCARD_FAMILY), "family");
    assert_string_equal(vcard_search_var(VCARD_FAMILY), "last");
    assert_string_equal(vcard_label(VCARD_FAMILY), "Family Name");
    assert_int_equal(vcard_field_by_var(STR("nick"), &field), 0);
    assert_int_equal(field, VCARD_NICKNAME);
    assert_int_equal(vcard_field_by_var(STR("user"), &field), -ENOENT);
    arena_reset(&arena);
}

#define CARD                                                                         \
    "<FN>F</FN><N><GIVEN>G</GIVEN></N><ORG><ORGNAME>O</ORGNAME><ORGUNIT>1</ORGUNIT>" \
    "<ORGUNIT>2</ORGUNIT></ORG><TEL><WORK/><VOICE/><NUMBER>1</NUMBER></TEL>"         \
    "<TEL><HOME/><NUMBER>2</NUMBER></TEL><TEL><WORK/><FAX/><NUMBER>3</NUMBER></TEL>" \
    "<TEL><CELL/></TEL><TITLE/>"

static void
getting(void **state)
{
    static const struct {
        const char *name, *subname, *value; /* NULL: none */
    } cases[] = {
        { "FN", NULL, "F" },
        { "N", "GIVEN", "G" },
        { "N", "FAMILY", NULL },
        { "NICKNAME", NULL, NULL },
        { "ADR", "CTRY", NULL },
        { "TITLE", NULL, "" },
        { "TEL", "HOME", "2" },
        { "TEL", "WORK", "3" },
        { "TEL", "VOICE", "1" },
        { "TEL", "CELL", NULL },
        { "TEL", "PAGER", NULL },
        { "ORG", "ORGUNIT", "1" },
        { "fn", NULL, NULL },
        { "", NULL, NULL },
        { "F N", "<", NULL },
    };
    struct xml_el *el = vcard(CARD);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str value = xml_text(
                vcard_get(el, str_from(cases[i].name), str_from(cases[i].subname)));

        if (!str_eq_c(value, cases[i].value) || !value.p != !cases[i].value)
            fail_msg("%s %s: '%.*s'", cases[i].name, cases[i].subname, STR_ARG(value));
    }
    el = vcard_get_next(vcard_get(el, STR("ORG"), STR("ORGUNIT")));
    assert_str(xml_text(el), "2");
    assert_null(vcard_get_next(el));
    assert_null(vcard_get_next(NULL));
    assert_null(vcard_get(NULL, STR("FN"), STR_NULL));
    el = vcard("<TEL><WORK/><NUMBER>1</NUMBER><NUMBER>2</NUMBER></TEL>");
    assert_null(vcard_get_next(vcard_get(el, STR("TEL"), STR("WORK"))));
    arena_reset(&arena);
}

static void
setting(void **state)
{
    static const struct {
        const char *before, *name, *subname, *values; /* values: separated by spaces */
        int r;
        const char *after;
    } cases[] = {
        { "", "FN", NULL, "x", 0, "<FN>x</FN>" },
        { "<FN>a</FN><BDAY/><FN>b</FN>", "FN", NULL, "x", 0, "<BDAY/><FN>x</FN>" },
        { "<FN>a</FN><BDAY/>", "FN", NULL, NULL, 0, "<BDAY/>" },
        { "<FN>a</FN>", "NICKNAME", NULL, "x y", 0,
                "<FN>a</FN><NICKNAME>x</NICKNAME><NICKNAME>y</NICKNAME>" },
        { "", "N", "GIVEN", "x", 0, "<N><GIVEN>x</GIVEN></N>" },
        { "<N><GIVEN>a</GIVEN><FAMILY>f</FAMILY></N>", "N", "GIVEN", "x", 0,
                "<N><FAMILY>f</FAMILY><GIVEN>x</GIVEN></N>" },
        { "<ORG><ORGUNIT>a</ORGUNIT></ORG>", "ORG", "ORGUNIT", "x y", 0,
                "<ORG><ORGUNIT>x</ORGUNIT><ORGUNIT>y</ORGUNIT></ORG>" },
        { "<N><GIVEN>a</GIVEN></N>", "N", "GIVEN", NULL, 0, "<N/>" },
        { "", "N", "GIVEN", NULL, 0, "" },
        { "", "TEL", "WORK", "1", 0, "<TEL><WORK/><NUMBER>1</NUMBER></TEL>" },
        { "<TEL><WORK/><NUMBER>0</NUMBER></TEL><TEL><HOME/></TEL>", "TEL", "WORK", "1",
                0, "<TEL><HOME/></TEL><TEL><WORK/><NUMBER>1</NUMBER></TEL>" },
        { "<TEL><WORK/><NUMBER>0</NUMBER></TEL><TEL><HOME/></TEL>", "TEL", "WORK", NULL,
                0, "<TEL><HOME/></TEL>" },
        { "<FN/>", "TEL", "WORK", "1 2", -EINVAL, "<FN/>" },
        { "<FN/>", "", NULL, "x", -EINVAL, "<FN/>" },
        { "<FN/>", "a b", NULL, "x", -EINVAL, "<FN/>" },
        { "<FN/>", "1a", NULL, "x", -EINVAL, "<FN/>" },
        { "<FN/>", "a:b", NULL, "x", -EINVAL, "<FN/>" },
        { "<FN/>", "N", "<x>", "x", -EINVAL, "<FN/>" },
        { "", "X-some_1", "Y", "x", 0, "<X-some_1><Y>x</Y></X-some_1>" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct xml_el *el = vcard(cases[i].before);
        struct str values[4], rest = str_from(cases[i].values);
        struct buf out = { 0 };
        size_t n = 0;
        int r;

        while (str_cut(&rest, ' ', &values[n]))
            n++;
        r = vcard_set(
                el, str_from(cases[i].name), str_from(cases[i].subname), values, n);
        xml_write_children(&out, el, STR(NS_VCARD));
        if (r != cases[i].r || strcmp(buf_c(&out), cases[i].after) != 0)
            fail_msg("case %zu: %d, %s", i, r, buf_c(&out));
        buf_fini(&out);
    }
    arena_reset(&arena);
}

static void
photos(void **state)
{
#define HASH "a9993e364706816aba3e25717850c26c9cd0d89d" /* of abc */
    static const struct {
        const char *content;
        int r;
        size_t size;
        bool is_external;
        const char *hash, *type;
    } cases[] = {
        { "", -ENOENT, 0, false, "", NULL },
        { "<PHOTO/>", -ENOENT, 0, false, "", NULL },
        { "<PHOTO><TYPE>t</TYPE><BINVAL>YWJj</BINVAL></PHOTO>", 0, 3, false, HASH,
                "t" },
        { "<PHOTO><BINVAL>\n  YW\r\n  Jj\n</BINVAL></PHOTO>", 0, 3, false, HASH, NULL },
        { "<PHOTO><BINVAL>YQ</BINVAL></PHOTO>", 0, 1, false,
                "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8", NULL },
        { "<PHOTO><BINVAL>YQ==</BINVAL></PHOTO>", 0, 1, false,
                "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8", NULL },
        { "<PHOTO><BINVAL>Y</BINVAL></PHOTO>", -ENOENT, 0, false, "", NULL },
        { "<PHOTO><BINVAL> \n</BINVAL></PHOTO>", -ENOENT, 0, false, "", NULL },
        { "<PHOTO><EXTVAL>http://x/</EXTVAL></PHOTO>", 0, 0, true, "", NULL },
        { "<PHOTO><BINVAL>YWJj</BINVAL><EXTVAL>x</EXTVAL></PHOTO>", 0, 3, false, HASH,
                NULL },
        { "<PHOTO><EXTVAL/></PHOTO>", -ENOENT, 0, false, "", NULL },
    };
    struct vcard_photo photo;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int r = vcard_photo(vcard(cases[i].content), &photo);

        if (r != cases[i].r || photo.size != cases[i].size ||
                photo.is_external != cases[i].is_external ||
                strcmp(photo.hash, cases[i].hash) != 0)
            fail_msg("%s: %d, %zu, %s", cases[i].content, r, photo.size, photo.hash);
        assert_str(photo.type, cases[i].type);
    }
    assert_int_equal(vcard_photo(NULL, &photo), -ENOENT);
    arena_reset(&arena);
}

static void
announcing(void **state)
{
    struct xml_el *el = xml_el_new(&arena, "presence", NS_CLIENT);
    struct buf out = { 0 };

    (void)state;
    xml_add(el, "x", NS_VCARD_UPDATE);
    xml_add(el, "status", NULL);
    vcard_update_set(el, "0a");
    xml_write(&out, el, STR(NS_CLIENT));
    assert_string_equal(buf_c(&out),
            "<presence><status/><x xmlns='vcard-temp:x:update'><photo>0a</photo></x>"
            "</presence>");
    vcard_update_set(el, "");
    buf_reset(&out, 1000);
    xml_write(&out, el, STR(NS_CLIENT));
    assert_string_equal(
            buf_c(&out), "<presence><status/><x "
                         "xmlns='vcard-temp:x:update'><photo/></x></presence>");
    buf_fini(&out);
    arena_reset(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folding),
        cmocka_unit_test(searching),
        cmocka_unit_test(getting),
        cmocka_unit_test(setting),
        cmocka_unit_test(photos),
        cmocka_unit_test(announcing),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
