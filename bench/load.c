/*
 * load.c -- many XMPP clients in one process, to measure a server
 *
 *     load [-h ADDRESS] [-p PORT] [-t none|starttls|direct] [-d DOMAIN] [-n CLIENTS]
 *          [-a ACCOUNTS] [-s SECONDS] [-r RATE] idle|chat
 *
 * Client i logs in as bench<i % ACCOUNTS>@DOMAIN with the password "bench" by
 * SCRAM-SHA-1, binds a resource and sends presence. Then, `idle`: waits until a line
 * comes on standard input. `chat`: clients 2k and 2k+1 answer each other's messages,
 * one under way per pair (closed loop), all together at most RATE a second. Prints
 * "ready" when all are logged in, and at the end one line of JSON.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/client.h"

struct chatter {
    struct client client;
    uint32_t sent, received; /* messages of the chat, each way in order */
    uint64_t last_us;
    uint64_t due_us; /* when its answer may be sent; 0: none is owed */
};

static struct {
    struct client_site site;
    const char *mode;
    int port, n, accounts, seconds, rate;
    enum client_tls tls;
    struct chatter *chatter;
    int n_online, n_connecting, next;
    uint64_t n_messages, n_lost, n_repeated, started_us, until_us;
    bool running;
    uint32_t *latency_us;
    size_t n_latency, latency_size;
} load = { .site = { .address = "127.0.0.1", .domain = "localhost" },
    .port = 5222,
    .n = 200,
    .accounts = 200,
    .seconds = 10,
    .tls = CLIENT_STARTTLS };

static void
die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static void
chat_send(struct chatter *c)
{
    struct chatter *peer = &load.chatter[c->client.index ^ 1];

    buf_addf(&c->client.out,
            "<message to='%s' type='chat' id='m%llu'><body>%llu #%u The quick brown "
            "fox jumps "
            "over the lazy dog.</body></message>",
            buf_c(&peer->client.jid), (unsigned long long)load.n_messages,
            (unsigned long long)clock_us(), ++c->sent);
}

/* Messages from the peer carry 1, 2, 3 …: what is missing and what comes twice? */
static void
chat_check(struct chatter *c, const char *body)
{
    const char *hash = strchr(body, '#');
    uint32_t n = hash ? (uint32_t)strtoul(hash + 1, NULL, 10) : 0;

    if (n <= c->received)
        load.n_repeated++;
    else
        load.n_lost += n - c->received - 1;
    if (n > c->received)
        c->received = n;
    c->last_us = clock_us();
}

/* Between two messages of a pair. */
static uint64_t
chat_pause_us(void)
{
    return (uint64_t)(load.n / 2) * 1000000 / (uint64_t)load.rate;
}

static void
chat_received(struct chatter *c)
{
    struct str body;

    while ((body = client_between(&c->client, "<body", "</body>")).p) {
        uint64_t now = clock_us(), sent = strtoull(body.p, NULL, 10);

        if (load.n_latency == load.latency_size) {
            load.latency_size = load.latency_size ? load.latency_size * 2 : 1 << 16;
            load.latency_us = mem_realloc(
                    load.latency_us, load.latency_size * sizeof *load.latency_us);
        }
        load.latency_us[load.n_latency++] = (uint32_t)(now - sent);
        chat_check(c, body.p);
        load.n_messages++;
        buf_drop(&c->client.in, (size_t)(body.p + body.n - c->client.in.p));
        if (load.rate)
            c->due_us = now + chat_pause_us();
        else if (now < load.until_us)
            chat_send(c);
    }
}

static void
on_online(struct client *client)
{
    buf_reset(&client->in, SIZE_MAX);
    buf_add_c(&client->out,
            "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>");
    load.n_online++;
    load.n_connecting--;
}

static void
on_text(struct client *client)
{
    if (load.running)
        chat_received(container_of(client, struct chatter, client));
    /* Nothing else is of interest; keep a tail that may be half a message. */
    if (client->in.n > 0 && (!load.running || !strstr(client->in.p, "<message")))
        buf_reset(&client->in, 0);
}

static void
on_lost(struct client *c, const char *what)
{
    fprintf(stderr, "load: client %d: %s (state %d): %.300s\n", c->index, what,
            (int)c->state, buf_c(&c->in));
    exit(1);
}

static void
open_one(int i)
{
    struct client *c = &load.chatter[i].client;
    int r;

    *c = (struct client){ .site = &load.site, .index = i, .tls = load.tls };
    snprintf(c->user, sizeof c->user, "bench%d", i % load.accounts);
    snprintf(c->resource, sizeof c->resource, "r%d", i);
    r = client_open(c, load.port);
    if (r < 0)
        die(strerror(-r));
    load.n_connecting++;
}

static void
turn(int wait_ms)
{
    struct epoll_event ev[256];
    int n = epoll_wait(load.site.epoll_fd, ev, 256, wait_ms);

    for (int i = 0; i < n; i++) {
        if (ev[i].data.ptr) /* not standard input */
            client_event(ev[i].data.ptr, ev[i].events);
    }
}

static int
by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static unsigned
percentile(double p)
{
    size_t i = (size_t)((double)load.n_latency * p);

    return load.n_latency ? load.latency_us[i < load.n_latency ? i : load.n_latency - 1]
                          : 0;
}

/* Pairs whose one message has not come back: it was lost. */
static int
stalled(void)
{
    int n = 0;

    for (int i = 0; i + 1 < load.n; i += 2) {
        const struct chatter *a = &load.chatter[i], *b = &load.chatter[i + 1];

        if (a->last_us < load.until_us && b->last_us < load.until_us && !a->due_us &&
                !b->due_us)
            n++;
    }
    return n;
}

/* Answers whose time has come. */
static void
chat_answer(void)
{
    uint64_t now = clock_us();

    for (int i = 0; load.rate && i < load.n && now < load.until_us; i++) {
        struct chatter *c = &load.chatter[i];

        if (c->due_us == 0 || c->due_us > now)
            continue;
        c->due_us = 0;
        chat_send(c);
        client_flush(&c->client);
    }
}

static void
chat(void)
{
    struct rusage ru;
    double seconds;

    /* Presence and roster answers are still coming: let them settle. */
    for (uint64_t until = clock_us() + 500000; clock_us() < until;)
        turn(50);
    load.running = true;
    load.started_us = clock_us();
    load.until_us = load.started_us + (uint64_t)load.seconds * 1000000;
    printf("start\n");
    fflush(stdout);
    for (int i = 0; i + 1 < load.n; i += 2) {
        buf_reset(&load.chatter[i].client.in, 0);
        buf_reset(&load.chatter[i + 1].client.in, 0);
        chat_send(&load.chatter[i]);
        client_flush(&load.chatter[i].client);
    }
    while (clock_us() < load.until_us) {
        turn(load.rate ? 1 : 100);
        chat_answer();
    }
    for (uint64_t until = load.until_us + 5000000; stalled() > 0 && clock_us() < until;)
        turn(100); /* the last message of each pair is not answered */
    seconds = (double)(clock_us() - load.started_us) / 1e6;
    printf("stop\n");
    getrusage(RUSAGE_SELF, &ru);
    qsort(load.latency_us, load.n_latency, sizeof *load.latency_us, by_value);
    printf("{\"clients\":%d,\"messages\":%llu,\"seconds\":%.2f,\"per_second\":%.0f,"
           "\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u,\"lost\":%llu,\"repeated\":%llu,"
           "\"stalled_pairs\":%d}\n",
            load.n, (unsigned long long)load.n_messages, seconds,
            (double)load.n_messages / seconds, percentile(0.5), percentile(0.99),
            percentile(1), (unsigned long long)load.n_lost,
            (unsigned long long)load.n_repeated, stalled());
}

static void
usage(void)
{
    die("usage: load [-h ADDRESS] [-p PORT] [-t none|starttls|direct] [-d DOMAIN] "
        "[-n CLIENTS] [-a ACCOUNTS] [-s SECONDS] [-r RATE] idle|chat");
}

int
main(int argc, char **argv)
{
    int o;

    while ((o = getopt(argc, argv, "h:p:t:d:n:a:s:r:")) != -1) {
        switch (o) {
        case 'h':
            load.site.address = optarg;
            break;
        case 'p':
            load.port = atoi(optarg);
            break;
        case 'd':
            load.site.domain = optarg;
            break;
        case 'n':
            load.n = atoi(optarg);
            break;
        case 'a':
            load.accounts = atoi(optarg);
            break;
        case 's':
            load.seconds = atoi(optarg);
            break;
        case 'r':
            load.rate = atoi(optarg);
            break;
        case 't':
            load.tls = strcmp(optarg, "none") == 0     ? CLIENT_PLAIN
                       : strcmp(optarg, "direct") == 0 ? CLIENT_DIRECT
                                                       : CLIENT_STARTTLS;
            break;
        default:
            usage();
        }
    }
    if (optind >= argc || load.n < 1 || load.accounts < 1)
        usage();
    load.mode = argv[optind];
    load.site.on_online = on_online;
    load.site.on_text = on_text;
    load.site.on_lost = on_lost;
    client_site_open(&load.site);
    load.chatter = mem_zalloc((size_t)load.n * sizeof *load.chatter);
    for (uint64_t progress_us = clock_us(), n = 0; load.n_online < load.n;) {
        if ((uint64_t)load.n_online != n) {
            n = (uint64_t)load.n_online;
            progress_us = clock_us();
        }
        if (clock_us() - progress_us > 30000000)
            die("nobody more has come online for half a minute");
        while (load.n_connecting < 64 && load.next < load.n)
            open_one(load.next++);
        turn(1000);
    }
    printf("ready\n");
    fflush(stdout);
    if (strcmp(load.mode, "chat") == 0) {
        chat();
    } else {
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
        char c;

        epoll_ctl(load.site.epoll_fd, EPOLL_CTL_ADD, 0, &ev);
        fcntl(0, F_SETFL, O_NONBLOCK);
        while (read(0, &c, 1) < 0)
            turn(1000);
        printf("{\"clients\":%d}\n", load.n);
    }
    return 0;
}
