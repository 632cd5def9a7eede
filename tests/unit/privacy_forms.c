/*
 * privacy_forms.c -- the forms of privacy lists (XEP-0016): XML, bytes, rows, requests
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/rig/xml.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/privacy.h"

static bool
group_exists(void *arg, struct str group)
{
    (void)arg;
    return str_eq(group, STR("Friends"));
}

static void
lists_as_xml(void **state)
{
    static const struct {
        const char *items;
        int error;       /* -1: none */
        const char *out; /* NULL: as it came in */
    } cases[] = {
        { "<item type='jid' value='a@b' action='deny' order='1'/>", -1, NULL },
        { "<item type='jid' value='a@b/c &amp; d' action='deny' order='1'/>", -1,
                NULL },
        { "<item type='group' value='Friends' action='allow' order='4294967295'/>", -1,
                NULL },
        { "<item type='subscription' value='none' action='deny' order='0'/>", -1,
                NULL },
        { "<item action='deny' order='1'/>", -1, NULL },
        { "<item action='deny' order='1'><message/></item>", -1, NULL },
        { "<item action='deny' order='1'><message/><iq/><presence-in/><presence-out/>"
          "</item>",
                -1, NULL },
        { "<item action='deny' order='1'><presence-out/><message/></item>", -1,
                "<item action='deny' order='1'><message/><presence-out/></item>" },
        { "<item action='deny' order='1'><x xmlns='y'/></item>", -1,
                "<item action='deny' order='1'/>" },
        { "<item value='a@b' action='deny' order='1'/>", -1,
                "<item action='deny' order='1'/>" },
        { "<item type='jid' value='A@B' action='deny' order='1'/>", -1,
                "<item type='jid' value='a@b' action='deny' order='1'/>" },
        { "<item action='allow' order='9'/> <item action='deny' order='3'/>", -1,
                "<item action='deny' order='3'/><item action='allow' order='9'/>" },
        { "<item xmlns='y'/><item action='deny' order='1'/>", -1,
                "<item action='deny' order='1'/>" },
        { "", STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item xmlns='y'/>", STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item order='1'/>", STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item action='drop' order='1'/>", STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item action='deny'/>", STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item action='deny' order=''/>", STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item action='deny' order='-1'/>", STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item action='deny' order='1.5'/>", STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item action='deny' order='4294967296'/>", STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item action='deny' order='99999999999999999999'/>",
                STANZA_ERROR_BAD_REQUEST, NULL },
        /* unique (2.1) */
        { "<item action='deny' order='1'/><item action='allow' order='1'/>",
                STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item action='deny' order='2'/><item action='deny' order='1'/>"
          "<item action='allow' order='02'/>",
                STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item type='' action='deny' order='1'/>", STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item type='name' value='a' action='deny' order='1'/>",
                STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item type='jid' action='deny' order='1'/>", STANZA_ERROR_BAD_REQUEST,
                NULL },
        { "<item type='jid' value='' action='deny' order='1'/>",
                STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item type='jid' value='a@' action='deny' order='1'/>",
                STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item type='group' action='deny' order='1'/>", STANZA_ERROR_BAD_REQUEST,
                NULL },
        { "<item type='group' value='' action='deny' order='1'/>",
                STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item type='group' value='Strangers' action='deny' order='1'/>",
                STANZA_ERROR_ITEM_NOT_FOUND, NULL },
        { "<item type='subscription' action='deny' order='1'/>",
                STANZA_ERROR_BAD_REQUEST, NULL },
        { "<item type='subscription' value='remove' action='deny' order='1'/>",
                STANZA_ERROR_BAD_REQUEST, NULL },
    };
    struct buf out = { 0 };
    char text[1000], want[1000];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct privacy_list *list = NULL;
        enum stanza_error error = STANZA_ERRORS;
        struct xml_el *query = xml_el_new(&arena, "query", NS_PRIVACY);
        int r;

        snprintf(text, sizeof text, "<list name='x'>%s</list>", cases[i].items);
        r = privacy_list_read(
                &arena, parse_in(text, NS_PRIVACY), group_exists, NULL, &list, &error);
        if (cases[i].error >= 0) {
            if (r != -EINVAL || list || (int)error != cases[i].error)
                fail_msg("%s: %d %d", cases[i].items, r, (int)error);
            continue;
        }
        if (r != 0)
            fail_msg("%s: %s", cases[i].items, stanza_error_name(error));
        privacy_list_write(list, STR("a'b"), query);
        buf_reset(&out, 1000);
        xml_write(&out, query, STR(NS_CLIENT));
        snprintf(want, sizeof want,
                "<query xmlns='jabber:iq:privacy'><list name='a&apos;b'>%s</list>"
                "</query>",
                cases[i].out ? cases[i].out : cases[i].items);
        if (strcmp(buf_c(&out), want) != 0)
            fail_msg("%s: %s", cases[i].items, buf_c(&out));
        privacy_list_free(&list);
    }
    buf_fini(&out);
}

static void
too_large(void **state)
{
    struct privacy_list *list = NULL;
    enum stanza_error error = STANZA_ERRORS;
    struct xml_el *el = xml_el_new(&arena, "list", NS_PRIVACY);
    char long_name[101];

    (void)state;
    memset(long_name, 'a', 100);
    long_name[100] = '\0';
    for (unsigned i = 0; i < PRIVACY_ITEMS_MAX; i++) {
        struct xml_el *item = xml_add(el, "item", NULL);
        char order[20];

        snprintf(order, sizeof order, "%u", i);
        xml_set_c(item, "action", "deny");
        xml_set(item, "order", str_dup(&arena, str_from(order)));
    }
    assert_int_equal(privacy_list_read(&arena, el, NULL, NULL, &list, &error), 0);
    assert_int_equal(privacy_list_count(list), PRIVACY_ITEMS_MAX);
    privacy_list_free(&list);
    for (struct xml_el *item = xml_child(el, "item", NULL); item;
            item = xml_next(item, "item", NULL)) {
        xml_set_c(item, "type", "group");
        xml_set_c(item, "value", long_name);
    }
    assert_int_equal(privacy_list_read(&arena, el, NULL, NULL, &list, &error), -EINVAL);
    assert_int_equal(error, STANZA_ERROR_RESOURCE_CONSTRAINT);
    el = xml_el_new(&arena, "list", NS_PRIVACY);
    for (unsigned i = 0; i <= PRIVACY_ITEMS_MAX; i++)
        xml_add(el, "item", NULL);
    error = STANZA_ERRORS;
    assert_int_equal(privacy_list_read(&arena, el, NULL, NULL, &list, &error), -EINVAL);
    assert_int_equal(error, STANZA_ERROR_RESOURCE_CONSTRAINT);
    assert_null(list);
}

/* As bytes and back; no other bytes are a list, whatever they are. */
static void
bytes(void **state)
{
    struct privacy_item items[] = {
        { .type = PRIVACY_ANY, .match = PRIVACY_MATCH_ALL, .order = 1u << 31 },
        { .type = PRIVACY_JID,
                .deny = true,
                .match = PRIVACY_MATCH_MESSAGE,
                .jid = { STR("tybalt"), STR("example.com"), STR("pda") } },
        { .type = PRIVACY_GROUP, .match = PRIVACY_MATCH_IQ, .group = STR("Enemies") },
        { .type = PRIVACY_SUBSCRIPTION, .subscription = SUBSCRIPTION_KIND_BOTH },
    };
    struct privacy_list *list = privacy_list_new(items, ARRAY_LEN(items)), *copy;
    struct str all = privacy_list_bytes(list);
    char *p = mem_alloc(all.n + 1);

    (void)state;
    assert_int_equal(all.n, privacy_list_size(list));
    assert_int_equal(privacy_list_from_bytes(all, &copy), 0);
    assert_int_equal(privacy_list_count(copy), ARRAY_LEN(items));
    assert_true(privacy_list_needs_roster(copy));
    assert_true(str_eq(privacy_list_bytes(copy), all));
    assert_int_equal(privacy_list_count(privacy_list_view(copy)), ARRAY_LEN(items));
    privacy_list_free(&copy);
    assert_int_equal(privacy_list_from_bytes(privacy_list_bytes(NULL), &copy), 0);
    assert_null(copy);
    for (size_t n = 1; n <= all.n + 1; n++) {
        memcpy(p, all.p, n <= all.n ? n : all.n);
        if (n != all.n)
            assert_int_equal(
                    privacy_list_from_bytes((struct str){ p, n }, &copy), -EINVAL);
    }
    for (size_t i = 0; i < all.n; i++) {
        for (unsigned v = 0; v < 256; v++) {
            size_t at = 0;
            struct privacy_item item;

            memcpy(p, all.p, all.n);
            p[i] = (char)v;
            if (privacy_list_from_bytes((struct str){ p, all.n }, &copy) < 0)
                continue;
            while (privacy_next(copy, &at, &item))
                ;
            privacy_list_free(&copy);
        }
    }
    mem_free(&p);
    privacy_list_free(&list);
}

static void
rows(void **state)
{
    static const struct {
        char t;
        const char *value;
        char action;
        const char *match;     /* a all, i, m, p in, P out */
        const char *canonical; /* NULL: the value itself; "-": refused */
    } cases[] = {
        { 'n', "", 'a', "a", NULL },
        { 'n', "anything", 'd', "imp", "" },
        { 'j', "tybalt@example.com", 'd', "a", NULL },
        { 'j', "tybalt@example.com/x y", 'd', "imP", NULL },
        { 'j', "Tybalt@Example.com", 'd', "m", "tybalt@example.com" },
        { 'j', "example.com", 'a', "impP", NULL },
        { 'g', "Enemies of mine", 'd', "p", NULL },
        { 'g', "", 'd', "p", NULL },
        { 's', "none", 'd', "P", NULL },
        { 's', "both", 'a', "a", NULL },
        { 's', "to", 'a', "", NULL },
        { 's', "from", 'a', "ai", NULL },
        { 'j', "", 'd', "a", "-" },
        { 'j', "a@b@c", 'd', "a", "-" },
        { 's', "", 'd', "a", "-" },
        { 's', "remove", 'd', "a", "-" },
        { 'x', "", 'd', "a", "-" },
        { 'n', "", 'x', "a", "-" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *m = cases[i].match;
        struct privacy_row row = { .t = cases[i].t,
            .value = str_from(cases[i].value),
            .action = cases[i].action,
            .ord = i * 1000000007,
            .match_all = strchr(m, 'a'),
            .match_iq = strchr(m, 'i'),
            .match_message = strchr(m, 'm'),
            .match_presence_in = strchr(m, 'p'),
            .match_presence_out = strchr(m, 'P') };
        const char *want = cases[i].canonical ? cases[i].canonical : cases[i].value;
        struct privacy_item item, packed;
        struct privacy_row back;
        struct privacy_list *list;
        size_t at = 0;
        int r = privacy_item_from_row(&arena, &row, &item);

        if (strcmp(want, "-") == 0) {
            if (r != -EINVAL)
                fail_msg("%c %s", cases[i].t, cases[i].value);
            continue;
        }
        assert_int_equal(r, 0);
        list = privacy_list_new(&item, 1);
        assert_true(privacy_next(list, &at, &packed));
        assert_false(privacy_next(list, &at, &item));
        privacy_item_to_row(&arena, &packed, &back);
        if (back.t != row.t || back.action != row.action || back.ord != row.ord ||
                back.match_all != row.match_all || back.match_iq != row.match_iq ||
                back.match_message != row.match_message ||
                back.match_presence_in != row.match_presence_in ||
                back.match_presence_out != row.match_presence_out ||
                !str_eq_c(back.value, want))
            fail_msg("%c %s: %.*s", cases[i].t, cases[i].value, STR_ARG(back.value));
        privacy_list_free(&list);
    }
}

/* A rule of the database that is about nothing denies nothing. */
static void
rule_about_nothing(void **state)
{
    struct privacy_row row = { .t = 'n', .action = 'd' };
    struct jid user = jid("juliet@example.net");
    struct privacy_peer peer = { .jid = jid("a@b") };
    struct privacy_item item;
    struct privacy_list *list;

    (void)state;
    assert_int_equal(privacy_item_from_row(&arena, &row, &item), 0);
    list = privacy_list_new(&item, 1);
    for (unsigned k = 0; k < 8; k++)
        assert_int_equal(
                privacy_judge(list, &user, &peer, k < 4 ? PRIVACY_IN : PRIVACY_OUT,
                        (enum privacy_stanza)(k % 4)),
                PRIVACY_ALLOWED);
    privacy_list_free(&list);
}

static void
same_orders_keep_their_places(void **state)
{
    struct privacy_item items[100], item;
    struct privacy_list *list;
    size_t at = 0;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(items); i++)
        items[i] = (struct privacy_item){ .type = PRIVACY_GROUP,
            .order = i % 3,
            .match = PRIVACY_MATCH_ALL,
            .group = str_dup(&arena, (struct str){ (char *)&i, sizeof i }) };
    list = privacy_list_new(items, ARRAY_LEN(items));
    for (unsigned order = 0; order < 3; order++)
        for (unsigned i = order; i < ARRAY_LEN(items); i += 3) {
            assert_true(privacy_next(list, &at, &item));
            assert_true(str_eq(item.group, items[i].group));
        }
    assert_false(privacy_next(list, &at, &item));
    privacy_list_free(&list);
}

/* Numbers and lengths of every size come out of a packed list as they went in. */
static void
packing(void **state)
{
    static const uint64_t orders[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX,
        UINT64_C(1) << 63, UINT64_MAX };
    static const size_t sizes[] = { 1, 63, 64, 127, 128, 1023 };
    struct privacy_item items[ARRAY_LEN(orders) * ARRAY_LEN(sizes)], item;
    struct privacy_list *list;
    char text[1024];
    size_t n = 0, at = 0;

    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t o = 0; o < ARRAY_LEN(orders); o++)
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
            items[n++] = (struct privacy_item){ .type = PRIVACY_JID,
                .order = orders[o],
                .match = PRIVACY_MATCH_IQ,
                .deny = s & 1,
                .jid = { { text, sizes[s] }, { text, sizes[ARRAY_LEN(sizes) - 1 - s] },
                        { text, s == 3 ? 0 : sizes[s] - 1 } } };
    list = privacy_list_new(items, n);
    assert_int_equal(privacy_list_count(list), n);
    for (size_t i = 0; i < n; i++) {
        assert_true(privacy_next(list, &at, &item));
        assert_true(item.order == items[i].order && item.deny == items[i].deny &&
                    item.match == items[i].match && item.type == PRIVACY_JID);
        assert_true(jid_eq(&item.jid, &items[i].jid));
    }
    assert_false(privacy_next(list, &at, &item));
    privacy_list_free(&list);
}

/* An account with ten blocked addresses costs about 300 bytes. */
static void
memory(void **state)
{
    struct privacy_item items[10];
    struct privacy_list *list;
    char text[40];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(items); i++) {
        snprintf(text, sizeof text, "spammer%04u@example.com", i);
        items[i] = (struct privacy_item){ .type = PRIVACY_JID,
            .order = i,
            .deny = true,
            .match = PRIVACY_MATCH_ALL,
            .jid = jid(text) };
        items[i].jid = jid_dup(&arena, &items[i].jid);
    }
    list = privacy_list_new(items, ARRAY_LEN(items));
    assert_in_range(privacy_list_size(list), 200, 300);
    privacy_list_free(&list);
}

static void
requests(void **state)
{
    static const struct {
        enum iq_type type;
        const char *inner;
        int op; /* -1: refused */
        const char *name;
    } cases[] = {
        { IQ_GET, "", PRIVACY_GET_NAMES, NULL },
        { IQ_GET, " ", PRIVACY_GET_NAMES, NULL },
        { IQ_GET, "<list name='a'/>", PRIVACY_GET_LIST, "a" },
        { IQ_GET, "<list name='a'/><list name='b'/>", -1, NULL },
        { IQ_GET, "<list/>", -1, NULL },
        { IQ_GET, "<list name=''/>", -1, NULL },
        { IQ_GET, "<active name='a'/>", -1, NULL },
        { IQ_GET, "<default/>", -1, NULL },
        { IQ_GET, "<list xmlns='x' name='a'/>", -1, NULL },
        { IQ_SET, "", -1, NULL },
        { IQ_SET, "<active name='a'/>", PRIVACY_SET_ACTIVE, "a" },
        { IQ_SET, "<active/>", PRIVACY_SET_ACTIVE, NULL },
        { IQ_SET, "<default name='a'/>", PRIVACY_SET_DEFAULT, "a" },
        { IQ_SET, "<default/>", PRIVACY_SET_DEFAULT, NULL },
        { IQ_SET, "<list name='a'><item/></list>", PRIVACY_SET_LIST, "a" },
        { IQ_SET, "<list name='a'><item xmlns='x'/></list>", PRIVACY_SET_LIST, "a" },
        { IQ_SET, "<list name='a'/>", PRIVACY_REMOVE_LIST, "a" },
        { IQ_SET, "<list name='a'> </list>", PRIVACY_REMOVE_LIST, "a" },
        { IQ_SET, "<list/>", -1, NULL },
        { IQ_SET, "<list name=''><item/></list>", -1, NULL },
        { IQ_SET, "<active name='a'/><default name='a'/>", -1, NULL },
        { IQ_SET, "<list name='a'/><list name='b'/>", -1, NULL },
        { IQ_SET, "<list name='a'/><x xmlns='y'/>", -1, NULL },
        { IQ_SET, "<other name='a'/>", -1, NULL },
        { IQ_SET, "<active xmlns='x' name='a'/>", -1, NULL },
    };
    char text[200];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct privacy_request r = { 0 };
        int e;

        snprintf(text, sizeof text, "<query>%s</query>", cases[i].inner);
        e = privacy_request(parse_in(text, NS_PRIVACY), cases[i].type, &r);
        if (e != (cases[i].op < 0 ? -EINVAL : 0))
            fail_msg("%s: %d", text, e);
        if (e < 0)
            continue;
        if ((int)r.op != cases[i].op || !r.name.p != !cases[i].name ||
                (r.name.p && !str_eq_c(r.name, cases[i].name)) ||
                !r.list != (r.op != PRIVACY_SET_LIST))
            fail_msg("%s", text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_as_xml),
        cmocka_unit_test(too_large),
        cmocka_unit_test(bytes),
        cmocka_unit_test(rows),
        cmocka_unit_test(rule_about_nothing),
        cmocka_unit_test(same_orders_keep_their_places),
        cmocka_unit_test(packing),
        cmocka_unit_test(memory),
        cmocka_unit_test(requests),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
