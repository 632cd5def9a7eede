/*
 * peer_linux.c -- the user at the other end of a Unix socket, on Linux
 */
#if defined(__linux__)
#include "ipc/peer.h"

#include <errno.h>
#include <sys/socket.h>

int
peer_uid(int fd, uid_t *ret_uid)
{
    struct ucred cred;
    socklen_t len = sizeof cred;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    *ret_uid = cred.uid;
    return 0;
}
#endif
