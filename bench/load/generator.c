/*
 * generator.c -- one process of the generator: its clients and its loop
 *
 * It talks with the first process (main.c) by single characters: 'r' all are online,
 * 'g' go, 's' the time is over, 'd' all is done, 'q' quit. Figures are in shared
 * memory.
 */
#include "bench/load/generator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/load/load.h"

enum {
    CONNECTING_MAX = 64,         /* log-ins at a time, of all processes */
    PATIENCE_US = 30000000,      /* without a log-in, it is an error */
    STRAGGLERS_US = 5000000,     /* for what is under way at the end */
    CHECK_PATIENCE_US = 60000000 /* without progress of a check */
};

struct load load;

void
die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

struct client *
load_client(int index)
{
    return index >= load.first && index < load.end ? &load.client[index - load.first]
                                                   : NULL;
}

void
load_each(void (*fn)(struct client *c))
{
    for (int i = load.first; i < load.end; i++)
        fn(load_client(i));
}

uint64_t
load_unanswered(void)
{
    uint64_t n = 0;

    for (int i = load.first; i < load.end; i++)
        n += load_client(i)->received < load_client(i)->sent;
    return n;
}

/* epoll's own timeout has steps of a millisecond, too coarse for open loops. */
static void
turn(uint64_t until_us)
{
    struct epoll_event ev[256];
    uint64_t now = clock_us(), wait = until_us > now ? until_us - now : 0;
    struct timespec ts = { .tv_sec = (time_t)(wait / 1000000),
        .tv_nsec = (long)(wait % 1000000) * 1000 };
    int n = epoll_pwait2(load.epoll_fd, ev, 256, &ts, NULL);

    for (int i = 0; i < n; i++)
        if (ev[i].data.ptr)
            client_ready(ev[i].data.ptr);
}

static void
tell(int fd, char what)
{
    if (write(fd, &what, 1) != 1)
        exit(1);
}

/* Serves the clients until the first process says this. */
static void
await(int fd, char what)
{
    char c = 0;

    while (c != what) {
        if (read(fd, &c, 1) == 1)
            continue;
        if (errno != EAGAIN)
            exit(1);
        turn(clock_us() + 1000000);
    }
}

static void
log_all_in(void)
{
    int n = load.end - load.first, next = 0, online = 0;
    int together = CONNECTING_MAX / load.opt->n_processes + 1;

    for (uint64_t progress_us = clock_us(); load.n_online < n;) {
        if (load.n_online != online) {
            online = load.n_online;
            progress_us = clock_us();
        }
        if (clock_us() - progress_us > PATIENCE_US)
            die("nobody more has come online for half a minute");
        while (load.n_connecting < together && next < n)
            client_open(&load.client[next++]);
        turn(clock_us() + 1000000);
    }
}

static void
run(void)
{
    const struct scenario *s = load.scenario;
    uint64_t (*tick)(uint64_t) = s->tick;

    load.start_us = clock_us();
    load.until_us = load.start_us + (uint64_t)load.opt->seconds * 1000000;
    load.running = true;
    if (s->begin)
        s->begin();
    for (uint64_t now; (now = clock_us()) < load.until_us;) {
        uint64_t next = tick ? tick(now) : UINT64_MAX;

        turn(next < load.until_us ? next : load.until_us);
        if (load.opt->max_ops && load.result->n_ops >= (uint64_t)load.opt->max_ops)
            load.until_us = clock_us();
    }
    load.result->until_s = (double)(clock_us() - load.start_us) / 1e6;
}

static void
finish(void)
{
    const struct scenario *s = load.scenario;
    uint64_t left = UINT64_MAX, open = 0, progress_us = clock_us();
    uint64_t patience = load.opt->check ? CHECK_PATIENCE_US : STRAGGLERS_US;

    if (s->end)
        s->end();
    while (s->open && (open = s->open()) > 0) {
        if (open < left) {
            left = open;
            progress_us = clock_us();
        }
        if (clock_us() - progress_us > patience)
            break;
        turn(clock_us() + 100000);
    }
    load.result->n_open = s->open ? open : 0;
    load.result->total_s = (double)(clock_us() - load.start_us) / 1e6;
}

/*
 * With XEP-0198 a session whose client just goes would wait for its return, and what
 * was not acknowledged would come to the next run's client.
 */
static void
leave(void)
{
    load.leaving = true;
    for (int i = load.first; load.opt->sm && i < load.end; i++)
        if (load_client(i)->state == CLIENT_ONLINE)
            client_leave(load_client(i));
    for (uint64_t until = clock_us() + STRAGGLERS_US;
            load.opt->sm && load.n_online > 0 && clock_us() < until;)
        turn(clock_us() + 100000);
}

void
generator(const struct options *opt, const struct scenario *scenario, int first,
        int end, int fd, struct result *result)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    load = (struct load){
        .opt = opt, .scenario = scenario, .first = first, .end = end, .result = result
    };
    load.client = mem_zalloc((size_t)(end - first) * sizeof *load.client);
    for (int i = first; i < end; i++) {
        load.client[i - first].index = i;
        load.client[i - first].account = i % opt->n_accounts;
    }
    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, fd, &ev);
    link_init();
    await(fd, 'l');
    if (!scenario->late)
        log_all_in();
    tell(fd, 'r');
    await(fd, 'g');
    run();
    tell(fd, 's');
    await(fd, 'f');
    finish();
    tell(fd, 'd');
    await(fd, 'q');
    leave();
    exit(0);
}
