/*
 * builder.c -- tags and texts to trees
 *
 * Somebody else has found the tags: expat (events.c), or we in a stanza that was simple
 * (simple.c). Here namespaces are resolved, what can be counted is counted against the
 * limits, and the tree of one stanza at a time is built.
 */
#include "xml/builder.h"

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

bool
xml_is_space(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\n' && s[i] != '\r' && s[i] != '\t')
            return false;
    return true;
}

/*
 * Splits a qualified name. The local part is written without its prefix later, so it
 * must be able to begin a name; beyond ASCII that would take the tables of XML 1.0, and
 * nobody has such names behind a prefix.
 */
static bool
split_name(struct str qname, struct str *ret_prefix, struct str *ret_name)
{
    size_t n = 0;

    while (n < qname.n && qname.p[n] != ':') /* names are short */
        n++;
    if (n == qname.n) {
        *ret_prefix = STR("");
        *ret_name = qname;
        return true;
    }
    *ret_prefix = (struct str){ qname.p, n };
    *ret_name = (struct str){ qname.p + n + 1, qname.n - n - 1 };
    return n > 0 && ret_name->n > 0 && !memchr(ret_name->p, ':', ret_name->n) &&
           ((*ret_name->p >= 'a' && *ret_name->p <= 'z') ||
                   (*ret_name->p >= 'A' && *ret_name->p <= 'Z') || *ret_name->p == '_');
}

static bool
is_declaration(struct str attr)
{
    return attr.n >= 5 && memcmp(attr.p, "xmlns", 5) == 0 &&
           (attr.n == 5 || attr.p[5] == ':');
}

static void
declare(struct xml_parser *p, const struct xml_tag *tag, unsigned level)
{
    for (size_t i = 0; i < tag->n_attrs; i++) {
        struct str name = tag->attrs[i].name, prefix = STR("");

        if (i >= p->limits.attrs_max) {
            xml_parser_fail(p, XML_ERR_TOO_MANY);
            return;
        }
        if (!is_declaration(name))
            continue;
        if (p->scopes.n >= p->limits.namespaces_max) {
            xml_parser_fail(p, XML_ERR_TOO_MANY);
            return;
        }
        if (name.n > 5)
            prefix = (struct str){ name.p + 6, name.n - 6 };
        if ((name.n > 5 && (prefix.n == 0 || memchr(prefix.p, ':', prefix.n))) ||
                xml_scopes_declare(&p->scopes, prefix, tag->attrs[i].value, level) <
                        0) {
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
make_el(struct xml_parser *p, const struct xml_tag *tag)
{
    struct xml_el *el = arena_new(p->arena, struct xml_el);
    struct xml_attr **at = &el->attrs;
    struct str prefix, name;

    el->arena = p->arena;
    /*
     * An element of the namespace xml could not be written: it must not be a default.
     */
    if (!split_name(tag->name, &prefix, &name) || str_eq(prefix, STR("xml")) ||
            !xml_scopes_find(&p->scopes, prefix, &el->ns))
        goto bad_namespace;
    el->name = name;
    for (size_t i = 0; i < tag->n_attrs; i++) {
        const struct xml_tag_attr *a = &tag->attrs[i];
        struct str ns = STR("");

        if (is_declaration(a->name))
            continue;
        if (!split_name(a->name, &prefix, &name))
            goto bad_namespace;
        if (prefix.n > 0 &&
                (!xml_scopes_find(&p->scopes, prefix, &ns) || has_attr(el, name, ns)))
            goto bad_namespace;
        *at = arena_alloc(p->arena, sizeof **at);
        (*at)->next = NULL;
        (*at)->name = name;
        (*at)->ns = ns;
        (*at)->value = a->value;
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

void
xml_build_header(struct xml_parser *p, const struct xml_tag *tag, int64_t end)
{
    struct xml_header header = { .end = (size_t)(end - p->feed_at) };

    if (!str_eq_c(tag->name, p->pool->root)) {
        xml_parser_fail(p, XML_ERR_PREFIX);
        return;
    }
    declare(p, tag, 0);
    if (p->error)
        return;
    header.el = make_el(p, tag);
    if (!header.el)
        return;
    settle_scopes(p);
    if (p->error)
        return;
    xml_scopes_find(&p->scopes, STR(""), &header.default_ns);
    header.scopes = buf_str(&p->header_scopes);
    p->state = XML_IN_STREAM;
    p->stanza_at = end;
    if (!p->handlers->on_open(p->arg, &header))
        xml_parser_fail(p, XML_STOPPED);
    xml_parser_account(p);
    arena_reset(&p->own);
}

void
xml_build_begin(struct xml_parser *p, int64_t at)
{
    p->stanza_at = at;
    p->n_elements = 0;
}

void
xml_build_start(struct xml_parser *p, const struct xml_tag *tag)
{
    struct xml_el *el;

    if (p->depth >= p->limits.depth_max) {
        xml_parser_fail(p, XML_ERR_TOO_DEEP);
        return;
    }
    if (++p->n_elements > p->limits.elements_max) {
        xml_parser_fail(p, XML_ERR_TOO_MANY);
        return;
    }
    p->depth++;
    declare(p, tag, p->depth);
    if (p->error)
        return;
    el = make_el(p, tag);
    if (!el)
        return;
    if (p->at)
        xml_add_el(p->at, el);
    p->at = el;
}

bool
xml_build_end(struct xml_parser *p, int64_t end)
{
    struct xml_el *el = p->at;
    bool more;

    xml_scopes_leave(&p->scopes, p->depth);
    p->depth--;
    p->at = el->parent;
    if (p->at)
        return true;
    p->stanza_at = end;
    more = p->handlers->on_stanza(p->arg, el, (size_t)(end - p->feed_at));
    xml_parser_account(p);
    if (p->arena == &p->own)
        arena_reset(&p->own);
    return more;
}
