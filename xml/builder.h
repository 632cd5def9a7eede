#ifndef XML_BUILDER_H
#define XML_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct xml_parser;

/*
 * What builder.c is told about. Names are qualified, as they were written; values and
 * texts are what they stand for. All of them are in the tree's arena already, the array
 * of attributes need not be.
 */
struct xml_tag_attr {
    struct str name, value;
};
struct xml_tag {
    struct str name;
    const struct xml_tag_attr *attrs;
    size_t n_attrs;
};

/* The header's tag, which ends at the index end. */
void xml_build_header(struct xml_parser *p, const struct xml_tag *tag, int64_t end);

/* The next tag begins a stanza: at the index at. */
void xml_build_begin(struct xml_parser *p, int64_t at);

/* One tag after the other; each of these may end in xml_parser_fail(). */
void xml_build_start(struct xml_parser *p, const struct xml_tag *tag);

/*
 * The end tag of the innermost element, which ends at the index end. Calls on_stanza at
 * the end of a stanza; false: it wants no more. The caller has to tell the parser.
 */
bool xml_build_end(struct xml_parser *p, int64_t end);

#endif
