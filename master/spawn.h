#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include <sys/types.h>

/* The environment variable that tells a process its control channel's descriptor. */
#define SPAWN_CONTROL_ENV "STANZAD_CONTROL"

/*
 * Starts the program as another process: with this title, a clean environment, and
 * control_fd as the only descriptor besides 0, 1 and 2 (null, out_fd, out_fd). Returns
 * the process id or -errno. exe_fd: the program.
 */
pid_t spawn(int exe_fd, const char *title, int control_fd, int out_fd);

/* The same without control channel and with these arguments, for a question. */
pid_t spawn_check(int exe_fd, const char *const *argv, int out_fd);

/*
 * The descriptor that spawn() gave us; -1: this process was started by somebody else.
 * The variable is removed.
 */
int spawn_control_fd(void);

/* The path of the running program: heap memory, NULL when it cannot be found out. */
char *spawn_own_path(const char *argv0);

#endif
