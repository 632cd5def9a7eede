#ifndef XML_PARSER_H
#define XML_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "xml/el.h"

struct arena;
struct xml_pool;   /* opaque: the parsers of one process */
struct xml_parser; /* opaque: one stream being read */

enum xml_error {
    XML_OK,
    XML_STOPPED,             /* a handler asked for it: not an error */
    XML_ERR_NOT_WELL_FORMED, /* broken XML */
    XML_ERR_NAMESPACE,  /* prefix undeclared or misused, attribute twice by namespace */
    XML_ERR_RESTRICTED, /* DTD, comment, processing instruction, foreign entity */
    XML_ERR_BAD_ENCODING, /* not UTF-8 */
    XML_ERR_TEXT,         /* text between stanzas */
    XML_ERR_PREFIX,       /* the header is not the pool's root, <stream:stream> */
    XML_ERR_TOO_BIG,      /* stanza_size_max or tag_size_max */
    XML_ERR_TOO_DEEP,     /* depth_max */
    XML_ERR_TOO_MANY      /* attributes, elements or namespaces */
};
const char *xml_error_text(enum xml_error e); /* "not well-formed": for logs */

/* 0 means the default in every member. */
struct xml_limits {
    size_t stanza_size_max; /* bytes of one stanza, and of the header: 262144 */
    size_t tag_size_max; /* bytes of one start tag: 16384; more than 64k is cut to it */
    uint32_t depth_max;  /* levels within a stanza, itself being 1: 100 */
    uint32_t attrs_max;  /* of one element, declarations included: 100 */
    uint32_t elements_max;   /* in one stanza: 10000 */
    uint32_t namespaces_max; /* declarations in force at one place: 64 */
};

/* What a stream header told. Views are valid until the handler returns. */
struct xml_header {
    struct xml_el *el;     /* name, namespace, attributes */
    struct str default_ns; /* that its children inherit: the content namespace */
    struct str scopes;     /* for xml_parser_get(); empty if they are the pool's own */
    size_t end;            /* bytes of this feed up to the end of the header */
};

/*
 * Each returns whether to go on. After false nothing more is read, xml_parser_feed()
 * returns XML_STOPPED, and the parser is good for nothing but xml_parser_put(); what
 * lies beyond `end` (bytes of this feed up to the end of this stanza) may go to another
 * one.
 *
 * The stanza's tree is in el->arena, which is the parser's own: it may be used for what
 * belongs to the stanza, and it is reset when the handler has returned.
 * A handler must not feed or put the parser that calls it.
 */
struct xml_handlers {
    bool (*on_open)(void *arg, const struct xml_header *header); /* never if primed */
    bool (*on_stanza)(void *arg, struct xml_el *el, size_t end);
    bool (*on_close)(
            void *arg, size_t end); /* the stream's end tag; ends the parser too */
};

/*
 * root: the qualified name that every stream starts with; default_ns and, for its
 * prefix, root_ns: the declarations that go without saying on streams of this pool.
 * Literals.
 *
 *     xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT)
 */
struct xml_pool *xml_pool_new(
        const char *root, const char *root_ns, const char *default_ns);
void xml_pool_free(
        struct xml_pool **pool); /* after all its parsers have been put back */

struct xml_pool_stats {
    uint64_t created, reused, worn; /* worn: given up because of their size */
    uint64_t scanned; /* stanzas that were looked at: are they whole and simple? */
    uint64_t simple;  /* those that were: expat has not seen them */
    uint64_t by_expat;
    size_t n_idle, n_out; /* in the pool, in use */
};
void xml_pool_stats(const struct xml_pool *pool, struct xml_pool_stats *ret_stats);

/*
 * To be called now and then: gives up parsers that were in the pool all the time since
 * the last call, but for a few; a crowd leaves more than a hundred, of about 15 kB
 * each. How many.
 */
size_t xml_pool_trim(struct xml_pool *pool);

/* From now on expat reads every stanza: to compare what comes out. */
void xml_pool_use_expat(struct xml_pool *pool);

/*
 * A parser at the beginning of a stream: it expects the header, after an optional XML
 * declaration. handlers must outlive it (make it static const); limits are copied, and
 * NULL means the defaults.
 */
struct xml_parser *xml_parser_open(struct xml_pool *pool,
        const struct xml_limits *limits, const struct xml_handlers *handlers,
        void *arg);

/*
 * A parser within a stream, right behind the header or any stanza. scopes is what
 * on_open was given for this stream, byte for byte; it may lie anywhere, holds no
 * pointers, and must outlive the parser's use.
 */
struct xml_parser *xml_parser_get(struct xml_pool *pool,
        const struct xml_limits *limits, struct str scopes,
        const struct xml_handlers *handlers, void *arg);

/* scopes for input without any declarations in force, as in WebSocket frames. */
extern const struct str XML_SCOPES_NONE;

/* Takes effect with the next byte: the limits rise after authentication. */
void xml_parser_set_limits(struct xml_parser *p, const struct xml_limits *limits);

/* Reads n bytes, calling handlers on the way. XML_OK, or why it has come to an end. */
enum xml_error xml_parser_feed(struct xml_parser *p, const void *data, size_t n);

/*
 * How many of the bytes fed so far, the last ones, belong to a stanza (or header) that
 * is not complete. These are to be kept: after a crash they are fed again, to a parser
 * from xml_parser_get() (or _open, if the header was not complete). 0 when idle.
 */
size_t xml_parser_kept(const struct xml_parser *p);

/* Stands between two stanzas and holds no byte: may be put back without loss. */
bool xml_parser_idle(const struct xml_parser *p);

/* Bytes of white space between stanzas so far: clients' keep-alives. */
uint64_t xml_parser_n_space(const struct xml_parser *p);

/* Gives the parser back in whatever state, and sets *p to NULL; NULL is allowed. */
void xml_parser_put(struct xml_parser **p);

/*
 * Parses one whole element, such as a stored stanza, into a tree in arena. default_ns
 * is the namespace in force around it. White space around it is allowed, nothing else.
 */
enum xml_error xml_parse(struct xml_pool *pool, const struct xml_limits *limits,
        struct arena *arena, struct str text, const char *default_ns,
        struct xml_el **ret_el);

#endif
