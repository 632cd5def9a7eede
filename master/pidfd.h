#ifndef MASTER_PIDFD_H
#define MASTER_PIDFD_H

#include <sys/types.h>

/*
 * A descriptor that stands for one process, whatever becomes of its number: readable
 * once the process has ended, and good for anybody who is handed it. -ENOSYS where
 * there is no such thing; another -errno.
 */
int pidfd_of(pid_t pid);

/* 0; -ESRCH: it has ended; -EBADF: that is no such descriptor; -ENOSYS. signo 0 asks.
 */
int pidfd_kill(int fd, int signo);

#endif
