/*
 * talk.c -- stanzactl's end of the control socket
 */
#include "admin/talk.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    CONNECT_SECONDS = 10
};

static int
dial(int *ret_fd)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "stanzad.sock" };
    struct timeval patience = { .tv_sec = CONNECT_SECONDS };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r = 0;

    if (fd < 0)
        return -errno;
    /* Its queue of connections may be full. */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    while (connect(fd, (const struct sockaddr *)&sun, sizeof sun) < 0) {
        if (errno == EINTR)
            continue;
        r = errno == EAGAIN ? -ETIMEDOUT : -errno;
        close_fd(&fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

static int
send_all(int fd, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) /* it may have answered already, and closed */
            return errno == EPIPE || errno == ECONNRESET ? 0 : -errno;
        bytes.p += n;
        bytes.n -= (size_t)n;
    }
    return 0;
}

/* 1: more came; 0: it has closed; -errno. */
static int
receive(int fd, int timeout_ms, struct buf *in)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };
    int r;
    ssize_t n;

    do
        r = poll(&pfd, 1, timeout_ms);
    while (r < 0 && errno == EINTR);
    if (r <= 0)
        return r == 0 ? -ETIMEDOUT : -errno;
    n = recv(fd, buf_reserve(in, CONTROL_PART), CONTROL_PART, 0);
    if (n > 0)
        buf_added(in, (size_t)n);
    if (n < 0)
        return errno == ECONNRESET ? 0 : errno == EINTR ? 1 : -errno;
    return n > 0;
}

/* Writes what is complete. 1: that was all; 0: more is to come; -EBADMSG. */
static int
digest(struct buf *in, FILE *out, FILE *err, int *ret_status)
{
    struct str rest = buf_str(in);
    struct control_frame frame;
    int r;

    while ((r = control_take(&rest, &frame)) == 1) {
        if (frame.kind == CONTROL_REQUEST)
            return -EBADMSG;
        if (frame.kind == CONTROL_EXIT) {
            *ret_status = (unsigned char)frame.body.p[0];
            return 1;
        }
        if (frame.body.n > 0 && out)
            fwrite(frame.body.p, 1, frame.body.n,
                    frame.kind == CONTROL_ERR ? err : out);
    }
    buf_drop(in, in->n - rest.n);
    return r;
}

int
talk(const struct control_request *request, int timeout_ms, FILE *out, FILE *err,
        int *ret_status)
{
    struct buf bytes = { 0 }, in = { 0 };
    int fd = -1, r;

    r = control_put_request(&bytes, request);
    if (r == 0)
        r = dial(&fd);
    if (r == 0)
        r = send_all(fd, buf_str(&bytes));
    while (r == 0) {
        r = receive(fd, timeout_ms, &in);
        if (r == 0)
            r = -EPIPE;
        if (r == 1)
            r = digest(&in, out, err, ret_status);
    }
    close_fd(&fd);
    if (bytes.p)
        mem_wipe(bytes.p, bytes.n); /* there may be a password in it */
    buf_fini(&bytes);
    buf_fini(&in);
    return r < 0 ? r : 0;
}
