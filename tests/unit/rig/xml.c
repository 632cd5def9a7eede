/*
 * xml.c -- elements out of texts, for tests of what works on elements
 */
#include "tests/unit/rig/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "xmpp/ns.h"

struct xml_pool *pool;
struct arena arena;

int
xml_setup(void **state)
{
    (void)state;
    arena_init(&arena, 4096);
    pool = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    return 0;
}

int
xml_teardown(void **state)
{
    (void)state;
    xml_pool_free(&pool);
    arena_fini(&arena);
    return 0;
}

struct xml_el *
parse_in(const char *text, const char *ns)
{
    struct xml_el *el = NULL;
    enum xml_error e = xml_parse(pool, NULL, &arena, str_from(text), ns, &el);

    if (e != XML_OK)
        fail_msg("%s: %s", text, xml_error_text(e));
    return el;
}

struct xml_el *
parse(const char *text)
{
    return parse_in(text, NS_CLIENT);
}

struct jid
jid(const char *text)
{
    struct jid j;

    if (jid_parse(&arena, str_from(text), &j) < 0)
        fail_msg("%s", text);
    return j;
}
