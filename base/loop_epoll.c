/*
 * loop_epoll.c -- events from Linux's epoll, edge-triggered
 */
#if defined(__linux__)
#include "base/loop_os.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/loop.h"

enum {
    EVENTS_MAX = 256
};

static const uint32_t BOTH_EDGES = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

int
loop_os_open(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int
loop_os_add(int os_fd, int fd, uint64_t tag, bool reader)
{
    struct epoll_event ev = { .events = reader ? EPOLLIN : BOTH_EDGES };

    ev.data.u64 = tag;
    return epoll_ctl(os_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int
loop_os_del(int os_fd, int fd)
{
    return epoll_ctl(os_fd, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0;
}

int
loop_os_wait(int os_fd, struct loop_os_event *ret_events, int n_max, int wait_ms)
{
    struct epoll_event ev[EVENTS_MAX];
    int n = epoll_wait(os_fd, ev, n_max < EVENTS_MAX ? n_max : EVENTS_MAX, wait_ms);

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        unsigned events = 0;

        if (ev[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            events |= LOOP_READ;
        if (ev[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            events |= LOOP_WRITE;
        if (ev[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            events |= LOOP_HUP;
        ret_events[i] = (struct loop_os_event){ ev[i].data.u64, events };
    }
    return n;
}
#endif
