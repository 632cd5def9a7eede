#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct loop; /* opaque: one event loop, one per process */

enum {
    LOOP_READ = 1,
    LOOP_WRITE = 2,
    LOOP_HUP = 4 /* with READ or WRITE: the other end is closed or failed */
};

struct loop *loop_new(void);
void loop_free(struct loop **loop);

/*
 * Descriptors are registered once, for both directions, and reported on changes only
 * (edge-triggered): read and write until EAGAIN.
 *
 * A few descriptors carry a handler of their own; the io must outlive its registration.
 */
struct loop_io {
    void (*fn)(struct loop_io *io, unsigned events);
    void *arg;
    int fd;
};
int loop_add(struct loop *loop, struct loop_io *io); /* 0 or -errno */

/* Reported in each turn in which there is something to read: so read as much as you
 * like. */
int loop_add_reader(struct loop *loop, struct loop_io *io);
void loop_del(struct loop *loop, struct loop_io *io);

/*
 * Many descriptors of one class share a handler and cost the loop nothing: the value
 * (56 bits) comes back with each event. Closing the descriptor ends the registration,
 * if no duplicate of it is open elsewhere: so call loop_del_fd before closing.
 */
enum {
    LOOP_CLASSES = 8
};
typedef void (*loop_class_fn)(void *arg, uint64_t value, unsigned events);
void loop_set_class(struct loop *loop, unsigned class, loop_class_fn fn, void *arg);
int loop_add_fd(struct loop *loop, int fd, unsigned class, uint64_t value);
void loop_del_fd(struct loop *loop, int fd);

/*
 * A timer is a member of its owner; { 0 } is one that is not set. fn runs once, and
 * never in the turn that the timer was set in: one that sets itself again must not keep
 * a turn from its end, and what came before it is sent to other processes by then.
 */
struct loop_timer {
    void (*fn)(struct loop_timer *timer);
    uint64_t at_ms;
    uint64_t turn; /* in which it was set */
    size_t place;  /* in the loop's heap, from 1; 0: not set */
};
void loop_timer_set(struct loop *loop, struct loop_timer *t, uint64_t delay_ms);
void loop_timer_cancel(struct loop *loop, struct loop_timer *t);

/*
 * Calls fn(arg) at the end of each turn; what was registered last comes first, so that
 * the lower layers (sending to other processes) see what the higher ones left.
 */
struct loop_turn {
    struct list node;
    void (*fn)(void *arg);
    void *arg;
};
void loop_on_turn_end(struct loop *loop, struct loop_turn *turn);

/* Signals arrive as events: fn(arg, signo) in the loop, not in the handler. */
int loop_on_signal(
        struct loop *loop, int signo, void (*fn)(void *arg, int signo), void *arg);

/* The next turn does not wait: somebody has left work for it. */
void loop_again(struct loop *loop);

/* The end of a turn is still to come: what is left for it needs no further turn. */
bool loop_in_turn(const struct loop *loop);

int loop_run(struct loop *loop); /* until loop_stop; 0 or -errno */
void loop_stop(struct loop *loop);
int loop_turn_once(
        struct loop *loop, int wait_ms); /* for tests, and for waiting in tools */

/* The time when this turn began: one system call a turn. */
uint64_t loop_now_ms(const struct loop *loop);

#endif
