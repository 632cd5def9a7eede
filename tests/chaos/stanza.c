/*
 * stanza.c -- as much of XML as a client of tests needs
 *
 * The server's output is well-formed; entities are not resolved, as nothing that is
 * looked at has any.
 */
#include <stdio.h>
#include <string.h>

#include "tests/chaos/crowd.h"

/* Behind the tag that begins at p; NULL: it is not complete. */
static const char *
tag_end(const char *p, const char *end)
{
    char quote = 0;

    for (; p < end; p++) {
        if (quote)
            quote = *p == quote ? 0 : quote;
        else if (*p == '\'' || *p == '"')
            quote = *p;
        else if (*p == '>')
            return p + 1;
    }
    return NULL;
}

size_t
stanza_end(const char *p, size_t n)
{
    const char *at = p, *end = p + n;
    int depth = 0;

    while (at && at < end) {
        const char *tag = memchr(at, '<', (size_t)(end - at)), *after;

        if (!tag)
            return 0;
        after = tag_end(tag, end);
        if (!after)
            return 0;
        if (tag[1] == '/')
            depth--;
        else if (after[-2] != '/')
            depth++;
        if (depth <= 0)
            return (size_t)(after - p);
        at = after;
    }
    return 0;
}

const char *
stanza_attr(const char *p, size_t n, const char *name)
{
    static char value[4][256];
    static unsigned next;
    char *ret = value[next++ % 4];
    const char *end = tag_end(p, p + n), *at = p;
    size_t len = strlen(name);

    *ret = '\0';
    while (end && (at = memchr(at, ' ', (size_t)(end - at)))) {
        at++;
        if ((size_t)(end - at) > len + 2 && strncmp(at, name, len) == 0 &&
                at[len] == '=') {
            const char *v = at + len + 2,
                       *stop = memchr(v, at[len + 1], (size_t)(end - v));

            if (stop)
                snprintf(ret, sizeof value[0], "%.*s", (int)(stop - v), v);
            return ret;
        }
    }
    return ret;
}
