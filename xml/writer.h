#ifndef XML_WRITER_H
#define XML_WRITER_H

#include "base/buf.h"
#include "base/str.h"

struct arena;
struct xml_el;

/*
 * Serialises el at a place where default_ns ("" or STR_NULL: none) is the default
 * namespace: xmlns is written where an element's namespace differs from the one in
 * force. Elements get no prefixes. xml:… attributes keep theirs; other namespaced
 * attributes get a prefix declared on their element. What XML cannot hold (control
 * characters, bad UTF-8) becomes U+FFFD: the result is always well-formed.
 */
void xml_write(struct buf *out, const struct xml_el *el, struct str default_ns);
/* The same as a text in arena, to be stored or compared. */
struct str xml_string(
        struct arena *arena, const struct xml_el *el, struct str default_ns);

/* Only the start tag, left open for children; the end tag. A pair makes one element. */
void xml_write_start(struct buf *out, const struct xml_el *el, struct str default_ns);
void xml_write_end(struct buf *out, const struct xml_el *el);
/* The children of el, el itself not; default_ns is what is in force inside el. */
void xml_write_children(
        struct buf *out, const struct xml_el *el, struct str default_ns);

/*
 * By hand, for output that needs no tree:
 *
 *     xml_open(out, "iq");                    <iq
 *     xml_put(out, "type", STR("result"));    <iq type='result'
 *     xml_put(out, "to", STR_NULL);           nothing: absent attributes are left out
 *     buf_add_c(out, ">…</iq>");
 */
void xml_open(struct buf *out, const char *name);
void xml_put(struct buf *out, const char *name, struct str value);

/*
 * Text with everything escaped that means something in text or in quotes of any kind.
 */
void xml_escape(struct buf *out, struct str text);

/* <name>text</name> in the namespace in force; nothing if text.p is NULL. */
void xml_leaf(struct buf *out, const char *name, struct str text);

#endif
