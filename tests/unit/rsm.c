/*
 * rsm.c -- pages: what is asked for, which it is, and what is said about it
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "tests/unit/rig/xml.h"
#include "xml/el.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/rsm.h"

/* text goes into the <set/> of a <query/>; NULL: no set at all. */
static struct xml_el *
query(const char *text)
{
    struct xml_el *el = NULL;
    struct buf all = { 0 };

    if (text)
        buf_addf(&all,
                "<query xmlns='jabber:iq:search'><set xmlns='" NS_RSM
                "'>%s</set></query>",
                text);
    else
        buf_add_c(&all, "<query xmlns='jabber:iq:search'/>");
    assert_int_equal(
            xml_parse(pool, NULL, &arena, buf_str(&all), NS_CLIENT, &el), XML_OK);
    buf_fini(&all);
    return el;
}

static void
reading(void **state)
{
    static const struct {
        const char *text;
        int r;
        bool has_max, has_index, backwards;
        uint64_t max, index;
        const char *after, *before; /* NULL: absent */
    } cases[] = {
        { NULL, -ENOENT, false, false, false, 0, 0, NULL, NULL },
        { "", 0, false, false, false, 0, 0, NULL, NULL },
        { "<max>10</max>", 0, true, false, false, 10, 0, NULL, NULL },
        { "<max>\n 0 </max>", 0, true, false, false, 0, 0, NULL, NULL },
        { "<max>99999999999999999999999</max>", 0, true, false, false, UINT64_MAX, 0,
                NULL, NULL },
        { "<max>10</max><after>a&lt;b </after>", 0, true, false, false, 10, 0, "a<b ",
                NULL },
        { "<after/>", 0, false, false, false, 0, 0, "", NULL },
        { "<before/><max>5</max>", 0, true, false, true, 5, 0, NULL, "" },
        { "<before>x</before>", 0, false, false, true, 0, 0, NULL, "x" },
        { "<after>a</after><before>b</before>", 0, false, false, true, 0, 0, "a", "b" },
        { "<index>371</index>", 0, false, true, false, 0, 371, NULL, NULL },
        { "<max xmlns='urn:x'>nothing of ours</max>", 0, false, false, false, 0, 0,
                NULL, NULL },
        { "<max/>", -EINVAL, false, false, false, 0, 0, NULL, NULL },
        { "<max>-1</max>", -EINVAL, false, false, false, 0, 0, NULL, NULL },
        { "<max>ten</max>", -EINVAL, false, false, false, 0, 0, NULL, NULL },
        { "<index>1.5</index>", -EINVAL, false, false, false, 0, 0, NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rsm rsm = { .max = 77 };
        int r = rsm_read(query(cases[i].text), &rsm);

        if (r != cases[i].r)
            fail_msg("%s: %d", cases[i].text, r);
        if (r == -EINVAL) {
            assert_int_equal(rsm.max, 77);
            continue;
        }
        if (rsm.has_max != cases[i].has_max || rsm.max != cases[i].max ||
                rsm.has_index != cases[i].has_index || rsm.index != cases[i].index ||
                rsm.backwards != cases[i].backwards)
            fail_msg("%s: max %d index %d backwards %d", cases[i].text, rsm.has_max,
                    rsm.has_index, rsm.backwards);
        if (!str_eq_c(rsm.after, cases[i].after) || !rsm.after.p != !cases[i].after)
            fail_msg("%s: after %.*s", cases[i].text, STR_ARG(rsm.after));
        if (!str_eq_c(rsm.before, cases[i].before) || !rsm.before.p != !cases[i].before)
            fail_msg("%s: before %.*s", cases[i].text, STR_ARG(rsm.before));
    }
    arena_reset(&arena);
}

static void
limits(void **state)
{
    (void)state;
    assert_int_equal(rsm_limit(&(struct rsm){ 0 }, 30, 100), 30);
    assert_int_equal(rsm_limit(&(struct rsm){ 0 }, 300, 100), 100);
    assert_int_equal(rsm_limit(&(struct rsm){ .has_max = true }, 30, 100), 0);
    assert_int_equal(
            rsm_limit(&(struct rsm){ .has_max = true, .max = 31 }, 30, 100), 31);
    assert_int_equal(
            rsm_limit(&(struct rsm){ .has_max = true, .max = UINT64_MAX }, 30, 100),
            100);
}

/* The list is a, b, c, … */
static int
find_letter(void *arg, struct str uid, size_t *ret_at)
{
    size_t n = *(size_t *)arg;

    if (uid.n != 1 || uid.p[0] < 'a' || (size_t)(uid.p[0] - 'a') >= n)
        return -ENOENT;
    *ret_at = (size_t)(uid.p[0] - 'a');
    return 0;
}

static void
windows(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        int r;
        size_t from, to;
    } cases[] = {
        { NULL, 10, 0, 0, 4 },
        { NULL, 3, 0, 0, 3 },
        { NULL, 0, 0, 0, 0 },
        { "<max>0</max>", 10, 0, 0, 0 },
        { "<max>9</max>", 10, 0, 0, 6 },
        { "<max>2</max><after/>", 10, 0, 0, 2 },
        { "<max>2</max><after>b</after>", 10, 0, 2, 4 },
        { "<max>2</max><after>i</after>", 10, 0, 9, 10 },
        { "<max>2</max><after>j</after>", 10, 0, 10, 10 },
        { "<max>2</max><after>k</after>", 10, -ENOENT, 0, 0 },
        { "<max>2</max><before/>", 10, 0, 8, 10 },
        { "<max>2</max><before>f</before>", 10, 0, 3, 5 },
        { "<max>2</max><before>b</before>", 10, 0, 0, 1 },
        { "<max>2</max><before>a</before>", 10, 0, 0, 0 },
        { "<max>2</max><before>x</before>", 10, -ENOENT, 0, 0 },
        { "<max>0</max><before/>", 10, 0, 10, 10 },
        { "<max>2</max><index>3</index>", 10, 0, 3, 5 },
        { "<max>2</max><index>9</index>", 10, 0, 9, 10 },
        { "<max>2</max><index>10</index>", 10, 0, 10, 10 },
        { "<max>2</max><index>99999999999999999999</index>", 10, 0, 10, 10 },
        { "<max>2</max><after>b</after><before>h</before>", 10, 0, 5, 7 },
        { "<max>2</max><after>h</after><before>b</before>", 10, 0, 8, 8 },
        { "<max>2</max><before/>", 1, 0, 0, 1 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t size = cases[i].n, from = 0, n = 0;
        struct rsm_list list = {
            .n = size, .find = find_letter, .arg = &size, .usual = 4, .most = 6
        };
        struct rsm rsm;
        int r;

        rsm_read(query(cases[i].text), &rsm);
        r = rsm_window(&rsm, &list, &from, &n);
        if (r != cases[i].r || from != cases[i].from || from + n != cases[i].to)
            fail_msg("%s: %d, [%zu, %zu)", cases[i].text, r, from, from + n);
    }
    arena_reset(&arena);
}

static void
answers(void **state)
{
    static const struct {
        struct rsm_page page;
        const char *text;
    } cases[] = {
        { { .count = 0 }, "" },
        { { .has_count = true, .count = 790 }, "<count>790</count>" },
        { { .first = STR("a&b"),
                  .last = STR("<z>"),
                  .has_index = true,
                  .has_count = true,
                  .count = UINT64_MAX },
                "<first index='0'>a&amp;b</first><last>&lt;z&gt;</last>"
                "<count>18446744073709551615</count>" },
        { { .first = STR("a"), .last = STR("a") }, "<first>a</first><last>a</last>" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct xml_el *el = xml_el_new(&arena, "query", "urn:x");
        struct buf tree = { 0 }, bytes = { 0 }, expected = { 0 };

        rsm_write(&bytes, &cases[i].page);
        xml_write(&tree, rsm_add(el, &cases[i].page), STR("urn:x"));
        buf_addf(&expected, "<set xmlns='" NS_RSM "'>%s</set>", cases[i].text);
        assert_string_equal(buf_c(&bytes), buf_c(&expected));
        if (*cases[i].text)
            assert_string_equal(buf_c(&tree), buf_c(&expected));
        buf_fini(&tree);
        buf_fini(&bytes);
        buf_fini(&expected);
    }
    arena_reset(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(limits),
        cmocka_unit_test(windows),
        cmocka_unit_test(answers),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
