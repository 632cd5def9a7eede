/*
 * loop.c -- one event loop per process
 *
 * A tag is either the address of a loop_io (even) or, marked by the lowest bit, a class
 * (3 bits) and a value (56 bits). Timers are a binary heap of pointers into their
 * owners. Signals write their number into a pipe.
 *
 * An io that is removed while its event waits in this turn's batch is struck from the
 * batch; class values carry a generation of their own, if they need one.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop_os.h"

enum {
    BATCH_MAX = 256,
    SIGNALS = 32
};

struct signal_handler {
    void (*fn)(void *arg, int signo);
    void *arg;
};

struct loop {
    int os_fd, signal_pipe[2];
    bool stopped, again;
    uint64_t now_ms;
    struct {
        loop_class_fn fn;
        void *arg;
    } class[LOOP_CLASSES];
    struct loop_timer **timer; /* from 1 */
    size_t n_timers, timers_size;
    uint64_t turn;
    bool in_turn;
    struct list turn_end;
    struct signal_handler signal[SIGNALS];
    struct loop_io signal_io;
    struct loop_os_event batch[BATCH_MAX];
    int batch_n, batch_at;
};

static volatile sig_atomic_t signal_write_fd = -1;

struct loop *
loop_new(void)
{
    struct loop *loop = mem_zalloc(sizeof *loop);

    loop->os_fd = loop_os_open();
    assert(loop->os_fd >= 0);
    loop->signal_pipe[0] = loop->signal_pipe[1] = -1;
    loop->now_ms = clock_ms();
    list_init(&loop->turn_end);
    return loop;
}

void
loop_free(struct loop **ploop)
{
    struct loop *loop = *ploop;

    if (!loop)
        return;
    for (int s = 0; s < SIGNALS; s++) {
        if (loop->signal[s].fn)
            signal(s, SIG_DFL);
    }
    if (loop->signal_pipe[1] >= 0)
        signal_write_fd = -1;
    close_fd(&loop->os_fd);
    close_fd(&loop->signal_pipe[0]);
    close_fd(&loop->signal_pipe[1]);
    mem_free_p(loop->timer);
    mem_free(ploop);
}

int
loop_add(struct loop *loop, struct loop_io *io)
{
    return loop_os_add(loop->os_fd, io->fd, (uint64_t)(uintptr_t)io, false);
}

int
loop_add_reader(struct loop *loop, struct loop_io *io)
{
    return loop_os_add(loop->os_fd, io->fd, (uint64_t)(uintptr_t)io, true);
}

void
loop_del(struct loop *loop, struct loop_io *io)
{
    loop_os_del(loop->os_fd, io->fd);
    for (int i = loop->batch_at; i < loop->batch_n; i++) {
        if (loop->batch[i].tag == (uint64_t)(uintptr_t)io)
            loop->batch[i].tag = 0;
    }
}

void
loop_set_class(struct loop *loop, unsigned class, loop_class_fn fn, void *arg)
{
    assert(class < LOOP_CLASSES);
    loop->class[class].fn = fn;
    loop->class[class].arg = arg;
}

int
loop_add_fd(struct loop *loop, int fd, unsigned class, uint64_t value)
{
    assert(class < LOOP_CLASSES && value >> 56 == 0);
    return loop_os_add(loop->os_fd, fd, value << 8 | class << 1 | 1, false);
}

void
loop_del_fd(struct loop *loop, int fd)
{
    loop_os_del(loop->os_fd, fd);
}

/*
 * Puts t at a place and moves it towards the root or the leaves until the heap is one.
 */
static void
timer_settle(struct loop *loop, struct loop_timer *t, size_t at)
{
    struct loop_timer **heap = loop->timer;

    for (; at > 1 && heap[at / 2]->at_ms > t->at_ms; at /= 2) {
        heap[at] = heap[at / 2];
        heap[at]->place = at;
    }
    for (size_t child; (child = at * 2) <= loop->n_timers; at = child) {
        if (child < loop->n_timers && heap[child + 1]->at_ms < heap[child]->at_ms)
            child++;
        if (heap[child]->at_ms >= t->at_ms)
            break;
        heap[at] = heap[child];
        heap[at]->place = at;
    }
    heap[at] = t;
    t->place = at;
}

void
loop_timer_set(struct loop *loop, struct loop_timer *t, uint64_t delay_ms)
{
    t->at_ms = loop->now_ms + delay_ms;
    t->turn = loop->turn;
    if (t->place == 0) {
        if (loop->n_timers + 2 > loop->timers_size) {
            loop->timers_size = loop->timers_size ? loop->timers_size * 2 : 16;
            loop->timer =
                    mem_realloc(loop->timer, loop->timers_size * sizeof *loop->timer);
        }
        t->place = ++loop->n_timers;
        loop->timer[t->place] = t;
    }
    timer_settle(loop, t, t->place);
}

void
loop_timer_cancel(struct loop *loop, struct loop_timer *t)
{
    size_t at = t->place;
    struct loop_timer *last;

    if (at == 0)
        return;
    t->place = 0;
    last = loop->timer[loop->n_timers--];
    if (last != t)
        timer_settle(loop, last, at);
}

void
loop_on_turn_end(struct loop *loop, struct loop_turn *turn)
{
    list_push(&loop->turn_end, &turn->node);
}

static void
on_signal(int signo)
{
    int saved = errno;
    unsigned char c = (unsigned char)signo;

    if (signal_write_fd >= 0 && write((int)signal_write_fd, &c, 1) < 0) {
        /* The pipe is full: signals are waiting already. */
    }
    errno = saved;
}

static void
on_signal_pipe(struct loop_io *io, unsigned events)
{
    struct loop *loop = io->arg;
    unsigned char signo[64];
    ssize_t n;

    (void)events;
    while ((n = read(io->fd, signo, sizeof signo)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            struct signal_handler *h = &loop->signal[signo[i] % SIGNALS];

            if (h->fn)
                h->fn(h->arg, signo[i]);
        }
    }
}

static int
signal_pipe_open(struct loop *loop)
{
    if (pipe(loop->signal_pipe) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        fcntl(loop->signal_pipe[i], F_SETFD, FD_CLOEXEC);
        fcntl(loop->signal_pipe[i], F_SETFL, O_NONBLOCK);
    }
    signal_write_fd = loop->signal_pipe[1];
    loop->signal_io = (struct loop_io){
        .fn = on_signal_pipe, .arg = loop, .fd = loop->signal_pipe[0]
    };
    return loop_add(loop, &loop->signal_io);
}

int
loop_on_signal(
        struct loop *loop, int signo, void (*fn)(void *arg, int signo), void *arg)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    int r;

    assert(signo > 0 && signo < SIGNALS);
    if (loop->signal_pipe[0] < 0) {
        r = signal_pipe_open(loop);
        if (r < 0)
            return r;
    }
    loop->signal[signo] = (struct signal_handler){ fn, arg };
    sigemptyset(&sa.sa_mask);
    return sigaction(signo, &sa, NULL) < 0 ? -errno : 0;
}

void
loop_again(struct loop *loop)
{
    loop->again = true;
}

bool
loop_in_turn(const struct loop *loop)
{
    return loop->in_turn;
}

void
loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

uint64_t
loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

static int
loop_wait_ms(const struct loop *loop, int wait_ms)
{
    uint64_t until;

    if (loop->again)
        return 0;
    if (loop->n_timers == 0)
        return wait_ms;
    until = loop->timer[1]->at_ms;
    until = until > loop->now_ms ? until - loop->now_ms : 0;
    if (wait_ms >= 0 && (uint64_t)wait_ms < until)
        return wait_ms;
    return until > 3600000 ? 3600000 : (int)until;
}

static void
loop_dispatch(struct loop *loop, struct loop_os_event ev)
{
    if (ev.tag & 1) {
        unsigned class = ev.tag >> 1 & (LOOP_CLASSES - 1);

        if (loop->class[class].fn)
            loop->class[class].fn(loop->class[class].arg, ev.tag >> 8, ev.events);
    } else if (ev.tag) {
        struct loop_io *io = (struct loop_io *)(uintptr_t)ev.tag;

        io->fn(io, ev.events);
    }
}

int
loop_turn_once(struct loop *loop, int wait_ms)
{
    int n;

    loop->turn++;
    loop->now_ms = clock_ms();
    n = loop_os_wait(loop->os_fd, loop->batch, BATCH_MAX, loop_wait_ms(loop, wait_ms));
    if (n < 0)
        return n;
    loop->again = false;
    loop->in_turn = true;
    loop->now_ms = clock_ms();
    loop->batch_n = n;
    for (loop->batch_at = 0; loop->batch_at < loop->batch_n;)
        loop_dispatch(loop, loop->batch[loop->batch_at++]);
    loop->batch_n = loop->batch_at = 0;
    while (loop->n_timers > 0 && loop->timer[1]->at_ms <= loop->now_ms &&
            loop->timer[1]->turn != loop->turn) {
        struct loop_timer *t = loop->timer[1];

        loop_timer_cancel(loop, t);
        t->fn(t);
    }
    list_for_safe(node, &loop->turn_end)
    {
        struct loop_turn *turn = list_entry(node, struct loop_turn, node);

        turn->fn(turn->arg);
    }
    loop->in_turn = false;
    return 0;
}

int
loop_run(struct loop *loop)
{
    int r = 0;

    while (!loop->stopped && r == 0)
        r = loop_turn_once(loop, -1);
    loop->stopped = false;
    return r;
}
