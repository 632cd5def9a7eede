#ifndef XML_SCOPE_H
#define XML_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

/* The namespace declarations in force at one place of a stream, the innermost last. */
struct xml_scope {
    struct str prefix; /* n == 0: the default namespace */
    struct str uri;
    unsigned level; /* of the element that declares it; 0: the stream header or the pool
                     */
};

struct xml_scopes {
    struct xml_scope *v;
    size_t n, size;
};

void xml_scopes_fini(struct xml_scopes *s);

/*
 * 0, or -EINVAL: a reserved prefix or namespace, or a prefix taken back. Keeps views.
 */
int xml_scopes_declare(
        struct xml_scopes *s, struct str prefix, struct str uri, unsigned level);

/* Forgets what elements at this level and below declared. */
void xml_scopes_leave(struct xml_scopes *s, unsigned level);

/* false: the prefix is not declared. The default namespace always is: empty if not. */
bool xml_scopes_find(
        const struct xml_scopes *s, struct str prefix, struct str *ret_uri);

/* As one flat text that may move: prefix, NUL, uri, NUL, and so on. */
void xml_scopes_save(const struct xml_scopes *s, struct buf *out);

/* Declares what xml_scopes_save() wrote, at level 0. Keeps views of flat. */
void xml_scopes_load(struct xml_scopes *s, struct str flat);

#endif
