/*
 * stanza.c -- any XML as a stanza, for everything that reads parts of one
 *
 * What the readers find is checked where it must be so; most of them only must not
 * fall.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "xml/parser.h"
#include "xml/path.h"
#include "xml/writer.h"
#include "xmpp/caps.h"
#include "xmpp/delay.h"
#include "xmpp/form.h"
#include "xmpp/forward.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/rsm.h"
#include "xmpp/stanza_id.h"
#include "xmpp/vcard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct jid us = { .local = STR("j"), .domain = STR("a.net") };

static void
check(bool ok, const char *what, struct str s)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %.*s\n", what, STR_ARG(s));
    abort();
}

static void
read_form(struct xml_el *el)
{
    enum form_type type;
    struct str var;
    uint64_t n;
    bool is;

    if (form_check(el, &type) < 0)
        return;
    form_type_of(el);
    xml_for(field, el, "field", NS_DATA)
    {
        form_field_type(field);
        form_for_value(v, field) xml_text(v);
    }
    form_text(el, "a");
    form_bool(el, "a", &is);
    form_u64(el, "a", &n);
    form_fits(el, el, &var);
    xml_for(other, el->parent, "x", NS_DATA) form_fits(el, other, &var);
}

static void
read_caps(struct arena *arena, struct xml_el *el)
{
    struct caps caps = { .hash = STR("sha-1"), .node = STR("n") };
    struct caps_info info;

    if (caps_read(arena, el, &info) == 0) {
        check(caps_ver(arena, caps.hash, &info, &caps.ver) == 0, "no hash", STR_NULL);
        check(caps_verify(arena, &caps, el) == 0, "not verified", caps.ver);
    }
    if (caps_find(el, &caps) == 0)
        caps_verify(arena, &caps, el);
}

static void
read_vcard(struct arena *arena, struct xml_el *el)
{
    struct str value = STR("v"), name = el->first ? el->first->name : STR("TEL");
    struct vcard_search row;
    struct vcard_photo photo;

    vcard_search(arena, el, &row);
    vcard_photo(el, &photo);
    for (const struct xml_el *v = vcard_get(el, name, STR_NULL); v;)
        v = vcard_get_next(v);
    if (xml_is(el, "vCard", NS_VCARD) && vcard_set(el, name, STR("B"), &value, 1) == 0)
        check(str_eq(xml_text(vcard_get(el, name, STR("B"))), value), "not set", name);
}

static void
read_messages(struct xml_el *el)
{
    struct rsm rsm;
    int64_t us_at;

    rsm_read(el, &rsm);
    forward_stanza(el, &us_at);
    delay_find(el, &us, &us_at);
    delay_remove(el, &us);
    check(delay_find(el, &us, &us_at) < 0, "still delayed", STR_NULL);
    stanza_id_get(el, &us);
    stanza_id_remove(el, &us);
    check(!stanza_id_get(el, &us).p, "still an id", STR_NULL);
    origin_id_get(el);
    xml_path_text(el, XML_PATH(XML_ELEM(NULL, NULL), XML_ATTR("id")));
}

/* The bytes in a copy mean what they meant outside. */
static void
forward(struct xml_pool *pool, struct arena *arena, const struct xml_el *el,
        struct str bytes)
{
    struct buf out = { 0 };
    struct xml_el *back = NULL;

    if (forward_write(&out, bytes, STR("a.net"), 0) == 0) {
        /* A copy is a level deeper and some bytes longer than what has just fitted. */
        struct xml_limits limits = {
            .depth_max = 1000, .elements_max = 100000, .stanza_size_max = 1 << 24
        };

        check(xml_parse(pool, &limits, arena, buf_str(&out), NS_CLIENT, &back) ==
                        XML_OK,
                "cannot be parsed", buf_str(&out));
        check(xml_equal(back->last, el), "differs", buf_str(&out));
    }
    buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xml_pool *pool = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    struct str in = { (const char *)data, size };
    struct arena arena;
    struct xml_el *el = NULL;

    arena_init(&arena, 4096);
    if (xml_parse(pool, NULL, &arena, in, NS_CLIENT, &el) == XML_OK) {
        struct str own = xml_string(&arena, el, STR(NS_CLIENT));

        forward(pool, &arena, el, str_trim(in));
        forward(pool, &arena, el, own);
        read_messages(el);
        xml_for(c, el, NULL, NULL)
        {
            read_messages(c);
            read_form(c);
            read_caps(&arena, c);
            read_vcard(&arena, c);
        }
    }
    arena_fini(&arena);
    xml_pool_free(&pool);
    return 0;
}
