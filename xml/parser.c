/*
 * parser.c -- a stream's bytes to expat, and what expat holds back
 *
 * All positions are kept as indexes from the first byte of the stream as this parser
 * has seen it.
 *
 * Three things are kept from expat. Where a stanza begins and expat has nothing in
 * hand, simple.c is asked first: what it takes expat never sees. Large input goes to
 * expat in pieces, as it copies what it is given into a buffer that it never shrinks.
 * And of a tag that is still incomplete it gets the rest only when the end has come: it
 * would read the whole tag again each time, and a tag sent byte by byte would cost its
 * square (in_tag, held).
 */
#include "xml/parser_priv.h"

#include <assert.h>

#include "xml/simple.h"

enum {
    PIECE = 2048,
    CUTS_MAX = 8,
    HELD_KEEP = 4096,
    REFERENCE_MAX = 64 /* bytes of "&#x0041;" */
};

const char *
xml_error_text(enum xml_error e)
{
    static const char *const text[] = {
        [XML_OK] = "no error",
        [XML_STOPPED] = "stopped",
        [XML_ERR_NOT_WELL_FORMED] = "not well-formed",
        [XML_ERR_NAMESPACE] = "bad use of namespaces",
        [XML_ERR_RESTRICTED] = "restricted XML feature",
        [XML_ERR_BAD_ENCODING] = "not UTF-8",
        [XML_ERR_TEXT] = "text between stanzas",
        [XML_ERR_PREFIX] = "unexpected stream header",
        [XML_ERR_TOO_BIG] = "too big",
        [XML_ERR_TOO_DEEP] = "nested too deeply",
        [XML_ERR_TOO_MANY] = "too many attributes, elements or namespaces",
    };

    return text[e];
}

/* How many bytes of s its first character should have. */
static size_t
utf8_size(struct str s)
{
    unsigned char c = (unsigned char)*s.p;
    size_t size = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

    return size < s.n ? size : s.n;
}

static void
tail_keep(struct xml_parser *p, const char *s, size_t n)
{
    for (size_t i = n < TAIL ? 0 : n - TAIL; i < n; i++) {
        memmove(p->tail, p->tail + 1, TAIL - 1);
        p->tail[TAIL - 1] = (unsigned char)s[i];
    }
}

/* What expat complains about in [s, s + n), whose first byte has the index at. */
static enum xml_error
expat_error(const struct xml_parser *p, const char *s, size_t n, int64_t at)
{
    int64_t where = xml_parser_token_at(p) - at;
    struct str rest =
            where < 0 ? STR_NULL : (struct str){ s + where, n - (size_t)where };

    switch ((int)XML_GetErrorCode(p->expat)) {
    case XML_ERROR_UNDEFINED_ENTITY:
    case XML_ERROR_BINARY_ENTITY_REF:
    case XML_ERROR_ATTRIBUTE_EXTERNAL_ENTITY_REF:
    case XML_ERROR_PARAM_ENTITY_REF:
    case XML_ERROR_MISPLACED_XML_PI:
        return XML_ERR_RESTRICTED;
    case XML_ERROR_PARTIAL_CHAR:
    case XML_ERROR_UNKNOWN_ENCODING:
    case XML_ERROR_INCORRECT_ENCODING:
        return XML_ERR_BAD_ENCODING;
    case XML_ERROR_INVALID_TOKEN:
        /* A character may have begun in an earlier piece; then it was incomplete. */
        if (where < 0)
            return where >= -TAIL && p->tail[TAIL + where] >= 0x80
                           ? XML_ERR_BAD_ENCODING
                           : XML_ERR_NOT_WELL_FORMED;
        if (rest.n > 0 && !str_is_utf8((struct str){ rest.p, utf8_size(rest) }))
            return XML_ERR_BAD_ENCODING;
        return XML_ERR_NOT_WELL_FORMED;
    default:
        return XML_ERR_NOT_WELL_FORMED;
    }
}

static void
give(struct xml_parser *p, const char *s, size_t n)
{
    while (n > 0 && !p->error) {
        int64_t at = p->n_fed;
        enum XML_Status status;

        p->n_fed += (int64_t)n;
        p->expat_n += (int64_t)n;
        status = XML_Parse(p->expat, s, (int)n, 0);
        if (p->worn_at && !p->error) {
            size_t used = (size_t)(p->worn_at - at);

            xml_parser_drop_expat(p);
            xml_parser_make_expat(p, true);
            p->pool->stats.worn++;
            p->n_fed = p->worn_at;
            p->worn_at = 0;
            s += used;
            n -= used;
            continue;
        }
        if (status != XML_STATUS_OK && !p->error) {
            p->error = expat_error(p, s, n, at);
            p->state = XML_ENDED;
        }
        tail_keep(p, s, n);
        break;
    }
}

/*
 * Follows a tag through its next bytes; true at its end, with the number of bytes up to
 * there. What is no tag of an element is refused as soon as it shows, or left to expat.
 */
static bool
tag_ends(struct xml_parser *p, const char *s, size_t n, size_t *ret_n)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i];

        p->tag_n++;
        if (c == '\0') /* in a header: UTF-16 */
            xml_parser_fail(p, p->state == XML_AT_HEADER ? XML_ERR_BAD_ENCODING
                                                         : XML_ERR_NOT_WELL_FORMED);
        else if (p->tag_n == 2 && c == '?' && p->state == XML_IN_STREAM)
            xml_parser_fail(p, XML_ERR_RESTRICTED);
        else if (p->tag_n == 2 && c == '!')
            p->quote = '!';
        else if (p->quote == '!') {
            if (c == '-' || (c == 'D' && p->state == XML_AT_HEADER))
                xml_parser_fail(p, XML_ERR_RESTRICTED);
            p->quote = 0;
            *ret_n = i + 1;
            return true;
        } else if (p->quote) {
            if (c == p->quote)
                p->quote = 0;
        } else if (c == '\'' || c == '"') {
            p->quote = c;
        } else if (c == '>') {
            *ret_n = i + 1;
            return true;
        }
        if (p->error)
            break;
    }
    *ret_n = n;
    return false;
}

static void
tag_begins(struct xml_parser *p)
{
    p->in_tag = true;
    p->tag_n = 0;
    p->quote = 0;
}

/* Within a tag: how many bytes of the input it takes. */
static size_t
feed_tag(struct xml_parser *p, const char *s, size_t n)
{
    size_t used;
    bool complete = tag_ends(p, s, n, &used);

    if (p->tag_n > p->limits.tag_size_max)
        xml_parser_fail(p, XML_ERR_TOO_BIG);
    if (p->error)
        return n;
    if (complete && p->held.n == 0) {
        p->in_tag = false;
        give(p, s, used);
        return used;
    }
    buf_add(&p->held, s, used);
    if (complete) {
        p->in_tag = false;
        give(p, p->held.p, p->held.n);
        buf_reset(&p->held, HELD_KEEP);
    }
    return used;
}

/*
 * Before the header, between its tags: only white space, and UTF-8 for what it looks.
 */
static size_t
feed_header(struct xml_parser *p, const char *s, size_t n)
{
    size_t used = 0;

    while (used < n && xml_is_space(s + used, 1))
        used++;
    if (used > 0) {
        /* In front of an XML declaration expat would not have it. */
        if (p->n_fed > 0)
            give(p, s, used);
        else
            p->feed_at -= (int64_t)used;
        return used;
    }
    if (*s == '<')
        tag_begins(p);
    else if (*s == '\0' || (unsigned char)*s >= 0xfe)
        xml_parser_fail(p, XML_ERR_BAD_ENCODING); /* UTF-16 or UTF-32 */
    else
        xml_parser_fail(p, XML_ERR_NOT_WELL_FORMED);
    return 0;
}

/* After a piece: has expat kept the beginning of a token back? */
static void
look_at_rest(struct xml_parser *p, const char *s, size_t n)
{
    int64_t rest_at = xml_parser_token_at(p), s_at = p->n_fed - (int64_t)n;
    size_t rest_n = (size_t)(p->n_fed - rest_at), tag_n;

    if (rest_n == 0)
        return;
    if (rest_n > p->limits.tag_size_max) {
        xml_parser_fail(p, XML_ERR_TOO_BIG);
        return;
    }
    if (rest_at < s_at) {
        if (rest_n > REFERENCE_MAX)
            xml_parser_fail(p, XML_ERR_NOT_WELL_FORMED);
        return;
    }
    s += rest_at - s_at;
    if (*s == '&' && rest_n > REFERENCE_MAX)
        xml_parser_fail(p, XML_ERR_NOT_WELL_FORMED);
    if (*s != '<')
        return;
    tag_begins(p);
    if (tag_ends(p, s, rest_n, &tag_n))
        p->in_tag = false;
}

void
xml_parser_watch_end(struct xml_parser *p, struct str name)
{
    p->n_cuts = 0;
    p->end_tag_n = 0;
    if (name.n == 0 || name.n + 2 > END_TAG_MAX || p->pool->only_expat)
        return;
    memcpy(p->end_tag, "</", 2);
    memcpy(p->end_tag + 2, name.p, name.n);
    p->end_tag_n = (uint8_t)(name.n + 2);
}

/*
 * Up to where the stanza seems to end, so that the next one may go to simple.c. It may
 * be the end of a child with the same name, which costs a call of expat: hence
 * CUTS_MAX. Behind a comment or an instruction there is no cut, since expat has to see
 * them whole to know whether they are malformed or only forbidden.
 */
static size_t
cut(struct xml_parser *p, const char *s, size_t n)
{
    const char *at = s, *end = s + n;

    if (n <= p->end_tag_n || p->end_tag_n == 0 || p->n_cuts == CUTS_MAX)
        return n;
    while ((at = memchr(at, '<', (size_t)(end - at)))) {
        if ((size_t)(end - at) <= p->end_tag_n || at[1] == '!' || at[1] == '?')
            return n;
        if (memcmp(at, p->end_tag, p->end_tag_n) != 0) {
            at++;
            continue;
        }
        at += p->end_tag_n;
        while (at < end && xml_is_space(at, 1))
            at++;
        if (at < end && *at == '>') {
            p->n_cuts++;
            return (size_t)(at + 1 - s);
        }
    }
    return n;
}

static size_t
feed_stream(struct xml_parser *p, const char *s, size_t n)
{
    size_t used = cut(p, s, n < PIECE ? n : PIECE);

    give(p, s, used);
    if (!p->error)
        look_at_rest(p, s, used);
    return used;
}

/* Between stanzas, with nothing held back by expat, and so nothing from it? */
static bool
is_at_rest(const struct xml_parser *p)
{
    return p->state == XML_IN_STREAM && !p->at && !p->in_tag && !p->pool->only_expat &&
           xml_parser_token_at(p) == p->n_fed;
}

static size_t
feed_some(struct xml_parser *p, const char *s, size_t n)
{
    size_t used = is_at_rest(p) ? xml_simple_feed(p, s, n) : 0;

    if (used > 0)
        return used;
    if (p->in_tag)
        return feed_tag(p, s, n);
    if (p->state == XML_AT_HEADER)
        return feed_header(p, s, n);
    return feed_stream(p, s, n);
}

enum xml_error
xml_parser_feed(struct xml_parser *p, const void *data, size_t n)
{
    struct xml_parser *before = xml_parser_account(p);
    const char *s = data;
    size_t left = n;

    assert(p->magic == XML_PARSER_MAGIC && p->state != XML_ENDED);
    p->feed_at = p->n_fed + (int64_t)p->held.n;
    while (left > 0 && !p->error) {
        size_t used = feed_some(p, s, left);

        s += used;
        left -= used;
    }
    if (!p->error && (p->at || p->state == XML_AT_HEADER) &&
            (size_t)(p->n_fed + (int64_t)p->held.n - p->stanza_at) >
                    p->limits.stanza_size_max)
        xml_parser_fail(p, XML_ERR_TOO_BIG);
    xml_parser_account(before);
    return p->error;
}

size_t
xml_parser_kept(const struct xml_parser *p)
{
    int64_t from = p->stanza_at;

    if (p->state == XML_ENDED)
        return 0;
    if (p->state == XML_IN_STREAM && !p->at)
        from = xml_parser_token_at(p);
    return (size_t)(p->n_fed + (int64_t)p->held.n - from);
}

bool
xml_parser_idle(const struct xml_parser *p)
{
    return p->state == XML_IN_STREAM && xml_parser_kept(p) == 0;
}

uint64_t
xml_parser_n_space(const struct xml_parser *p)
{
    return p->n_space;
}
