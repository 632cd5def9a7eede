/*
 * loop_kqueue.c -- events from the BSDs' and macOS's kqueue, edge-triggered (EV_CLEAR)
 */
#if !defined(__linux__)
#include "base/loop_os.h"

#include <errno.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <time.h>

#include "base/loop.h"

enum {
    EVENTS_MAX = 256
};

int
loop_os_open(void)
{
    int fd = kqueue();

    return fd < 0 ? -errno : fd;
}

int
loop_os_add(int os_fd, int fd, uint64_t tag, bool reader)
{
    struct kevent ev[2];
    unsigned short how = reader ? EV_ADD : EV_ADD | EV_CLEAR;

    EV_SET(&ev[0], fd, EVFILT_READ, how, 0, 0, (void *)(uintptr_t)tag);
    EV_SET(&ev[1], fd, EVFILT_WRITE, how, 0, 0, (void *)(uintptr_t)tag);
    return kevent(os_fd, ev, reader ? 1 : 2, NULL, 0, NULL) < 0 ? -errno : 0;
}

int
loop_os_del(int os_fd, int fd)
{
    struct kevent ev[2];

    EV_SET(&ev[0], fd, EVFILT_READ, EV_DELETE, 0, 0, NULL);
    EV_SET(&ev[1], fd, EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
    return kevent(os_fd, ev, 2, NULL, 0, NULL) < 0 ? -errno : 0;
}

int
loop_os_wait(int os_fd, struct loop_os_event *ret_events, int n_max, int wait_ms)
{
    struct kevent ev[EVENTS_MAX];
    struct timespec ts = { wait_ms / 1000, wait_ms % 1000 * 1000000L };
    int n = kevent(os_fd, NULL, 0, ev, n_max < EVENTS_MAX ? n_max : EVENTS_MAX,
            wait_ms < 0 ? NULL : &ts);

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        unsigned events = ev[i].filter == EVFILT_READ ? LOOP_READ : LOOP_WRITE;

        if (ev[i].flags & (EV_EOF | EV_ERROR))
            events |= LOOP_HUP;
        ret_events[i] =
                (struct loop_os_event){ (uint64_t)(uintptr_t)ev[i].udata, events };
    }
    return n;
}
#endif
