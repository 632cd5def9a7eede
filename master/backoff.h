#ifndef MASTER_BACKOFF_H
#define MASTER_BACKOFF_H

#include <stdint.h>

enum {
    BACKOFF_FIRST_MS = 250,
    BACKOFF_MAX_MS = 30 * 1000,
    BACKOFF_HEALTHY_MS = 60 * 1000 /* who lived so long starts afresh */
};

/* How soon a process is started again. { 0 } has never failed. */
struct backoff {
    unsigned n_early; /* ends within the first minute, in a row */
};

/*
 * A process that lived so long has ended: after how many milliseconds to start the
 * next. 0 the first time and after a long life; then slower each time; never "not at
 * all".
 */
uint64_t backoff_delay_ms(struct backoff *b, uint64_t lived_ms);

#endif
