/*
 * pidfd_other.c -- systems without descriptors for processes
 */
#if !defined(__linux__)
#include "master/pidfd.h"

#include <errno.h>

int
pidfd_of(pid_t pid)
{
    (void)pid;
    return -ENOSYS;
}

int
pidfd_kill(int fd, int signo)
{
    (void)fd, (void)signo;
    return -ENOSYS;
}
#endif
