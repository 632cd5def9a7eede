/*
 * xml.c -- any bytes as a stream: no crash, and the same stanzas however they are cut
 *
 * The first byte chooses how: bit 0: with a header or primed; the rest: the seed of the
 * cuts. The stream is read once in one go, once in pieces with a parser from the pool
 * after idle moments, and the kept bytes are fed again now and then, as after a crash.
 * Each stanza must come back equal from what the writer makes of it.
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

static struct xml_pool *pool;
static const struct xml_limits limits = {
    .stanza_size_max = 4000,
    .tag_size_max = 1000,
    .depth_max = 20,
    .attrs_max = 20,
    .elements_max = 100,
    .namespaces_max = 10,
};

struct seen {
    struct buf text, scopes;
    size_t offset;
};

static void
check(bool ok, const char *what, const char *text)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, text);
    abort();
}

static bool
on_open(void *arg, const struct xml_header *header)
{
    struct seen *seen = arg;

    xml_write_start(&seen->text, header->el, header->default_ns);
    buf_addf(&seen->text, " %zu\n", seen->offset + header->end);
    buf_add_str(&seen->scopes, header->scopes);
    buf_reserve(&seen->scopes, 0); /* tells that there was a header */
    return true;
}

static bool
on_stanza(void *arg, struct xml_el *el, size_t end)
{
    struct seen *seen = arg;
    struct buf once = { 0 }, twice = { 0 };
    struct xml_el *back = NULL;
    struct arena arena;

    arena_init(&arena, 4096);
    xml_write(&once, el, STR("jabber:client"));
    /* Declarations and references may make the text longer than the limits. */
    check(xml_parse(pool, NULL, &arena, buf_str(&once), "jabber:client", &back) ==
                    XML_OK,
            "does not parse", once.p);
    check(xml_equal(el, back), "differs", once.p);
    xml_write(&twice, back, STR("jabber:client"));
    check(strcmp(once.p, twice.p) == 0, "unstable", once.p);
    check(xml_equal(xml_copy(&arena, back), back), "bad copy", once.p);
    buf_addf(&seen->text, "%s %zu\n", once.p, seen->offset + end);
    arena_fini(&arena);
    buf_fini(&once);
    buf_fini(&twice);
    return true;
}

static bool
on_close(void *arg, size_t end)
{
    struct seen *seen = arg;

    buf_addf(&seen->text, "close %zu\n", seen->offset + end);
    return false;
}

static const struct xml_handlers handlers = { on_open, on_stanza, on_close };

static struct xml_parser *
parser_for(struct seen *seen, bool primed)
{
    if (primed || seen->scopes.p)
        return xml_parser_get(pool, &limits, buf_str(&seen->scopes), &handlers, seen);
    return xml_parser_open(pool, &limits, &handlers, seen);
}

static enum xml_error
feed_copy(struct xml_parser *p, const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n);
    enum xml_error e;

    if (!copy)
        abort();
    memcpy(copy, data, n);
    e = xml_parser_feed(p, copy, n);
    free(copy);
    return e;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = { 0 }, split = { 0 };
    struct xml_parser *p;
    enum xml_error e_whole = XML_OK, e = XML_OK;
    uint32_t seed;
    bool primed;

    if (size < 2)
        return 0;
    if (!pool)
        pool = xml_pool_new(
                "stream:stream", "http://etherx.jabber.org/streams", "jabber:client");
    primed = data[0] & 1;
    seed = data[0] + 1u;
    data++;
    size--;

    p = parser_for(&whole, primed);
    e_whole = feed_copy(p, data, size);
    xml_parser_put(&p);

    for (size_t i = 0; i < size && e == XML_OK;) {
        size_t n;

        seed = seed * 1103515245u + 12345u;
        n = 1 + (seed >> 16) % 9;
        if (n > size - i)
            n = size - i;
        if (!p)
            p = parser_for(&split, primed);
        split.offset = i;
        e = feed_copy(p, data + i, n);
        i += n;
        if (e != XML_OK)
            break;
        check(xml_parser_kept(p) <= i, "keeps too much", "");
        if (xml_parser_idle(p) && (seed >> 28) < 12) {
            xml_parser_put(&p);
        } else if ((seed >> 24) % 16 == 0 && xml_parser_kept(p) < 20) {
            size_t kept = xml_parser_kept(p);

            xml_parser_put(&p);
            p = parser_for(&split, primed);
            split.offset = i - kept;
            e = kept ? feed_copy(p, data + i - kept, kept) : XML_OK;
        }
    }
    xml_parser_put(&p);
    /*
     * An error may show earlier in one of them, as may the end. What was seen before is
     * the same.
     */
    if (e == XML_OK || e == XML_STOPPED)
        check(strcmp(buf_c(&whole.text), buf_c(&split.text)) == 0, buf_c(&whole.text),
                buf_c(&split.text));
    else
        check(strncmp(buf_c(&whole.text), buf_c(&split.text), split.text.n) == 0,
                buf_c(&whole.text), buf_c(&split.text));
    if (e_whole == XML_STOPPED)
        check(e != XML_OK, "not closed", buf_c(&whole.text));
    buf_fini(&whole.text);
    buf_fini(&whole.scopes);
    buf_fini(&split.text);
    buf_fini(&split.scopes);
    return 0;
}
