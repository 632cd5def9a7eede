#ifndef MASTER_UNIXSOCK_H
#define MASTER_UNIXSOCK_H

#include <sys/socket.h>
#include <sys/un.h>

/*
 * A socket of this type that listens at a path, which only our user may connect to.
 * What a dead server left there is removed. A descriptor; -EADDRINUSE when somebody
 * answers there, -EEXIST when it is something else, or another -errno.
 */
int unixsock_listen(
        int type, const struct sockaddr_un *sun, socklen_t len, int backlog);

/* The same by the path. */
int unixsock_listen_at(int type, const char *path);

/* Connects: a descriptor that does not block, or -errno. */
int unixsock_dial(int type, const char *path);

#endif
