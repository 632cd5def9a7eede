/*
 * proc.c -- CPU time and memory of a process and its descendants
 *
 * CPU time is the scheduler's own account in nanoseconds (schedstat of each thread), of
 * which utime and stime are roundings. It includes what the kernel does in system calls
 * and in interrupts on their time: on loopback, the receiver's TCP is the sender's
 * time. Memory is Pss: what all processes together have is the sum. Sockets' memory is
 * the kernel's and not in it.
 */
#include "bench/load/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t
thread_cpu_ns(int pid)
{
    char path[320];
    uint64_t sum = 0;
    struct dirent *e;
    DIR *d;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    d = opendir(path);
    while (d && (e = readdir(d))) {
        unsigned long long ns;
        FILE *f;

        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.16s/schedstat", pid, e->d_name);
        f = fopen(path, "r");
        if (f && fscanf(f, "%llu", &ns) == 1)
            sum += ns;
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return sum;
}

static uint64_t
pss(int pid)
{
    char path[64], line[256];
    unsigned long long kb = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pss: %llu kB", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb * 1024;
}

/* The parent; *ret_comm as the kernel has it. 0: it has gone. */
static int
parent_of(int pid, char ret_comm[24])
{
    char path[64], line[512], *open, *close;
    int ppid = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    f = fopen(path, "r");
    if (!f)
        return 0;
    if (fgets(line, sizeof line, f) && (open = strchr(line, '(')) &&
            (close = strrchr(line, ')'))) {
        snprintf(ret_comm, 24, "%.*s", (int)(close - open - 1), open + 1);
        if (sscanf(close + 2, "%*c %d", &ppid) != 1)
            ppid = 0;
    }
    fclose(f);
    return ppid;
}

/* stanzad's processes say "stanzad: worker 0" where others have their arguments. */
static void
role_of(int pid, char name[24])
{
    char path[64], line[256] = "";
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    f = fopen(path, "r");
    if (!f)
        return;
    if (fread(line, 1, sizeof line - 1, f) == 0 ||
            sscanf(line, "stanzad: %20s", name) != 1)
        snprintf(name, 24, "master");
    fclose(f);
}

void
proc_tree_read(struct proc_tree *t, int root_pid, bool memory)
{
    static struct {
        int pid, parent;
        char name[24];
    } all[65536];
    int n = 0, found = 0;
    struct dirent *e;
    DIR *d = opendir("/proc");

    t->n = 0;
    while (d && (e = readdir(d)) && n < 65536) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        all[n].pid = atoi(e->d_name);
        all[n].parent = parent_of(all[n].pid, all[n].name);
        n++;
    }
    if (d)
        closedir(d);
    for (int i = 0; i < n; i++)
        if (all[i].pid == root_pid)
            memcpy(t->use[t->n].name, all[i].name, 24), t->use[t->n++].pid = root_pid;
    for (; found < t->n; found++)
        for (int i = 0; i < n && t->n < PROC_MAX; i++)
            if (all[i].parent == t->use[found].pid) {
                memcpy(t->use[t->n].name, all[i].name, 24);
                t->use[t->n++].pid = all[i].pid;
            }
    for (int i = 0; i < t->n; i++) {
        struct proc_use *u = &t->use[i];

        if (strcmp(u->name, "stanzad") == 0)
            role_of(u->pid, u->name);
        u->cpu_ns = thread_cpu_ns(u->pid);
        u->pss = memory ? pss(u->pid) : 0;
    }
}

uint64_t
proc_tree_cpu_ns(const struct proc_tree *t)
{
    uint64_t sum = 0;

    for (int i = 0; i < t->n; i++)
        sum += t->use[i].cpu_ns;
    return sum;
}

uint64_t
proc_tree_pss(const struct proc_tree *t)
{
    uint64_t sum = 0;

    for (int i = 0; i < t->n; i++)
        sum += t->use[i].pss;
    return sum;
}

uint64_t
proc_cpu_since(const struct proc_use *now, const struct proc_tree *before)
{
    for (int i = 0; i < before->n; i++)
        if (before->use[i].pid == now->pid)
            return now->cpu_ns - before->use[i].cpu_ns;
    return now->cpu_ns;
}
