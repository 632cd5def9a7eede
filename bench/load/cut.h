#ifndef BENCH_LOAD_CUT_H
#define BENCH_LOAD_CUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/*
 * Finds where the elements of a stream end, and no more: a client of servers that we
 * trust to be well-formed. Stream headers, XML declarations and the end of the stream
 * count as elements. { 0 } is the beginning of a stream.
 */
struct cut {
    size_t at; /* so far has been looked at */
    unsigned depth;
};

/*
 * The first element of `bytes`, if all of it is there; then the caller drops it (and
 * what was before it) and asks again. `bytes` are those of the last call and perhaps
 * more.
 */
bool cut_next(struct cut *cut, struct str bytes, struct str *ret_element);

struct str cut_name(struct str element);

/* The value of an attribute of its start tag, as it is there; STR_NULL when there is
 * none. */
struct str cut_attr(struct str element, const char *name);

/* The text between <name…> and the next </name>; STR_NULL when there is none. */
struct str cut_child(struct str element, const char *name);

#endif
