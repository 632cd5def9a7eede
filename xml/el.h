#ifndef XML_EL_H
#define XML_EL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;

/*
 * An element, or a run of text between elements, in a tree that lives in one arena.
 * Members may be read directly. A text node has only text, next, parent and arena.
 *
 * Names and values are views: the parser puts them into the tree's arena; what the
 * builders below are given is not copied and must live as long as the tree (literals
 * and what is in the same arena do; str_dup(el->arena, …) makes it so).
 */
struct xml_el {
    struct str name;        /* local part; n == 0: a text node */
    struct str ns;          /* n == 0: no namespace */
    struct str text;        /* of a text node */
    struct xml_attr *attrs; /* in order; without namespace declarations */
    struct xml_el *first, *last, *next, *parent;
    struct arena *arena;
};

struct xml_attr {
    struct xml_attr *next;
    struct str name; /* local part */
    struct str ns;   /* n == 0: none, as is usual; XML_NS for xml:lang */
    struct str value;
};

#define XML_NS   "http://www.w3.org/XML/1998/namespace"
#define XMLNS_NS "http://www.w3.org/2000/xmlns/"

/* In all look-ups a name or ns of NULL means any. All accept el == NULL: not found. */

bool xml_is_text(const struct xml_el *el);
bool xml_is(const struct xml_el *el, const char *name, const char *ns);

/* The value of an attribute without namespace; p == NULL when absent. */
struct str xml_attr(const struct xml_el *el, const char *name);
struct str xml_attr_ns(const struct xml_el *el, const char *name, const char *ns);
/* xml:lang of el or its nearest ancestor. */
struct str xml_lang(const struct xml_el *el);

/* First child element that fits, and the next sibling element that fits. */
struct xml_el *xml_child(const struct xml_el *el, const char *name, const char *ns);
struct xml_el *xml_next(const struct xml_el *el, const char *name, const char *ns);
#define xml_for(pos, parent, name, ns)                                \
    for (struct xml_el *pos = xml_child((parent), (name), (ns)); pos; \
            pos = xml_next(pos, (name), (ns)))

/* Descends by "pubsub/items/item", every step the first child that fits. */
struct xml_el *xml_path(const struct xml_el *el, const char *ns, const char *path);

/*
 * The text directly in el; in pieces it is joined in the tree's arena. p == NULL only
 * if el is NULL: an empty element gives an empty text.
 */
struct str xml_text(const struct xml_el *el);
struct str xml_child_text(const struct xml_el *el, const char *name, const char *ns);

/* Builders. Names and namespaces given as C strings are meant to be literals. */

/* An element without parent; ns NULL: no namespace. */
struct xml_el *xml_el_new(struct arena *arena, const char *name, const char *ns);
struct xml_el *xml_el_new_str(struct arena *arena, struct str name, struct str ns);

/* A new last child; ns NULL: the parent's namespace. Returns the child. */
struct xml_el *xml_add(struct xml_el *parent, const char *name, const char *ns);
/* The same with text in it: <body>text</body>. Returns the child. */
struct xml_el *xml_add_leaf(
        struct xml_el *parent, const char *name, const char *ns, struct str text);
/* Puts an element that has no parent at the end; it must live as long as the parent. */
void xml_add_el(struct xml_el *parent, struct xml_el *child);
void xml_add_text(struct xml_el *el, struct str text);

/* Sets or replaces an attribute; a value with p == NULL removes it. */
void xml_set(struct xml_el *el, const char *name, struct str value);
void xml_set_c(struct xml_el *el, const char *name, const char *value);
void xml_set_ns(struct xml_el *el, const char *name, const char *ns, struct str value);

/* Takes el out of its parent; it stays usable. */
void xml_unlink(struct xml_el *el);
/* Takes all child elements that fit out; how many. */
size_t xml_remove(struct xml_el *parent, const char *name, const char *ns);
/* The same for those children, elements and texts, that fits() accepts; in one pass. */
size_t xml_remove_if(struct xml_el *parent,
        bool (*fits)(const struct xml_el *child, const void *arg), const void *arg);

/* A deep copy, strings included, without parent. */
struct xml_el *xml_copy(struct arena *arena, const struct xml_el *el);

/* Same name, namespace, attributes in any order, children in the same order? */
bool xml_equal(const struct xml_el *a, const struct xml_el *b);

#endif
