#ifndef TESTS_UNIT_RIG_XML_SEEN_H
#define TESTS_UNIT_RIG_XML_SEEN_H

#include "base/buf.h"
#include "xml/parser.h"
#include "xmpp/ns.h"

#define HEADER                                                               \
    "<?xml version='1.0'?><stream:stream to='example.com' xmlns='" NS_CLIENT \
    "' xmlns:stream='" NS_STREAMS "' version='1.0'>"

/* What handlers saw, as text: header, stanzas with their end offsets in the stream. */
struct seen {
    struct buf text;
    struct buf scopes;
    size_t offset; /* of this feed in the stream */
    size_t n_stanzas, last_end;
    bool has_scopes, closed;
    size_t stop_at; /* the handler of this stanza (from 1) stops */
};
extern const struct xml_handlers handlers; /* with a struct seen as their argument */
void seen_fini(struct seen *seen);

/* Feeds text in pieces of piece_n bytes; the last byte of text decides. */
enum xml_error feed_in_pieces(
        struct xml_parser *p, struct seen *seen, struct str text, size_t piece_n);

#endif
