#ifndef XML_PARSER_PRIV_H
#define XML_PARSER_PRIV_H

#include <expat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "xml/parser.h"
#include "xml/scope.h"

/*
 * What pool.c, parser.c, events.c, builder.c and simple.c share; nobody else includes
 * it.
 */

enum {
    XML_PARSER_MAGIC = 0x786d6c70,
    EXPAT_SIZE_MAX = 65536,
    TAIL = 3,
    END_TAG_MAX = 32
};

struct xml_pool {
    struct list idle; /* primed parsers, the last used first */
    const char *root; /* "stream:stream" */
    struct str root_prefix, root_ns, default_ns;
    struct xml_pool_stats stats;
    size_t n_unused; /* the least n_idle since the last xml_pool_trim() */
    bool only_expat;
};

enum xml_parser_state {
    XML_AT_HEADER, /* before and in the stream header */
    XML_IN_STREAM, /* at depth 1 or within a stanza */
    XML_ENDED      /* closed, stopped or broken */
};

struct xml_parser {
    uint32_t magic;
    enum xml_parser_state state;
    enum xml_error error;
    struct list node; /* in the pool's list while idle */
    struct xml_pool *pool;

    XML_Parser expat;
    size_t expat_size; /* bytes that expat has allocated */
    int64_t expat_n;   /* bytes that expat has been given in its life */
    int64_t n_fed;     /* bytes of this stream that it or simple.c has been given */

    const struct xml_handlers *handlers;
    void *arg;
    struct xml_limits limits;

    struct arena own, *arena; /* where trees go: the own one as a rule */
    struct xml_el *at;        /* innermost open element; NULL between stanzas */
    struct buf text;          /* the run of text being read */
    struct buf attrs;         /* struct xml_tag_attr: of the tag being read */
    unsigned depth, n_elements;
    int64_t stanza_at; /* index of the stanza's first byte in this stream */
    int64_t feed_at;   /* index of the first byte of this feed */
    bool rested;     /* stopped between stanzas, with expat at rest: as good as idle */
    int64_t worn_at; /* end of the stanza after which expat is to be replaced; or 0 */

    struct xml_scopes scopes;
    struct buf header_scopes; /* what the stream's own header declared */

    /* A tag whose end has not come yet: expat would read it again with every byte. */
    struct buf held;
    size_t tag_n; /* its bytes so far, in held and in expat */
    bool in_tag;
    char quote;               /* within an attribute value: its delimiter */
    unsigned char tail[TAIL]; /* the last bytes that expat was given */
    uint64_t n_space;

    /* How the end tag of the stanza begins that expat reads; n == 0: it is too long. */
    char end_tag[END_TAG_MAX];
    uint8_t end_tag_n, n_cuts;
};

/*
 * pool.c: a new expat parser for p, before its header or primed with the pool's root.
 */
void xml_parser_make_expat(struct xml_parser *p, bool primed);
void xml_parser_drop_expat(struct xml_parser *p);

/*
 * Allocations from now on are this parser's (NULL: nobody's). Whose they were before.
 */
struct xml_parser *xml_parser_account(struct xml_parser *p);

/* events.c: tells expat whom to call. */
void xml_parser_set_callbacks(struct xml_parser *p);

/* parser.c: expat reads a stanza of this name (empty: not known yet). */
void xml_parser_watch_end(struct xml_parser *p, struct str name);

/* Ends the stream with e, unless it has ended already. */
void xml_parser_fail(struct xml_parser *p, enum xml_error e);

/*
 * Index of the token that expat is calling about, or of what it has not consumed yet.
 */
int64_t xml_parser_token_at(const struct xml_parser *p);

bool xml_is_space(const char *s, size_t n);

#endif
