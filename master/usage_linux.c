/*
 * usage_linux.c -- CPU time and memory of a process, from /proc
 *
 * Memory is the proportional share (Pss), because a slot segment and the program itself
 * are mapped by several; where we may not read that, the resident size.
 */
#if defined(__linux__)
#include "master/usage.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum {
    FILE_MAX = 4096,
    STAT_UTIME = 11, /* counted from the state, which follows the name */
    STAT_STIME = 12,
    STATM_RESIDENT = 1
};

/* A file of a process; empty when we may not read it. */
static struct str
proc_file(pid_t pid, const char *name, char space[FILE_MAX])
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STR_NULL;
    n = read(fd, space, FILE_MAX);
    close_fd(&fd);
    return n > 0 ? (struct str){ space, (size_t)n } : STR_NULL;
}

/* The n-th of fields with one blank between, as a number; 0 when it is not one. */
static uint64_t
field(struct str line, unsigned n)
{
    uint64_t value = 0;
    struct str word;

    for (unsigned i = 0; str_cut(&line, ' ', &word); i++) {
        if (i == n)
            return str_to_u64(str_trim(word), &value) < 0 ? 0 : value;
    }
    return 0;
}

static uint64_t
cpu_ms(pid_t pid)
{
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    char space[FILE_MAX];
    struct str s = proc_file(pid, "stat", space);
    /* The name in parentheses may hold anything: count from behind it. */
    const char *after = s.n > 0 ? memrchr(s.p, ')', s.n) : NULL;
    struct str rest;

    if (!after || s.p + s.n - after < 2)
        return 0;
    rest = (struct str){ after + 2, (size_t)(s.p + s.n - after - 2) };
    return (field(rest, STAT_UTIME) + field(rest, STAT_STIME)) * 1000 /
           (ticks ? ticks : 100);
}

static uint64_t
pss_kib(pid_t pid)
{
    char space[FILE_MAX];
    struct str rest = proc_file(pid, "smaps_rollup", space), line, name;

    while (str_cut(&rest, '\n', &line)) {
        if (str_cut(&line, ':', &name) && str_eq_c(name, "Pss"))
            return field(str_trim(line), 0);
    }
    return 0;
}

static uint64_t
rss_kib(pid_t pid)
{
    char space[FILE_MAX];
    struct str s = proc_file(pid, "statm", space);

    return field(s, STATM_RESIDENT) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
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
