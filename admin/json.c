/*
 * json.c -- strings as JSON writes them
 */
#include "admin/json.h"

/* How long the UTF-8 sequence at p is: 1 to 4; 0 when there is no valid one. */
static size_t
sequence_len(struct str s)
{
    for (size_t n = 1; n <= 4 && n <= s.n; n++)
        if (str_is_utf8((struct str){ s.p, n }))
            return n;
    return 0;
}

static const char *
short_escape(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

void
json_string(struct buf *out, struct str s)
{
    buf_add_char(out, '"');
    while (s.n > 0) {
        unsigned char c = (unsigned char)*s.p;
        const char *escape = short_escape(c);
        size_t n = 1;

        if (escape) {
            buf_add_c(out, escape);
        } else if (c < 0x20 || c == 0x7f) {
            buf_addf(out, "\\u%04x", c);
        } else if (c < 0x80) {
            buf_add_char(out, (char)c);
        } else if ((n = sequence_len(s)) > 0) {
            buf_add(out, s.p, n);
        } else {
            buf_add_c(out, "\xef\xbf\xbd");
            n = 1;
        }
        s.p += n;
        s.n -= n;
    }
    buf_add_char(out, '"');
}
