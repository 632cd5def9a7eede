/*
 * traits.c -- what it costs to tell what a message carries
 *
 * Prints nanoseconds of CPU time per message: the walk over its children, and with it
 * all decisions that a delivery takes.
 */
#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "xml/parser.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/traits.h"

enum {
    ROUNDS = 3000000
};

static struct xml_pool *pool;
static struct arena arena;

static double
cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static unsigned
decide(uint64_t t, enum message_type type, const struct jid *peer)
{
    return (unsigned)traits_storable(t, type, TRAITS_EMPTY_UNLESS_CHAT_STATE, false) +
           traits_archivable(t, type) + traits_wakes(t, type) +
           traits_copyable(t, type, TRAITS_SENT, peer) +
           traits_copyable(t, type, TRAITS_RECEIVED, peer) +
           traits_wait_message(t, peer, peer);
}

static void
bench(const char *name, const char *text)
{
    struct jid peer = { STR("romeo"), STR("example.net"), STR("orchard") };
    struct xml_el *el = NULL;
    enum message_type type;
    uint64_t all = 0;
    double start, walk;
    unsigned n = 0;

    if (xml_parse(pool, NULL, &arena, str_from(text), NS_CLIENT, &el) != XML_OK)
        return;
    type = message_type(el);
    start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++) {
        __asm__ volatile("" : "+r"(el));
        all += traits_of(el);
    }
    walk = cpu_ns() - start;
    start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++) {
        __asm__ volatile("" : "+r"(el));
        n += decide(traits_of(el), type, &peer);
    }
    printf("%-34s %5.1f ns, with all decisions %5.1f ns (%llx %u)\n", name,
            walk / ROUNDS, (cpu_ns() - start) / ROUNDS,
            (unsigned long long)(all / ROUNDS), n / ROUNDS);
    arena_reset(&arena);
}

int
main(void)
{
    pool = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    arena_init(&arena, 4096);
    bench("body", "<message type='chat'><body>hi</body></message>");
    bench("body, receipt, state, origin-id",
            "<message type='chat'><body>Art thou not Romeo?</body>"
            "<request xmlns='urn:xmpp:receipts'/>"
            "<active xmlns='http://jabber.org/protocol/chatstates'/>"
            "<origin-id xmlns='urn:xmpp:sid:0' id='x'/></message>");
    bench("encrypted, as Conversations sends",
            "<message type='chat'><body>OMEMO</body>"
            "<encrypted xmlns='eu.siacs.conversations.axolotl'><header/><payload/>"
            "</encrypted><store xmlns='urn:xmpp:hints'/>"
            "<encryption xmlns='urn:xmpp:eme:0'/>"
            "<markable xmlns='urn:xmpp:chat-markers:0'/>"
            "<request xmlns='urn:xmpp:receipts'/>"
            "<origin-id xmlns='urn:xmpp:sid:0' id='x'/></message>");
    xml_pool_free(&pool);
    arena_fini(&arena);
    return 0;
}
