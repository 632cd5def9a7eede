#ifndef MASTER_USAGE_H
#define MASTER_USAGE_H

#include <stdint.h>
#include <sys/types.h>

/* What a process has used. */
struct usage {
    uint64_t cpu_ms;     /* user and system */
    uint64_t memory_kib; /* its share of what is resident, or all of it (RSS) */
};

/* Zeros where the system does not tell. */
struct usage usage_of(pid_t pid);

#endif
