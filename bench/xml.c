/*
 * xml.c -- what a stanza and an address cost
 *
 * Prints nanoseconds of CPU time per operation: a 200-byte message parsed into a tree
 * and serialised again, by a parser kept and by one from the pool each time; an address
 * parsed.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "xml/parser.h"
#include "xml/writer.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"

static const char message[] =
        "<message to='romeo@example.net/orchard' id='ktx72v49' type='chat' "
        "xml:lang='en'>"
        "<body>Art thou not Romeo, &amp; a Montague?</body>"
        "<request xmlns='urn:xmpp:receipts'/>"
        "<active xmlns='http://jabber.org/protocol/chatstates'/></message>";

struct work {
    struct buf out;
    size_t n_out;
};

static bool
on_stanza(void *arg, struct xml_el *el, size_t end)
{
    struct work *work = arg;

    (void)end;
    xml_set(el, "from", STR("juliet@example.com/balcony"));
    buf_reset(&work->out, 4096);
    xml_write(&work->out, el, STR(NS_CLIENT));
    work->n_out += work->out.n;
    return true;
}

static const struct xml_handlers handlers = { .on_stanza = on_stanza };

static double
cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
bench_stanza(const char *name, bool pooled)
{
    enum {
        ROUNDS = 300000
    };
    struct xml_pool *pool = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    struct work work = { 0 };
    struct xml_parser *p = NULL;
    double start = cpu_ns();

    for (int i = 0; i < ROUNDS; i++) {
        if (!p)
            p = xml_parser_get(pool, NULL, STR_NULL, &handlers, &work);
        if (xml_parser_feed(p, message, sizeof message - 1) != XML_OK)
            return;
        if (pooled && xml_parser_idle(p))
            xml_parser_put(&p);
    }
    printf("%-28s %5.0f ns (%zu bytes in, %zu out)\n", name,
            (cpu_ns() - start) / ROUNDS, sizeof message - 1, work.n_out / ROUNDS);
    xml_parser_put(&p);
    xml_pool_free(&pool);
    buf_fini(&work.out);
}

static void
bench_jid(const char *name, const char *text)
{
    enum {
        ROUNDS = 300000
    };
    struct arena arena;
    struct jid jid;
    double start;
    int r = 0;

    arena_init(&arena, 65536);
    start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++) {
        r |= jid_parse(&arena, str_from(text), &jid);
        arena_reset(&arena);
    }
    printf("%-28s %5.0f ns%s\n", name, (cpu_ns() - start) / ROUNDS,
            r ? " (refused)" : "");
    arena_fini(&arena);
}

int
main(void)
{
    bench_stanza("message, own parser", false);
    bench_stanza("message, parser from pool", true);
    bench_jid("address, prepared", "juliet@example.com/balcony");
    bench_jid("address, with capitals", "Juliet@Example.com/balcony");
    bench_jid("address, international", "j\xc3\xbcliet@b\xc3\xbc"
                                        "cher.example/balcony");
    return 0;
}
