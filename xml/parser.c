/*
 * parser.c -- a stream's bytes to elements
 *
 * Expat finds the tags; we resolve namespaces, count against the limits and build the
 * tree of one stanza at a time. All positions are kept as indexes from the first byte
 * of the stream as this parser has seen it.
 *
 * Two things are kept from expat. Large input goes to it in pieces, as it copies what
 * it is given into a buffer that it never shrinks. And of a tag that is still
 * incomplete it gets the rest only when the end has come: it would read the whole tag
 * again each time, and a tag sent byte by byte would cost its square (in_tag, held).
 *
 * Between stanzas expat must hold nothing, because another connection may be next. What
 * could make it differ there is refused: text, CDATA sections and processing
 * instructions.
 */
#include "xml/parser_priv.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PIECE = 2048,
    HELD_KEEP = 4096,
    REFERENCE_MAX = 64,      /* bytes of "&#x0041;" */
    HEADER_SCOPES_MAX = 1024 /* a connection keeps them in shared memory */
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

static void
fail(struct xml_parser *p, enum xml_error e)
{
    if (p->error == XML_OK) {
        p->error = e;
        p->state = XML_ENDED;
        XML_StopParser(p->expat, XML_FALSE);
    }
}

/* Where the token starts, or ends, that expat is calling us about. */
static int64_t
token_at(const struct xml_parser *p)
{
    return XML_GetCurrentByteIndex(p->expat) + (p->n_fed - p->expat_n);
}

static int64_t
token_end(const struct xml_parser *p)
{
    return token_at(p) + XML_GetCurrentByteCount(p->expat);
}

static bool
is_space(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\n' && s[i] != '\r' && s[i] != '\t')
            return false;
    return true;
}

static struct str
keep(struct xml_parser *p, const char *s, size_t n)
{
    char *to;

    if (n == 0)
        return STR("");
    to = arena_alloc_unaligned(p->arena, n);
    memcpy(to, s, n);
    return (struct str){ to, n };
}

static void
flush_text(struct xml_parser *p)
{
    if (p->text.n > 0) {
        xml_add_text(p->at, keep(p, p->text.p, p->text.n));
        p->text.n = 0;
    }
}

/*
 * Splits a qualified name. The local part is written without its prefix later, so it
 * must be able to begin a name; beyond ASCII that would take the tables of XML 1.0, and
 * nobody has such names behind a prefix.
 */
static bool
split_name(const char *qname, struct str *ret_prefix, struct str *ret_name)
{
    const char *colon = strchr(qname, ':');

    if (!colon) {
        *ret_prefix = STR("");
        *ret_name = str_from(qname);
        return true;
    }
    *ret_prefix = (struct str){ qname, (size_t)(colon - qname) };
    *ret_name = str_from(colon + 1);
    return ret_prefix->n > 0 && !strchr(colon + 1, ':') &&
           ((*ret_name->p >= 'a' && *ret_name->p <= 'z') ||
                   (*ret_name->p >= 'A' && *ret_name->p <= 'Z') || *ret_name->p == '_');
}

static bool
is_declaration(const char *attr)
{
    return strncmp(attr, "xmlns", 5) == 0 && (attr[5] == '\0' || attr[5] == ':');
}

static void
declare(struct xml_parser *p, const XML_Char **atts, unsigned level)
{
    unsigned n_attrs = 0;

    for (const XML_Char **a = atts; *a; a += 2) {
        if (++n_attrs > p->limits.attrs_max) {
            fail(p, XML_ERR_TOO_MANY);
            return;
        }
        if (!is_declaration(*a))
            continue;
        if (p->scopes.n >= p->limits.namespaces_max) {
            fail(p, XML_ERR_TOO_MANY);
            return;
        }
        if ((a[0][5] == ':' && (!a[0][6] || strchr(a[0] + 6, ':'))) ||
                xml_scopes_declare(&p->scopes,
                        a[0][5] ? keep(p, a[0] + 6, strlen(a[0] + 6)) : STR(""),
                        keep(p, a[1], strlen(a[1])), level) < 0) {
            fail(p, XML_ERR_NAMESPACE);
            return;
        }
    }
}

static bool
has_attr(const struct xml_el *el, struct str name, struct str ns)
{
    for (const struct xml_attr *a = el->attrs; a; a = a->next)
        if (str_eq(a->name, name) && str_eq(a->ns, ns))
            return true;
    return false;
}

/* NULL after fail(). */
static struct xml_el *
make_el(struct xml_parser *p, const XML_Char *qname, const XML_Char **atts)
{
    struct xml_el *el = arena_new(p->arena, struct xml_el);
    struct xml_attr **at = &el->attrs;
    struct str prefix, name;

    el->arena = p->arena;
    /* An element of the namespace xml could not be written: it must not be a default. */
    if (!split_name(qname, &prefix, &name) || str_eq(prefix, STR("xml")) ||
            !xml_scopes_find(&p->scopes, prefix, &el->ns))
        goto bad_namespace;
    el->name = keep(p, name.p, name.n);
    for (const XML_Char **a = atts; *a; a += 2) {
        struct str ns = STR("");

        if (is_declaration(*a))
            continue;
        if (!split_name(*a, &prefix, &name))
            goto bad_namespace;
        if (prefix.n > 0 &&
                (!xml_scopes_find(&p->scopes, prefix, &ns) || has_attr(el, name, ns)))
            goto bad_namespace;
        *at = arena_alloc(p->arena, sizeof **at);
        (*at)->next = NULL;
        (*at)->name = keep(p, name.p, name.n);
        (*at)->ns = ns;
        (*at)->value = keep(p, a[1], strlen(a[1]));
        at = &(*at)->next;
    }
    return el;
bad_namespace:
    fail(p, XML_ERR_NAMESPACE);
    return NULL;
}

/* Are these the declarations that xml_parser_get() supplies when it is given none? */
static bool
scopes_are_the_pools(const struct xml_parser *p)
{
    struct str uri;

    return p->scopes.n == 2 &&
           xml_scopes_find(&p->scopes, p->pool->root_prefix, &uri) &&
           str_eq(uri, p->pool->root_ns) &&
           xml_scopes_find(&p->scopes, STR(""), &uri) &&
           str_eq(uri, p->pool->default_ns);
}

/* The declarations move from the header's tree to where the next stanzas find them. */
static void
settle_scopes(struct xml_parser *p)
{
    bool pools = scopes_are_the_pools(p);

    xml_scopes_save(&p->scopes, &p->header_scopes);
    p->scopes.n = 0;
    if (pools) {
        buf_reset(&p->header_scopes, 0);
        xml_scopes_declare(&p->scopes, p->pool->root_prefix, p->pool->root_ns, 0);
        xml_scopes_declare(&p->scopes, STR(""), p->pool->default_ns, 0);
        return;
    }
    if (p->header_scopes.n == 0)
        buf_add_str(&p->header_scopes, XML_SCOPES_NONE);
    if (p->header_scopes.n > HEADER_SCOPES_MAX)
        fail(p, XML_ERR_TOO_MANY);
    xml_scopes_load(&p->scopes, buf_str(&p->header_scopes));
}

static void
on_header(struct xml_parser *p, const XML_Char *qname, const XML_Char **atts)
{
    struct xml_header header = { .end = (size_t)(token_end(p) - p->feed_at) };

    if (strcmp(qname, p->pool->root) != 0) {
        fail(p, XML_ERR_PREFIX);
        return;
    }
    declare(p, atts, 0);
    if (p->error)
        return;
    header.el = make_el(p, qname, atts);
    if (!header.el)
        return;
    settle_scopes(p);
    if (p->error)
        return;
    xml_scopes_find(&p->scopes, STR(""), &header.default_ns);
    header.scopes = buf_str(&p->header_scopes);
    p->state = XML_IN_STREAM;
    p->stanza_at = token_end(p);
    if (!p->handlers->on_open(p->arg, &header))
        fail(p, XML_STOPPED);
    xml_parser_account(p);
    arena_reset(&p->own);
}

static void
on_start(void *arg, const XML_Char *qname, const XML_Char **atts)
{
    struct xml_parser *p = arg;
    struct xml_el *el;

    if (p->error)
        return;
    if (!p->at && p->state == XML_IN_STREAM) {
        p->stanza_at = token_at(p);
        p->n_elements = 0;
    }
    if ((size_t)(token_end(p) - p->stanza_at) > p->limits.stanza_size_max ||
            (size_t)XML_GetCurrentByteCount(p->expat) > p->limits.tag_size_max) {
        fail(p, XML_ERR_TOO_BIG);
        return;
    }
    if (p->state == XML_AT_HEADER) {
        on_header(p, qname, atts);
        return;
    }
    if (p->depth >= p->limits.depth_max) {
        fail(p, XML_ERR_TOO_DEEP);
        return;
    }
    if (++p->n_elements > p->limits.elements_max) {
        fail(p, XML_ERR_TOO_MANY);
        return;
    }
    p->depth++;
    declare(p, atts, p->depth);
    if (p->error)
        return;
    el = make_el(p, qname, atts);
    if (!el)
        return;
    if (p->at) {
        flush_text(p);
        xml_add_el(p->at, el);
    }
    p->at = el;
}

static void
on_end(void *arg, const XML_Char *qname)
{
    struct xml_parser *p = arg;
    struct xml_el *el = p->at;
    int64_t end = token_end(p);
    bool more;

    (void)qname;
    if (p->error)
        return;
    if (!el) {
        p->state = XML_ENDED;
        if (p->handlers->on_close)
            p->handlers->on_close(p->arg, (size_t)(end - p->feed_at));
        xml_parser_account(p);
        fail(p, XML_STOPPED);
        return;
    }
    flush_text(p);
    xml_scopes_leave(&p->scopes, p->depth);
    p->depth--;
    p->at = el->parent;
    if (p->at)
        return;
    if ((size_t)(end - p->stanza_at) > p->limits.stanza_size_max) {
        fail(p, XML_ERR_TOO_BIG);
        return;
    }
    p->stanza_at = end;
    more = p->handlers->on_stanza(p->arg, el, (size_t)(end - p->feed_at));
    xml_parser_account(p);
    if (p->arena == &p->own)
        arena_reset(&p->own);
    if (!more) {
        fail(p, XML_STOPPED);
    } else if (p->expat_size > EXPAT_SIZE_MAX) {
        p->worn_at = end;
        XML_StopParser(p->expat, XML_FALSE);
    }
}

static void
on_text(void *arg, const XML_Char *s, int len)
{
    struct xml_parser *p = arg;

    if (p->error || p->worn_at)
        return;
    if (!p->at) {
        if (!is_space(s, (size_t)len))
            fail(p, XML_ERR_TEXT);
        p->n_space += (size_t)len;
        return;
    }
    if ((size_t)(token_end(p) - p->stanza_at) > p->limits.stanza_size_max)
        fail(p, XML_ERR_TOO_BIG);
    else
        buf_add(&p->text, s, (size_t)len);
}

/* An empty section between stanzas would go unseen, and an open one would be inherited.
 */
static void
on_cdata(void *arg)
{
    struct xml_parser *p = arg;

    if (!p->at)
        fail(p, XML_ERR_TEXT);
}

static void
on_declaration(
        void *arg, const XML_Char *version, const XML_Char *encoding, int standalone)
{
    (void)version, (void)standalone;
    if (encoding && !str_caseeq(str_from(encoding), STR("utf-8")))
        fail(arg, XML_ERR_BAD_ENCODING);
}

static void
on_comment(void *arg, const XML_Char *text)
{
    (void)text;
    fail(arg, XML_ERR_RESTRICTED);
}

static void
on_instruction(void *arg, const XML_Char *target, const XML_Char *data)
{
    (void)target, (void)data;
    fail(arg, XML_ERR_RESTRICTED);
}

static void
on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
        const XML_Char *pubid, int has_internal_subset)
{
    (void)name, (void)sysid, (void)pubid, (void)has_internal_subset;
    fail(arg, XML_ERR_RESTRICTED);
}

void
xml_parser_set_callbacks(struct xml_parser *p)
{
    XML_SetUserData(p->expat, p);
    XML_SetElementHandler(p->expat, on_start, on_end);
    XML_SetCharacterDataHandler(p->expat, on_text);
    XML_SetCdataSectionHandler(p->expat, on_cdata, NULL);
    XML_SetXmlDeclHandler(p->expat, on_declaration);
    XML_SetCommentHandler(p->expat, on_comment);
    XML_SetProcessingInstructionHandler(p->expat, on_instruction);
    XML_SetStartDoctypeDeclHandler(p->expat, on_doctype);
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
    int64_t where = token_at(p) - at;
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
            fail(p, p->state == XML_AT_HEADER ? XML_ERR_BAD_ENCODING
                                              : XML_ERR_NOT_WELL_FORMED);
        else if (p->tag_n == 2 && c == '?' && p->state == XML_IN_STREAM)
            fail(p, XML_ERR_RESTRICTED);
        else if (p->tag_n == 2 && c == '!')
            p->quote = '!';
        else if (p->quote == '!') {
            if (c == '-' || (c == 'D' && p->state == XML_AT_HEADER))
                fail(p, XML_ERR_RESTRICTED);
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
        fail(p, XML_ERR_TOO_BIG);
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

/* Before the header, between its tags: only white space, and UTF-8 for what it looks.
 */
static size_t
feed_header(struct xml_parser *p, const char *s, size_t n)
{
    size_t used = 0;

    while (used < n && is_space(s + used, 1))
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
        fail(p, XML_ERR_BAD_ENCODING); /* UTF-16 or UTF-32 */
    else
        fail(p, XML_ERR_NOT_WELL_FORMED);
    return 0;
}

/* After a piece: has expat kept the beginning of a token back? */
static void
look_at_rest(struct xml_parser *p, const char *s, size_t n)
{
    int64_t rest_at = token_at(p), s_at = p->n_fed - (int64_t)n;
    size_t rest_n = (size_t)(p->n_fed - rest_at), tag_n;

    if (rest_n == 0)
        return;
    if (rest_n > p->limits.tag_size_max) {
        fail(p, XML_ERR_TOO_BIG);
        return;
    }
    if (rest_at < s_at) {
        if (rest_n > REFERENCE_MAX)
            fail(p, XML_ERR_NOT_WELL_FORMED);
        return;
    }
    s += rest_at - s_at;
    if (*s == '&' && rest_n > REFERENCE_MAX)
        fail(p, XML_ERR_NOT_WELL_FORMED);
    if (*s != '<')
        return;
    tag_begins(p);
    if (tag_ends(p, s, rest_n, &tag_n))
        p->in_tag = false;
}

static size_t
feed_stream(struct xml_parser *p, const char *s, size_t n)
{
    size_t used = n < PIECE ? n : PIECE;

    give(p, s, used);
    if (!p->error)
        look_at_rest(p, s, used);
    return used;
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
        size_t used;

        if (p->in_tag)
            used = feed_tag(p, s, left);
        else if (p->state == XML_AT_HEADER)
            used = feed_header(p, s, left);
        else
            used = feed_stream(p, s, left);
        s += used;
        left -= used;
    }
    if (!p->error && (p->at || p->state == XML_AT_HEADER) &&
            (size_t)(p->n_fed + (int64_t)p->held.n - p->stanza_at) >
                    p->limits.stanza_size_max)
        fail(p, XML_ERR_TOO_BIG);
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
        from = token_at(p);
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
