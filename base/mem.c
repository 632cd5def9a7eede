/*
 * mem.c -- heap memory that does not fail, descriptors that are closed once
 */
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

static void *
mem_check(void *p, size_t size)
{
    if (!p) {
        fprintf(stderr, "out of memory: %zu bytes\n", size);
        abort();
    }
    return p;
}

void *
mem_alloc(size_t size)
{
    return mem_check(malloc(size ? size : 1), size);
}

void *
mem_zalloc(size_t size)
{
    return mem_check(calloc(1, size ? size : 1), size);
}

void *
mem_realloc(void *p, size_t size)
{
    return mem_check(realloc(p, size ? size : 1), size);
}

void
mem_free_p(void *p)
{
    free(p);
}

void
mem_wipe(void *p, size_t size)
{
    memset(p, 0, size);
    __asm__ volatile("" : : "r"(p) : "memory");
}

void
close_fd(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

int
take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

#ifdef __GLIBC__
void
mem_trim(void)
{
    malloc_trim(0);
}
#else
/* Other systems' heaps do it by themselves. */
void
mem_trim(void)
{
}
#endif
