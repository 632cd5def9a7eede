/*
 * unixsock.c -- sockets with a name in the file system
 */
#include "master/unixsock.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    BACKLOG = 64
};

static int
dial(int type, const struct sockaddr_un *sun, socklen_t len)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)sun, len) == 0)
        return fd;
    r = -errno;
    close_fd(&fd);
    return r;
}

/* A socket file that nobody answers at is what a dead server left. */
static int
clear(int type, const struct sockaddr_un *sun, socklen_t len)
{
    struct stat st;
    int fd;

    if (lstat(sun->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    fd = dial(type, sun, len);
    if (fd >= 0 || fd == -EAGAIN) {
        close_fd(&fd);
        return -EADDRINUSE;
    }
    return unlink(sun->sun_path) < 0 ? -errno : 0;
}

int
unixsock_listen(int type, const struct sockaddr_un *sun, socklen_t len, int backlog)
{
    int r = clear(type, sun, len), fd;
    mode_t before;

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    before = umask(0177); /* never open to others, not even for a moment */
    if (bind(fd, (const struct sockaddr *)sun, len) < 0 || listen(fd, backlog) < 0)
        r = -errno;
    umask(before);
    if (r == 0)
        return fd;
    close_fd(&fd);
    return r;
}

static int
address(const char *path, struct sockaddr_un *ret_sun)
{
    *ret_sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof ret_sun->sun_path)
        return -ENAMETOOLONG;
    memcpy(ret_sun->sun_path, path, strlen(path) + 1);
    return 0;
}

int
unixsock_listen_at(int type, const char *path)
{
    struct sockaddr_un sun;
    int r = address(path, &sun);

    return r < 0 ? r : unixsock_listen(type, &sun, sizeof sun, BACKLOG);
}

int
unixsock_dial(int type, const char *path)
{
    struct sockaddr_un sun;
    int r = address(path, &sun);

    return r < 0 ? r : dial(type, &sun, sizeof sun);
}
