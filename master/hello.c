/*
 * hello.c -- how a new master and a holder begin
 *
 * Everything else that they say to each other are frames, whose numbers and payloads
 * belong to one version of the program. So this is said first, and it is text.
 */
#include "master/hello.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "master/estate.h"
#include "master/pretend.h"
#include "proc/status.h"

enum {
    TEXT_MAX = 256
};

static uint64_t more;

void
hello_add(uint64_t signature)
{
    more = signature;
}

uint64_t
hello_signature(void)
{
    static const struct hash_key key = { { 1, 2 } };
    const uint64_t parts[] = { ipc_signature(), ESTATE_KINDS, STATUS_MAGIC,
        sizeof(struct status_page), pretend_layout(), more };

    return hash_bytes(&key, parts, sizeof parts);
}

union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int))];
};

int
hello_send(int sock, int control_fd)
{
    char text[TEXT_MAX];
    int n = snprintf(text, sizeof text, "stanzad %llu %s\n",
            (unsigned long long)hello_signature(), STANZAD_VERSION);
    struct iovec iov = { text, (size_t)n };
    union control control;
    struct msghdr mh = { .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control };
    struct cmsghdr *c;

    memset(&control, 0, sizeof control);
    c = CMSG_FIRSTHDR(&mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof control_fd);
    memcpy(CMSG_DATA(c), &control_fd, sizeof control_fd);
    return sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == n ? 0 : -errno;
}

static int
hello_parse(struct str text, struct hello *h)
{
    struct str rest = str_trim(text), word;

    if (!str_cut(&rest, ' ', &word) || !str_eq_c(word, "stanzad") ||
            !str_cut(&rest, ' ', &word) || str_to_u64(word, &h->signature) < 0 ||
            rest.n == 0)
        return -EPROTO;
    snprintf(h->version, sizeof h->version, "%.*s", STR_ARG(rest));
    return 0;
}

int
hello_receive(int sock, struct hello *ret_hello)
{
    struct hello h = { .control_fd = -1 };
    char text[TEXT_MAX] = "";
    struct iovec iov = { text, sizeof text - 1 };
    union control control;
    struct msghdr mh = { .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control };
    ssize_t n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int r = n == 0 ? -EPIPE : 0;

    if (n < 0)
        return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN
               : errno == ECONNRESET                  ? -EPIPE
                                                      : -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
                c->cmsg_len == CMSG_LEN(sizeof h.control_fd))
            memcpy(&h.control_fd, CMSG_DATA(c), sizeof h.control_fd);
    }
    if (r == 0)
        r = hello_parse((struct str){ text, (size_t)n }, &h);
    if (r == 0 && h.control_fd < 0)
        r = -EPROTO;
    if (r == 0)
        *ret_hello = h;
    else
        close_fd(&h.control_fd);
    return r;
}
