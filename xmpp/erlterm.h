#ifndef XMPP_ERLTERM_H
#define XMPP_ERLTERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct arena;

/*
 * Erlang terms as text, which is how ejabberd keeps what has no column of its own in
 * its SQL tables: sr_group.opts, muc_room.opts, archive_prefs.always,
 * pubsub_node_option.val.
 *
 * Text is bytes to Erlang there, and so it is here: what is UTF-8 in a database is
 * UTF-8 in a binary. Pids, references, funs and bit strings are no such data and are
 * refused.
 */
enum erlterm_type {
    ERLTERM_ATOM,    /* text */
    ERLTERM_INTEGER, /* integer */
    ERLTERM_BIG,     /* text: the decimal digits of one that has more than 64 bits */
    ERLTERM_FLOAT,   /* number */
    ERLTERM_BINARY,  /* text */
    ERLTERM_STRING,  /* text: a list of bytes that was written in quotes, not empty */
    ERLTERM_LIST,    /* first, n; tail if it is an improper one */
    ERLTERM_TUPLE,   /* first, n */
    ERLTERM_MAP      /* first, n: key, value, key, value, … */
};

/* Lives in an arena. Members may be read directly. */
struct erlterm {
    enum erlterm_type type;
    size_t n; /* elements */
    union {
        struct str text;
        int64_t integer;
        double number;
        struct {
            struct erlterm *first, *last, *tail;
        };
    };
    struct erlterm *next; /* in the list, tuple or map that holds it */
};

enum {
    ERLTERM_SIZE_MAX = 4 * 1024 * 1024, /* bytes of text */
    ERLTERM_DEPTH_MAX = 64,
    ERLTERM_TERMS_MAX = 500000
};

/*
 * One term that fills the text, without a dot at its end. 0; -EINVAL: not a term, or
 * one that is refused; -E2BIG: beyond a limit. Views of text are kept: it must live as
 * long.
 */
int erlterm_parse(struct arena *arena, struct str text, struct erlterm **ret);

/*
 * As ejabberd writes it (io_lib:print, in one line): quotes around what is printable in
 * Latin-1, numbers otherwise. It can be read by every version, and is UTF-8.
 */
void erlterm_write(struct buf *out, const struct erlterm *term);

/* Look-ups. All accept NULL: not found. */

bool erlterm_is_atom(const struct erlterm *term, const char *name);
/* A tuple of n elements that begins with this atom; n == 0: any size; NULL: anything.
 */
bool erlterm_is_tuple(const struct erlterm *term, const char *name, size_t n);
/* The element of a list or tuple, from 0; NULL beyond. */
struct erlterm *erlterm_nth(const struct erlterm *term, size_t i);
/*
 * In a list of {Name, Value} and Name, which means {Name, true}: the first value, which
 * must not be changed; NULL when there is none.
 */
struct erlterm *erlterm_prop(const struct erlterm *list, const char *name);
/*
 * The bytes of a binary, or of a string or list of bytes, as older versions stored
 * them; of an atom its name. 0 or -EINVAL: none of these.
 */
int erlterm_text(struct arena *arena, const struct erlterm *term, struct str *ret);

/* Builders. Texts are not copied. */

struct erlterm *erlterm_atom(struct arena *arena, struct str name);
struct erlterm *erlterm_integer(struct arena *arena, int64_t value);
struct erlterm *erlterm_float(struct arena *arena, double value); /* finite */
struct erlterm *erlterm_binary(struct arena *arena, struct str bytes);
struct erlterm *erlterm_list(struct arena *arena);
struct erlterm *erlterm_tuple(struct arena *arena);
struct erlterm *erlterm_map(struct arena *arena);
/* Puts a term, which is in no other, at the end of a list, tuple or map; returns it. */
struct erlterm *erlterm_push(struct erlterm *into, struct erlterm *term);
/* Pushes {name, value}. name is a literal. */
void erlterm_push_prop(struct arena *arena, struct erlterm *list, const char *name,
        struct erlterm *value);

#endif
