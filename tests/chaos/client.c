/*
 * client.c -- one XMPP client of a load generator
 */
#include "tests/chaos/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/b64.h"
#include "base/mem.h"

void
client_site_open(struct client_site *site)
{
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets that were closed */
    site->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    site->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(site->ctx, SSL_VERIFY_NONE, NULL); /* a test's own certificate */
    SSL_CTX_set_mode(site->ctx,
            SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

void
client_flush(struct client *c)
{
    while (c->out.n > 0 && c->fd >= 0 && c->state != CLIENT_HANDSHAKE) {
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
client_header(struct client *c)
{
    buf_addf(&c->out,
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>",
            c->site->domain);
}

static void
client_tls(struct client *c)
{
    c->ssl = SSL_new(c->site->ctx);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_tlsext_host_name(c->ssl, c->site->domain);
    SSL_set_connect_state(c->ssl);
    c->state = CLIENT_HANDSHAKE;
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

    buf_addf(&bare, "n=%s,r=nonce%dnonce%d", c->user, c->index, c->index);
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

static bool
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
        return false;
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
    return true;
}

struct str
client_between(struct client *c, const char *start, const char *end)
{
    char *a = c->in.n ? strstr(c->in.p, start) : NULL, *b;

    if (!a)
        return STR_NULL;
    a = strchr(a, '>');
    b = a ? strstr(a, end) : NULL;
    return b ? (struct str){ a + 1, (size_t)(b - a - 1) } : STR_NULL;
}

void
client_close(struct client *c)
{
    if (c->ssl)
        SSL_free(c->ssl);
    c->ssl = NULL;
    close_fd(&c->fd);
    c->state = CLIENT_CLOSED;
}

/* Ends a connection that did not end by our own wish. */
static void
lost(struct client *c, const char *why)
{
    char text[200];

    snprintf(text, sizeof text, "%s", why ? why : "?");
    c->site->on_lost(c, text);
    client_close(c);
}

int
client_open(struct client *c, int port)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port) };
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    /* More than 28,000 connections need more than one source address. */
    struct sockaddr_in from = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f000001u + 256u * (unsigned)(c->index / 10000)) };
    int one = 1, r;

    buf_reset(&c->in, SIZE_MAX);
    buf_reset(&c->out, SIZE_MAX);
    buf_reset(&c->auth, SIZE_MAX);
    c->ssl = NULL;
    c->state = CLIENT_CONNECT;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    inet_pton(AF_INET, c->site->address, &in.sin_addr);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
            (connect(c->fd, (struct sockaddr *)&in, sizeof in) < 0 &&
                    errno != EINPROGRESS)) {
        r = -errno;
        client_close(c);
        return r;
    }
    epoll_ctl(c->site->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev);
    if (c->tls == CLIENT_DIRECT)
        client_tls(c);
    else
        client_header(c);
    return 0;
}

static void
ask_for_resource(struct client *c)
{
    if (c->resume.n > 0) {
        buf_add_str(&c->out, buf_str(&c->resume));
        buf_reset(&c->in, SIZE_MAX);
        c->state = CLIENT_ONLINE;
        return;
    }
    buf_addf(&c->out,
            "<iq type='set' id='b'><bind "
            "xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            "<resource>%s</resource></bind></iq>",
            c->resource);
    c->state = CLIENT_BOUND;
}

/* NULL, or what the server did not like. */
static const char *
client_step(struct client *c)
{
    struct str text;

    for (enum client_state before = CLIENT_CLOSED; before != c->state;) {
        before = c->state;
        switch (c->state) {
        case CLIENT_CONNECT:
            if (!client_has(c, "</stream:features>"))
                break;
            if (c->tls == CLIENT_STARTTLS && !c->ssl) {
                buf_add_c(
                        &c->out, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
                c->state = CLIENT_PROCEED;
            } else {
                scram_first(c);
                c->state = CLIENT_CHALLENGE;
            }
            break;
        case CLIENT_PROCEED:
            if (client_has(c, "<proceed") && client_has(c, ">"))
                client_tls(c);
            break;
        case CLIENT_CHALLENGE:
            if (client_has(c, "<failure"))
                return "authentication";
            text = client_between(c, "<challenge", "</challenge>");
            if (!text.p)
                break;
            if (!scram_final(c, text))
                return "challenge";
            buf_reset(&c->in, SIZE_MAX);
            c->state = CLIENT_SUCCESS;
            break;
        case CLIENT_SUCCESS:
            if (client_has(c, "<failure"))
                return "authentication";
            if (!client_has(c, "</success>"))
                break;
            client_header(c);
            c->state = CLIENT_BIND_FEATURES;
            break;
        case CLIENT_BIND_FEATURES:
            if (client_has(c, "</stream:features>"))
                ask_for_resource(c);
            break;
        case CLIENT_BOUND:
            text = client_between(c, "<jid", "</jid>");
            if (!text.p || !strstr(text.p, "</iq>"))
                break;
            buf_reset(&c->jid, SIZE_MAX);
            buf_add_str(&c->jid, text);
            client_has(c, "</iq>");
            c->state = CLIENT_ONLINE;
            c->site->on_online(c);
            break;
        case CLIENT_ONLINE:
            if (c->in.n > 0)
                c->site->on_text(c);
            return NULL;
        case CLIENT_HANDSHAKE:
        case CLIENT_CLOSED:
            break;
        }
    }
    return NULL;
}

static void
client_read(struct client *c)
{
    char buf[16384];
    const char *why = NULL;

    if (c->state == CLIENT_HANDSHAKE) {
        int r = SSL_do_handshake(c->ssl);

        if (r != 1) {
            int e = SSL_get_error(c->ssl, r);

            if (e == SSL_ERROR_SSL || e == SSL_ERROR_SYSCALL)
                lost(c, "the TLS handshake failed");
            ERR_clear_error();
            return;
        }
        c->state = CLIENT_CONNECT;
        client_header(c);
    }
    while (c->fd >= 0 && !why) {
        ssize_t n = c->ssl ? SSL_read(c->ssl, buf, sizeof buf)
                           : recv(c->fd, buf, sizeof buf, 0);

        if (n <= 0) {
            if (c->ssl ? SSL_get_error(c->ssl, (int)n) != SSL_ERROR_WANT_READ
                       : n == 0 || errno != EAGAIN)
                why = "closed by the server";
            ERR_clear_error();
            break;
        }
        buf_add(&c->in, buf, (size_t)n);
        why = client_step(c);
        if (c->state == CLIENT_HANDSHAKE) {
            client_read(c);
            return;
        }
    }
    if (why && c->fd >= 0)
        lost(c, why);
}

void
client_event(struct client *c, unsigned events)
{
    if (c->fd < 0)
        return;
    if (events & EPOLLOUT)
        client_flush(c);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || c->state == CLIENT_HANDSHAKE)
        client_read(c);
    client_flush(c);
}
