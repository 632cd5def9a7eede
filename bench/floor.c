/*
 * floor.c -- what the kernel and TLS alone cost: a server that is none
 *
 * It looks like an XMPP server to bench/load, and does nothing that one must do: no XML
 * is parsed, nobody is authenticated, nothing is stored or checked, a death takes
 * everything along. Answers are fixed text of the usual length; a message goes
 * unchanged to the client whose number stands in its address. So it has the same system
 * calls, bytes and TLS records as a server, and its CPU time is what no server can go
 * below by much.
 *
 * Threads share the table of connections, each waits for its own. A connection's lock
 * is for its OpenSSL object, which another thread may write with.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
    CONNECTIONS_MAX = 200000,
    READ_SIZE = 32768
};

struct conn {
    int fd, number; /* of the client; -1: not known yet */
    SSL *ssl;
    bool shaking, bound, ended;
    pthread_mutex_t lock; /* of ssl and out */
    struct buf in, out;
};

struct listener {
    int fd;
    bool tls;
};

static struct {
    int port, port_tls, n_threads, n_contacts, n_accounts, n_roster;
    const char *cert;
    SSL_CTX *ctx;
    struct listener listener[2];
    struct conn *_Atomic by_number[CONNECTIONS_MAX];
} fl = { .port = 5222, .port_tls = 5223, .n_threads = 2, .n_accounts = 500 };

static struct buf roster;

static void
die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
flush(struct conn *c)
{
    while (c->out.n > 0 && !c->shaking) {
        ssize_t n = c->ssl ? SSL_write(c->ssl, c->out.p, (int)c->out.n)
                           : send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);

        if (n <= 0) {
            ERR_clear_error();
            return;
        }
        buf_drop(&c->out, (size_t)n);
    }
}

static void
conn_send(struct conn *c, const void *p, size_t n)
{
    pthread_mutex_lock(&c->lock);
    buf_add(&c->out, p, n);
    flush(c);
    pthread_mutex_unlock(&c->lock);
}

static void
conn_say(struct conn *c, const char *format, ...)
{
    struct buf text = { 0 };
    va_list ap;

    va_start(ap, format);
    buf_vaddf(&text, format, ap);
    va_end(ap);
    conn_send(c, text.p, text.n);
    buf_fini(&text);
}

/* What is answered to what starts and ends in this way. */

static void
on_header(struct conn *c, const char *p, size_t n)
{
    (void)p, (void)n;
    conn_say(c,
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams' id='0123456789abcdef' "
            "from='localhost' version='1.0' xml:lang='en'><stream:features>%s"
            "</stream:features>",
            c->bound
                    ? "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
                      "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/>"
                      "</session><ver xmlns='urn:xmpp:features:rosterver'/>"
                      "<sm xmlns='urn:xmpp:sm:3'/>"
                    : "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                      "<mechanism>SCRAM-SHA-256</mechanism>"
                      "<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>"
                      "</mechanisms>");
}

static void
on_auth(struct conn *c, const char *p, size_t n)
{
    (void)p, (void)n;
    /* r=0123456789abcdef0123456789abcdef0123,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096 */
    conn_say(c, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                "cj0wMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjMscz1NREV5TXpRMU5q"
                "YzRPV0ZpWTJSbFpnPT0saT00MDk2</challenge>");
}

static void
on_response(struct conn *c, const char *p, size_t n)
{
    (void)p, (void)n;
    c->bound = true;
    conn_say(c, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                "dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS1E9</success>");
}

static void
on_iq(struct conn *c, const char *p, size_t n)
{
    const char *resource = memmem(p, n, "<resource>r", 11),
               *id = memmem(p, n, " id='", 5);
    int number = resource ? atoi(resource + 11) : -1;

    if (number >= 0 && number < CONNECTIONS_MAX) {
        c->number = number;
        fl.by_number[number] = c;
        conn_say(c,
                "<iq type='result' id='b'><bind "
                "xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                "<jid>bench%d@localhost/r%d</jid></bind></iq>",
                number, number);
    } else if (id) {
        conn_say(c,
                "<iq type='result' id='%.*s'><query xmlns='jabber:iq:roster' ver='1'>%s"
                "</query></iq>",
                (int)strcspn(id + 5, "'"), id + 5, buf_c(&roster));
    }
}

static void
tell_presence(struct conn *from, int to, const char *p, size_t n)
{
    struct conn *c = fl.by_number[to];

    if (c)
        conn_say(c,
                "<presence from='bench%d@localhost/r%d' to='bench%d@localhost'>%.*s",
                from->number, from->number, to, (int)(n > 11 ? n - 10 : 11),
                n > 11 ? p + 10 : "</presence>");
}

static void
on_presence(struct conn *c, const char *p, size_t n)
{
    int half = fl.n_contacts / 2, all = fl.n_accounts;

    tell_presence(c, c->number, p, n);
    for (int i = 1; i <= half; i++) {
        tell_presence(c, (c->number + i) % all, p, n);
        tell_presence(c, (c->number + all - i) % all, p, n);
    }
}

static void
on_message(struct conn *c, const char *p, size_t n)
{
    const char *r = memmem(p, n, "/r", 2);
    int number = r ? atoi(r + 2) : -1;
    struct conn *to =
            number >= 0 && number < CONNECTIONS_MAX ? fl.by_number[number] : NULL;

    (void)c;
    if (to)
        conn_send(to, p, n);
}

static void
on_end(struct conn *c, const char *p, size_t n)
{
    conn_send(c, p, n);
    c->ended = true;
}

static const struct text {
    const char *start, *end;
    void (*on)(struct conn *c, const char *p, size_t n);
} texts[] = {
    { "<message", "</message>", on_message },
    { "<presence/", ">", on_presence },
    { "<presence", "</presence>", on_presence },
    { "<iq", "</iq>", on_iq },
    { "<?xml", "version='1.0'>", on_header },
    { "<auth", "</auth>", on_auth },
    { "<response", "</response>", on_response },
    { "</", ">", on_end },
};
enum {
    N_TEXTS = sizeof texts / sizeof *texts
};

static void
handle(struct conn *c)
{
    size_t at = 0;

    while (at < c->in.n && !c->ended) {
        const char *p = c->in.p + at, *end = NULL;
        const struct text *t = texts;

        while (t < texts + N_TEXTS && strncmp(p, t->start, strlen(t->start)) != 0)
            t++;
        if (t < texts + N_TEXTS)
            end = memmem(p, c->in.n - at, t->end, strlen(t->end));
        if (!end)
            break;
        end += strlen(t->end);
        t->on(c, p, (size_t)(end - p));
        at += (size_t)(end - p);
    }
    buf_drop(&c->in, at);
}

static void
conn_close(struct conn *c)
{
    if (c->number >= 0 && fl.by_number[c->number] == c)
        fl.by_number[c->number] = NULL;
    pthread_mutex_lock(&c->lock);
    if (c->ssl && !c->shaking)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    c->ssl = NULL;
    close_fd(&c->fd);
    buf_fini(&c->in);
    buf_reset(&c->out, 0);
    c->shaking = true; /* nothing is sent any more */
    pthread_mutex_unlock(&c->lock);
    /* Another thread may have found it in the table just before: it stays allocated. */
}

/* 1: more may come, 0: nothing is there, -1: the end. */
static int
conn_read(struct conn *c)
{
    ssize_t n;
    int r = 0;

    pthread_mutex_lock(&c->lock);
    if (c->shaking) {
        n = SSL_do_handshake(c->ssl);
        if (n != 1) {
            r = SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ ? 0 : -1;
            goto out;
        }
        c->shaking = false;
    }
    flush(c);
    if (c->ssl) {
        n = SSL_read(c->ssl, buf_reserve(&c->in, READ_SIZE), READ_SIZE);
        r = n > 0 ? 1 : SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ ? 0 : -1;
        ERR_clear_error();
    } else {
        n = recv(c->fd, buf_reserve(&c->in, READ_SIZE), READ_SIZE, 0);
        r = n > 0 ? n == READ_SIZE : n < 0 && errno == EAGAIN ? 0 : -1;
    }
    if (n > 0)
        buf_added(&c->in, (size_t)n);
out:
    pthread_mutex_unlock(&c->lock);
    return r;
}

static void
conn_ready(struct conn *c)
{
    int r;

    if (c->fd < 0)
        return;
    do {
        r = conn_read(c);
        handle(c);
    } while (r > 0 && !c->ended);
    if (r < 0 || c->ended)
        conn_close(c);
    else if (c->in.n == 0)
        buf_reset(&c->in, 0);
}

static void
accept_all(int epoll_fd, const struct listener *l)
{
    int fd, one = 1;

    while ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct conn *c = mem_zalloc(sizeof *c);
        struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET,
            .data.ptr = c };

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->fd = fd;
        c->number = -1;
        pthread_mutex_init(&c->lock, NULL);
        if (l->tls) {
            c->ssl = SSL_new(fl.ctx);
            SSL_set_fd(c->ssl, fd);
            SSL_set_accept_state(c->ssl);
            c->shaking = true;
        }
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
    }
}

static void *
serve(void *arg)
{
    int epoll_fd = epoll_create1(0);
    struct epoll_event ev[256];

    (void)arg;
    for (int i = 0; i < 2; i++) {
        ev[0] = (struct epoll_event){ .events = EPOLLIN | EPOLLEXCLUSIVE,
            .data.ptr = &fl.listener[i] };
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fl.listener[i].fd, &ev[0]);
    }
    for (;;) {
        int n = epoll_wait(epoll_fd, ev, 256, -1);

        for (int i = 0; i < n; i++) {
            struct listener *l = ev[i].data.ptr;

            if (l == &fl.listener[0] || l == &fl.listener[1])
                accept_all(epoll_fd, l);
            else
                conn_ready(ev[i].data.ptr);
        }
    }
    return NULL;
}

static void
listen_at(struct listener *l, int port, bool tls)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;

    l->tls = tls;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(l->fd, (struct sockaddr *)&in, sizeof in) < 0 || listen(l->fd, 4096) < 0)
        die("listen");
}

int
main(int argc, char **argv)
{
    pthread_t thread;
    int o;

    while ((o = getopt(argc, argv, "p:P:c:t:k:a:R:")) != -1) {
        switch (o) {
        case 'p':
            fl.port = atoi(optarg);
            break;
        case 'P':
            fl.port_tls = atoi(optarg);
            break;
        case 'c':
            fl.cert = optarg;
            break;
        case 't':
            fl.n_threads = atoi(optarg);
            break;
        case 'k':
            fl.n_contacts = atoi(optarg);
            break;
        case 'a':
            fl.n_accounts = atoi(optarg);
            break;
        case 'R':
            fl.n_roster = atoi(optarg);
            break;
        default:
            argc = 0;
        }
    }
    if (argc == 0 || optind < argc || !fl.cert) {
        fprintf(stderr,
                "usage: floor -c CERTIFICATE [-p PORT] [-P TLS-PORT] [-t THREADS]\n"
                "             [-R ROSTER-ITEMS] [-k CONTACTS-TOLD -a ACCOUNTS]\n");
        return 2;
    }
    for (int i = 0; i < fl.n_roster; i++)
        buf_addf(&roster,
                "<item subscription='both' "
                "jid='bench%d@localhost'><group>bench</group></item>",
                i);
    signal(SIGPIPE, SIG_IGN);
    fl.ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_read_ahead(fl.ctx, 1); /* one system call for a record, not two */
    SSL_CTX_set_mode(fl.ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(fl.ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate_chain_file(fl.ctx, fl.cert) != 1 ||
            SSL_CTX_use_PrivateKey_file(fl.ctx, fl.cert, SSL_FILETYPE_PEM) != 1)
        die(fl.cert);
    listen_at(&fl.listener[0], fl.port, false);
    listen_at(&fl.listener[1], fl.port_tls, true);
    for (int i = 1; i < fl.n_threads; i++)
        pthread_create(&thread, NULL, serve, NULL);
    printf("ready\n");
    fflush(stdout);
    serve(NULL);
    return 0;
}
