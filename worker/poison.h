#ifndef WORKER_POISON_H
#define WORKER_POISON_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What several processes in a row died of is set aside, so that it cannot stop the
 * service for ever. A process that is killed from outside (kill -9, the system when
 * memory is short) most likely did not die of what it was doing: it takes ten of those
 * to weigh as much as one fault.
 */
enum {
    POISON_FAULT = 10,
    POISON_KILL = 1,
    POISON_STANZA = 2 * POISON_FAULT, /* a client's: its connection is ended */
    POISON_WORK = 3 * POISON_FAULT    /* a job, a frame: dropped */
};

struct poison {
    uint64_t what;   /* the last occupants were doing when they died; 0: nothing */
    uint32_t weight; /* of their deaths in a row */
    uint32_t deaths;
};

/* One more has died of it; faulted: by a fault of its own. Returns the weight. */
static inline uint32_t
poison_note(struct poison *p, uint64_t what, bool faulted)
{
    if (p->what != what)
        *p = (struct poison){ .what = what };
    p->deaths++;
    return p->weight += faulted ? POISON_FAULT : POISON_KILL;
}

#endif
