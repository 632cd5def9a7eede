/*
 * b64.c -- base64
 */
#include "base/b64.h"

#include <errno.h>

void
b64_encode(struct buf *out, struct str bytes)
{
    static const char alphabet[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t n = bytes.n;
    char *w = buf_reserve(out, (n + 2) / 3 * 4), *start = w;

    for (; n > 0; p += 3) {
        uint32_t v = (uint32_t)p[0] << 16;

        if (n > 1)
            v |= (uint32_t)p[1] << 8;
        if (n > 2)
            v |= p[2];
        *w++ = alphabet[v >> 18];
        *w++ = alphabet[v >> 12 & 63];
        *w++ = n > 1 ? alphabet[v >> 6 & 63] : '=';
        *w++ = n > 2 ? alphabet[v & 63] : '=';
        n = n > 3 ? n - 3 : 0;
    }
    buf_added(out, (size_t)(w - start));
}

static int
b64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

int
b64_decode(struct buf *out, struct str text)
{
    size_t pad = 0, n = 0;
    char *w;

    if (text.n % 4 != 0)
        return -EINVAL;
    while (pad < 2 && text.n > pad && text.p[text.n - 1 - pad] == '=')
        pad++;
    w = buf_reserve(out, text.n / 4 * 3);
    for (size_t i = 0; i < text.n; i += 4) {
        uint32_t v = 0;
        unsigned keep = i + 4 == text.n ? 3 - (unsigned)pad : 3;

        for (size_t j = 0; j < 4; j++) {
            int d = j > keep ? 0 : b64_value(text.p[i + j]);

            if (d < 0)
                return -EINVAL;
            v = v << 6 | (uint32_t)d;
        }
        if ((keep == 1 && (v & 0xffff)) || (keep == 2 && (v & 0xff)))
            return -EINVAL; /* bits behind the end: not the canonical form */
        w[n++] = (char)(v >> 16);
        if (keep > 1)
            w[n++] = (char)(v >> 8);
        if (keep > 2)
            w[n++] = (char)v;
    }
    buf_added(out, n);
    return 0;
}
