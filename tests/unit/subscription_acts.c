/*
 * subscription_acts.c -- what follows from a change of a subscription, and its forms
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/rig/subscription.h"
#include "tests/unit/rig/xml.h"
#include "xml/writer.h"
#include "xmpp/ns.h"

/*
 * What goes with the change. w: write, k: keep, d: deliver, u: unavailable presence to
 * the contact, r: route, S, U, D: subscribed, unsubscribe, unsubscribed is sent, p:
 * push, a: presence to the contact, l: the contact is lost.
 */
static void
acts_of(unsigned acts, char *ret)
{
    static const char letters[] = "wkdurSUDpal";
    size_t n = 0;

    for (size_t i = 0; i < sizeof letters - 1; i++)
        if (acts & (1U << i))
            ret[n++] = letters[i];
    ret[n] = '\0';
}

static void
all_acts(void **state)
{
    static const struct {
        char way; /* o, i */
        enum presence_type type;
        const char *before;
        bool listed;
        const char *acts;
    } cases[] = {
        /* 3.1.2: the push tells the request; also a repeated one */
        { 'o', PRESENCE_SUBSCRIBE, "None", false, "wrp" },
        { 'o', PRESENCE_SUBSCRIBE, "None", true, "wrp" },
        { 'o', PRESENCE_SUBSCRIBE, "None + Pending In", false, "wrp" },
        { 'o', PRESENCE_SUBSCRIBE, "None + Pending Out", true, "rp" },
        { 'o', PRESENCE_SUBSCRIBE, "To", true, "r" },
        { 'o', PRESENCE_SUBSCRIBE, "From", true, "wrp" },
        { 'o', PRESENCE_SUBSCRIBE, "Both", true, "r" },
        /* 3.3.2 */
        { 'o', PRESENCE_UNSUBSCRIBE, "None", false, "r" },
        { 'o', PRESENCE_UNSUBSCRIBE, "None + Pending In", false, "r" },
        { 'o', PRESENCE_UNSUBSCRIBE, "None + Pending Out", true, "wrp" },
        { 'o', PRESENCE_UNSUBSCRIBE, "To", true, "wrpl" },
        { 'o', PRESENCE_UNSUBSCRIBE, "To + Pending In", true, "wrpl" },
        { 'o', PRESENCE_UNSUBSCRIBE, "Both", true, "wrpl" },
        { 'o', PRESENCE_UNSUBSCRIBE, "From", true, "r" },
        /* 3.1.5: then also the current presence; 3.4.2: in advance */
        { 'o', PRESENCE_SUBSCRIBED, "None + Pending In", false, "wrpa" },
        { 'o', PRESENCE_SUBSCRIBED, "None + Pending Out+In", true, "wrpa" },
        { 'o', PRESENCE_SUBSCRIBED, "To + Pending In", true, "wrpa" },
        { 'o', PRESENCE_SUBSCRIBED, "None", false, "wp" },
        { 'o', PRESENCE_SUBSCRIBED, "None", true, "wp" },
        { 'o', PRESENCE_SUBSCRIBED, "To", true, "wp" },
        { 'o', PRESENCE_SUBSCRIBED, "From", true, "" },
        { 'o', PRESENCE_SUBSCRIBED, "Both", true, "" },
        /* 3.2.2: unavailable while he is still subscribed; not to who never was */
        { 'o', PRESENCE_UNSUBSCRIBED, "None", false, "" },
        { 'o', PRESENCE_UNSUBSCRIBED, "To", true, "" },
        { 'o', PRESENCE_UNSUBSCRIBED, "None + Pending In", false, "wr" },
        { 'o', PRESENCE_UNSUBSCRIBED, "None + Pending In", true, "wrp" },
        { 'o', PRESENCE_UNSUBSCRIBED, "From", true, "wurp" },
        { 'o', PRESENCE_UNSUBSCRIBED, "From + Pending Out", true, "wurp" },
        { 'o', PRESENCE_UNSUBSCRIBED, "Both", true, "wurp" },
        /* 3.1.3: no item is made, none pushed */
        { 'i', PRESENCE_SUBSCRIBE, "None", false, "wkd" },
        { 'i', PRESENCE_SUBSCRIBE, "None", true, "wkd" },
        { 'i', PRESENCE_SUBSCRIBE, "None + Pending In", false, "" },
        { 'i', PRESENCE_SUBSCRIBE, "To", true, "wkd" },
        { 'i', PRESENCE_SUBSCRIBE, "From", true, "Sa" },
        { 'i', PRESENCE_SUBSCRIBE, "Both", true, "Sa" },
        /* 3.3.3 */
        { 'i', PRESENCE_UNSUBSCRIBE, "None", false, "" },
        { 'i', PRESENCE_UNSUBSCRIBE, "To", true, "" },
        { 'i', PRESENCE_UNSUBSCRIBE, "None + Pending In", false, "wdD" },
        { 'i', PRESENCE_UNSUBSCRIBE, "To + Pending In", true, "wdD" },
        { 'i', PRESENCE_UNSUBSCRIBE, "From", true, "wduDp" },
        { 'i', PRESENCE_UNSUBSCRIBE, "From + Pending Out", true, "wduDp" },
        { 'i', PRESENCE_UNSUBSCRIBE, "Both", true, "wduDp" },
        /* 3.1.6 */
        { 'i', PRESENCE_SUBSCRIBED, "None", false, "" },
        { 'i', PRESENCE_SUBSCRIBED, "None + Pending Out", true, "wdp" },
        { 'i', PRESENCE_SUBSCRIBED, "From + Pending Out", true, "wdp" },
        { 'i', PRESENCE_SUBSCRIBED, "Both", true, "" },
        /* 3.2.3 */
        { 'i', PRESENCE_UNSUBSCRIBED, "None", false, "" },
        { 'i', PRESENCE_UNSUBSCRIBED, "None + Pending In", false, "" },
        { 'i', PRESENCE_UNSUBSCRIBED, "None + Pending Out", true, "wdp" },
        { 'i', PRESENCE_UNSUBSCRIBED, "To", true, "wdpl" },
        { 'i', PRESENCE_UNSUBSCRIBED, "To + Pending In", true, "wdpl" },
        { 'i', PRESENCE_UNSUBSCRIBED, "Both", true, "wdpl" },
        { 'i', PRESENCE_UNSUBSCRIBED, "From", true, "" },
    };
    char acts[20];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct subscription before = { .state = (uint8_t)state_by_name(cases[i].before),
            .listed = cases[i].listed };
        struct subscription_result r =
                cases[i].way == 'o' ? subscription_outbound(before, cases[i].type)
                                    : subscription_inbound(before, cases[i].type);

        acts_of(r.acts, acts);
        if (strcmp(acts, cases[i].acts) != 0)
            fail_msg("%c %s in %s: %s instead of %s", cases[i].way,
                    presence_type_name(cases[i].type), cases[i].before, acts,
                    cases[i].acts);
    }
}

/*
 * Whatever comes in whatever order: an item is shown unless only a request of the
 * contact is known, what is pushed is shown, and nothing is written that does not
 * differ.
 */
static void
invariants(void **state)
{
    static const enum presence_type types[] = { PRESENCE_SUBSCRIBE,
        PRESENCE_UNSUBSCRIBE, PRESENCE_SUBSCRIBED, PRESENCE_UNSUBSCRIBED };
    bool seen[SUBSCRIPTION_STATES][2][2] = { 0 };
    struct subscription queue[64] = { { 0 } };
    size_t n = 1;

    (void)state;
    seen[0][0][0] = true;
    for (size_t at = 0; at < n; at++) {
        struct subscription before = queue[at];

        assert_true(before.listed || before.state == SUBSCRIPTION_NONE ||
                    before.state == SUBSCRIPTION_NONE_IN);
        assert_true(before.listed || !before.approved);
        for (size_t k = 0; k < 2 * ARRAY_LEN(types); k++) {
            struct subscription_result r =
                    k & 1 ? subscription_outbound(before, types[k / 2])
                          : subscription_inbound(before, types[k / 2]);
            bool differs = memcmp(&r.now, &before, sizeof before) != 0;
            bool *known = &seen[r.now.state][r.now.approved][r.now.listed];

            assert_int_equal(!(r.acts & SUBSCRIPTION_WRITE), !differs);
            assert_true(!(r.acts & SUBSCRIPTION_PUSH) || subscription_is_shown(r.now));
            /* Once in the roster, only a removal takes it out. */
            assert_true(!before.listed || r.now.listed);
            if (!*known) {
                assert_true(n < ARRAY_LEN(queue));
                queue[n++] = r.now;
            }
            *known = true;
        }
    }
    /* None and None + Pending In unlisted; the nine listed, with approval and without,
     * but for requests that an approval answers. */
    assert_int_equal(n, 2 + 9 + 6);
}

/* RFC 6121, 2.5.2, and requests that are taken back or denied */
static void
removal(void **state)
{
    static const struct {
        const char *before, *acts;
    } rows[] = {
        { "None", "wp" },
        { "None + Pending Out", "wUp" },
        { "None + Pending In", "wDp" },
        { "None + Pending Out+In", "wUDp" },
        { "To", "wUpl" },
        { "To + Pending In", "wUDpl" },
        { "From", "wuDp" },
        { "From + Pending Out", "wuUDp" },
        { "Both", "wuUDpl" },
    };
    struct subscription unlisted = { .state = SUBSCRIPTION_NONE_IN };
    struct subscription_result r;
    char acts[20];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        r = subscription_remove(item(state_by_name(rows[i].before)));
        acts_of(r.acts, acts);
        if (strcmp(acts, rows[i].acts) != 0 || !subscription_is_nothing(r.now))
            fail_msg("%s: %s", rows[i].before, acts);
    }
    acts_of(subscription_remove(unlisted).acts, acts);
    assert_string_equal(acts, "wD");
    assert_int_equal(subscription_remove((struct subscription){ 0 }).acts, 0);
}

static void
database(void **state)
{
    static const struct {
        char subscription, ask;
        const char *name; /* NULL: refused */
        char canonical_ask;
    } cases[] = {
        { 'N', 'N', "None", 'N' },
        { 'N', 'O', "None + Pending Out", 'O' },
        { 'N', 'I', "None + Pending In", 'I' },
        { 'N', 'B', "None + Pending Out+In", 'B' },
        { 'T', 'N', "To", 'N' },
        { 'T', 'I', "To + Pending In", 'I' },
        { 'F', 'N', "From", 'N' },
        { 'F', 'O', "From + Pending Out", 'O' },
        { 'B', 'N', "Both", 'N' },
        /* old tables */
        { 'N', 'S', "None + Pending Out", 'O' },
        { 'N', 'U', "None", 'N' },
        { 'F', 'S', "From + Pending Out", 'O' },
        { '\0', '\0', "None", 'N' },
        { 'B', '\0', "Both", 'N' },
        /* states that cannot be */
        { 'T', 'O', "To", 'N' },
        { 'T', 'B', "To + Pending In", 'I' },
        { 'F', 'I', "From", 'N' },
        { 'F', 'B', "From + Pending Out", 'O' },
        { 'B', 'O', "Both", 'N' },
        { 'B', 'I', "Both", 'N' },
        { 'B', 'B', "Both", 'N' },
        { 'X', 'N', NULL, 0 },
        { 'N', 'X', NULL, 0 },
        { 'n', 'N', NULL, 0 },
        { 'S', 'N', NULL, 0 },
        { 'N', 'T', NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct subscription s = { .state = SUBSCRIPTION_TO_IN };
        char subscription, ask;
        int r = subscription_from_db(
                cases[i].subscription, cases[i].ask, false, false, &s);

        if (!cases[i].name) {
            if (r != -EINVAL || s.state != SUBSCRIPTION_TO_IN)
                fail_msg("%c%c", cases[i].subscription, cases[i].ask);
            continue;
        }
        if (r != 0 || s.state != state_by_name(cases[i].name) ||
                s.listed != (s.state != SUBSCRIPTION_NONE_IN))
            fail_msg("%c%c", cases[i].subscription, cases[i].ask);
        subscription_to_db(s, &subscription, &ask);
        if (ask != cases[i].canonical_ask ||
                subscription != (cases[i].subscription ? cases[i].subscription : 'N'))
            fail_msg("%s: %c%c", cases[i].name, subscription, ask);
        assert_int_equal(subscription_from_db(subscription, ask, true, true, &s), 0);
        assert_true(s.approved && s.listed);
    }
}

static void
attributes(void **state)
{
    static const struct {
        const char *name;
        bool approved;
        const char *xml;
        const char *read; /* the state after reading */
    } cases[] = {
        { "None", false, "<item subscription='none'/>", "None" },
        { "None", true, "<item subscription='none' approved='true'/>", "None" },
        { "None + Pending Out", false, "<item subscription='none' ask='subscribe'/>",
                "None + Pending Out" },
        { "None + Pending In", false, "<item subscription='none'/>", "None" },
        { "None + Pending Out+In", false, "<item subscription='none' ask='subscribe'/>",
                "None + Pending Out" },
        { "To", false, "<item subscription='to'/>", "To" },
        { "To + Pending In", false, "<item subscription='to'/>", "To" },
        { "From", false, "<item subscription='from'/>", "From" },
        { "From + Pending Out", false, "<item subscription='from' ask='subscribe'/>",
                "From + Pending Out" },
        { "Both", true, "<item subscription='both' approved='true'/>", "Both" },
    };
    static const struct {
        const char *xml;
        int r;
        const char *name;
        bool approved;
    } others[] = {
        { "<item/>", 0, "None", false },
        { "<item subscription='both' ask='subscribe'/>", 0, "Both", false },
        { "<item approved='1'/>", 0, "None", true },
        { "<item approved='false'/>", 0, "None", false },
        { "<item subscription='remove'/>", 1, NULL, false },
        { "<item subscription='remove' ask='x'/>", 1, NULL, false },
        { "<item subscription=''/>", -EINVAL, NULL, false },
        { "<item subscription='BOTH'/>", -EINVAL, NULL, false },
        { "<item subscription='none' ask='unsubscribe'/>", -EINVAL, NULL, false },
    };
    struct buf out = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct xml_el *el = xml_el_new(&arena, "item", NS_ROSTER);
        struct subscription s = item(state_by_name(cases[i].name)), back;

        s.approved = cases[i].approved;
        /* What was there before is replaced or removed. */
        xml_set_c(el, "subscription", "x");
        subscription_write(s, el);
        buf_reset(&out, 1000);
        xml_write(&out, el, STR(NS_ROSTER));
        assert_string_equal(buf_c(&out), cases[i].xml);
        assert_int_equal(subscription_read(el, &back), 0);
        assert_string_equal(
                subscription_state_name((enum subscription_state)back.state),
                cases[i].read);
        assert_true(back.approved == s.approved && back.listed);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct xml_el *el = NULL;
        struct subscription s = { 0 };
        int r;

        assert_int_equal(
                xml_parse(pool, NULL, &arena, str_from(others[i].xml), NS_ROSTER, &el),
                XML_OK);
        r = subscription_read(el, &s);
        if (r != others[i].r)
            fail_msg("%s: %d", others[i].xml, r);
        if (r == 0 && (s.state != state_by_name(others[i].name) ||
                              s.approved != others[i].approved))
            fail_msg("%s", others[i].xml);
        assert_true(r == 0 || subscription_is_nothing(s));
    }
    buf_fini(&out);
}

static void
kinds(void **state)
{
    static const struct {
        const char *name;
        enum subscription_kind kind;
    } cases[] = {
        { "none", SUBSCRIPTION_KIND_NONE },
        { "to", SUBSCRIPTION_KIND_TO },
        { "from", SUBSCRIPTION_KIND_FROM },
        { "both", SUBSCRIPTION_KIND_BOTH },
    };
    enum subscription_kind kind = SUBSCRIPTION_KIND_TO;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(subscription_kind_from(str_from(cases[i].name), &kind), 0);
        assert_int_equal(kind, cases[i].kind);
        assert_string_equal(subscription_kind_name(kind), cases[i].name);
    }
    assert_int_equal(subscription_kind_from(STR("remove"), &kind), -EINVAL);
    assert_int_equal(subscription_kind_from(STR(""), &kind), -EINVAL);
    assert_int_equal(subscription_kind_from(STR_NULL, &kind), -EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_acts),
        cmocka_unit_test(invariants),
        cmocka_unit_test(removal),
        cmocka_unit_test(database),
        cmocka_unit_test(attributes),
        cmocka_unit_test(kinds),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
