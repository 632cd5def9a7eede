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
 *
 * It understands just as much XML as it needs: it looks for known strings. It is a
 * client of servers that are ours to measure, on loopback.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/b64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

enum state {
    CONNECT,
    PROCEED,
    HANDSHAKE,
    FEATURES,
    CHALLENGE,
    SUCCESS,
    BIND_FEATURES,
    BOUND,
    ONLINE
};
enum tls_mode {
    TLS_NONE,
    TLS_STARTTLS,
    TLS_DIRECT
};

struct client {
    int fd, index;
    enum state state;
    SSL *ssl;
    struct buf in, out, jid, auth;
    uint32_t sent, received; /* messages of the chat, each way in order */
    uint64_t last_us;
    uint64_t due_us; /* when its answer may be sent; 0: none is owed */
};

static struct {
    const char *address, *domain, *mode;
    int port, n, accounts, seconds, rate;
    enum tls_mode tls;
    SSL_CTX *ctx;
    int epoll_fd;
    struct client *client;
    int n_online, n_connecting, next;
    uint64_t n_messages, n_lost, n_repeated, started_us, until_us;
    bool running;
    uint32_t *latency_us;
    size_t n_latency, latency_size;
} load = { .address = "127.0.0.1",
    .domain = "localhost",
    .port = 5222,
    .n = 200,
    .accounts = 200,
    .seconds = 10,
    .tls = TLS_STARTTLS };

static void
die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static void
client_fail(struct client *c, const char *what)
{
    fprintf(stderr, "load: client %d: %s (state %d): %.300s\n", c->index, what,
            c->state, buf_c(&c->in));
    exit(1);
}

static void
client_flush(struct client *c)
{
    while (c->out.n > 0 && c->state != HANDSHAKE) {
        ssize_t n;

        if (c->ssl) {
            int r = SSL_write(c->ssl, c->out.p, (int)c->out.n);

            if (r <= 0) {
                ERR_clear_error();
                return;
            }
            n = r;
        } else {
            n = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);
            if (n < 0)
                return;
        }
        buf_drop(&c->out, (size_t)n);
    }
}

static void
client_say(struct client *c, const char *text)
{
    buf_add_c(&c->out, text);
}

static void
client_header(struct client *c)
{
    buf_addf(&c->out,
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>",
            load.domain);
}

static void
client_tls(struct client *c)
{
    c->ssl = SSL_new(load.ctx);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_tlsext_host_name(c->ssl, load.domain);
    SSL_set_connect_state(c->ssl);
    c->state = HANDSHAKE;
}

static void
client_open(int i)
{
    struct client *c = &load.client[i];
    struct sockaddr_in in = { .sin_family = AF_INET,
        .sin_port = htons((uint16_t)load.port) };
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    int one = 1;

    memset(c, 0, sizeof *c);
    c->index = i;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        die(strerror(errno));
    inet_pton(AF_INET, load.address, &in.sin_addr);
    /* More than 28,000 connections need more than one source address. */
    struct sockaddr_in from = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f000001u + 256u * (unsigned)(i / 10000)) };
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
            (connect(c->fd, (struct sockaddr *)&in, sizeof in) < 0 &&
                    errno != EINPROGRESS))
        die(strerror(errno));
    epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, c->fd, &ev);
    load.n_connecting++;
    if (load.tls == TLS_DIRECT)
        client_tls(c);
    else
        client_header(c);
}

static bool
client_has(struct client *c, const char *what)
{
    char *at = c->in.n ? strstr(c->in.p, what) : NULL;

    if (!at)
        return false;
    buf_drop(&c->in, (size_t)(at - c->in.p) + strlen(what));
    return true;
}

static void
scram_first(struct client *c)
{
    struct buf b64 = { 0 }, bare = { 0 };

    buf_addf(&bare, "n=bench%d,r=nonce%dnonce%d", c->index % load.accounts, c->index,
            c->index);
    buf_reset(&c->auth, 256);
    buf_add_str(&c->auth, buf_str(&bare));
    struct buf message = { 0 };

    buf_addf(&message, "n,,%s", buf_c(&bare));
    b64_encode(&b64, buf_str(&message));
    buf_addf(&c->out,
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
            "mechanism='SCRAM-SHA-1'>%s</auth>",
            buf_c(&b64));
    buf_fini(&b64);
    buf_fini(&bare);
    buf_fini(&message);
}

static void
scram_final(struct client *c, struct str challenge)
{
    struct buf first = { 0 }, salt = { 0 }, without = { 0 }, b64 = { 0 }, final = { 0 };
    unsigned char salted[20], client_key[20], stored[20], signature[20];
    char nonce[256] = "", salt64[128] = "";
    int iterations = 0;
    unsigned n;

    b64_decode(&first, challenge);
    if (sscanf(buf_c(&first), "r=%255[^,],s=%127[^,],i=%d", nonce, salt64,
                &iterations) != 3)
        client_fail(c, "challenge");
    b64_decode(&salt, str_from(salt64));
    PKCS5_PBKDF2_HMAC("bench", 5, (unsigned char *)salt.p, (int)salt.n, iterations,
            EVP_sha1(), 20, salted);
    HMAC(EVP_sha1(), salted, 20, (const unsigned char *)"Client Key", 10, client_key,
            &n);
    EVP_Digest(client_key, 20, stored, &n, EVP_sha1(), NULL);
    buf_addf(&without, "c=biws,r=%s", nonce);
    buf_addf(&c->auth, ",%s,%s", buf_c(&first), buf_c(&without));
    HMAC(EVP_sha1(), stored, 20, (unsigned char *)c->auth.p, c->auth.n, signature, &n);
    for (int i = 0; i < 20; i++)
        signature[i] ^= client_key[i];
    buf_addf(&final, "%s,p=", buf_c(&without));
    b64_encode(&final, (struct str){ (char *)signature, 20 });
    b64_encode(&b64, buf_str(&final));
    buf_addf(&c->out,
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</response>",
            buf_c(&b64));
    buf_fini(&first);
    buf_fini(&salt);
    buf_fini(&without);
    buf_fini(&b64);
    buf_fini(&final);
    buf_fini(&c->auth);
}

static struct str
between(struct client *c, const char *start, const char *end)
{
    char *a = c->in.n ? strstr(c->in.p, start) : NULL, *b;

    if (!a)
        return STR_NULL;
    a = strchr(a, '>');
    b = a ? strstr(a, end) : NULL;
    return b ? (struct str){ a + 1, (size_t)(b - a - 1) } : STR_NULL;
}

static void
chat_send(struct client *c)
{
    struct client *peer = &load.client[c->index ^ 1];

    buf_addf(&c->out,
            "<message to='%s' type='chat' id='m%llu'><body>%llu #%u The quick brown "
            "fox jumps "
            "over the lazy dog.</body></message>",
            buf_c(&peer->jid), (unsigned long long)load.n_messages,
            (unsigned long long)clock_us(), ++c->sent);
}

/* Messages from the peer carry 1, 2, 3 …: what is missing and what comes twice? */
static void
chat_check(struct client *c, const char *body)
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
chat_received(struct client *c)
{
    struct str body;

    while ((body = between(c, "<body", "</body>")).p) {
        uint64_t now = clock_us(), sent = strtoull(body.p, NULL, 10);

        if (load.n_latency == load.latency_size) {
            load.latency_size = load.latency_size ? load.latency_size * 2 : 1 << 16;
            load.latency_us = mem_realloc(
                    load.latency_us, load.latency_size * sizeof *load.latency_us);
        }
        load.latency_us[load.n_latency++] = (uint32_t)(now - sent);
        chat_check(c, body.p);
        load.n_messages++;
        buf_drop(&c->in, (size_t)(body.p + body.n - c->in.p));
        if (load.rate)
            c->due_us = now + chat_pause_us();
        else if (now < load.until_us)
            chat_send(c);
    }
}

static void
client_step(struct client *c)
{
    struct str text;

    for (enum state before = CONNECT - 1; before != c->state;) {
        before = c->state;
        switch (c->state) {
        case CONNECT:
            if (!client_has(c, "</stream:features>"))
                break;
            if (load.tls == TLS_STARTTLS && !c->ssl) {
                client_say(c, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
                c->state = PROCEED;
            } else {
                scram_first(c);
                c->state = CHALLENGE;
            }
            break;
        case PROCEED:
            if (client_has(c, "<proceed") && client_has(c, ">"))
                client_tls(c);
            break;
        case HANDSHAKE:
        case FEATURES:
            break;
        case CHALLENGE:
            if (client_has(c, "<failure"))
                client_fail(c, "authentication");
            text = between(c, "<challenge", "</challenge>");
            if (!text.p)
                break;
            scram_final(c, text);
            buf_reset(&c->in, SIZE_MAX);
            c->state = SUCCESS;
            break;
        case SUCCESS:
            if (client_has(c, "<failure"))
                client_fail(c, "authentication");
            if (!client_has(c, "</success>"))
                break;
            client_header(c);
            c->state = BIND_FEATURES;
            break;
        case BIND_FEATURES:
            if (!client_has(c, "</stream:features>"))
                break;
            buf_addf(&c->out,
                    "<iq type='set' id='b'><bind "
                    "xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                    "<resource>r%d</resource></bind></iq>"
                    "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>",
                    c->index);
            c->state = BOUND;
            break;
        case BOUND:
            text = between(c, "<jid", "</jid>");
            if (!text.p)
                break;
            buf_add_str(&c->jid, text);
            buf_reset(&c->in, SIZE_MAX);
            client_say(c, "<presence/>");
            c->state = ONLINE;
            load.n_online++;
            load.n_connecting--;
            break;
        case ONLINE:
            if (load.running)
                chat_received(c);
            if (!c->in.n)
                break;
            /* Nothing else is of interest; keep a tail that may be half a message. */
            if (!load.running || !strstr(c->in.p, "<message"))
                buf_reset(&c->in, 0);
            break;
        }
    }
}

static void
client_read(struct client *c)
{
    char buf[16384];
    bool closed = false;

    if (c->state == HANDSHAKE) {
        int r = SSL_do_handshake(c->ssl);

        if (r != 1) {
            if (SSL_get_error(c->ssl, r) == SSL_ERROR_SSL)
                client_fail(c, ERR_reason_error_string(ERR_get_error()));
            return;
        }
        c->state = CONNECT;
        client_header(c);
    }
    for (;;) {
        ssize_t n = c->ssl ? SSL_read(c->ssl, buf, sizeof buf)
                           : recv(c->fd, buf, sizeof buf, 0);

        if (n <= 0) {
            closed = c->ssl ? SSL_get_error(c->ssl, (int)n) != SSL_ERROR_WANT_READ
                            : n == 0 || errno != EAGAIN;
            ERR_clear_error();
            break;
        }
        buf_add(&c->in, buf, (size_t)n);
        client_step(c);
        if (c->state == HANDSHAKE) {
            client_read(c); /* the client speaks first */
            return;
        }
    }
    if (closed && c->fd >= 0)
        client_fail(c, "closed by the server");
}

static void
turn(int wait_ms)
{
    struct epoll_event ev[256];
    int n = epoll_wait(load.epoll_fd, ev, 256, wait_ms);

    for (int i = 0; i < n; i++) {
        struct client *c = ev[i].data.ptr;

        if (!c) /* standard input */
            continue;
        if (ev[i].events & EPOLLOUT)
            client_flush(c);
        if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) || c->state == HANDSHAKE)
            client_read(c);
        client_flush(c);
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
        const struct client *a = &load.client[i], *b = &load.client[i + 1];

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
        struct client *c = &load.client[i];

        if (c->due_us == 0 || c->due_us > now)
            continue;
        c->due_us = 0;
        chat_send(c);
        client_flush(c);
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
        buf_reset(&load.client[i].in, 0);
        buf_reset(&load.client[i + 1].in, 0);
        chat_send(&load.client[i]);
        client_flush(&load.client[i]);
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
            load.address = optarg;
            break;
        case 'p':
            load.port = atoi(optarg);
            break;
        case 'd':
            load.domain = optarg;
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
            load.tls = strcmp(optarg, "none") == 0     ? TLS_NONE
                       : strcmp(optarg, "direct") == 0 ? TLS_DIRECT
                                                       : TLS_STARTTLS;
            break;
        default:
            usage();
        }
    }
    if (optind >= argc || load.n < 1 || load.accounts < 1)
        usage();
    load.mode = argv[optind];
    load.ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(load.ctx, SSL_VERIFY_NONE, NULL); /* a test's own certificate */
    load.client = mem_zalloc((size_t)load.n * sizeof *load.client);
    load.epoll_fd = epoll_create1(0);
    for (uint64_t progress_us = clock_us(), n = 0; load.n_online < load.n;) {
        if ((uint64_t)load.n_online != n) {
            n = (uint64_t)load.n_online;
            progress_us = clock_us();
        }
        if (clock_us() - progress_us > 30000000)
            die("nobody more has come online for half a minute");
        while (load.n_connecting < 64 && load.next < load.n)
            client_open(load.next++);
        turn(1000);
    }
    printf("ready\n");
    fflush(stdout);
    if (strcmp(load.mode, "chat") == 0) {
        chat();
    } else {
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
        char c;

        epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, 0, &ev);
        fcntl(0, F_SETFL, O_NONBLOCK);
        while (read(0, &c, 1) < 0)
            turn(1000);
        printf("{\"clients\":%d}\n", load.n);
    }
    return 0;
}
