#ifndef MASTER_PRETEND_H
#define MASTER_PRETEND_H

#include <stdbool.h>
#include <stdint.h>

/*
 * For tests, in builds with STANZAD_KILLPOINTS only; elsewhere these do nothing.
 *
 * The environment variable STANZAD_LAYOUT=N makes a master one that does not understand
 * the processes of others; STANZAD_NO_PIDFD=1 one on a system without pidfds.
 */
#if defined(STANZAD_KILLPOINTS)
uint64_t pretend_layout(void);
bool pretend_no_pidfd(void);
#else
#define pretend_layout()   ((uint64_t)0)
#define pretend_no_pidfd() false
#endif

#endif
