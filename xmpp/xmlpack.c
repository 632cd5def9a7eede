/*
 * xmlpack.c -- messages as ejabberd's compress_xml stores them
 *
 * Frequent elements and attributes are numbers, by a table that must never change:
 * xmlpack.def. What is read comes from a database that others have written to, so
 * it is read as if it came from outside, and only what makes well-formed XML is taken.
 */
#include "xmpp/xmlpack.h"

#include <errno.h>
#include <stdint.h>

#include "base/mem.h"
#include "xml/el.h"
#include "xml/writer.h"
#include "xmpp/ns.h"

enum {
    MARK = 1,
    CHILD_TEXT = 1,
    CHILD_SAME = 2,
    CHILD_OTHER = 3,
    CHILD_END = 4,
    ATTR_OTHER = 1,
    ATTR_END = 2,
    DEPTH_MAX = 64,
    OUT_MAX = 8 << 20,
    STRING_MAX = UINT16_MAX /* longer ones ejabberd's lengths cannot say */
};

enum row_kind {
    ROW_ELEMENT,
    ROW_TEXT,
    ROW_STRING,
    ROW_OWN,
    ROW_PEER,
    ROW_OWN_REST,
    ROW_PEER_REST,
    ROW_WORD
};

static const struct row {
    uint8_t number;
    uint8_t kind;
    struct str name, text; /* of an element: text is its namespace */
} rows[] = {
#define ELEMENT(number, ns, name)       { number, ROW_ELEMENT, STR(name), STR(ns) },
#define ATTR(number, name, kind, value) { number, ROW_##kind, STR(name), STR(value) },
#define TEXT(number, value)             { number, ROW_TEXT, { NULL, 0 }, STR(value) },
#include "xmpp/xmlpack.def"
};

/* The addresses that are left out of the text. */
struct sides {
    struct str own, peer;
};

/* The next row of the same element; NULL: there is none. */
static const struct row *
row_next(const struct row *r)
{
    r++;
    return r == rows + ARRAY_LEN(rows) || r->kind == ROW_ELEMENT ? NULL : r;
}

static struct str
joined_with(const struct row *r, const struct sides *sides)
{
    switch ((enum row_kind)r->kind) {
    case ROW_OWN:
    case ROW_OWN_REST:
        return sides->own;
    case ROW_PEER:
    case ROW_PEER_REST:
        return sides->peer;
    case ROW_WORD:
        return r->text;
    case ROW_ELEMENT:
    case ROW_TEXT:
    case ROW_STRING:
        break;
    }
    return STR("");
}

static bool
has_string(const struct row *r)
{
    return r->kind == ROW_STRING || r->kind == ROW_OWN_REST || r->kind == ROW_PEER_REST;
}

/* --- Reading --- */

struct reader {
    const unsigned char *at, *end;
    const struct sides *sides;
    struct buf *out;
    unsigned depth;
};

static int
read_byte(struct reader *r)
{
    return r->at == r->end ? -EBADMSG : *r->at++;
}

/* 6 bits of the length, the lowest first, while bit 6 says that more follow. */
static int
read_string(struct reader *r, struct str *ret)
{
    size_t n = 0;
    int b;

    for (unsigned shift = 0; shift <= 12; shift += 6) {
        b = read_byte(r);
        if (b < 0 || (shift < 12 ? b & 128 : b > 15))
            return -EBADMSG;
        n |= (size_t)(shift < 12 ? b & 63 : b) << shift;
        if (shift == 12 || !(b & 64))
            break;
    }
    if (n > (size_t)(r->end - r->at))
        return -EBADMSG;
    *ret = (struct str){ (const char *)r->at, n };
    r->at += n;
    return str_is_utf8(*ret) ? 0 : -EBADMSG;
}

/* Letters of other scripts pass: they come out as they came in. */
static bool
is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';

        if (!letter && c < 128 && c != '_' &&
                (i == 0 || ((c < '0' || c > '9') && c != '-' && c != '.' && c != ':')))
            return false;
    }
    return s.n > 0;
}

static void
put_attr(struct buf *out, struct str name, struct str value, struct str rest)
{
    buf_add_char(out, ' ');
    buf_add_str(out, name);
    buf_add_c(out, "='");
    xml_escape(out, value);
    xml_escape(out, rest);
    buf_add_char(out, '\'');
}

static int
read_attrs(struct reader *r, const struct row *element)
{
    struct str name, value;
    int b;

    while ((b = read_byte(r)) != ATTR_END) {
        const struct row *a = element ? row_next(element) : NULL;

        if (b < 0 || r->out->n > OUT_MAX)
            return -EBADMSG;
        if (b == ATTR_OTHER) {
            if (read_string(r, &name) < 0 || read_string(r, &value) < 0 ||
                    !is_name(name))
                return -EBADMSG;
            put_attr(r->out, name, value, STR(""));
            continue;
        }
        while (a && (a->number != b || a->kind == ROW_TEXT))
            a = row_next(a);
        value = STR("");
        if (!a || (has_string(a) && read_string(r, &value) < 0))
            return -EBADMSG;
        put_attr(r->out, a->name, joined_with(a, r->sides), value);
    }
    return 0;
}

static int read_child(struct reader *r, const struct row *parent, struct str ns, int b);

/* Behind its number, and its name where it has no row. */
static int
read_element(struct reader *r, const struct row *row, struct str ns, struct str name,
        struct str parent_ns)
{
    int b;

    if (++r->depth > DEPTH_MAX || !is_name(name))
        return -EBADMSG;
    buf_add_char(r->out, '<');
    buf_add_str(r->out, name);
    if (!str_eq(ns, parent_ns))
        put_attr(r->out, STR("xmlns"), ns, STR(""));
    if (read_attrs(r, row) < 0)
        return -EBADMSG;
    buf_add_char(r->out, '>');
    while ((b = read_byte(r)) != CHILD_END) {
        if (b < 0 || read_child(r, row, ns, b) < 0)
            return -EBADMSG;
    }
    buf_add_c(r->out, "</");
    buf_add_str(r->out, name);
    buf_add_char(r->out, '>');
    r->depth--;
    return 0;
}

static int
read_child(struct reader *r, const struct row *parent, struct str ns, int b)
{
    struct str text, other = ns;

    if (r->out->n > OUT_MAX)
        return -EBADMSG;
    if (b == CHILD_TEXT) {
        if (read_string(r, &text) < 0)
            return -EBADMSG;
        xml_escape(r->out, text);
        return 0;
    }
    if (b == CHILD_SAME || b == CHILD_OTHER) {
        if ((b == CHILD_OTHER && read_string(r, &other) < 0) ||
                read_string(r, &text) < 0)
            return -EBADMSG;
        return read_element(r, NULL, other, text, ns);
    }
    for (const struct row *t = parent; t; t = row_next(t)) {
        if (t->kind != ROW_TEXT || t->number != b)
            continue;
        xml_escape(r->out, t->text);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].kind == ROW_ELEMENT && rows[i].number == b)
            return read_element(r, &rows[i], rows[i].text, rows[i].name, ns);
    }
    return -EBADMSG;
}

int
xmlpack_read(struct buf *out, struct str packed, struct str own, struct str peer)
{
    struct sides sides = { own, peer };
    struct reader r = { .at = (const unsigned char *)packed.p,
        .end = (const unsigned char *)packed.p + packed.n,
        .sides = &sides,
        .out = out };
    int b;

    if (read_byte(&r) != MARK)
        return -EBADMSG;
    b = read_byte(&r);
    if (b < 0 || b == CHILD_TEXT || b == CHILD_END ||
            read_child(&r, NULL, STR(NS_CLIENT), b) < 0)
        return -EBADMSG;
    return r.at == r.end ? 0 : -EBADMSG;
}

/* --- Writing --- */

static bool
put_string(struct buf *out, struct str s)
{
    if (s.n > STRING_MAX)
        return false;
    if (s.n < 64) {
        buf_add_char(out, (char)s.n);
    } else if (s.n < 4096) {
        buf_add_char(out, (char)(64 | (s.n & 63)));
        buf_add_char(out, (char)(s.n >> 6));
    } else {
        buf_add_char(out, (char)(64 | (s.n & 63)));
        buf_add_char(out, (char)(64 | (s.n >> 6 & 63)));
        buf_add_char(out, (char)(s.n >> 12));
    }
    buf_add_str(out, s);
    return true;
}

/* The first row for this attribute that says its value. */
static bool
put_value(struct buf *out, const struct row *element, struct str name, struct str value,
        const struct sides *sides)
{
    for (const struct row *a = element ? row_next(element) : NULL; a; a = row_next(a)) {
        struct str begin;

        if (a->kind == ROW_TEXT || !str_eq(a->name, name))
            continue;
        begin = joined_with(a, sides);
        if (has_string(a) ? !str_starts(value, begin) : !str_eq(value, begin))
            continue;
        buf_add_char(out, (char)a->number);
        return !has_string(a) ||
               put_string(out, (struct str){ value.p + begin.n, value.n - begin.n });
    }
    buf_add_char(out, ATTR_OTHER);
    return put_string(out, name) && put_string(out, value);
}

static const struct row *
row_of(const struct xml_el *el)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].kind == ROW_ELEMENT && str_eq(rows[i].name, el->name) &&
                str_eq(rows[i].text, el->ns))
            return &rows[i];
    }
    return NULL;
}

static bool
put_text(struct buf *out, const struct row *element, struct str text)
{
    for (const struct row *t = element; t; t = row_next(t)) {
        if (t->kind != ROW_TEXT || !str_eq(t->text, text))
            continue;
        buf_add_char(out, (char)t->number);
        return true;
    }
    buf_add_char(out, CHILD_TEXT);
    return put_string(out, text);
}

static bool
put_attrs(struct buf *out, const struct xml_el *el, const struct row *row,
        const struct sides *sides)
{
    for (const struct xml_attr *a = el->attrs; a; a = a->next) {
        struct str name = a->name;

        if (a->ns.n) {
            if (!str_eq_c(a->ns, XML_NS) || !str_eq_c(name, "lang"))
                return false;
            name = STR("xml:lang");
        }
        if (!put_value(out, row, name, a->value, sides))
            return false;
    }
    buf_add_char(out, ATTR_END);
    return true;
}

static bool
put_element(struct buf *out, const struct xml_el *el, struct str parent_ns,
        const struct sides *sides)
{
    const struct row *row = row_of(el);

    if (row) {
        buf_add_char(out, (char)row->number);
    } else if (str_eq(el->ns, parent_ns)) {
        buf_add_char(out, CHILD_SAME);
        if (!put_string(out, el->name))
            return false;
    } else {
        buf_add_char(out, CHILD_OTHER);
        if (!put_string(out, el->ns) || !put_string(out, el->name))
            return false;
    }
    if (!put_attrs(out, el, row, sides))
        return false;
    for (const struct xml_el *c = el->first; c; c = c->next) {
        if (xml_is_text(c) ? !put_text(out, row, c->text)
                           : !put_element(out, c, el->ns, sides))
            return false;
    }
    buf_add_char(out, CHILD_END);
    return true;
}

bool
xmlpack_write(
        struct buf *out, const struct xml_el *message, struct str own, struct str peer)
{
    struct sides sides = { own, peer };
    size_t before = out->n;

    buf_add_char(out, MARK);
    /* A length of nothing is a NUL, which no column of text can hold. */
    if (put_element(out, message, STR(NS_CLIENT), &sides) &&
            !memchr(out->p + before, '\0', out->n - before))
        return true;
    out->n = before;
    return false;
}
