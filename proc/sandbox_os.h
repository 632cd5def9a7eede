#ifndef PROC_SANDBOX_OS_H
#define PROC_SANDBOX_OS_H

#include <stdbool.h>

#include "proc/sandbox.h"

/* What sandbox.c needs of a system: sandbox_linux.c, sandbox_other.c. */

/*
 * Was the program built so that it must be able to watch itself (address sanitizer), or to
 * be watched by valgrind, which lives in the process (make bench-quick)?
 */
#ifdef STANZAD_TRACED
#define SANDBOX_TRACED 1
#else
#define SANDBOX_TRACED 0
#endif
#if defined(__SANITIZE_ADDRESS__) || SANDBOX_TRACED
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

/*
 * No new privileges and the role's filter of system calls; the last step. Adds to
 * missing what the system does not have. 0 or -errno.
 */
int sandbox_os_confine(enum proc_role role, struct buf *missing);

/* May the memory of this process be written to a file when it dies? */
bool sandbox_os_is_dumpable(void);

/* Tries to watch our parent, and lets go of it: 0 when that works, -errno. */
int sandbox_os_try_ptrace(void);

#endif
