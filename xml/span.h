#ifndef XML_SPAN_H
#define XML_SPAN_H

#include <stddef.h>

/*
 * How many bytes at the beginning of [p, p + n) are printable ASCII that means nothing
 * special anywhere in XML: all but control characters, " & ' < > ] and what is beyond
 * ASCII. Reads no byte behind them that is not among the n.
 */
size_t xml_span_plain(const char *p, size_t n);

/*
 * The same of characters beyond ASCII. It ends as well before one that is not
 * well-formed, cut short, or none that XML allows (surrogates, U+FFFE, U+FFFF).
 */
size_t xml_span_utf8(const char *p, size_t n);

#endif
