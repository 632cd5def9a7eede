/*
 * cut.c -- where the elements of a stream end
 */
#include "bench/load/cut.h"

#include <string.h>

/* The index behind the tag that starts at `at`; 0: not all of it is there. */
static size_t
tag_end(struct str s, size_t at)
{
    char quote = 0;

    for (size_t i = at + 1; i < s.n; i++) {
        char c = s.p[i];

        if (quote)
            quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == '>')
            return i + 1;
    }
    return 0;
}

static bool
tag_is(struct str s, size_t at, const char *start)
{
    size_t n = strlen(start);

    return s.n - at >= n && memcmp(s.p + at, start, n) == 0;
}

bool
cut_next(struct cut *cut, struct str bytes, struct str *ret_element)
{
    while (cut->at < bytes.n) {
        const char *lt = memchr(bytes.p + cut->at, '<', bytes.n - cut->at);
        size_t at, end;

        if (!lt) {
            cut->at = bytes.n;
            return false;
        }
        cut->at = at = (size_t)(lt - bytes.p);
        end = tag_end(bytes, at);
        if (!end)
            return false;
        cut->at = end;
        if (tag_is(bytes, at, "</"))
            cut->depth -= cut->depth > 0; /* the stream's own end has depth 0 */
        else if (!tag_is(bytes, at, "<?") && !tag_is(bytes, at, "<stream:stream") &&
                 bytes.p[end - 2] != '/')
            cut->depth++;
        if (cut->depth == 0) {
            *ret_element = (struct str){ bytes.p, end };
            while (ret_element->n && *ret_element->p != '<') { /* white space */
                ret_element->p++;
                ret_element->n--;
            }
            cut->at = 0;
            return true;
        }
    }
    return false;
}

struct str
cut_name(struct str element)
{
    size_t n = 1;

    while (n < element.n && !strchr(" />\t\r\n", element.p[n]))
        n++;
    if (n < element.n && n == 1) /* the end of the stream: </name */
        n = 2;
    return (struct str){ element.p + 1, n - 1 };
}

struct str
cut_attr(struct str element, const char *name)
{
    size_t end = tag_end(element, 0), n = strlen(name);

    for (size_t i = 1; i + n + 2 < end; i++) {
        const char *p = element.p + i, *close;

        if (p[-1] != ' ' || memcmp(p, name, n) != 0 || p[n] != '=')
            continue;
        p += n + 1;
        close = memchr(p + 1, *p, (size_t)(element.p + end - p - 1));
        if (close)
            return (struct str){ p + 1, (size_t)(close - p - 1) };
    }
    return STR_NULL;
}

struct str
cut_child(struct str element, const char *name)
{
    size_t n = strlen(name);
    const char *p = element.p, *end = element.p + element.n, *from, *to;

    while ((p = memchr(p, '<', (size_t)(end - p)))) {
        p++;
        if ((size_t)(end - p) > n && memcmp(p, name, n) == 0 && strchr(" >", p[n])) {
            from = memchr(p, '>', (size_t)(end - p));
            to = from ? memchr(from, '<', (size_t)(end - from)) : NULL;
            return to ? (struct str){ from + 1, (size_t)(to - from - 1) } : STR_NULL;
        }
    }
    return STR_NULL;
}
