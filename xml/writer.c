/*
 * writer.c -- trees to text
 *
 * Elements are written without prefixes: each one whose namespace is not the default
 * one declares it. So text can be moved between streams, databases and WebSocket frames
 * without looking at what surrounds it, apart from the default namespace there.
 */
#include "xml/writer.h"

#include "xml/el.h"
#include "xml/span.h"

/* What a byte needs: nothing, an entity, U+FFFD, or a look at the bytes behind it. */
enum care {
    AS_IS,
    ENTITY,
    WHITE, /* tab, newline: an entity outside text */
    NEVER,
    UTF8
};

#define N4(x)  x, x, x, x
#define N16(x) N4(x), N4(x), N4(x), N4(x)

/* Tab, newline and return as references: attribute values and line ends survive. */
static const unsigned char byte_care[256] = {
    NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER,              /* 00 */
    NEVER, WHITE, WHITE, NEVER, NEVER, ENTITY, NEVER, NEVER, N16(NEVER), /* 10 */
    AS_IS, AS_IS, ENTITY, AS_IS, AS_IS, AS_IS, ENTITY, ENTITY,           /* 20: " & ' */
    N4(AS_IS), N4(AS_IS), N4(AS_IS), N4(AS_IS), AS_IS, AS_IS, AS_IS,
    AS_IS,                                          /* 28 - 3b */
    ENTITY, AS_IS, ENTITY, AS_IS,                   /* < > */
    N16(AS_IS), N16(AS_IS), N16(AS_IS), N16(AS_IS), /* 40 - 7f */
    N16(UTF8), N16(UTF8), N16(UTF8), N16(UTF8),     /* 80 - bf */
    N16(UTF8), N16(UTF8), N16(UTF8), N16(UTF8),     /* c0 - ff */
};

static struct str
entity(char c)
{
    switch (c) {
    case '<':
        return STR("&lt;");
    case '>':
        return STR("&gt;");
    case '&':
        return STR("&amp;");
    case '\'':
        return STR("&apos;");
    case '"':
        return STR("&quot;");
    case '\t':
        return STR("&#9;");
    case '\n':
        return STR("&#10;");
    case '\r':
        return STR("&#13;");
    default:
        return STR("\xef\xbf\xbd");
    }
}

static void
escape(struct buf *out, struct str text, bool in_text)
{
    size_t from = 0, i = 0, size;

    while (i < text.n) {
        i += xml_span_plain(text.p + i, text.n - i);
        if (i == text.n)
            break;
        switch ((enum care)byte_care[(unsigned char)text.p[i]]) {
        case AS_IS:
            i++;
            continue;
        case WHITE:
            if (in_text) {
                i++;
                continue;
            }
            break;
        case UTF8:
            size = xml_span_utf8(text.p + i, text.n - i);
            if (size > 0) {
                i += size;
                continue;
            }
            break;
        case ENTITY:
        case NEVER:
            break;
        }
        buf_add(out, text.p + from, i - from);
        buf_add_str(out, entity(text.p[i]));
        from = ++i;
    }
    if (from < text.n)
        buf_add(out, text.p + from, text.n - from);
}

void
xml_escape(struct buf *out, struct str text)
{
    escape(out, text, false);
}

void
xml_open(struct buf *out, const char *name)
{
    buf_add_char(out, '<');
    buf_add_c(out, name);
}

static void
put(struct buf *out, struct str name, struct str value)
{
    size_t plain = xml_span_plain(value.p, value.n), n = name.n + 3 + plain;
    char *at = buf_reserve(out, n + 1);

    *at++ = ' ';
    memcpy(at, name.p, name.n);
    at += name.n;
    *at++ = '=';
    *at++ = '\'';
    if (plain > 0)
        memcpy(at, value.p, plain);
    at[plain] = '\'';
    if (plain == value.n) {
        buf_added(out, n + 1);
        return;
    }
    buf_added(out, n);
    escape(out, (struct str){ value.p + plain, value.n - plain }, false);
    buf_add_char(out, '\'');
}

void
xml_put(struct buf *out, const char *name, struct str value)
{
    if (value.p)
        put(out, str_from(name), value);
}

void
xml_leaf(struct buf *out, const char *name, struct str text)
{
    if (!text.p)
        return;
    xml_open(out, name);
    buf_add_char(out, '>');
    escape(out, text, true);
    buf_add(out, "</", 2);
    buf_add_c(out, name);
    buf_add_char(out, '>');
}

static bool
same_ns(struct str a, struct str b)
{
    return a.n == b.n && (a.p == b.p || a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* The n-th foreign namespace among the attributes of one element is prefix a<n>. */
static void
put_foreign(struct buf *out, const struct xml_el *el, const struct xml_attr *attr)
{
    unsigned n = 0;
    bool declared = false;

    for (const struct xml_attr *a = el->attrs; a != attr; a = a->next) {
        if (a->ns.n == 0 || str_eq(a->ns, STR(XML_NS)))
            continue;
        if (same_ns(a->ns, attr->ns)) {
            declared = true;
            break;
        }
        n++;
    }
    if (!declared) {
        buf_addf(out, " xmlns:a%u='", n);
        escape(out, attr->ns, false);
        buf_add_char(out, '\'');
    }
    buf_addf(out, " a%u:%.*s='", n, STR_ARG(attr->name));
    escape(out, attr->value, false);
    buf_add_char(out, '\'');
}

/* <name xmlns='…' a='…' without the end of the tag. */
static void
open_el(struct buf *out, const struct xml_el *el, struct str default_ns)
{
    buf_add_char(out, '<');
    buf_add_str(out, el->name);
    if (!same_ns(el->ns, default_ns))
        put(out, STR("xmlns"), el->ns);
    for (const struct xml_attr *a = el->attrs; a; a = a->next) {
        if (a->ns.n == 0) {
            put(out, a->name, a->value);
        } else if (str_eq(a->ns, STR(XML_NS))) {
            buf_add(out, " xml:", 5);
            buf_add_str(out, a->name);
            buf_add(out, "='", 2);
            escape(out, a->value, false);
            buf_add_char(out, '\'');
        } else {
            put_foreign(out, el, a);
        }
    }
}

void
xml_write_start(struct buf *out, const struct xml_el *el, struct str default_ns)
{
    open_el(out, el, default_ns);
    buf_add_char(out, '>');
}

void
xml_write_end(struct buf *out, const struct xml_el *el)
{
    char *at = buf_reserve(out, el->name.n + 3);

    *at++ = '<';
    *at++ = '/';
    memcpy(at, el->name.p, el->name.n);
    at[el->name.n] = '>';
    buf_added(out, el->name.n + 3);
}

void
xml_write(struct buf *out, const struct xml_el *el, struct str default_ns)
{
    const struct xml_el *at = el;

    for (;;) {
        if (xml_is_text(at)) {
            escape(out, at->text, true);
        } else {
            open_el(out, at, at == el ? default_ns : at->parent->ns);
            if (at->first) {
                buf_add_char(out, '>');
                at = at->first;
                continue;
            }
            buf_add(out, "/>", 2);
        }
        while (at != el && !at->next) {
            at = at->parent;
            xml_write_end(out, at);
        }
        if (at == el)
            return;
        at = at->next;
    }
}

struct str
xml_string(struct arena *arena, const struct xml_el *el, struct str default_ns)
{
    struct buf out = { 0 };
    struct str text;

    xml_write(&out, el, default_ns);
    text = str_dup(arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

void
xml_write_children(struct buf *out, const struct xml_el *el, struct str default_ns)
{
    for (const struct xml_el *c = el->first; c; c = c->next)
        xml_write(out, c, default_ns);
}
