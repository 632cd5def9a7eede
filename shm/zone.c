/*
 * zone.c -- shared memory that is held by descriptors
 *
 * shm_open and not memfd_create: a memfd has mode 0777 for whoever can reach it through
 * /proc, so that a read-only descriptor of it can be reopened for writing.
 */
#include "shm/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0 /* then the address is a hint, and we compare */
#endif
#if defined __linux__ && !defined MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; headers may be older */
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

int
zone_create(size_t size, int *ret_rw, int *ret_ro)
{
    int rw = -1, ro = -1, r = 0;
    char name[48], id[17];

    rand_text(id, 16);
    snprintf(name, sizeof name, "/stanzad-%s", id);
    rw = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (rw < 0)
        return -errno;
    ro = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
    if (ro < 0)
        r = -errno;
    shm_unlink(name);
    if (r == 0 && ftruncate(rw, (off_t)size) < 0)
        r = -errno;
    if (r == 0) {
        *ret_rw = take_fd(&rw);
        *ret_ro = take_fd(&ro);
    }
    close_fd(&rw);
    close_fd(&ro);
    return r;
}

int
zone_map(struct zone *z, int fd, size_t size, uint64_t base, bool writable)
{
    int flags = MAP_SHARED | MAP_NORESERVE | (base ? MAP_FIXED_NOREPLACE : 0);
    void *want = (void *)(uintptr_t)base;
    void *p = mmap(want, size, PROT_READ | (writable ? PROT_WRITE : 0), flags, fd, 0);

    if (p == MAP_FAILED)
        return -errno;
    if (base && p != want) {
        munmap(p, size);
        return -EEXIST;
    }
    *z = (struct zone){ p, size };
    return 0;
}

void
zone_unmap(struct zone *z)
{
    if (z->base)
        munmap(z->base, z->size);
    *z = (struct zone){ 0 };
}

#ifdef MADV_POPULATE_WRITE
int
zone_touch(volatile void *p, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t at = (uintptr_t)p & ~(page - 1), end = (uintptr_t)p + n;

    while (madvise((void *)at, end - at, MADV_POPULATE_WRITE) < 0) {
        if (errno == ENOMEM || errno == EFAULT || errno == EHWPOISON)
            return -ENOMEM;
        if (errno != EINTR && errno != EAGAIN)
            break; /* an older system: memory is taken when it is written */
    }
    return 0;
}
#else
int
zone_touch(volatile void *p, size_t n)
{
    (void)p, (void)n;
    return 0;
}
#endif

void
zone_discard(void *p, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t at = ((uintptr_t)p + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)p + n) & ~(page - 1);

#ifdef MADV_REMOVE
    if (at < end)
        madvise((void *)at, end - at, MADV_REMOVE);
#else
    (void)at, (void)end;
#endif
}

uint64_t
zone_pick_base(uint64_t span)
{
    /* Far from where systems put programs, heaps, stacks, libraries and sanitizers. */
    const uint64_t low = (uint64_t)0x20 << 40, high = (uint64_t)0x50 << 40;
    const uint64_t step = (uint64_t)1 << 30;

    for (int tries = 0; tries < 64; tries++) {
        uint64_t at = low + rand_u64() % ((high - low - span) / step) * step;
        void *want = (void *)(uintptr_t)at;
        void *p = mmap(want, span, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
                0);

        if (p == MAP_FAILED)
            continue;
        munmap(p, span);
        if (p == want)
            return at;
    }
    return 0;
}
