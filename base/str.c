/*
 * str.c -- views of bytes
 */
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/arena.h"
#include "base/mem.h"

struct str
str_from(const char *cstr)
{
    return cstr ? (struct str){ cstr, strlen(cstr) } : STR_NULL;
}

bool
str_caseeq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

bool
str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq((struct str){ s.p, prefix.n }, prefix);
}

bool
str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           str_eq((struct str){ s.p + (s.n - suffix.n), suffix.n }, suffix);
}

int
str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n ? memcmp(a.p, b.p, n) : 0;

    if (r != 0)
        return r;
    return (a.n > b.n) - (a.n < b.n);
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str
str_trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool
str_cut(struct str *rest, char sep, struct str *ret_head)
{
    const char *at;

    if (!rest->p)
        return false;
    at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    if (at) {
        *ret_head = (struct str){ rest->p, (size_t)(at - rest->p) };
        rest->n -= ret_head->n + 1;
        rest->p = at + 1;
    } else {
        *ret_head = *rest;
        *rest = STR_NULL;
    }
    return true;
}

bool
str_take(struct str *rest, size_t n, struct str *ret_head)
{
    if (rest->n < n)
        return false;
    *ret_head = (struct str){ rest->p, n };
    rest->p += n;
    rest->n -= n;
    return true;
}

bool
str_take_into(struct str *rest, void *ret_bytes, size_t n)
{
    struct str head;

    if (!str_take(rest, n, &head))
        return false;
    if (n)
        memcpy(ret_bytes, head.p, n);
    return true;
}

int
str_to_u64(struct str s, uint64_t *ret_value)
{
    uint64_t v = 0;

    if (s.n == 0)
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        unsigned d = (unsigned)(unsigned char)s.p[i] - '0';

        if (d > 9)
            return -EINVAL;
        if (v > (UINT64_MAX - d) / 10)
            return -ERANGE;
        v = v * 10 + d;
    }
    *ret_value = v;
    return 0;
}

int
str_to_i64(struct str s, int64_t *ret_value)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    uint64_t v;
    int r;

    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        s.p++;
        s.n--;
    }
    r = str_to_u64(s, &v);
    if (r < 0)
        return r;
    if (v > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *ret_value = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

bool
str_is_utf8(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = s.n ? p + s.n : p;

    while (p < end) {
        uint32_t c = *p++;
        unsigned more;
        uint32_t least;

        if (c < 0x80)
            continue;
        if (c >= 0xc2 && c <= 0xdf) {
            more = 1, least = 0x80, c &= 0x1f;
        } else if ((c & 0xf0) == 0xe0) {
            more = 2, least = 0x800, c &= 0x0f;
        } else if (c >= 0xf0 && c <= 0xf4) {
            more = 3, least = 0x10000, c &= 0x07;
        } else {
            return false;
        }
        if ((size_t)(end - p) < more)
            return false;
        while (more--) {
            if ((*p & 0xc0) != 0x80)
                return false;
            c = c << 6 | (*p++ & 0x3f);
        }
        if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
    }
    return true;
}

struct str
str_dup(struct arena *arena, struct str s)
{
    return (struct str){ str_dup_c(arena, s), s.n };
}

char *
str_dup_c(struct arena *arena, struct str s)
{
    char *p = arena_alloc_unaligned(arena, s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

char *
str_heap_c(struct str s)
{
    char *p = mem_alloc(s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

bool
str_eq_secret(struct str a, struct str b)
{
    volatile unsigned char diff = 0;

    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        diff = (unsigned char)(diff | (a.p[i] ^ b.p[i]));
    return diff == 0;
}

unsigned
str_distance(struct str a, struct str b)
{
    unsigned row[65];

    if (a.n > 64 || b.n > 64)
        return (unsigned)(a.n > b.n ? a.n : b.n);
    for (unsigned j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 0; i < a.n; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < b.n; j++) {
            unsigned change = diagonal + (a.p[i] != b.p[j]);
            unsigned least = row[j] + 1 < row[j + 1] + 1 ? row[j] + 1 : row[j + 1] + 1;

            diagonal = row[j + 1];
            row[j + 1] = change < least ? change : least;
        }
    }
    return row[b.n];
}
