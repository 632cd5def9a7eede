#ifndef BENCH_LOAD_PROC_H
#define BENCH_LOAD_PROC_H

#include <stdbool.h>
#include <stdint.h>

/* A process and all its descendants, at one instant (Linux's /proc). */
enum {
    PROC_MAX = 512
};

struct proc_use {
    int pid;
    char name[24];   /* of the role for stanzad, else of the program */
    uint64_t cpu_ns; /* of all its threads */
    uint64_t pss;    /* bytes: each shared page divided by those who share it */
};

struct proc_tree {
    int n;
    struct proc_use use[PROC_MAX];
};

/* With memory it takes longer: the kernel walks page tables. */
void proc_tree_read(struct proc_tree *t, int root_pid, bool memory);

uint64_t proc_tree_cpu_ns(const struct proc_tree *t);
uint64_t proc_tree_pss(const struct proc_tree *t);

/* What a process of this tree has used since the other tree was read. */
uint64_t proc_cpu_since(const struct proc_use *now, const struct proc_tree *before);

#endif
