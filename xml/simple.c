/*
 * simple.c -- whole, simple stanzas, which expat never sees
 *
 * Most stanzas are, and expat would spend most of the work on questions that do not
 * arise in them. Expat does not miss them: to it the stream is the same without.
 * n_fed counts their bytes, expat_n does not, and indexes are told from the difference.
 *
 * A stanza is scanned once: one that is not complete, or not simple, goes to expat from
 * its first byte, and so does what follows up to its end. So no client can make us scan
 * a stanza again with every byte of it.
 */
#include "xml/simple.h"

#include "xml/builder.h"
#include "xml/parser_priv.h"
#include "xml/scan.h"

/* A value or a text, now that its bytes are ours to change. */
static struct str
chars(char *p, size_t n, bool refs)
{
    return (struct str){ p, refs ? xml_scan_dereference(p, n) : n };
}

static void
build_start(struct xml_parser *p, char *s, const struct xml_mark *m)
{
    struct xml_tag_attr attrs[XML_SCAN_ATTRS_MAX];
    struct xml_tag tag = { { s + m->at, m->n }, attrs, m->n_attrs };

    for (size_t i = 0; i < tag.n_attrs; i++) {
        const struct xml_mark *a = m + 1 + i;

        attrs[i].name = (struct str){ s + a->at, a->n };
        attrs[i].value = chars(s + a->at + a->n + 2, a->value_n, a->refs);
    }
    xml_build_start(p, &tag);
}

/* s: the stanza in its tree's arena, where all names and values stay. */
static void
build(struct xml_parser *p, char *s, const struct xml_scan *scan, int64_t end)
{
    bool more = true;

    for (const struct xml_mark *m = scan->marks, *last = m + scan->n_marks;
            m < last && !p->error; m++) {
        switch ((enum xml_mark_kind)m->kind) {
        case XML_MARK_START:
            build_start(p, s, m);
            m += m->n_attrs;
            break;
        case XML_MARK_TEXT:
            xml_add_text(p->at, chars(s + m->at, m->n, m->refs));
            break;
        case XML_MARK_END:
            more = xml_build_end(p, end);
            break;
        case XML_MARK_ATTR:
            break;
        }
    }
    if (!more) {
        p->error = XML_STOPPED;
        p->state = XML_ENDED;
        p->rested = true;
    }
}

/* A line's end counts once; a return at the end of the input may be half of one. */
static size_t
feed_space(struct xml_parser *p, const char *s, size_t n)
{
    size_t i = 0;

    for (; i < n && xml_is_space(s + i, 1); i++) {
        if (s[i] == '\r' && i + 1 == n)
            break;
        p->n_space += s[i] != '\r' || s[i + 1] != '\n';
    }
    p->n_fed += (int64_t)i;
    return i;
}

size_t
xml_simple_feed(struct xml_parser *p, const char *s, size_t n)
{
    struct xml_scan scan;
    char *copy;

    if (xml_is_space(s, 1))
        return feed_space(p, s, n);
    if (*s != '<')
        return 0;
    p->pool->stats.scanned++;
    if (!xml_scan(&scan, s, n, &p->limits)) {
        xml_parser_watch_end(p, scan.root);
        return 0;
    }
    copy = arena_alloc_unaligned(p->arena, scan.n);
    memcpy(copy, s, scan.n);
    xml_build_begin(p, p->n_fed);
    p->n_fed += (int64_t)scan.n;
    p->pool->stats.simple++;
    build(p, copy, &scan, p->n_fed);
    return scan.n;
}
