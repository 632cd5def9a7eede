/*
 * crowd.c -- clients that keep books, for a server that is being killed
 *
 *     crowd [-h ADDRESS] -p PORT -P TLS-PORT [-d DOMAIN] [-n PERSONS] [-t OF-THEM-TLS]
 *           [-v VISITORS [-o]] [-r MESSAGES-A-SECOND] [-x PACE] [-s SEED]
 *
 * Says "ready" when all are online and see each other. Then it takes commands, a line
 * each: "go"; "settle" (says no more, waits until all has come, counts what has not);
 * "books"; "write FILE"; "quit". Each is answered by one line of JSON. Violations are
 * told at once, a line each.
 */
#include "tests/chaos/crowd.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
    CONNECTING_MAX = 32,
    READY_US = 180 * 1000000,
    SETTLE_US = 45 * 1000000, /* after that it has not come */
    QUIET_US = 500 * 1000     /* for what comes twice */
};

struct crowd crowd = { .site = { .address = "127.0.0.1", .domain = "localhost" },
    .n = 24,
    .n_tls = 16,
    .n_visitors = 2,
    .rate = 200,
    .pace = 1,
    .seed = 1 };

static struct buf commands;
static bool input_ended;

void
violation(const struct person *p, const char *what, const char *fmt, ...)
{
    va_list ap;

    printf("violation %llu %s %s: ", (unsigned long long)clock_us(), p->client.user,
            what);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

uint32_t
some(uint32_t n)
{
    crowd.seed =
            crowd.seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return n ? (uint32_t)(crowd.seed >> 33) % n : 0;
}

int
crowd_all(void)
{
    return crowd.n + crowd.n_visitors;
}

static void
read_commands(void)
{
    ssize_t n;

    while ((n = read(0, buf_reserve(&commands, 256), 256)) > 0)
        buf_added(&commands, (size_t)n);
    input_ended = n == 0;
}

static void
turn(int wait_ms)
{
    struct epoll_event ev[512];
    int n = epoll_wait(crowd.site.epoll_fd, ev, 512, wait_ms);
    uint64_t now;

    for (int i = 0; i < n; i++) {
        if (ev[i].data.ptr)
            client_event(ev[i].data.ptr, ev[i].events);
        else
            read_commands();
    }
    now = clock_us();
    for (int i = 0; i < crowd_all(); i++)
        person_turn(&crowd.person[i], now);
}

static bool
wait_quiet(uint64_t us)
{
    uint64_t until = clock_us() + us;

    while (!check_is_quiet()) {
        if (clock_us() > until)
            return false;
        turn(20);
    }
    return true;
}

static void
come(void)
{
    for (int i = 0, n_coming; i < crowd.n; turn(5)) {
        n_coming = 0;
        for (int k = 0; k < i; k++)
            n_coming += !crowd.person[k].was_online;
        while (i < crowd.n && n_coming++ < CONNECTING_MAX)
            person_come(&crowd.person[i++]);
    }
    /* Visitors are let in by "go"; their first visit is due. */
    for (int i = crowd.n; i < crowd_all(); i++)
        crowd.person[i].retry_us = 1;
    if (!wait_quiet(READY_US)) {
        check_settled();
        fprintf(stderr, "crowd: not everybody has come online\n");
        exit(1);
    }
    printf("ready\n");
    fflush(stdout);
}

static void
settle(void)
{
    crowd.going = false;
    wait_quiet(SETTLE_US);
    for (uint64_t until = clock_us() + QUIET_US; clock_us() < until;)
        turn(20);
    check_settled();
}

/* In order, so that the server keeps nothing for us. */
static void
quit(void)
{
    uint64_t until = clock_us() + SETTLE_US;
    int n_left = 0;

    crowd.going = false;
    crowd.leaving = true;
    for (int i = 0; i < crowd_all(); i++) {
        struct person *p = &crowd.person[i];

        p->is_leaving = true;
        if (p->is_online)
            buf_add_c(&p->client.out, "</stream:stream>");
        person_flush(p);
    }
    do {
        turn(20);
        n_left = 0;
        for (int i = 0; i < crowd_all(); i++)
            n_left += crowd.person[i].client.fd >= 0;
    } while (n_left > 0 && clock_us() < until);
    input_ended = true;
}

static void
obey(const char *line)
{
    if (strcmp(line, "go") == 0)
        crowd.going = true;
    else if (strcmp(line, "settle") == 0)
        settle();
    else if (strncmp(line, "write ", 6) == 0)
        check_write(line + 6);
    else if (strcmp(line, "quit") == 0)
        quit();
    check_print(line);
}

static void
options(int argc, char **argv)
{
    int o;

    while ((o = getopt(argc, argv, "h:p:P:d:n:t:v:or:s:x:")) != -1) {
        switch (o) {
        case 'h':
            crowd.site.address = optarg;
            break;
        case 'p':
            crowd.port = atoi(optarg);
            break;
        case 'P':
            crowd.port_tls = atoi(optarg);
            break;
        case 'd':
            crowd.site.domain = optarg;
            break;
        case 'n':
            crowd.n = atoi(optarg) & ~3; /* pairs, also around the circle */
            break;
        case 't':
            crowd.n_tls = atoi(optarg);
            break;
        case 'v':
            crowd.n_visitors = atoi(optarg);
            break;
        case 'r':
            crowd.rate = atof(optarg);
            break;
        case 'o':
            crowd.to_visitors = true;
            break;
        case 'x':
            crowd.pace = atof(optarg);
            break;
        case 's':
            crowd.seed = strtoull(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    }
}

int
main(int argc, char **argv)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

    options(argc, argv);
    if (crowd.n < 4 || crowd.rate <= 0 || crowd.pace <= 0 || !crowd.port ||
            !crowd.port_tls)
        return 2;
    crowd.site.on_online = person_on_online;
    crowd.site.on_text = person_on_text;
    crowd.site.on_lost = person_on_lost;
    client_site_open(&crowd.site);
    crowd.started_us = clock_us();
    crowd.person = mem_zalloc((size_t)crowd_all() * sizeof *crowd.person);
    for (int i = 0; i < crowd_all(); i++)
        person_init(&crowd.person[i], i);
    fcntl(0, F_SETFL, O_NONBLOCK);
    epoll_ctl(crowd.site.epoll_fd, EPOLL_CTL_ADD, 0, &ev);
    come();
    while (!input_ended) {
        char *end;

        turn(1);
        while (!input_ended && commands.n && (end = strchr(commands.p, '\n'))) {
            char line[300];

            snprintf(line, sizeof line, "%.*s", (int)(end - commands.p), commands.p);
            buf_drop(&commands, (size_t)(end - commands.p) + 1);
            obey(line);
        }
    }
    return 0;
}
