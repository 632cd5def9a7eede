#ifndef XML_SIMPLE_H
#define XML_SIMPLE_H

#include <stddef.h>

struct xml_parser;

/*
 * Takes what is next in a stream without expat: a run of white space between stanzas,
 * or a whole stanza. How many bytes it took; 0: expat is to have them.
 *
 * Only where a stanza may begin and expat is at rest.
 */
size_t xml_simple_feed(struct xml_parser *p, const char *s, size_t n);

#endif
