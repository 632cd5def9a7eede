#ifndef MASTER_DEATHS_H
#define MASTER_DEATHS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"

struct master;

/* How processes have ended: the last of them, in DIR/deaths too. */
struct deaths {
    struct buf lines; /* time (µs), process, pid, how, details; tabs between */
    struct loop_timer timer;
};

void deaths_load(struct master *m);
void deaths_fini(struct master *m);

/* Adds one; it is in the file soon after. how: "planned", "killed", "fault" … */
void deaths_add(struct master *m, const char *process, int32_t pid, const char *how,
        struct str details);

/* Adds the lines about a process, at most n, the last ones, each after prefix. */
void deaths_of(const struct master *m, const char *process, unsigned n,
        const char *prefix, struct buf *out);

#endif
