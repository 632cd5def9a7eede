/*
 * xmlpair.c -- any bytes through two parsers, of which one reads simple stanzas itself
 *
 * The other leaves everything to expat. They get the same bytes in the same pieces and
 * must tell the same: the same stanzas that end at the same places, the same error
 * after the same piece, and after each piece the same about what is kept and what was
 * white space. Between two stanzas the parsers are put back now and then, handlers stop
 * them, and what is kept is fed again as after a crash.
 *
 * The first byte chooses: bit 0: with a header or primed; bit 1: with narrow limits;
 * bit 2: large pieces; bit 3: handlers stop. The second one is the seed of the cuts.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "xml/parser.h"
#include "xml/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    HEADED = 1,
    NARROW = 2,
    LARGE = 4,
    STOPS = 8,
    /*
     * More than this goes to expat in pieces, and what it says of something malformed
     * may depend on where they begin.
     */
    PIECE = 2048
};

static const struct xml_limits wide = {
    .stanza_size_max = 4000,
    .tag_size_max = 1000,
    .depth_max = 20,
    .attrs_max = 20,
    .elements_max = 100,
    .namespaces_max = 10,
};
static const struct xml_limits narrow = {
    .stanza_size_max = 120,
    .tag_size_max = 40,
    .depth_max = 4,
    .attrs_max = 3,
    .elements_max = 5,
    .namespaces_max = 4,
};

static struct xml_pool *pools[2]; /* [1]: only expat */

/* One of the two, and what it has told. */
struct side {
    struct xml_pool *pool;
    const struct xml_limits *limits;
    struct xml_parser *parser;
    struct buf told, scopes;
    size_t offset; /* of this feed in the stream */
    size_t end;    /* in this feed, of what came last */
    unsigned n, stop_each;
    bool opened, closed;
};

static bool
on_open(void *arg, const struct xml_header *header)
{
    struct side *side = arg;

    xml_write_start(&side->told, header->el, header->default_ns);
    buf_addf(&side->told, " %zu\n", side->offset + header->end);
    buf_add_str(&side->scopes, header->scopes);
    side->opened = true;
    side->end = header->end;
    return true;
}

/* All that a handler can see of a tree, which the writer might make equal. */
static void
tell_tree(struct buf *out, const struct xml_el *el)
{
    for (const struct xml_el *at = el;;) {
        buf_addf(out, "{%.*s}%.*s", STR_ARG(at->ns), STR_ARG(at->name));
        buf_addf(out, "|%.*s|%d", STR_ARG(at->text), at->text.p == NULL);
        for (const struct xml_attr *a = at->attrs; a; a = a->next)
            buf_addf(out, " {%.*s}%.*s=%.*s|", STR_ARG(a->ns), STR_ARG(a->name),
                    STR_ARG(a->value));
        if (at->first) {
            at = at->first;
            continue;
        }
        while (at != el && !at->next) {
            buf_add_char(out, '/');
            at = at->parent;
        }
        if (at == el)
            return;
        at = at->next;
    }
}

static bool
on_stanza(void *arg, struct xml_el *el, size_t end)
{
    struct side *side = arg;

    tell_tree(&side->told, el);
    xml_write(&side->told, el, STR("jabber:client"));
    buf_addf(&side->told, " %zu\n", side->offset + end);
    side->end = end;
    return side->stop_each == 0 || ++side->n % side->stop_each != 0;
}

static bool
on_close(void *arg, size_t end)
{
    struct side *side = arg;

    buf_addf(&side->told, "close %zu\n", side->offset + end);
    side->closed = true;
    return false;
}

static const struct xml_handlers handlers = { on_open, on_stanza, on_close };

static void
differ(const struct side sides[2], const char *what, size_t a, size_t b)
{
    fprintf(stderr, "%s: %zu, by expat %zu\n%s\nby expat:\n%s\n", what, a, b,
            buf_c(&sides[0].told), buf_c(&sides[1].told));
    abort();
}

static void
take_parser(struct side *side)
{
    if (side->parser)
        return;
    if (side->opened)
        side->parser = xml_parser_get(
                side->pool, side->limits, buf_str(&side->scopes), &handlers, side);
    else
        side->parser = xml_parser_open(side->pool, side->limits, &handlers, side);
}

/* Feeds a piece of the stream to both, from memory that ends where it does. */
static enum xml_error
feed(struct side sides[2], const uint8_t *data, size_t at, size_t n)
{
    enum xml_error e[2] = { XML_OK, XML_OK };
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy)
        abort();
    memcpy(copy, data + at, n);
    for (unsigned i = 0; i < 2; i++) {
        take_parser(&sides[i]);
        sides[i].offset = at;
        sides[i].end = 0;
        e[i] = xml_parser_feed(sides[i].parser, copy, n);
    }
    free(copy);
    if (e[0] != e[1])
        differ(sides, "error", e[0], e[1]);
    if (sides[0].told.n != sides[1].told.n ||
            strcmp(buf_c(&sides[0].told), buf_c(&sides[1].told)) != 0)
        differ(sides, "told", sides[0].told.n, sides[1].told.n);
    if (sides[0].end != sides[1].end)
        differ(sides, "end", sides[0].end, sides[1].end);
#define SAME(fn)                                    \
    if (fn(sides[0].parser) != fn(sides[1].parser)) \
    differ(sides, #fn, (size_t)fn(sides[0].parser), (size_t)fn(sides[1].parser))
    SAME(xml_parser_kept);
    SAME(xml_parser_idle);
    if (e[0] == XML_OK)
        SAME(xml_parser_n_space);
#undef SAME
    return e[0];
}

static void
put_both(struct side sides[2])
{
    xml_parser_put(&sides[0].parser);
    xml_parser_put(&sides[1].parser);
}

static void
compare(const uint8_t *data, size_t size, unsigned how, uint32_t seed)
{
    struct side sides[2] = { 0 };
    size_t i = 0;

    for (unsigned k = 0; k < 2; k++) {
        sides[k].pool = pools[k];
        sides[k].limits = how & NARROW ? &narrow : &wide;
        sides[k].opened = !(how & HEADED);
        sides[k].stop_each = how & STOPS ? 1 + seed % 3 : 0;
    }
    while (i < size) {
        enum xml_error e;
        size_t n;

        seed = seed * 1103515245u + 12345u;
        n = 1 + (seed >> 16) % (how & LARGE ? PIECE : 40);
        if (n > size - i)
            n = size - i;
        e = feed(sides, data, i, n);
        if (e == XML_STOPPED && !sides[0].closed) {
            /* Another parser goes on behind the stanza. */
            put_both(sides);
            i += sides[0].end;
            continue;
        }
        if (e != XML_OK)
            break;
        i += n;
        if (xml_parser_idle(sides[0].parser) && (seed >> 28) < 8) {
            put_both(sides);
        } else if ((seed >> 24) % 16 == 0) {
            size_t kept = xml_parser_kept(sides[0].parser);

            put_both(sides);
            if (kept > PIECE)
                break;
            if (kept > 0 && feed(sides, data, i - kept, kept) != XML_OK)
                break;
        }
    }
    put_both(sides);
    for (unsigned k = 0; k < 2; k++) {
        buf_fini(&sides[k].told);
        buf_fini(&sides[k].scopes);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    for (unsigned k = 0; k < 2 && !pools[k]; k++)
        pools[k] = xml_pool_new(
                "stream:stream", "http://etherx.jabber.org/streams", "jabber:client");
    xml_pool_use_expat(pools[1]);
    compare(data + 2, size - 2, data[0], data[1]);
    return 0;
}
