/*
 * rand.c -- unpredictable bytes
 *
 * Most who ask want a few bytes, and the system is asked for some more at a time. What
 * was given out is wiped here. A process that goes on after fork() beside its parent
 * would give out the same: ours execute a program then, or one of the two ends.
 */
#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/random.h>
#endif

#include "base/mem.h"

enum {
    POOL = 256 /* getentropy's limit */
};

static unsigned char pool[POOL];
static size_t pool_left; /* at its end */

static void
from_system(unsigned char *ret, size_t n)
{
    while (getentropy(ret, n) < 0) {
        if (errno != EINTR)
            abort();
    }
}

void
rand_bytes(void *p, size_t n)
{
    unsigned char *at = p;

    for (; n > POOL; n -= POOL, at += POOL)
        from_system(at, POOL);
    if (n > pool_left) {
        from_system(pool, POOL);
        pool_left = POOL;
    }
    memcpy(at, pool + POOL - pool_left, n);
    mem_wipe(pool + POOL - pool_left, n);
    pool_left -= n;
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
