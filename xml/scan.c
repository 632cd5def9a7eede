/*
 * scan.c -- the parts of a simple stanza
 *
 * One pass over the bytes of one whole stanza, which finds its tags, attributes and
 * texts. Nothing is built and nothing but the result is written, so it may give up at
 * any byte; and it does so whenever the answer is not plain to see. Expat reads such a
 * stanza from its start and says what is wrong with it, if anything is.
 *
 * So what is accepted here must be accepted by expat, with the same result. Simple are:
 * names of ASCII letters, digits and : _ - . ; attributes with = and a quote right
 * behind the name; the five predefined references; in values no white space but
 * spaces, which is all that normalisation would leave alone; no return, no comment,
 * CDATA section or instruction.
 */
#include "xml/scan.h"

#include "xml/parser.h"
#include "xml/span.h"

/* Bytes of names: what may begin one, and what may only follow. */
enum {
    FIRST = 1,
    LATER = 2
};
#define N4(x)  x, x, x, x
#define N8(x)  N4(x), N4(x)
#define N16(x) N8(x), N8(x)

static const unsigned char name_byte[256] = {
    N16(0), N16(0),                                    /* 00 - 1f */
    N8(0), N4(0), 0, LATER, LATER, 0,                  /* 20 - 2f: - . */
    N8(LATER), LATER, LATER, FIRST, 0, N4(0),          /* 30 - 3f: 0 - 9 : */
    0, FIRST, FIRST, FIRST, N4(FIRST), N8(FIRST),      /* 40 - 4f */
    N8(FIRST), FIRST, FIRST, FIRST, 0, 0, 0, 0, FIRST, /* 50 - 5f: _ */
    0, FIRST, FIRST, FIRST, N4(FIRST), N8(FIRST),      /* 60 - 6f */
    N8(FIRST), FIRST, FIRST, FIRST, 0, N4(0),          /* 70 - 7f */
};

static const struct {
    struct str text;
    char stands_for;
} refs[] = {
    { { "&amp;", 5 }, '&' },
    { { "&lt;", 4 }, '<' },
    { { "&gt;", 4 }, '>' },
    { { "&apos;", 6 }, '\'' },
    { { "&quot;", 6 }, '"' },
};

/* How many bytes the reference at s has, and what it stands for; 0: not one of ours. */
static size_t
ref_size(const char *s, size_t n, char *ret_c)
{
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        struct str ref = refs[i].text;

        if (n >= ref.n && s[1] == ref.p[1] && memcmp(s, ref.p, ref.n) == 0) {
            *ret_c = refs[i].stands_for;
            return ref.n;
        }
    }
    return 0;
}

size_t
xml_scan_dereference(char *s, size_t n)
{
    size_t to = 0;

    for (size_t i = 0; i < n;) {
        if (s[i] == '&')
            i += ref_size(s + i, n - i, &s[to]);
        else
            s[to] = s[i++];
        to++;
    }
    return to;
}

static const char *
skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t'))
        at++;
    return at;
}

/* Behind the name at `at`; NULL: there is none, or it goes on behind the end. */
static const char *
skip_name(const char *at, const char *end)
{
    if (at == end || name_byte[(unsigned char)*at] != FIRST)
        return NULL;
    while (++at < end)
        if (!name_byte[(unsigned char)*at])
            return at;
    return NULL;
}

/* Where a text ('<') or a value (its quote) ends. */
static const char *
skip_chars(const char *at, const char *end, char stop, bool *ret_refs)
{
    bool in_text = stop == '<';
    size_t n;
    char c;

    *ret_refs = false;
    for (;;) {
        at += xml_span_plain(at, (size_t)(end - at));
        if (at == end)
            return NULL;
        if (*at == stop)
            return at;
        n = 1;
        if ((unsigned char)*at >= 0x80) {
            n = xml_span_utf8(at, (size_t)(end - at));
        } else if (*at == '&') {
            n = ref_size(at, (size_t)(end - at), &c);
            *ret_refs = true;
        } else if (*at == '<') {
            return NULL;
        } else if (*at == ']') {
            if (in_text && end - at >= 3 && at[1] == ']' && at[2] == '>')
                return NULL;
        } else if ((unsigned char)*at < ' ' &&
                   !(in_text && (*at == '\n' || *at == '\t'))) {
            return NULL;
        }
        if (n == 0)
            return NULL;
        at += n;
    }
}

static struct xml_mark *
add_mark(struct xml_scan *scan, enum xml_mark_kind kind, size_t at, size_t n)
{
    struct xml_mark *m;

    if (scan->n_marks == XML_MARKS_MAX)
        return NULL;
    m = &scan->marks[scan->n_marks++];
    *m = (struct xml_mark){
        .at = (uint32_t)at,
        .n = (uint32_t)n,
        .kind = (uint8_t)kind,
    };
    return m;
}

static bool
is_twice(const char *s, const struct xml_mark *attrs, const struct xml_mark *attr)
{
    for (; attrs < attr; attrs++)
        if (attrs->n == attr->n && memcmp(s + attrs->at, s + attr->at, attr->n) == 0)
            return true;
    return false;
}

/* An attribute; returns where it ends. */
static const char *
scan_attr(struct xml_scan *scan, const char *s, const char *at, const char *end,
        struct xml_mark *start)
{
    const char *name_end = skip_name(at, end), *value, *value_end;
    struct xml_mark *m;
    bool has_refs;

    if (!name_end || end - name_end < 2 || name_end[0] != '=' ||
            (name_end[1] != '\'' && name_end[1] != '"'))
        return NULL;
    value = name_end + 2;
    value_end = skip_chars(value, end, name_end[1], &has_refs);
    if (!value_end)
        return NULL;
    m = add_mark(scan, XML_MARK_ATTR, (size_t)(at - s), (size_t)(name_end - at));
    if (!m || is_twice(s, start + 1, m))
        return NULL;
    m->value_n = (uint32_t)(value_end - value);
    m->refs = has_refs;
    start->n_attrs++;
    return value_end + 1;
}

/* A start tag, and whether it is an empty element's; returns where it ends. */
static const char *
scan_start(struct xml_scan *scan, const char *s, const char *at, const char *end,
        size_t attrs_max, bool *ret_empty)
{
    const char *name = at + 1;
    struct xml_mark *start;

    at = skip_name(name, end);
    start = at ? add_mark(scan, XML_MARK_START, (size_t)(name - s), (size_t)(at - name))
               : NULL;
    if (!start)
        return NULL;
    for (;;) {
        const char *before = at;

        if (at == end)
            return NULL;
        if (*at == '>') {
            *ret_empty = false;
            return at + 1;
        }
        at = skip_space(at, end);
        if (at == end)
            return NULL;
        if (*at == '>')
            continue;
        if (*at == '/') {
            *ret_empty = true;
            return end - at >= 2 && at[1] == '>' ? at + 2 : NULL;
        }
        if (at == before || start->n_attrs == attrs_max)
            return NULL;
        at = scan_attr(scan, s, at, end, start);
        if (!at)
            return NULL;
    }
}

/* The end tag of an element of this name; returns where it ends. */
static const char *
scan_end(const char *at, const char *end, const char *name, size_t n)
{
    at += 2;
    if ((size_t)(end - at) <= n || memcmp(at, name, n) != 0)
        return NULL;
    at = skip_space(at + n, end);
    return at < end && *at == '>' ? at + 1 : NULL;
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

bool
xml_scan(
        struct xml_scan *scan, const char *s, size_t n, const struct xml_limits *limits)
{
    const char *at = s, *tag,
               *end = s + least(n, least(limits->stanza_size_max, UINT32_MAX));
    size_t depth_max = least(limits->depth_max, XML_SCAN_DEPTH_MAX);
    size_t attrs_max = least(limits->attrs_max, XML_SCAN_ATTRS_MAX);
    size_t depth = 0, n_elements = 0;
    uint8_t open[XML_SCAN_DEPTH_MAX]; /* the marks of elements that are open */
    struct xml_mark *m;
    bool empty, has_refs;

    scan->n_marks = 0;
    scan->root = STR_NULL;
    do {
        if (depth > 0 && *at != '<') {
            tag = skip_chars(at, end, '<', &has_refs);
            if (!tag)
                return false;
            m = add_mark(scan, XML_MARK_TEXT, (size_t)(at - s), (size_t)(tag - at));
            if (!m)
                return false;
            m->refs = has_refs;
            at = tag;
        }
        tag = at;
        if (end - at < 2)
            return false;
        if (at[1] == '/') {
            if (depth == 0)
                return false;
            m = &scan->marks[open[--depth]];
            at = scan_end(at, end, s + m->at, m->n);
            if (!at || !add_mark(scan, XML_MARK_END, 0, 0))
                return false;
        } else {
            size_t index = scan->n_marks;

            if (depth == depth_max || n_elements++ == limits->elements_max)
                return false;
            at = scan_start(scan, s, at, end, attrs_max, &empty);
            if (index == 0 && scan->n_marks > 0)
                scan->root = (struct str){ s + scan->marks[0].at, scan->marks[0].n };
            if (!at || (empty && !add_mark(scan, XML_MARK_END, 0, 0)))
                return false;
            if (!empty)
                open[depth++] = (uint8_t)index;
        }
        if ((size_t)(at - tag) > limits->tag_size_max || (depth > 0 && at == end))
            return false;
    } while (depth > 0);
    scan->n = (size_t)(at - s);
    return true;
}
