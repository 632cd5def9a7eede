/*
 * xmlpack.c -- messages as ejabberd stores them with compress_xml
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "xml/el.h"
#include "xml/parser.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/xmlpack.h"

#define OWN  STR("juliet@example.net")
#define PEER STR("romeo@example.net/a")

static struct xml_pool *pool;

static int
setup(void **state)
{
    (void)state;
    pool = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    xml_pool_free(&pool);
    return 0;
}

static struct xml_el *
parse(struct arena *arena, struct str text)
{
    static const struct xml_limits limits = { .stanza_size_max = 1 << 20 };
    struct xml_el *el;

    return xml_parse(pool, &limits, arena, text, NS_CLIENT, &el) == XML_OK ? el : NULL;
}

/*
 * What ejabberd 23.01 itself has made (xml_compress:encode/3) of what is beside it. The
 * addresses are OWN and PEER.
 */
static const struct {
    struct str packed;
    const char *xml;
} made[] = {
#include "tests/unit/xmlpack.def"
};

static void
ejabberd_has_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        struct arena arena;
        struct buf out = { 0 }, again = { 0 };
        struct xml_el *wanted, *got;

        arena_init(&arena, 4096);
        wanted = parse(&arena, str_from(made[i].xml));
        assert_non_null(wanted);
        if (xmlpack_read(&out, made[i].packed, OWN, PEER) < 0)
            fail_msg("%s: not read", made[i].xml);
        got = parse(&arena, buf_str(&out));
        if (!got || !xml_equal(wanted, got))
            fail_msg("%s\nis read as\n%s", made[i].xml, buf_c(&out));
        if (!xmlpack_write(&again, wanted, OWN, PEER) ||
                !str_eq(buf_str(&again), made[i].packed))
            fail_msg("%s: we write it in another way", made[i].xml);
        arena_fini(&arena);
        buf_fini(&out);
        buf_fini(&again);
    }
}

/* Where the form of lengths changes. */
static void
lengths(void **state)
{
    static const size_t sizes[] = { 1, 63, 64, 65, 4095, 4096, 4097, 8191, 65535 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf text = { 0 }, packed = { 0 }, out = { 0 };
        struct arena arena;

        arena_init(&arena, 4096);
        buf_add_c(&text, "<message><body>");
        for (size_t n = 0; n < sizes[i]; n++)
            buf_add_char(&text, (char)('a' + n % 26));
        buf_add_c(&text, "</body></message>");
        assert_true(xmlpack_write(&packed, parse(&arena, buf_str(&text)), OWN, PEER));
        if (xmlpack_read(&out, buf_str(&packed), OWN, PEER) < 0 ||
                !str_eq(buf_str(&out), buf_str(&text)))
            fail_msg("%zu", sizes[i]);
        arena_fini(&arena);
        buf_fini(&text);
        buf_fini(&packed);
        buf_fini(&out);
    }
}

static void
what_cannot_be_written(void **state)
{
    static const char *const texts[] = {
        "<message to=''/>",                  /* a length of 0 is a NUL */
        "<message><x xmlns=''/></message>",  /* likewise */
        "<message xmlns:p='urn:p' p:a='1'/>" /* a prefix is lost */
    };
    struct buf out = { 0 }, text = { 0 };
    struct arena arena;

    (void)state;
    arena_init(&arena, 4096);
    buf_add_c(&out, "before");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (xmlpack_write(&out, parse(&arena, str_from(texts[i])), OWN, PEER) ||
                !str_eq_c(buf_str(&out), "before"))
            fail_msg("%s", texts[i]);
    }
    buf_add_c(&text, "<message><body>");
    for (size_t i = 0; i < 7000; i++)
        buf_add_c(&text, "0123456789");
    buf_add_c(&text, "</body></message>");
    assert_false(xmlpack_write(&out, parse(&arena, buf_str(&text)), OWN, PEER));
    arena_fini(&arena);
    buf_fini(&out);
    buf_fini(&text);
}

/* Whatever is cut off or changed: never more than a refusal. */
static void
damaged(void **state)
{
    static const struct str bad[] = { { "", 0 }, { "\1", 1 }, { "\2\6\2\4", 4 },
        { "\1\6\2", 3 }, { "\1\6\2\4\4", 5 }, { "\1\4", 2 }, { "\1\1\1x", 4 },
        { "\1\6\177\2\4", 5 }, { "\1\2\1<\2\4", 6 }, { "\1\6\1\1 \1x\2\4", 8 },
        { "\1\6\2\1\3\377\377\377\4", 9 }, { "\1\6\2\1\100\100\20\4", 8 } };
    struct buf out = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (xmlpack_read(&out, bad[i], OWN, PEER) != -EBADMSG)
            fail_msg("case %zu", i);
    }
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        for (size_t n = 0; n < made[i].packed.n; n++) {
            buf_reset(&out, 1 << 16);
            if (xmlpack_read(&out, (struct str){ made[i].packed.p, n }, OWN, PEER) == 0)
                fail_msg("%s, cut at %zu", made[i].xml, n);
        }
    }
    buf_fini(&out);
}

static void
too_deep(void **state)
{
    struct buf packed = { 0 }, out = { 0 };

    (void)state;
    buf_add_char(&packed, 1);
    for (int i = 0; i < 100; i++)
        buf_add(&packed, "\2\1a\2", 4);
    for (int i = 0; i < 100; i++)
        buf_add_char(&packed, 4);
    assert_int_equal(xmlpack_read(&out, buf_str(&packed), OWN, PEER), -EBADMSG);
    buf_fini(&packed);
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ejabberd_has_written),
        cmocka_unit_test(lengths),
        cmocka_unit_test(what_cannot_be_written),
        cmocka_unit_test(damaged),
        cmocka_unit_test(too_deep),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
