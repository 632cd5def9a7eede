/*
 * rand.c -- unpredictable bytes
 */
#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/random.h>
#endif

void
rand_bytes(void *p, size_t n)
{
    unsigned char *at = p;

    while (n > 0) {
        size_t part = n > 256 ? 256 : n; /* getentropy's limit */

        if (getentropy(at, part) < 0) {
            if (errno == EINTR)
                continue;
            abort();
        }
        at += part;
        n -= part;
    }
}

uint64_t
rand_u64(void)
{
    uint64_t v;

    rand_bytes(&v, sizeof v);
    return v;
}

void
rand_text(char *ret_text, size_t n)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

    rand_bytes(ret_text, n);
    for (size_t i = 0; i < n; i++)
        ret_text[i] = alphabet[(unsigned char)ret_text[i] & 31];
    ret_text[n] = '\0';
}
