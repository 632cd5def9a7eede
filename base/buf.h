#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>

#include "base/str.h"

/*
 * Bytes on the heap that grow. { 0 } is an empty buf. Always terminated once written.
 */
struct buf {
    char *p;
    size_t n, size;
};

void buf_fini(struct buf *b);

/* Forgets the content; keeps the memory up to keep_size bytes. */
void buf_reset(struct buf *b, size_t keep_size);

char *buf_grow(struct buf *b, size_t n); /* buf_reserve()'s, when there is no room */

/* Room for n more bytes: returns where they go; buf_added() then counts them. */
static inline char *
buf_reserve(struct buf *b, size_t n)
{
    return b->size - b->n > n ? b->p + b->n : buf_grow(b, n);
}

static inline void
buf_added(struct buf *b, size_t n)
{
    assert(b->size - b->n > n);
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, struct str s);
void buf_add_c(struct buf *b, const char *cstr);
void buf_add_u64(struct buf *b, uint64_t n); /* in decimal */
static inline void
buf_add_char(struct buf *b, char c)
{
    *buf_reserve(b, 1) = c;
    buf_added(b, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
        __attribute__((format(printf, 2, 0)));

/* Removes n bytes from the front. */
void buf_drop(struct buf *b, size_t n);

struct str buf_str(const struct buf *b);
const char *buf_c(const struct buf *b); /* "" when empty */

#endif
