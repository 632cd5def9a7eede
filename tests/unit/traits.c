/*
 * traits.c -- what messages carry, and what becomes of them
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
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/traits.h"

#define STATE     "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
#define REQUEST   "<request xmlns='urn:xmpp:receipts'/>"
#define RECEIVED  "<received xmlns='urn:xmpp:receipts' id='1'/>"
#define MARK      "<markable xmlns='urn:xmpp:chat-markers:0'/>"
#define DISPLAYED "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>"
#define HINT(h)   "<" h " xmlns='urn:xmpp:hints'/>"
#define PRIVATE   "<private xmlns='urn:xmpp:carbons:2'/>"
#define MUC(x)    "<x xmlns='http://jabber.org/protocol/muc#user'>" x "</x>"
#define DIRECT    "<x xmlns='jabber:x:conference' jid='r@c.example'/>"
#define KEYS      "<encrypted xmlns='eu.siacs.conversations.axolotl'><header/></encrypted>"
#define OMEMO \
    "<encrypted xmlns='urn:xmpp:omemo:2'><header/><payload>x</payload></encrypted>"
#define EME     "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:otr:0'/>"
#define OX      "<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>"
#define DELAY   "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>"
#define OFFLINE "<offline xmlns='http://jabber.org/protocol/offline'/>"
#define OTHER   "<x xmlns='urn:example:x'/>"
#define RETRACT "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>"
#define REACT   "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>"
#define PROPOSE "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>"
#define RESULT \
    "<result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'/></result>"
#define CARBON(way, message)                                                     \
    "<" way                                                                      \
    " xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>" message \
    "</forwarded></" way ">"
#define EVENT(node, item)                                            \
    "<event xmlns='http://jabber.org/protocol/pubsub#event'><items " \
    "node='" node "'><item id='1'>" item "</item></items></event>"
#define INNER(type, x)   "<message xmlns='jabber:client' type='" type "'>" x "</message>"
#define ROOM(node, item) EVENT("urn:xmpp:mucsub:nodes:" node, item)
#define BODY             "<body>hi</body>"

static void
bits(void **state)
{
    static const struct {
        const char *inner, *names;
    } cases[] = {
        { "", "" },
        { " text ", "" },
        { BODY, "body body-text" },
        { "<body/>", "body" },
        { "<body></body><body xml:lang='de'>x</body>", "body body-text" },
        { "<body xmlns='urn:x'>x</body>", "other" },
        { "<body xmlns=''>x</body>", "other" },
        { "<subject/>", "subject" },
        { "<subject>x</subject>", "subject subject-text" },
        { "<thread>x</thread>", "thread" },
        { "<error/>", "error" },
        { "<foo/>", "other" },
        { OTHER, "other" },
        { STATE, "chat-state" },
        { REQUEST, "receipt-request" },
        { RECEIVED, "receipt" },
        { "<other xmlns='urn:xmpp:receipts'/>", "other" },
        { MARK, "markable" },
        { DISPLAYED, "marker" },
        { "<received xmlns='urn:xmpp:chat-markers:0'/>", "marker" },
        { "<acknowledged xmlns='urn:xmpp:chat-markers:0'/>", "marker" },
        { HINT("store"), "store" },
        { HINT("no-store"), "no-store" },
        { HINT("no-storage"), "no-store" },
        { HINT("no-permanent-store"), "no-permanent-store" },
        { HINT("no-permanent-storage"), "no-permanent-store" },
        { HINT("no-copy"), "no-copy" },
        { HINT("no-thing"), "other" },
        { PRIVATE, "private" },
        { CARBON("sent", ""), "carbon-sent" },
        { CARBON("received", ""), "carbon-received" },
        { RESULT, "mam-result" },
        { "<forwarded xmlns='urn:xmpp:forward:0'/>", "forwarded" },
        { KEYS, "encrypted" },
        { OMEMO, "encrypted encrypted-payload" },
        { EME, "encrypted" },
        { OX, "encrypted encrypted-payload" },
        { "<x xmlns='jabber:x:encrypted'>y</x>", "encrypted encrypted-payload" },
        { MUC(""), "muc-user" },
        { MUC("<status code='104'/>"), "muc-user muc-notice" },
        { MUC("<invite from='a@b'/>"), "muc-user muc-notice muc-invite" },
        { DIRECT, "conference" },
        { DELAY, "delay" },
        { "<x xmlns='jabber:x:delay'/>", "delay" },
        { OFFLINE, "offline" },
        { "<stanza-id xmlns='urn:xmpp:sid:0' by='a' id='1'/>", "stanza-id" },
        { "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>", "origin-id" },
        { "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/>", "occupant-id" },
        { PROPOSE, "jingle-message jingle-propose" },
        { "<retract xmlns='urn:xmpp:jingle-message:0'/>", "jingle-message" },
        { "<replace xmlns='urn:xmpp:message-correct:0' id='1'/>", "correction" },
        { RETRACT, "retraction" },
        { REACT, "reaction" },
        { "<apply-to xmlns='urn:xmpp:fasten:0' id='1'/>", "fastening" },
        { "<x xmlns='jabber:x:event'/>", "event-old" },
        { "<amp xmlns='http://jabber.org/protocol/amp'/>", "amp" },
        { EVENT("urn:x", ""), "pubsub-event" },
        { "<event xmlns='http://jabber.org/protocol/pubsub#event'/>", "pubsub-event" },
        { ROOM("messages", ""), "pubsub-event mucsub" },
        { ROOM("presence", ""), "pubsub-event mucsub mucsub-presence" },
        { BODY STATE REQUEST HINT("store") OTHER,
                "body body-text chat-state receipt-request store other" },
    };
    struct buf out = { 0 };
    char text[1000];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof text, "<message>%s</message>", cases[i].inner);
        buf_reset(&out, 1000);
        traits_write(&out, traits_of(parse(text)));
        if (strcmp(buf_c(&out), cases[i].names) != 0)
            fail_msg("%s: %s", cases[i].inner, buf_c(&out));
    }
    /* The message's own namespace is what counts, not jabber:client. */
    assert_true(traits_of(parse("<message xmlns='jabber:server'><body/></message>")) ==
                TRAIT(BODY));
    assert_true(traits_of(parse("<message xmlns='jabber:server'>"
                                "<body xmlns='jabber:client'/></message>")) ==
                TRAIT(OTHER));
    buf_fini(&out);
}

static void
long_namespaces(void **state)
{
    char text[1000], ns[400];

    (void)state;
    for (int n = 1; n < 390; n++) {
        memset(ns, 'x', (size_t)n);
        ns[n] = '\0';
        snprintf(text, sizeof text, "<message><body xmlns='%s'/></message>", ns);
        assert_true(traits_of(parse(text)) == TRAIT(OTHER));
    }
    /* 256 more than a known one */
    snprintf(text, sizeof text,
            "<message><store xmlns='urn:xmpp:hints%.256s'/></message>", ns);
    assert_true(traits_of(parse(text)) == TRAIT(OTHER));
}

/*
 * What becomes of a message: each letter a yes. o: kept offline, a: archived, r:
 * archived in a room, s and f: copied when sent, when received from a full JID, b: from
 * a bare one, w: wakes a device, c: a chat state only, t: a change of the subject.
 */
static void
fates(void **state)
{
    static const struct {
        const char *type, *inner, *fate;
    } cases[] = {
        /* XEP-0160, 3; XEP-0313, 6.1.1; XEP-0280, 6.1: types */
        { "chat", BODY, "oasfbw" },
        { "normal", BODY, "oasfbw" },
        { "", BODY, "oasfbw" },
        { "headline", BODY, "w" },
        { "groupchat", BODY, "rw" },
        { "error", BODY "<error/>", "sfb" },
        { "error", "<error/>", "" },
        { "error", RECEIVED "<error/>", "sfb" },
        { "error", OMEMO "<error/>", "sfb" },
        { "error", OTHER "<error/>", "" },
        /* without a body */
        { "chat", "", "sfb" },
        { "normal", "", "" },
        { "chat", "<body/>", "osfb" },
        { "normal", "<body/>", "osfb" },
        { "chat", STATE, "sfbc" },
        { "normal", STATE, "sfbc" },
        { "headline", STATE, "sfbc" },
        { "groupchat", STATE, "c" },
        { "chat", STATE "<thread>x</thread>" HINT("no-store") DELAY, "sfbc" },
        { "chat", STATE HINT("no-copy"), "c" },
        { "chat", STATE MUC(""), "sbc" },
        { "chat", STATE OTHER, "osfb" },
        { "chat", STATE BODY, "oasfbw" },
        { "chat", STATE "<body/>", "osfb" },
        { "chat", DELAY, "sfb" },
        { "chat", OTHER, "osfb" },
        { "normal", OTHER, "o" },
        { "chat", RECEIVED, "osfb" },
        { "normal", RECEIVED, "osfb" },
        { "normal", REQUEST, "osfb" },
        { "normal", MARK, "osfb" },
        { "normal", DISPLAYED, "osfb" },
        { "headline", DISPLAYED, "sfb" },
        { "groupchat", DISPLAYED, "" },
        /* subjects */
        { "normal", "<subject>x</subject>", "oat" },
        { "normal", "<subject/>", "ot" },
        { "groupchat", "<subject>x</subject>", "rt" },
        { "groupchat", "<subject/>", "rt" },
        { "groupchat", "<subject>x</subject><body/>", "r" },
        { "groupchat", "<subject/>" HINT("no-store"), "t" },
        /* hints: storing wins (XEP-0334) */
        { "chat", BODY HINT("no-store"), "sfbw" },
        { "chat", BODY HINT("no-permanent-store"), "osfbw" },
        { "chat", BODY HINT("store") HINT("no-store"), "oasfbw" },
        { "chat", STATE HINT("store"), "oasfbc" },
        { "headline", BODY HINT("store"), "oaw" },
        { "groupchat", BODY HINT("no-store"), "w" },
        { "groupchat", OTHER HINT("store"), "or" },
        { "error", BODY HINT("store") "<error/>", "sfb" },
        { "chat", BODY HINT("no-copy"), "oaw" },
        { "chat", BODY PRIVATE, "oaw" },
        { "chat", BODY PRIVATE HINT("no-copy"), "oaw" },
        /* rooms: invitations and private messages */
        { "normal", MUC("<invite from='a@b'/>"), "osfbw" },
        { "normal", MUC("<invite from='a@b'/>") BODY, "oasfbw" },
        { "normal", DIRECT, "osfbw" },
        { "headline", DIRECT, "sfbw" },
        { "groupchat", DIRECT, "w" },
        { "normal", DIRECT PRIVATE, "ow" },
        { "chat", BODY MUC(""), "oasbw" },
        { "normal", BODY MUC("<status code='104'/>"), "oasbw" },
        { "groupchat", MUC("<status code='104'/>"), "" },
        { "chat", BODY MUC("") DIRECT, "oasfbw" },
        /* encrypted */
        { "chat", OMEMO, "oasfbw" },
        { "chat", KEYS, "osfb" },
        { "chat", OX EME, "oasfbw" },
        { "normal", OMEMO, "oaw" },
        /* what takes effect on other messages */
        { "chat", RETRACT, "oasfb" },
        { "groupchat", RETRACT, "r" },
        { "chat", REACT, "oasfb" },
        { "groupchat", REACT, "r" },
        { "chat", REACT HINT("no-store"), "sfb" },
        /* calls */
        { "chat", PROPOSE HINT("store"), "oasfbw" },
        { "chat", "<retract xmlns='urn:xmpp:jingle-message:0'/>" HINT("store"),
                "oasfb" },
        /* what a store or the server gave out, or somebody forged */
        { "chat", BODY OFFLINE, "sfbw" },
        { "normal", RESULT, "" },
        { "normal", RESULT HINT("store"), "" },
        { "chat", CARBON("sent", INNER("chat", BODY)), "" },
        { "chat", CARBON("received", INNER("chat", BODY)), "w" },
        { "chat", CARBON("received", INNER("chat", STATE)), "" },
        { "chat", CARBON("received", INNER("error", BODY)), "" },
        { "chat", CARBON("received", OTHER) BODY, "w" },
        { "chat", CARBON("received", "") HINT("store"), "" },
        /* events, of MUC/Sub above all */
        { "headline", EVENT("urn:x", ""), "" },
        { "normal", EVENT("urn:x", ""), "o" },
        { "normal", ROOM("messages", INNER("groupchat", BODY)), "oasfbw" },
        { "normal", ROOM("subject", INNER("groupchat", "<subject>x</subject>")),
                "oasfbt" },
        { "normal", ROOM("messages", INNER("groupchat", STATE)), "osfb" },
        { "normal", ROOM("messages", INNER("groupchat", BODY HINT("no-store"))),
                "sfbw" },
        { "normal", ROOM("messages", INNER("error", BODY)), "sfb" },
        { "normal", ROOM("presence", "<presence xmlns='jabber:client'/>"), "a" },
        { "normal", ROOM("participants", ""), "oa" },
        { "normal", ROOM("participants", "") HINT("no-store"), "" },
    };
    struct jid full = { STR("r"), STR("c.example"), STR("nick") };
    struct jid bare = jid_bare(&full);
    char text[2000], fate[20];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct xml_el *el;
        enum message_type type;
        uint64_t t;
        struct {
            char letter;
            bool yes;
        } all[9];
        size_t n = 0;

        snprintf(text, sizeof text, "<message type='%s'>%s</message>", cases[i].type,
                cases[i].inner);
        el = parse(text);
        type = message_type(el);
        t = traits_inside(el, traits_of(el), &type);
        all[0].letter = 'o';
        all[0].yes = traits_storable(t, type, TRAITS_EMPTY_UNLESS_CHAT_STATE, false);
        all[1].letter = 'a';
        all[1].yes = traits_archivable(t, type);
        all[2].letter = 'r';
        all[2].yes = traits_archivable_in_room(t, type);
        all[3].letter = 's';
        all[3].yes = traits_copyable(t, type, TRAITS_SENT, &full);
        all[4].letter = 'f';
        all[4].yes = traits_copyable(t, type, TRAITS_RECEIVED, &full);
        all[5].letter = 'b';
        all[5].yes = traits_copyable(t, type, TRAITS_RECEIVED, &bare);
        all[6].letter = 'w';
        all[6].yes = traits_wakes(t, type);
        all[7].letter = 'c';
        all[7].yes = traits_chat_state_only(t);
        all[8].letter = 't';
        all[8].yes = traits_subject_change(t);
        for (size_t k = 0; k < ARRAY_LEN(all); k++)
            if (all[k].yes)
                fate[n++] = all[k].letter;
        fate[n] = '\0';
        if (strcmp(fate, cases[i].fate) != 0)
            fail_msg("%s: %s instead of %s", text, fate, cases[i].fate);
    }
}

/* store_empty_body and store_groupchat of mod_offline */
static void
offline_options(void **state)
{
    static const struct {
        const char *type, *inner;
        bool unless_chat_state, keep, drop, groupchat;
    } cases[] = {
        { "chat", BODY, true, true, true, true },
        { "chat", "<body/>", true, true, true, true },
        { "chat", OTHER, true, true, false, true },
        { "chat", STATE, false, true, false, false },
        { "chat", "", false, true, false, false },
        { "chat", OTHER HINT("store"), true, true, true, true },
        { "chat", BODY HINT("no-store"), false, false, false, false },
        { "groupchat", BODY, false, false, false, true },
        { "groupchat", STATE, false, false, false, false },
        { "headline", BODY, false, false, false, false },
        { "error", BODY, false, false, false, false },
        { "normal", ROOM("presence", ""), false, false, false, false },
    };
    char text[1000];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum message_type type;
        struct xml_el *el;
        uint64_t t;

        snprintf(text, sizeof text, "<message type='%s'>%s</message>", cases[i].type,
                cases[i].inner);
        el = parse(text);
        type = message_type(el);
        t = traits_of(el);
        if (traits_storable(t, type, TRAITS_EMPTY_UNLESS_CHAT_STATE, false) !=
                        cases[i].unless_chat_state ||
                traits_storable(t, type, TRAITS_EMPTY_KEEP, false) != cases[i].keep ||
                traits_storable(t, type, TRAITS_EMPTY_DROP, false) != cases[i].drop ||
                traits_storable(t, type, TRAITS_EMPTY_UNLESS_CHAT_STATE, true) !=
                        cases[i].groupchat)
            fail_msg("%s", text);
    }
}

static void
waiting_messages(void **state)
{
    static const struct {
        const char *from, *inner;
        enum traits_wait wait;
    } cases[] = {
        { "romeo@example.net/orchard", BODY, TRAITS_WAIT_NOT },
        { "romeo@example.net/orchard", STATE, TRAITS_WAIT_CHAT_STATE },
        { "romeo@example.net/orchard", STATE DELAY, TRAITS_WAIT_CHAT_STATE },
        { "romeo@example.net/orchard", STATE BODY, TRAITS_WAIT_NOT },
        { "romeo@example.net/orchard", RECEIVED, TRAITS_WAIT_NOT },
        { "juliet@example.net/balcony", STATE, TRAITS_WAIT_NOT },
        { "romeo@example.net", EVENT("urn:x", ""), TRAITS_WAIT_EVENT },
        { "romeo@example.net", EVENT("urn:x", "") BODY, TRAITS_WAIT_NOT },
        { "juliet@example.net", EVENT("urn:x", ""), TRAITS_WAIT_NOT },
        { "pubsub.example.net", EVENT("urn:x", ""), TRAITS_WAIT_NOT },
        { "room@example.net", ROOM("presence", ""), TRAITS_WAIT_NOT },
        /* from: whose the wrapped message is */
        { "romeo@example.net/orchard", CARBON("received", INNER("chat", STATE)),
                TRAITS_WAIT_CHAT_STATE },
        { "romeo@example.net/orchard", CARBON("received", INNER("chat", BODY)),
                TRAITS_WAIT_NOT },
        { "juliet@example.net/balcony", CARBON("sent", INNER("chat", STATE)),
                TRAITS_WAIT_NOT },
        { "room@example.net/nick", ROOM("messages", INNER("groupchat", STATE)),
                TRAITS_WAIT_CHAT_STATE },
        { "room@example.net/nick", ROOM("messages", INNER("groupchat", BODY)),
                TRAITS_WAIT_NOT },
    };
    struct jid user = { STR("juliet"), STR("example.net"), STR("phone") };
    char text[1000];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum message_type type = MESSAGE_CHAT;
        struct xml_el *el;
        struct jid from;

        snprintf(text, sizeof text, "<message>%s</message>", cases[i].inner);
        el = parse(text);
        assert_int_equal(jid_parse(&arena, str_from(cases[i].from), &from), 0);
        if (traits_wait_message(traits_inside(el, traits_of(el), &type), &from,
                    &user) != cases[i].wait)
            fail_msg("%s: %s", cases[i].from, text);
    }
}

static void
waiting_presences(void **state)
{
    static const struct {
        const char *text;
        enum traits_wait wait;
    } cases[] = {
        { "<presence/>", TRAITS_WAIT_PRESENCE },
        { "<presence type='unavailable'/>", TRAITS_WAIT_PRESENCE },
        { "<presence type='subscribe'/>", TRAITS_WAIT_NOT },
        { "<presence type='subscribed'/>", TRAITS_WAIT_NOT },
        { "<presence type='unsubscribe'/>", TRAITS_WAIT_NOT },
        { "<presence type='unsubscribed'/>", TRAITS_WAIT_NOT },
        { "<presence type='probe'/>", TRAITS_WAIT_NOT },
        { "<presence type='error'/>", TRAITS_WAIT_NOT },
        { "<presence>" MUC("<item/>") "</presence>", TRAITS_WAIT_PRESENCE },
        { "<presence>" MUC("<item/><status code='110'/>") "</presence>",
                TRAITS_WAIT_NOT },
        { "<presence type='unavailable'>" MUC("<item/><destroy/>") "</presence>",
                TRAITS_WAIT_NOT },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct xml_el *el = parse(cases[i].text);
        enum presence_type type;

        assert_int_equal(presence_type(el, &type), 0);
        if (traits_wait_presence(el, type) != cases[i].wait)
            fail_msg("%s", cases[i].text);
    }
}

static void
wrapped(void **state)
{
    static const struct {
        const char *inner, *name; /* name: of the wrapped one's id */
    } cases[] = {
        { BODY, NULL },
        { CARBON("sent", "<message xmlns='jabber:client' id='7'/>"), "7" },
        { CARBON("received", DELAY "<message xmlns='jabber:client' id='7'/>"), "7" },
        { CARBON("sent", "<message xmlns='urn:x' id='7'/>"), NULL },
        { CARBON("sent", "<iq xmlns='jabber:client' id='7'/>"), NULL },
        { CARBON("sent", ""), NULL },
        { CARBON("private", "<message xmlns='jabber:client' id='7'/>"), NULL },
        { "<sent xmlns='urn:xmpp:carbons:2'><message xmlns='jabber:client'/></sent>",
                NULL },
        { ROOM("messages", "<message xmlns='jabber:client' id='7'/>"), "7" },
        { ROOM("subject", "<message xmlns='jabber:client' id='7'/>"), "7" },
        { ROOM("config", "<message xmlns='jabber:client' id='7'/>"), NULL },
        { EVENT("messages", "<message xmlns='jabber:client' id='7'/>"), NULL },
    };
    char text[1000];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct xml_el *inner;

        snprintf(text, sizeof text, "<message>%s</message>", cases[i].inner);
        inner = traits_wrapped(parse(text));
        if (!inner != !cases[i].name ||
                (inner && !str_eq_c(xml_attr(inner, "id"), cases[i].name)))
            fail_msg("%s", text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits),
        cmocka_unit_test(long_namespaces),
        cmocka_unit_test(fates),
        cmocka_unit_test(offline_options),
        cmocka_unit_test(waiting_messages),
        cmocka_unit_test(waiting_presences),
        cmocka_unit_test(wrapped),
    };

    return cmocka_run_group_tests(tests, xml_setup, xml_teardown);
}
