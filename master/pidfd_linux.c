/*
 * pidfd_linux.c -- processes by descriptors, since Linux 5.3
 */
#if defined(__linux__)
#include "master/pidfd.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on every architecture; the C library's headers may be older. */
#if !defined(SYS_pidfd_open)
#define SYS_pidfd_open 434
#endif
#if !defined(SYS_pidfd_send_signal)
#define SYS_pidfd_send_signal 424
#endif

int
pidfd_of(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0U); /* closed on exec anyway */

    return fd < 0 ? -errno : (int)fd;
}

int
pidfd_kill(int fd, int signo)
{
    if (syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0U) == 0)
        return 0;
    return errno == EINVAL ? -EBADF : -errno;
}
#endif
