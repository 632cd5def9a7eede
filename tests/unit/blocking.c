/*
 * blocking.c -- the block list (XEP-0191) and the privacy list behind it
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/rig/xml.h"
#include "xml/writer.h"
#include "xmpp/blocking.h"
#include "xmpp/ns.h"

#define ITEM(jid) "<item jid='" jid "'/>"

static void
requests(void **state)
{
    static const struct {
        enum iq_type type;
        const char *text;
        int op;             /* -1: refused with… */
        const char *result; /* the push; or the error's name */
    } cases[] = {
        { IQ_GET, "<blocklist/>", BLOCKING_GET, NULL },
        { IQ_GET, "<block>" ITEM("a@b") "</block>", -1, "bad-request" },
        { IQ_SET, "<blocklist/>", -1, "bad-request" },
        { IQ_SET, "<blocklist xmlns='x'/>", -1, "bad-request" },
        { IQ_SET, "<other/>", -1, "bad-request" },
        { IQ_SET, "<block/>", -1, "bad-request" },
        { IQ_SET, "<block><item xmlns='x' jid='a@b'/></block>", -1, "bad-request" },
        { IQ_SET, "<block><item/></block>", -1, "bad-request" },
        { IQ_SET, "<block>" ITEM("") "</block>", -1, "jid-malformed" },
        { IQ_SET, "<block>" ITEM("a@b") ITEM("a@") "</block>", -1, "jid-malformed" },
        { IQ_SET, "<unblock>" ITEM("@") "</unblock>", -1, "jid-malformed" },
        { IQ_SET, "<block>" ITEM("a@b") "</block>", BLOCKING_BLOCK,
                "<block xmlns='urn:xmpp:blocking'>" ITEM("a@b") "</block>" },
        { IQ_SET,
                "<block>" ITEM("A@B/C") ITEM("b") " " ITEM("a@b/C")
                        ITEM("b") "</block>",
                BLOCKING_BLOCK,
                "<block xmlns='urn:xmpp:blocking'>" ITEM("b")
                        ITEM("a@b/C") "</block>" },
        { IQ_SET,
                "<block><item jid='a@b'><report xmlns='urn:xmpp:reporting:1' "
                "reason='urn:xmpp:reporting:spam'/></item></block>",
                BLOCKING_BLOCK,
                "<block xmlns='urn:xmpp:blocking'>" ITEM("a@b") "</block>" },
        { IQ_SET, "<unblock>" ITEM("a@b") "</unblock>", BLOCKING_UNBLOCK,
                "<unblock xmlns='urn:xmpp:blocking'>" ITEM("a@b") "</unblock>" },
        { IQ_SET, "<unblock/>", BLOCKING_UNBLOCK_ALL,
                "<unblock xmlns='urn:xmpp:blocking'/>" },
    };
    struct buf out = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct blocking_request r = { .n = 77 };
        enum stanza_error error = STANZA_ERRORS;
        int e = blocking_request(&arena, parse_in(cases[i].text, NS_BLOCKING),
                cases[i].type, &r, &error);

        if (cases[i].op < 0) {
            if (e != -EINVAL || r.n != 77)
                fail_msg("%s", cases[i].text);
            assert_string_equal(stanza_error_name(error), cases[i].result);
            continue;
        }
        if (e != 0 || (int)r.op != cases[i].op || error != STANZA_ERRORS)
            fail_msg("%s", cases[i].text);
        if (!cases[i].result)
            continue;
        buf_reset(&out, 1000);
        xml_write(&out, blocking_push(&arena, &r), STR(NS_CLIENT));
        assert_string_equal(buf_c(&out), cases[i].result);
    }
    buf_fini(&out);
}

/*
 * A list as text, a rule a word: order, + or -, what it matches if not all, the value.
 * "0-a@b 3+=to 4-m:friends 9-*".
 */
static struct privacy_list *
list_of(const char *text)
{
    struct privacy_item items[20] = { 0 };
    struct str rest = str_from(text), word;
    size_t n = 0;

    while (str_cut(&rest, ' ', &word)) {
        struct privacy_item *item = &items[n];
        size_t at = 0, colon;

        if (word.n == 0)
            continue;
        while (word.p[at] >= '0' && word.p[at] <= '9')
            item->order = item->order * 10 + (uint64_t)(word.p[at++] - '0');
        item->deny = word.p[at++] == '-';
        word = (struct str){ word.p + at, word.n - at };
        item->match = PRIVACY_MATCH_ALL;
        for (colon = 0; colon < word.n && word.p[colon] != ':'; colon++)
            continue;
        if (colon < word.n) {
            item->match = 0;
            for (size_t i = 0; i < colon; i++)
                item->match |= word.p[i] == 'm'   ? PRIVACY_MATCH_MESSAGE
                               : word.p[i] == 'i' ? PRIVACY_MATCH_IQ
                               : word.p[i] == 'p' ? PRIVACY_MATCH_PRESENCE_IN
                                                  : PRIVACY_MATCH_PRESENCE_OUT;
            word = (struct str){ word.p + colon + 1, word.n - colon - 1 };
        }
        if (word.p[0] == '*') {
            item->type = PRIVACY_ANY;
        } else if (word.p[0] == '=') {
            item->type = PRIVACY_SUBSCRIPTION;
            subscription_kind_from(
                    (struct str){ word.p + 1, word.n - 1 }, &item->subscription);
        } else if (word.p[0] == '#') {
            item->type = PRIVACY_GROUP;
            item->group = (struct str){ word.p + 1, word.n - 1 };
        } else {
            item->type = PRIVACY_JID;
            assert_int_equal(jid_parse(&arena, word, &item->jid), 0);
        }
        n++;
    }
    return privacy_list_new(items, n);
}

static void
list_as_text(struct buf *out, const struct privacy_list *list)
{
    struct privacy_item item;
    size_t at = 0;

    buf_reset(out, 1000);
    while (privacy_next(list, &at, &item)) {
        buf_addf(out, "%s%llu%c", out->n ? " " : "", (unsigned long long)item.order,
                item.deny ? '-' : '+');
        if (!(item.match & PRIVACY_MATCH_ALL))
            buf_addf(out, "%s%s%s%s:", item.match & PRIVACY_MATCH_MESSAGE ? "m" : "",
                    item.match & PRIVACY_MATCH_IQ ? "i" : "",
                    item.match & PRIVACY_MATCH_PRESENCE_IN ? "p" : "",
                    item.match & PRIVACY_MATCH_PRESENCE_OUT ? "P" : "");
        buf_add_c(out, item.type == PRIVACY_ANY            ? "*"
                       : item.type == PRIVACY_SUBSCRIPTION ? "="
                       : item.type == PRIVACY_GROUP        ? "#"
                                                           : "");
        buf_add_str(out, privacy_item_value(&arena, &item));
    }
}

static void
edits(void **state)
{
    static const struct {
        const char *before, *request;
        int r;
        const char *after;
    } cases[] = {
        { "", "<block>" ITEM("a@b") "</block>", 1, "0-a@b" },
        { "", "<block>" ITEM("z@b") ITEM("a@b") ITEM("c") "</block>", 1,
                "0-a@b 1-z@b 2-c" },
        { "0-a@b", "<block>" ITEM("a@b") "</block>", 0, NULL },
        { "0-a@b", "<block>" ITEM("a@b/c") ITEM("b") "</block>", 1,
                "0-b 1-a@b/c 2-a@b" },
        /* named kinds are not all: subscriptions would pass */
        { "0-mipP:a@b 1+*", "<block>" ITEM("a@b") "</block>", 1, "0-a@b 1+*" },
        /* in front of all others, which move only as far as they must */
        { "5+c@d 7-*", "<block>" ITEM("a@b") "</block>", 1, "0-a@b 5+c@d 7-*" },
        { "0+c@d 1-*", "<block>" ITEM("a@b") "</block>", 1, "0-a@b 1+c@d 2-*" },
        { "1+c@d 2+=both 9-*", "<block>" ITEM("a@b") ITEM("a@c") "</block>", 1,
                "0-a@b 1-a@c 2+c@d 3+=both 9-*" },
        /* one that an earlier rule makes useless moves to the front */
        { "1+* 5-a@b 6-c@d", "<block>" ITEM("a@b") "</block>", 1, "0-a@b 1+* 6-c@d" },
        { "1-* 5-a@b", "<block>" ITEM("a@b") "</block>", 0, NULL },
        /* denied something, but not blocked; allowed */
        { "3-m:a@b", "<block>" ITEM("a@b") "</block>", 1, "0-a@b 3-m:a@b" },
        { "3+a@b", "<block>" ITEM("a@b") "</block>", 1, "0-a@b 3+a@b" },
        /* as mod_blocking leaves it: all of order 0 */
        { "0-a@b 0-b@b 0-c@b", "<block>" ITEM("d@b") "</block>", 1,
                "0-d@b 1-a@b 2-b@b 3-c@b" },
        { "0-a@b 4294967295-*", "<block>" ITEM("d@b") "</block>", 1,
                "0-d@b 1-a@b 4294967295-*" },
        { "4294967295-a@b 4294967295-*", "<block>" ITEM("d@b") "</block>", 1,
                "0-d@b 1-a@b 2-*" },
        { "18446744073709551615-a@b 18446744073709551615-*",
                "<block>" ITEM("d@b") "</block>", 1, "0-d@b 1-a@b 2-*" },
        { "0-a@b", "<unblock>" ITEM("a@b") "</unblock>", 1, "" },
        { "0-a@b 1-a@c", "<unblock>" ITEM("a@b") ITEM("x") "</unblock>", 1, "1-a@c" },
        { "0-a@b", "<unblock>" ITEM("a@c") "</unblock>", 0, NULL },
        { "", "<unblock>" ITEM("a@c") "</unblock>", 0, NULL },
        /* only this address, not what covers it or is covered by it */
        { "0-b 1-a@b/c", "<unblock>" ITEM("a@b") "</unblock>", 0, NULL },
        /* whatever it is denied; what it is allowed stays */
        { "0-m:a@b 1-a@b 2+a@b 3-*", "<unblock>" ITEM("a@b") "</unblock>", 1,
                "2+a@b 3-*" },
        { "0-a@b 1-m:a@c 2+x@y 3-=none 4-#foes 5-*", "<unblock/>", 1,
                "2+x@y 3-=none 4-#foes 5-*" },
        { "0-a@b 0-a@c", "<unblock/>", 1, "" },
        { "3-=none", "<unblock/>", 0, NULL },
        { "", "<unblock/>", 0, NULL },
        { "0-a@b", "<blocklist/>", 0, NULL },
    };
    struct buf out = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct privacy_list *list = list_of(cases[i].before), *now = NULL;
        struct xml_el *payload = parse_in(cases[i].request, NS_BLOCKING);
        struct blocking_request request;
        enum stanza_error error;
        int r;

        assert_int_equal(blocking_request(&arena, payload,
                                 xml_is(payload, "blocklist", NULL) ? IQ_GET : IQ_SET,
                                 &request, &error),
                0);
        r = blocking_edit(list, &request, &now);
        list_as_text(&out, now);
        if (r != cases[i].r ||
                strcmp(buf_c(&out), cases[i].after ? cases[i].after : "") != 0)
            fail_msg("%s in \"%s\": %d \"%s\"", cases[i].request, cases[i].before, r,
                    buf_c(&out));
        privacy_list_free(&now);
        privacy_list_free(&list);
    }
    buf_fini(&out);
}

static void
block_lists(void **state)
{
    static const struct {
        const char *list, *blocklist;
    } cases[] = {
        { "", "" },
        { "0-a@b 1-c 2-d/e 3-f@g/h", ITEM("a@b") ITEM("c") ITEM("d/e") ITEM("f@g/h") },
        { "0-mipP:a@b 1-mip:c@d", ITEM("a@b") },
        { "0+a@b 1-=none 2-#foes 3-*", "" },
    };
    struct buf out = { 0 };
    char want[1000];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct privacy_list *list = list_of(cases[i].list);
        struct xml_el *el = xml_el_new(&arena, "blocklist", NS_BLOCKING);

        blocking_write(list, el);
        buf_reset(&out, 1000);
        xml_write(&out, el, STR(NS_BLOCKING));
        if (*cases[i].blocklist)
            snprintf(
                    want, sizeof want, "<blocklist>%s</blocklist>", cases[i].blocklist);
        else
            snprintf(want, sizeof want, "<blocklist/>");
        assert_string_equal(buf_c(&out), want);
        privacy_list_free(&list);
    }
    buf_fini(&out);
}

/* Whatever was allowed before, a blocked address is denied all (XEP-0191, 3.3). */
static void
blocked_is_denied(void **state)
{
    static const char *const lists[] = { "", "0+*", "0+a@b", "0+=none 1-*",
        "0+m:a@b 1+a@b/c" };
    struct jid user = { STR("juliet"), STR("example.net"), STR_NULL };
    struct jid blocked = { STR("a"), STR("b"), STR_NULL };
    struct blocking_request request = { BLOCKING_BLOCK, &blocked, 1 };
    struct privacy_peer peer = { .jid = { STR("a"), STR("b"), STR("c") } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct privacy_list *list = list_of(lists[i]), *now = NULL;

        assert_int_equal(blocking_edit(list, &request, &now), 1);
        for (unsigned k = 0; k < 8; k++)
            assert_int_equal(
                    privacy_judge(now, &user, &peer, k < 4 ? PRIVACY_IN : PRIVACY_OUT,
                            (enum privacy_stanza)(k % 4)),
                    PRIVACY_BLOCKED);
        privacy_list_free(&now);
        privacy_list_free(&list);
    }
}

static void
limits(void **state)
{
    struct privacy_list *list = NULL, *now = NULL;
    struct jid *jids = arena_zalloc(&arena, (PRIVACY_ITEMS_MAX + 1) * sizeof *jids);
    struct blocking_request request = { BLOCKING_BLOCK, jids, PRIVACY_ITEMS_MAX };
    struct xml_el *el = xml_el_new(&arena, "block", NS_BLOCKING);
    enum stanza_error error;

    (void)state;
    for (unsigned i = 0; i <= PRIVACY_ITEMS_MAX; i++) {
        char name[20];
        int n = snprintf(name, sizeof name, "%05u", i);

        jids[i] = (struct jid){ .domain = str_dup(
                                        &arena, (struct str){ name, (size_t)n }) };
        xml_add(el, "item", NULL);
    }
    assert_int_equal(blocking_edit(NULL, &request, &list), 1);
    assert_int_equal(privacy_list_count(list), PRIVACY_ITEMS_MAX);
    request.jids += PRIVACY_ITEMS_MAX;
    request.n = 1;
    assert_int_equal(blocking_edit(list, &request, &now), -ENOSPC);
    assert_null(now);
    request.op = BLOCKING_UNBLOCK_ALL;
    assert_int_equal(blocking_edit(list, &request, &now), 1);
    assert_null(now);
    privacy_list_free(&list);
    assert_int_equal(blocking_request(&arena, el, IQ_SET, &request, &error), -EINVAL);
    assert_int_equal(error, STANZA_ERROR_RESOURCE_CONSTRAINT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(edits),
        cmocka_unit_test(block_lists),
        cmocka_unit_test(blocked_is_denied),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
