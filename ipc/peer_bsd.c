/*
 * peer_bsd.c -- the user at the other end of a Unix socket, on the BSDs and macOS
 */
#if !defined(__linux__)
#include "ipc/peer.h"

#include <errno.h>
#include <unistd.h>

int
peer_uid(int fd, uid_t *ret_uid)
{
    gid_t gid;

    return getpeereid(fd, ret_uid, &gid) < 0 ? -errno : 0;
}
#endif
