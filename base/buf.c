/*
 * buf.c -- bytes on the heap that grow
 */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void
buf_fini(struct buf *b)
{
    mem_free_p(b->p);
    *b = (struct buf){ 0 };
}

void
buf_reset(struct buf *b, size_t keep_size)
{
    if (b->size > keep_size)
        buf_fini(b);
    b->n = 0;
    if (b->p)
        b->p[0] = '\0';
}

char *
buf_grow(struct buf *b, size_t n)
{
    size_t need = b->n + n + 1, size = b->size ? b->size : 64;

    assert(need > n);
    while (size < need)
        size *= 2;
    b->p = mem_realloc(b->p, size);
    b->size = size;
    return b->p + b->n;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
    if (n)
        memcpy(buf_reserve(b, n), p, n);
    else
        buf_reserve(b, 0);
    buf_added(b, n);
}

void
buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void
buf_add_c(struct buf *b, const char *cstr)
{
    buf_add(b, cstr, strlen(cstr));
}

void
buf_add_u64(struct buf *b, uint64_t n)
{
    char text[20], *at = text + sizeof text;

    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    buf_add(b, at, (size_t)(text + sizeof text - at));
}

void
buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    assert(n >= 0);
    vsnprintf(buf_reserve(b, (size_t)n), (size_t)n + 1, fmt, ap);
    buf_added(b, (size_t)n);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(b, fmt, ap);
    va_end(ap);
}

void
buf_drop(struct buf *b, size_t n)
{
    assert(n <= b->n);
    if (n == 0)
        return;
    b->n -= n;
    memmove(b->p, b->p + n, b->n + 1);
}

struct str
buf_str(const struct buf *b)
{
    return (struct str){ b->p, b->n };
}

const char *
buf_c(const struct buf *b)
{
    return b->p ? b->p : "";
}
