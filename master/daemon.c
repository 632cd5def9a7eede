/*
 * daemon.c -- going into the background
 *
 * The process that was called waits at a pipe: "+" means that the service is ready,
 * anything else is the reason why not, and no word at all that we died on the way,
 * having said why on the terminal.
 */
#include "master/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

static void __attribute__((noreturn)) wait_for_word(int fd)
{
    char text[1024];
    size_t n = 0;
    ssize_t part;

    while (n < sizeof text &&
            ((part = read(fd, text + n, sizeof text - n)) > 0 || errno == EINTR)) {
        if (part == 0)
            break;
        if (part > 0)
            n += (size_t)part;
        if (n == 1 && text[0] == '+')
            _exit(0);
    }
    if (n > 0 && write(STDERR_FILENO, text, n) < 0) {
        /* There is nobody to be told. */
    }
    _exit(1);
}

int
daemon_begin(struct daemon *d)
{
    int fds[2], null;
    pid_t pid;

    if (pipe(fds) < 0)
        return -errno;
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    fcntl(fds[1], F_SETFD, FD_CLOEXEC);
    pid = fork();
    if (pid < 0) {
        int r = -errno;

        close(fds[0]);
        close(fds[1]);
        return r;
    }
    if (pid > 0) {
        close(fds[1]);
        wait_for_word(fds[0]);
    }
    close(fds[0]);
    d->parent_fd = fds[1];
    setsid();
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
    return 0;
}

static void
tell(struct daemon *d, const char *text)
{
    if (d->parent_fd < 0)
        return;
    if (write(d->parent_fd, text, strlen(text)) < 0) {
        /* It was ended by somebody; it no longer matters. */
    }
    close_fd(&d->parent_fd);
}

void
daemon_ready(struct daemon *d)
{
    int null;

    if (d->parent_fd < 0)
        return;
    tell(d, "+");
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    }
}

void
daemon_failed(struct daemon *d, const char *reason)
{
    tell(d, reason);
}

void
daemon_notify(const char *message)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path ? strlen(path) : 0;
    int fd;

    if (n < 2 || n >= sizeof sun.sun_path || (*path != '/' && *path != '@'))
        return;
    memcpy(sun.sun_path, path, n);
    if (*path == '@')
        sun.sun_path[0] = '\0'; /* an abstract name */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, message, strlen(message), MSG_NOSIGNAL, (const struct sockaddr *)&sun,
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    close(fd);
}
