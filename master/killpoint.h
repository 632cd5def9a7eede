#ifndef MASTER_KILLPOINT_H
#define MASTER_KILLPOINT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * For tests, in builds with STANZAD_KILLPOINTS only; elsewhere these do nothing.
 *
 * The environment variable STANZAD_KILLPOINT=NAME@N ends the master by SIGKILL when it
 * comes to the point of that name for the Nth time. STANZAD_LAYOUT=N makes
 * it one that does not understand the processes of others; STANZAD_NO_PIDFD=1 one on a
 * system without pidfds.
 */
#if defined(STANZAD_KILLPOINTS)
void killpoint(const char *name);
uint64_t killpoint_layout(void);
bool killpoint_no_pidfd(void);
#else
#define killpoint(name)      ((void)(name))
#define killpoint_layout()   ((uint64_t)0)
#define killpoint_no_pidfd() false
#endif

#endif
