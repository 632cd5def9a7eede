/*
 * sandbox_other.c -- systems other than Linux: pledge on OpenBSD, Capsicum on FreeBSD
 *
 * Capability mode suits the roles that live on descriptors alone. The sql process opens
 * files and connects, so that it is left to its user and chroot there.
 */
#if !defined(__linux__)
#include "proc/sandbox_os.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#if defined(__FreeBSD__)
#include <sys/capsicum.h>
#endif

#if defined(__OpenBSD__)
static int
confine(enum proc_role role)
{
    static const char *const promises[PROC_ROLES] = {
        [PROC_HOLDER] = "stdio sendfd recvfd unix",
        [PROC_KEEPER] = "stdio sendfd recvfd",
        [PROC_WORKER] = "stdio sendfd recvfd inet unix",
        [PROC_ROUTER] = "stdio sendfd recvfd",
        [PROC_AUTH] = "stdio sendfd recvfd",
        [PROC_SQL] = "stdio sendfd recvfd rpath wpath cpath flock inet unix dns",
        [PROC_ADMIN] = "stdio sendfd recvfd unix",
    };

    return promises[role] && pledge(promises[role], "") < 0 ? -errno : 0;
}
#elif defined(__FreeBSD__)
static int
confine(enum proc_role role)
{
    if (role == PROC_SQL)
        return -ENOTSUP;
    return cap_enter() < 0 ? -errno : 0;
}
#else
static int
confine(enum proc_role role)
{
    (void)role;
    return -ENOTSUP;
}
#endif

int
sandbox_os_confine(enum proc_role role, struct buf *missing)
{
    int r = confine(role);

    if (r != -ENOTSUP && r != -ENOSYS)
        return r;
    if (missing->n > 0)
        buf_add_c(missing, ", ");
    buf_add_c(missing, "no filter of system calls");
    return 0;
}

bool
sandbox_os_is_dumpable(void)
{
    return getuid() != 0;
}

int
sandbox_os_try_ptrace(void)
{
    return -ENOTSUP; /* an attempt that works would stop the master */
}
#endif
