/*
 * usage_linux.c -- CPU time and memory of a process, from /proc
 *
 * Memory is the proportional share (Pss), because a slot segment and the program itself
 * are mapped by several; where we may not read that, the resident size.
 */
#if defined(__linux__)
#include "master/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t
cpu_ms(pid_t pid)
{
    uint64_t user = 0, system = 0, ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    char path[64], line[1024], *after;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    /* The name in parentheses may hold anything: count from behind it. */
    if (fgets(line, sizeof line, f) && (after = strrchr(line, ')')) != NULL)
        sscanf(after,
                ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                &user, &system);
    fclose(f);
    return (user + system) * 1000 / (ticks ? ticks : 100);
}

static uint64_t
pss_kib(pid_t pid)
{
    char path[64], line[256];
    uint64_t kib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)pid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    while (kib == 0 && fgets(line, sizeof line, f))
        sscanf(line, "Pss: %" SCNu64 " kB", &kib);
    fclose(f);
    return kib;
}

static uint64_t
rss_kib(pid_t pid)
{
    uint64_t pages = 0;
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%*u %" SCNu64, &pages) != 1)
        pages = 0;
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

struct usage
usage_of(pid_t pid)
{
    struct usage u = { .cpu_ms = cpu_ms(pid), .memory_kib = pss_kib(pid) };

    if (u.memory_kib == 0)
        u.memory_kib = rss_kib(pid);
    return u;
}
#endif
