#ifndef AUTH_WORK_H
#define AUTH_WORK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/loop.h"

/*
 * What takes a millisecond or more (PBKDF2) waits in a queue, and one piece of it is
 * done per turn of the loop: SCRAM from stored keys, which takes microseconds, goes
 * past.
 */
struct work {
    struct list node; /* a ring of its own when it is not waiting */
    void (*fn)(struct work *work);
};

struct work_queue {
    struct loop *loop;
    struct loop_turn turn;
    struct list list;
    size_t n, n_max;
};

void work_queue_init(struct work_queue *q, struct loop *loop, size_t n_max);
void work_init(struct work *work, void (*fn)(struct work *work));

/* 0, or -ENOBUFS: too much is waiting already. */
int work_add(struct work_queue *q, struct work *work);

/* Takes it out, if it is waiting. */
void work_cancel(struct work_queue *q, struct work *work);

#endif
