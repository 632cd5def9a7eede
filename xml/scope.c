/*
 * scope.c -- namespace declarations in force
 *
 * Expat's own namespace mode ties a parser to the declarations of its stream's header,
 * and costs more than this short list (DESIGN.md, "Measured here: expat"). A list of a
 * few entries searched from its end is all that real streams need; limits keep it
 * short.
 */
#include "xml/scope.h"

#include <errno.h>

#include "base/mem.h"
#include "xml/el.h"

void
xml_scopes_fini(struct xml_scopes *s)
{
    mem_free_p(s->v);
    *s = (struct xml_scopes){ 0 };
}

static void
push(struct xml_scopes *s, struct str prefix, struct str uri, unsigned level)
{
    if (s->n == s->size) {
        s->size = s->size ? 2 * s->size : 8;
        s->v = mem_realloc(s->v, s->size * sizeof *s->v);
    }
    s->v[s->n++] = (struct xml_scope){ prefix, uri, level };
}

/* Namespaces in XML 1.0, section 3: "xml" and "xmlns" and what they are bound to. */
int
xml_scopes_declare(
        struct xml_scopes *s, struct str prefix, struct str uri, unsigned level)
{
    bool is_xml = str_eq(uri, STR(XML_NS));

    if (str_eq(prefix, STR("xmlns")) || str_eq(uri, STR(XMLNS_NS)))
        return -EINVAL;
    if (str_eq(prefix, STR("xml")))
        return is_xml ? 0 : -EINVAL;
    if (is_xml || (prefix.n > 0 && uri.n == 0))
        return -EINVAL;
    push(s, prefix, uri, level);
    return 0;
}

void
xml_scopes_leave(struct xml_scopes *s, unsigned level)
{
    while (s->n > 0 && s->v[s->n - 1].level >= level)
        s->n--;
}

bool
xml_scopes_find(const struct xml_scopes *s, struct str prefix, struct str *ret_uri)
{
    for (size_t i = s->n; i-- > 0;) {
        if (str_eq(s->v[i].prefix, prefix)) {
            *ret_uri = s->v[i].uri;
            return true;
        }
    }
    if (prefix.n == 0) {
        *ret_uri = STR("");
        return true;
    }
    if (str_eq(prefix, STR("xml"))) {
        *ret_uri = STR(XML_NS);
        return true;
    }
    return false;
}

void
xml_scopes_save(const struct xml_scopes *s, struct buf *out)
{
    for (size_t i = 0; i < s->n; i++) {
        buf_add_str(out, s->v[i].prefix);
        buf_add_char(out, '\0');
        buf_add_str(out, s->v[i].uri);
        buf_add_char(out, '\0');
    }
}

void
xml_scopes_load(struct xml_scopes *s, struct str flat)
{
    struct str prefix, uri;

    while (flat.n > 0 && str_cut(&flat, '\0', &prefix) && str_cut(&flat, '\0', &uri))
        push(s, prefix, uri, 0);
}
