/*
 * privacy.c -- privacy lists (XEP-0016): what they say
 */
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
#include "xmpp/ns.h"
#include "xmpp/privacy.h"

static struct privacy_list *
list_of(const char *items)
{
    struct privacy_list *list = NULL;
    enum stanza_error error;
    char text[4000];

    snprintf(text, sizeof text, "<list name='x'>%s</list>", items);
    if (privacy_list_read(
                &arena, parse_in(text, NS_PRIVACY), NULL, NULL, &list, &error) < 0)
        fail_msg("%s: %s", items, stanza_error_name(error));
    return list;
}

/* arg: the groups the peer is in, separated by commas */
static bool
in_group(void *arg, struct str group)
{
    struct str rest = str_from(arg), name;

    while (str_cut(&rest, ',', &name))
        if (str_eq(name, group))
            return true;
    return false;
}

#define DENY(type, value, children)                                             \
    "<item type='" type "' value='" value "' action='deny' order='1'>" children \
    "</item>"
#define ALLOW(type, value, order) \
    "<item type='" type "' value='" value "' action='allow' order='" order "'/>"
#define DENY_REST "<item action='deny' order='999'/>"

/*
 * What is denied: in: m message, i iq, p notification, o other presence; out: the same
 * in capitals. B at the front: as an item of the block list.
 */
static void
judging(void **state)
{
    static const struct {
        const char *items, *peer;
        enum subscription_kind subscription;
        const char *groups, *denied;
    } cases[] = {
        /* 2.9 to 2.13 */
        { DENY("jid", "tybalt@example.com", "<message/>"), "tybalt@example.com/x", 0,
                "", "m" },
        { DENY("jid", "tybalt@example.com", "<iq/>"), "tybalt@example.com/x", 0, "",
                "i" },
        { DENY("jid", "tybalt@example.com", "<presence-in/>"), "tybalt@example.com/x",
                0, "", "p" },
        { DENY("jid", "tybalt@example.com", "<presence-out/>"), "tybalt@example.com/x",
                0, "", "P" },
        { DENY("jid", "tybalt@example.com", "<message/><presence-out/>"),
                "tybalt@example.com/x", 0, "", "mP" },
        { DENY("jid", "tybalt@example.com", "<message/><iq/><presence-in/>"),
                "tybalt@example.com/x", 0, "", "mip" },
        { DENY("jid", "tybalt@example.com", ""), "tybalt@example.com/x", 0, "",
                "BmipoMIPO" },
        { DENY("jid", "tybalt@example.com",
                  "<message/><iq/><presence-in/><presence-out/>"),
                "tybalt@example.com/x", 0, "", "BmipP" },
        { DENY("jid", "tybalt@example.com", ""), "romeo@example.com", 0, "", "" },
        { DENY("group", "Enemies", "<message/>"), "paris@example.com", 0, "Enemies",
                "m" },
        { DENY("group", "Enemies", ""), "paris@example.com", 0, "Friends,Enemies",
                "mipoMIPO" },
        { DENY("group", "Enemies", ""), "paris@example.com", 0, "Friends", "" },
        { DENY("group", "Enemies", ""), "paris@example.com", 0, "", "" },
        { DENY("subscription", "none", "<message/>"), "paris@example.com", 0, "", "m" },
        { DENY("subscription", "none", ""), "paris@example.com", 0, "", "mipoMIPO" },
        { DENY("subscription", "none", ""), "paris@example.com", SUBSCRIPTION_KIND_TO,
                "", "" },
        { DENY("subscription", "to", "<presence-in/>"), "paris@example.com",
                SUBSCRIPTION_KIND_TO, "", "p" },
        { DENY("subscription", "from", "<presence-out/>"), "paris@example.com",
                SUBSCRIPTION_KIND_FROM, "", "P" },
        /* exact: both is neither to nor from */
        { DENY("subscription", "from", ""), "paris@example.com", SUBSCRIPTION_KIND_BOTH,
                "", "" },
        { DENY("subscription", "to", ""), "paris@example.com", SUBSCRIPTION_KIND_BOTH,
                "", "" },
        { DENY("subscription", "both", ""), "paris@example.com", SUBSCRIPTION_KIND_BOTH,
                "", "mipoMIPO" },
        { "<item action='deny' order='1'/>", "paris@example.com", 0, "", "mipoMIPO" },
        { "<item action='deny' order='1'><message/></item>", "paris@example.com", 0, "",
                "m" },
        /* the address: 2.1 */
        { DENY("jid", "a@b/c", ""), "a@b/c", 0, "", "BmipoMIPO" },
        { DENY("jid", "a@b/c", ""), "a@b/d", 0, "", "" },
        { DENY("jid", "a@b/c", ""), "a@b", 0, "", "" },
        { DENY("jid", "a@b", ""), "a@b", 0, "", "BmipoMIPO" },
        { DENY("jid", "a@b", ""), "b", 0, "", "" },
        { DENY("jid", "a@b", ""), "c@b", 0, "", "" },
        { DENY("jid", "b/c", ""), "b/c", 0, "", "BmipoMIPO" },
        { DENY("jid", "b/c", ""), "b/d", 0, "", "" },
        { DENY("jid", "b/c", ""), "b", 0, "", "" },
        { DENY("jid", "b/c", ""), "a@b/c", 0, "", "" },
        { DENY("jid", "b", ""), "b", 0, "", "BmipoMIPO" },
        { DENY("jid", "b", ""), "b/c", 0, "", "BmipoMIPO" },
        { DENY("jid", "b", ""), "a@b", 0, "", "BmipoMIPO" },
        { DENY("jid", "b", ""), "a@b/c", 0, "", "BmipoMIPO" },
        { DENY("jid", "b", ""), "a@sub.b", 0, "", "" },
        { DENY("jid", "Tybalt@Example.COM", ""), "tybalt@example.com", 0, "",
                "BmipoMIPO" },
        /* in ascending order, the first that fits; then allow */
        { ALLOW("jid", "a@b", "5") DENY_REST, "a@b/c", 0, "", "" },
        { ALLOW("jid", "a@b", "5") DENY_REST, "x@b/c", 0, "", "mipoMIPO" },
        { DENY_REST ALLOW("jid", "a@b", "5"), "a@b/c", 0, "", "" },
        { ALLOW("jid", "a@b", "5") DENY("jid", "a@b", ""), "a@b/c", 0, "",
                "BmipoMIPO" },
        { DENY("jid", "a@b", "<message/>") ALLOW("jid", "a@b", "5") DENY_REST, "a@b", 0,
                "", "m" },
        { ALLOW("subscription", "both", "10") DENY_REST, "a@b", SUBSCRIPTION_KIND_BOTH,
                "", "" },
        { "<item type='jid' value='a@b' action='allow' "
          "order='0'><iq/></item>" DENY_REST,
                "a@b", 0, "", "mpoMIPO" },
        /* one's own devices and server */
        { "<item action='deny' order='1'/>", "juliet@example.net/phone", 0, "", "" },
        { "<item action='deny' order='1'/>", "juliet@example.net", 0, "", "" },
        { "<item action='deny' order='1'/>", "example.net", 0, "", "" },
        { "<item action='deny' order='1'/>", "example.net/announce", 0, "", "" },
        { "<item action='deny' order='1'/>", "romeo@example.net", 0, "", "mipoMIPO" },
        { "<item action='deny' order='1'/>", "conference.example.net", 0, "",
                "mipoMIPO" },
        { DENY("jid", "example.net", ""), "juliet@example.net/x", 0, "", "" },
        { DENY("jid", "example.net", ""), "example.net", 0, "", "" },
        { DENY("jid", "example.net", ""), "romeo@example.net/x", 0, "", "BmipoMIPO" },
    };
    struct jid user = jid("juliet@example.net/balcony");
    char denied[20];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct privacy_list *list = list_of(cases[i].items);
        char groups[100];
        struct privacy_peer peer = { .jid = jid(cases[i].peer),
            .subscription = cases[i].subscription,
            .in_group = in_group,
            .arg = groups };
        size_t n = 1;
        bool blocked = false;

        snprintf(groups, sizeof groups, "%s", cases[i].groups);
        for (unsigned k = 0; k < 8; k++) {
            enum privacy_verdict v = privacy_judge(list, &user, &peer,
                    k < 4 ? PRIVACY_IN : PRIVACY_OUT, (enum privacy_stanza)(k % 4));

            if (v != PRIVACY_ALLOWED)
                denied[n++] = "mipoMIPO"[k];
            blocked |= v == PRIVACY_BLOCKED;
            assert_true(v == PRIVACY_ALLOWED || (v == PRIVACY_BLOCKED) == blocked);
        }
        denied[n] = '\0';
        denied[0] = 'B';
        if (strcmp(denied + !blocked, cases[i].denied) != 0)
            fail_msg("%s for %s: %s", cases[i].items, cases[i].peer, denied + !blocked);
        privacy_list_free(&list);
        assert_null(list);
    }
}

static void
empty_list(void **state)
{
    struct jid user = jid("juliet@example.net");
    struct privacy_peer peer = { .jid = jid("a@b") };
    struct privacy_item item;
    size_t at = 0;

    (void)state;
    assert_null(privacy_list_new(NULL, 0));
    assert_int_equal(privacy_judge(NULL, &user, &peer, PRIVACY_IN, PRIVACY_MESSAGE),
            PRIVACY_ALLOWED);
    assert_int_equal(privacy_list_count(NULL), 0);
    assert_int_equal(privacy_list_size(NULL), 0);
    assert_false(privacy_list_needs_roster(NULL));
    assert_false(privacy_next(NULL, &at, &item));
}

static void
roster_needed(void **state)
{
    static const struct {
        const char *items;
        bool needs;
    } cases[] = {
        { DENY("jid", "a@b", ""), false },
        { DENY_REST, false },
        { DENY("group", "x", ""), true },
        { DENY("subscription", "none", ""), true },
        { ALLOW("jid", "a@b", "7") DENY("subscription", "none", "<iq/>"), true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct privacy_list *list = list_of(cases[i].items);

        if (privacy_list_needs_roster(list) != cases[i].needs)
            fail_msg("%s", cases[i].items);
        privacy_list_free(&list);
    }
}

static void
kinds_of_stanzas(void **state)
{
    static const struct {
        const char *text;
        enum privacy_stanza kind;
    } cases[] = {
        { "<message/>", PRIVACY_MESSAGE },
        { "<iq/>", PRIVACY_IQ },
        { "<presence/>", PRIVACY_NOTIFICATION },
        { "<presence type='unavailable'/>", PRIVACY_NOTIFICATION },
        { "<presence type='subscribe'/>", PRIVACY_OTHER },
        { "<presence type='probe'/>", PRIVACY_OTHER },
        { "<presence type='error'/>", PRIVACY_OTHER },
        { "<presence type='bogus'/>", PRIVACY_OTHER },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (privacy_stanza_of(parse_in(cases[i].text, NS_CLIENT)) != cases[i].kind)
            fail_msg("%s", cases[i].text);
}

#define UNAVAILABLE                              \
    "<error type='cancel'><service-unavailable " \
    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
#define NOT_ACCEPTABLE(more)                \
    "<error type='cancel'><not-acceptable " \
    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>" more "</error>"
#define NOTE "<blocked xmlns='urn:xmpp:blocking:errors'/>"

/* XEP-0016, 2.14; XEP-0191, 3.3 */
static void
refusals(void **state)
{
    static const struct {
        const char *text;
        enum privacy_way way;
        enum privacy_verdict verdict;
        const char *reply; /* NULL: none */
    } cases[] = {
        { "<message from='a' to='b'/>", PRIVACY_IN, PRIVACY_ALLOWED, NULL },
        { "<message from='a' to='b'/>", PRIVACY_OUT, PRIVACY_ALLOWED, NULL },
        { "<message from='a' to='b'><body/></message>", PRIVACY_IN, PRIVACY_DENIED,
                "<message type='error' from='b' to='a'>" UNAVAILABLE "</message>" },
        { "<message type='chat' from='a' to='b'/>", PRIVACY_IN, PRIVACY_BLOCKED,
                "<message type='error' from='b' to='a'>" UNAVAILABLE "</message>" },
        { "<message type='error' from='a' to='b'/>", PRIVACY_IN, PRIVACY_DENIED, NULL },
        { "<message type='groupchat' from='a'/>", PRIVACY_IN, PRIVACY_DENIED, NULL },
        { "<message type='headline' from='a'/>", PRIVACY_IN, PRIVACY_DENIED, NULL },
        { "<message><x xmlns='http://jabber.org/protocol/muc#user'/></message>",
                PRIVACY_IN, PRIVACY_DENIED, NULL },
        { "<iq type='get' id='1' from='a' to='b'><q xmlns='x'/></iq>", PRIVACY_IN,
                PRIVACY_DENIED,
                "<iq type='error' from='b' to='a' id='1'>" UNAVAILABLE "</iq>" },
        { "<iq type='set' id='1' from='a' to='b'><q xmlns='x'/></iq>", PRIVACY_IN,
                PRIVACY_DENIED,
                "<iq type='error' from='b' to='a' id='1'>" UNAVAILABLE "</iq>" },
        { "<iq type='result' id='1'/>", PRIVACY_IN, PRIVACY_DENIED, NULL },
        { "<iq type='error' id='1'/>", PRIVACY_IN, PRIVACY_DENIED, NULL },
        { "<presence from='a'/>", PRIVACY_IN, PRIVACY_DENIED, NULL },
        { "<presence type='subscribe' from='a'/>", PRIVACY_IN, PRIVACY_DENIED, NULL },
        { "<presence type='probe' from='a'/>", PRIVACY_IN, PRIVACY_BLOCKED, NULL },
        { "<message from='b' to='a'/>", PRIVACY_OUT, PRIVACY_DENIED,
                "<message type='error' from='a' to='b'>" NOT_ACCEPTABLE(
                        "") "</message>" },
        { "<message from='b' to='a'/>", PRIVACY_OUT, PRIVACY_BLOCKED,
                "<message type='error' from='a' to='b'>" NOT_ACCEPTABLE(
                        NOTE) "</message>" },
        { "<presence type='subscribe' from='b' to='a'/>", PRIVACY_OUT, PRIVACY_BLOCKED,
                "<presence type='error' from='a' to='b'>" NOT_ACCEPTABLE(
                        NOTE) "</presence>" },
        { "<iq type='get' id='1' from='b' to='a'><q xmlns='x'/></iq>", PRIVACY_OUT,
                PRIVACY_BLOCKED,
                "<iq type='error' from='a' to='b' id='1'>" NOT_ACCEPTABLE(
                        NOTE) "</iq>" },
        { "<iq type='result' id='1'/>", PRIVACY_OUT, PRIVACY_BLOCKED, NULL },
        { "<message type='error'/>", PRIVACY_OUT, PRIVACY_BLOCKED, NULL },
    };
    struct buf out = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct xml_el *el = privacy_refusal(&arena, parse_in(cases[i].text, NS_CLIENT),
                cases[i].way, cases[i].verdict);

        if (!el != !cases[i].reply)
            fail_msg("%s", cases[i].text);
        if (!el)
            continue;
        buf_reset(&out, 1000);
        xml_write(&out, el, STR(NS_CLIENT));
        assert_string_equal(buf_c(&out), cases[i].reply);
    }
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judging),
        cmocka_unit_test(empty_list),
        cmocka_unit_test(roster_needed),
        cmocka_unit_test(kinds_of_stanzas),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
