/*
 * xmlpack.c -- any bytes as a packed message: what is read is XML that can be packed
 * again
 *
 * Only names that ejabberd has taken from XML are well-formed for sure: a prefix
 * without a declaration or an attribute that comes twice are for the XML parser to
 * refuse.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "xml/el.h"
#include "xml/parser.h"
#include "xmpp/ns.h"
#include "xmpp/xmlpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct xml_limits limits = {
        .stanza_size_max = 16 << 20, .tag_size_max = 64 << 10, .elements_max = 1 << 20
    };
    static struct xml_pool *pool;
    const struct str own = STR("o@h"), peer = STR("p@h/r");
    struct buf xml = { 0 }, packed = { 0 }, again = { 0 };
    struct xml_el *el, *second;
    struct arena arena;

    if (!pool)
        pool = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    arena_init(&arena, 4096);
    if (xmlpack_read(&xml, (struct str){ (const char *)data, size }, own, peer) < 0 ||
            xml_parse(pool, &limits, &arena, buf_str(&xml), NS_CLIENT, &el) != XML_OK ||
            !xmlpack_write(&packed, el, own, peer))
        goto out;
    if (xmlpack_read(&again, buf_str(&packed), own, peer) < 0 ||
            xml_parse(pool, &limits, &arena, buf_str(&again), NS_CLIENT, &second) !=
                    XML_OK ||
            !xml_equal(el, second))
        abort();
out:
    buf_fini(&xml);
    buf_fini(&packed);
    buf_fini(&again);
    arena_fini(&arena);
    return 0;
}
