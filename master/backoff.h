#ifndef MASTER_BACKOFF_H
#define MASTER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BACKOFF_FREE = 5, /* so many ends in a row cost nothing */
    BACKOFF_FORGIVE_MS = 1000, /* of life make up for one end by a fault, */
    BACKOFF_KILLED_MS = 100,   /* and for one by a kill from outside */
    BACKOFF_FIRST_MS = 250,
    BACKOFF_MAX_MS = 30 * 1000
};

/* How soon a process is started again. { 0 } has never failed. */
struct backoff {
    uint64_t debt_ms; /* for each end, less the time lived since */
};

/*
 * A process that lived so long has ended, by a fault of its own or by a kill: after how
 * many milliseconds to start the next. 0 as long as it lives about a second between its
 * ends, or a tenth of one between kills: then it served. One that dies sooner again and
 * again is started slower each time, never "not at all".
 */
uint64_t backoff_delay_ms(struct backoff *b, uint64_t lived_ms, bool faulted);

#endif
