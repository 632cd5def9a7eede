#ifndef XML_PATH_H
#define XML_PATH_H

#include <stddef.h>

#include "base/str.h"
#include "xml/el.h"

/*
 * Values deep in a tree by a path, and what else modules do with elements. Those who
 * know ejabberd's functions find them here:
 *
 *     element_to_binary            xml_write(), xml_string() (xml/writer.h)
 *     crypt                        xml_escape() (xml/writer.h)
 *     parse_element                xml_parse() (xml/parser.h)
 *     get_cdata, get_tag_cdata     xml_text()
 *     get_subtag_cdata             xml_child_text()
 *     get_attr, get_tag_attr       xml_attr(); …_s: the same, as an absent value is
 * empty get_subtag                   xml_child(el, name, NULL) get_subtag_with_xmlns
 * xml_child(el, name, ns) get_subtags…                 xml_for (el, …) get_path_s
 * xml_path_el(), xml_path_text(), below remove_cdata xml_remove_cdata(), below
 *     remove_subtags               xml_remove(), xml_remove_if()
 *     replace_subtag               xml_replace(), below
 *     replace_tag_attr             xml_set()
 *     append_subtags               xml_add_el(), xml_add_leaf()
 *
 * Other than there, xmlns is no attribute, prefixes are resolved, and the changes are
 * made in place.
 */

/*
 * A way down. Each XML_ELEM goes to the first child that fits (ns NULL: any); XML_ATTR
 * or XML_CDATA ends it:
 *
 *     XML_PATH(XML_ELEM("N", NULL), XML_ELEM("GIVEN", NULL), XML_CDATA)
 *     XML_PATH(XML_ELEM("query", NS_DISCO_INFO), XML_ATTR("node"))
 */
enum xml_step_kind {
    XML_STEP_END,
    XML_STEP_ELEM,
    XML_STEP_ATTR,
    XML_STEP_CDATA
};

struct xml_step {
    enum xml_step_kind kind;
    const char *name, *ns;
};

#define XML_ELEM(name_, ns_)                                 \
    {                                                        \
        .kind = XML_STEP_ELEM, .name = (name_), .ns = (ns_), \
    }
#define XML_ATTR(name_)                         \
    {                                           \
        .kind = XML_STEP_ATTR, .name = (name_), \
    }
#define XML_CDATA               \
    {                           \
        .kind = XML_STEP_CDATA, \
    }
#define XML_PATH(...) \
    ((const struct xml_step[]){ __VA_ARGS__, { .kind = XML_STEP_END } })

/*
 * The text at the end of the path: of an attribute without namespace, or the character
 * data of an element (also when XML_CDATA is left out). p == NULL: something on the way
 * is missing. el may be NULL.
 */
struct str xml_path_text(const struct xml_el *el, const struct xml_step *path);
/* The element at its end; NULL: it is missing, or the path ends in a text. */
struct xml_el *xml_path_el(const struct xml_el *el, const struct xml_step *path);

/* Takes all texts out of el, not out of its children; how many there were. */
size_t xml_remove_cdata(struct xml_el *el);

/*
 * Adds a child, which has no parent, in place of all that have its name and namespace.
 * How many those were.
 */
size_t xml_replace(struct xml_el *parent, struct xml_el *child);

#endif
