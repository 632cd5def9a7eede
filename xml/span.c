/*
 * span.c -- runs of bytes that need no care
 *
 * Reading and writing both spend their time in finding the next byte that means
 * something. One set of such bytes serves both: what is special in text, in values of
 * either quote, or to the writer. Who does not care about one of them steps over it.
 */
#include "xml/span.h"

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define ONES   UINT64_C(0x0101010101010101) /* times a byte: a word full of it */
#define N4(x)  x, x, x, x
#define N16(x) N4(x), N4(x), N4(x), N4(x)

static const unsigned char plain[256] = {
    N16(0), N16(0),                          /* 00 - 1f */
    1, 1, 0, 1, 1, 1, 0, 0,                  /* 20: " & ' */
    N4(1), N4(1), N4(1), N4(1), 1, 1, 1, 1,  /* 28 - 3b */
    0, 1, 0, 1,                              /* < > */
    N16(1), N4(1), N4(1), N4(1), 1, 0, 1, 1, /* 40 - 5f: ] */
    N16(1), N16(1),                          /* 60 - 7f */
};

#ifdef __SSE2__
enum {
    BLOCK = 16
};

/* The first of 16 bytes that is not plain, or 16. Bytes beyond ASCII are negative. */
static inline size_t
first_special(__m128i x)
{
    __m128i low = _mm_cmplt_epi8(x, _mm_set1_epi8(' '));
    __m128i quot = _mm_cmpeq_epi8(x, _mm_set1_epi8('"'));
    /* & and ' differ in one bit, as do < and >. */
    __m128i amp = _mm_cmpeq_epi8(
            _mm_or_si128(x, _mm_set1_epi8('&' ^ '\'')), _mm_set1_epi8('\''));
    __m128i lt = _mm_cmpeq_epi8(
            _mm_or_si128(x, _mm_set1_epi8('<' ^ '>')), _mm_set1_epi8('>'));
    __m128i bracket = _mm_cmpeq_epi8(x, _mm_set1_epi8(']'));
    int found = _mm_movemask_epi8(_mm_or_si128(
            _mm_or_si128(low, quot), _mm_or_si128(_mm_or_si128(amp, lt), bracket)));

    return (size_t)__builtin_ctz((unsigned)found | 1u << BLOCK);
}

static inline size_t
span_block(const char *p)
{
    return first_special(_mm_loadu_si128((const __m128i *)(const void *)p));
}
#else
enum {
    BLOCK = 8
};

/* The high bit of each byte that is zero; above the lowest of them it may lie. */
static uint64_t
zeroes(uint64_t x)
{
    return (x - ONES) & ~x & 0x80 * ONES;
}

static size_t
span_block(const char *p)
{
    uint64_t x, found;
    size_t i = 0;

    memcpy(&x, p, sizeof x);
    /* Controls, and what is beyond ASCII; & and ' differ in one bit, as do < and >. */
    found = (((x - ' ' * ONES) & ~x) | x) & 0x80 * ONES;
    found |= zeroes(x ^ '"' * ONES) | zeroes(x ^ ']' * ONES);
    found |= zeroes((x | ONES) ^ '\'' * ONES) | zeroes((x | 2 * ONES) ^ '>' * ONES);
    if (!found)
        return BLOCK;
    while (i < BLOCK && plain[(unsigned char)p[i]])
        i++;
    return i;
}
#endif

size_t
xml_span_plain(const char *p, size_t n)
{
    size_t i = 0, found;

    if (n < BLOCK) {
        while (i < n && plain[(unsigned char)p[i]])
            i++;
        return i;
    }
    for (; i <= n - BLOCK; i += BLOCK) {
        found = span_block(p + i);
        if (found < BLOCK)
            return i + found;
    }
    /* The rest with bytes that have been looked at before them. */
    return i < n ? n - BLOCK + span_block(p + n - BLOCK) : n;
}

/* How many bytes a character of three or four has; 0: it is none. */
static size_t
long_size(const unsigned char *s, size_t n)
{
    uint32_t c = s[0];
    size_t size = c >= 0xf0 ? 4 : 3;

    if (c < 0xe0 || c > 0xf4 || n < size)
        return 0;
    c &= 0x7fu >> size;
    for (size_t i = 1; i < size; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (size == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000) || c >= 0xfffe))
        return 0;
    if (size == 4 && (c < 0x10000 || c > 0x10ffff))
        return 0;
    return size;
}

size_t
xml_span_utf8(const char *p, size_t n)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t i = 0, size;

    while (i < n && s[i] >= 0x80) {
        if (s[i] >= 0xc2 && s[i] < 0xe0)
            size = n - i >= 2 && (s[i + 1] & 0xc0) == 0x80 ? 2 : 0;
        else
            size = long_size(s + i, n - i);
        if (size == 0)
            break;
        i += size;
    }
    return i;
}
