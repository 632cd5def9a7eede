#ifndef BASE_LOOP_OS_H
#define BASE_LOOP_OS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What loop.c needs of a system: one file each (loop_epoll.c, loop_kqueue.c). A tag is
 * 64 bits that come back with the events of a descriptor.
 */
struct loop_os_event {
    uint64_t tag;
    unsigned events; /* LOOP_* */
};

int loop_os_open(void);

/*
 * Both directions, edge-triggered; or, a reader, one direction, reported as long as
 * there is something. 0 or -errno.
 */
int loop_os_add(int os_fd, int fd, uint64_t tag, bool reader);

int loop_os_del(int os_fd, int fd);

/*
 * How many events (0 on a time-out or an interruption), or -errno; -1 waits for ever.
 */
int loop_os_wait(int os_fd, struct loop_os_event *ret_events, int n_max, int wait_ms);

#endif
