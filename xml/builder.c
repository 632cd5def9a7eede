/*
 * builder.c -- expat's events to trees
 *
 * Expat finds the tags; we resolve namespaces, count against the limits and build the
 * tree of one stanza at a time.
 *
 * Between stanzas expat must hold nothing, because another connection may be next. What
 * could make it differ there is refused: text, CDATA sections and processing
 * instructions.
 */
#include "xml/parser_priv.h"

enum {
    HEADER_SCOPES_MAX = 1024 /* a connection keeps them in shared memory */
};

void
xml_parser_fail(struct xml_parser *p, enum xml_error e)
{
    if (p->error == XML_OK) {
        p->error = e;
        p->state = XML_ENDED;
        XML_StopParser(p->expat, XML_FALSE);
    }
}

int64_t
xml_parser_token_at(const struct xml_parser *p)
{
    return XML_GetCurrentByteIndex(p->expat) + (p->n_fed - p->expat_n);
}

static int64_t
token_end(const struct xml_parser *p)
{
    return xml_parser_token_at(p) + XML_GetCurrentByteCount(p->expat);
}

bool
xml_is_space(const char *s, size_t n)
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
            xml_parser_fail(p, XML_ERR_TOO_MANY);
            return;
        }
        if (!is_declaration(*a))
            continue;
        if (p->scopes.n >= p->limits.namespaces_max) {
            xml_parser_fail(p, XML_ERR_TOO_MANY);
            return;
        }
        if ((a[0][5] == ':' && (!a[0][6] || strchr(a[0] + 6, ':'))) ||
                xml_scopes_declare(&p->scopes,
                        a[0][5] ? keep(p, a[0] + 6, strlen(a[0] + 6)) : STR(""),
                        keep(p, a[1], strlen(a[1])), level) < 0) {
            xml_parser_fail(p, XML_ERR_NAMESPACE);
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

/* NULL after xml_parser_fail(). */
static struct xml_el *
make_el(struct xml_parser *p, const XML_Char *qname, const XML_Char **atts)
{
    struct xml_el *el = arena_new(p->arena, struct xml_el);
    struct xml_attr **at = &el->attrs;
    struct str prefix, name;

    el->arena = p->arena;
    /*
     * An element of the namespace xml could not be written: it must not be a default.
     */
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
    xml_parser_fail(p, XML_ERR_NAMESPACE);
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
        xml_parser_fail(p, XML_ERR_TOO_MANY);
    xml_scopes_load(&p->scopes, buf_str(&p->header_scopes));
}

static void
on_header(struct xml_parser *p, const XML_Char *qname, const XML_Char **atts)
{
    struct xml_header header = { .end = (size_t)(token_end(p) - p->feed_at) };

    if (strcmp(qname, p->pool->root) != 0) {
        xml_parser_fail(p, XML_ERR_PREFIX);
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
        xml_parser_fail(p, XML_STOPPED);
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
        p->stanza_at = xml_parser_token_at(p);
        p->n_elements = 0;
    }
    if ((size_t)(token_end(p) - p->stanza_at) > p->limits.stanza_size_max ||
            (size_t)XML_GetCurrentByteCount(p->expat) > p->limits.tag_size_max) {
        xml_parser_fail(p, XML_ERR_TOO_BIG);
        return;
    }
    if (p->state == XML_AT_HEADER) {
        on_header(p, qname, atts);
        return;
    }
    if (p->depth >= p->limits.depth_max) {
        xml_parser_fail(p, XML_ERR_TOO_DEEP);
        return;
    }
    if (++p->n_elements > p->limits.elements_max) {
        xml_parser_fail(p, XML_ERR_TOO_MANY);
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
        xml_parser_fail(p, XML_STOPPED);
        return;
    }
    flush_text(p);
    xml_scopes_leave(&p->scopes, p->depth);
    p->depth--;
    p->at = el->parent;
    if (p->at)
        return;
    if ((size_t)(end - p->stanza_at) > p->limits.stanza_size_max) {
        xml_parser_fail(p, XML_ERR_TOO_BIG);
        return;
    }
    p->stanza_at = end;
    more = p->handlers->on_stanza(p->arg, el, (size_t)(end - p->feed_at));
    xml_parser_account(p);
    if (p->arena == &p->own)
        arena_reset(&p->own);
    if (!more) {
        xml_parser_fail(p, XML_STOPPED);
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
        if (!xml_is_space(s, (size_t)len))
            xml_parser_fail(p, XML_ERR_TEXT);
        p->n_space += (size_t)len;
        return;
    }
    if ((size_t)(token_end(p) - p->stanza_at) > p->limits.stanza_size_max)
        xml_parser_fail(p, XML_ERR_TOO_BIG);
    else
        buf_add(&p->text, s, (size_t)len);
}

/*
 * An empty section between stanzas would go unseen, and an open one would be inherited.
 */
static void
on_cdata(void *arg)
{
    struct xml_parser *p = arg;

    if (!p->at)
        xml_parser_fail(p, XML_ERR_TEXT);
}

static void
on_declaration(
        void *arg, const XML_Char *version, const XML_Char *encoding, int standalone)
{
    (void)version, (void)standalone;
    if (encoding && !str_caseeq(str_from(encoding), STR("utf-8")))
        xml_parser_fail(arg, XML_ERR_BAD_ENCODING);
}

static void
on_comment(void *arg, const XML_Char *text)
{
    (void)text;
    xml_parser_fail(arg, XML_ERR_RESTRICTED);
}

static void
on_instruction(void *arg, const XML_Char *target, const XML_Char *data)
{
    (void)target, (void)data;
    xml_parser_fail(arg, XML_ERR_RESTRICTED);
}

static void
on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
        const XML_Char *pubid, int has_internal_subset)
{
    (void)name, (void)sysid, (void)pubid, (void)has_internal_subset;
    xml_parser_fail(arg, XML_ERR_RESTRICTED);
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
