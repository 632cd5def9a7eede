#ifndef BASE_KILLPOINT_H
#define BASE_KILLPOINT_H

/*
 * Points at which a test can make this process die by SIGKILL: base/killpoint.def.
 *
 * Elsewhere than in builds with STANZAD_KILLPOINTS killpoint() is nothing. There, the
 * environment variable STANZAD_KILLPOINTS names a file of KILLPOINT_PAGE bytes that the
 * master and all processes share with the test: it says at which point who is to die,
 * and they count in it which points they have passed. STANZAD_KILLPOINT=NAME@N is for
 * the master alone: at the point of that name, the Nth time.
 */
enum killpoint {
#define KILLPOINT(NAME, name, roles, when, sentence) KILLPOINT_##NAME,
#include "base/killpoint.def"
#undef KILLPOINT
    KILLPOINTS
};

#if defined(STANZAD_KILLPOINTS)
/* At the start of the program, before files are out of reach. */
void killpoint_begin(void);
/* Which process this is: enum proc_role. */
void killpoint_role(unsigned role);
/* Behind killpoint(). */
void killpoint_passed(enum killpoint point);

#define killpoint(NAME) killpoint_passed(KILLPOINT_##NAME)
#else
#define killpoint_begin()    ((void)0)
#define killpoint_role(role) ((void)(role))
#define killpoint(NAME)      ((void)0)
#endif

#endif
