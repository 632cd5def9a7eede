#ifndef IPC_PEER_H
#define IPC_PEER_H

#include <sys/types.h>

/* The user at the other end of a Unix socket. 0 or -errno. */
int peer_uid(int fd, uid_t *ret_uid);

#endif
