/*
 * link.c -- a connection of a client, plain or under TLS
 *
 * Taking a TLS 1.3 connection over from OpenSSL is simple for a client: when its
 * handshake function returns, the Finished messages have gone both ways, and nothing
 * has been read behind the server's (OpenSSL reads record by record). So both sequences
 * start at zero, and the session tickets are the first records that we open ourselves,
 * and ignore.
 */
#include "bench/load/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "worker/record.h"

enum {
    READ_SIZE = 32768,
    KEY_UPDATE = 24 /* RFC 8446, 4.6.3 */
};

static SSL_CTX *ssl_ctx;

/* The secrets of the handshake that is running; a process does one step at a time. */
static struct {
    uint8_t client[RECORD_SECRET_MAX], server[RECORD_SECRET_MAX];
} secrets;
static int secrets_index;

static void
secret_from(const char *hex, uint8_t secret[RECORD_SECRET_MAX])
{
    for (size_t i = 0; i < RECORD_SECRET_MAX && hex[2 * i] && hex[2 * i + 1]; i++) {
        const char byte[3] = { hex[2 * i], hex[2 * i + 1], 0 };

        secret[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
}

/* "LABEL client-random secret" */
static void
on_secret(const SSL *ssl, const char *line)
{
    const char *hex = strrchr(line, ' ');
    struct link *l = SSL_get_ex_data(ssl, secrets_index);

    if (!hex || !l->drop)
        return;
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
        secret_from(hex + 1, secrets.client);
    else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
        secret_from(hex + 1, secrets.server);
}

void
link_init(void)
{
    ssl_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(
            ssl_ctx, SSL_VERIFY_NONE, NULL); /* a certificate made for the run */
    SSL_CTX_set_session_cache_mode(ssl_ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ssl_ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_keylog_callback(ssl_ctx, on_secret);
    secrets_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

int
link_open(struct link *l, const char *address, int port, unsigned index)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port) };
    struct sockaddr_in from = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f000001u + 256u * (index / 10000 % 250)) };
    int one = 1, r;

    memset(l, 0, sizeof *l);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return -errno;
    inet_pton(AF_INET, address, &to.sin_addr);
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(l->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(l->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
            (connect(l->fd, (struct sockaddr *)&to, sizeof to) < 0 &&
                    errno != EINPROGRESS)) {
        r = -errno;
        close_fd(&l->fd);
        return r;
    }
    return 0;
}

void
link_start_tls(struct link *l, const char *domain, bool drop)
{
    l->ssl = SSL_new(ssl_ctx);
    SSL_set_ex_data(l->ssl, secrets_index, l);
    SSL_set_fd(l->ssl, l->fd);
    SSL_set_tlsext_host_name(l->ssl, domain);
    SSL_set_connect_state(l->ssl);
    l->secure = l->shaking = true;
    l->drop = drop;
}

/* From now on records are ours. */
static int
take_over(struct link *l)
{
    struct tls_state *st = mem_zalloc(sizeof *st);
    enum record_cipher cipher;

    if (record_cipher_from(SSL_CIPHER_get_name(SSL_get_current_cipher(l->ssl)), &cipher,
                &st->secret_size) < 0) {
        free(st);
        return -1;
    }
    st->cipher = (uint8_t)cipher;
    record_half_init(st, &st->wr, secrets.client, 0);
    record_half_init(st, &st->rd, secrets.server, 0);
    SSL_free(l->ssl);
    l->ssl = NULL;
    l->records = st;
    return 1;
}

int
link_handshake(struct link *l)
{
    int r = SSL_do_handshake(l->ssl);

    if (r != 1) {
        r = SSL_get_error(l->ssl, r);
        return r == SSL_ERROR_WANT_READ || r == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    l->shaking = false;
    return l->drop ? take_over(l) : 1;
}

const char *
link_error(void)
{
    const char *text = ERR_reason_error_string(ERR_get_error());

    return text ? text : "closed by the server";
}

/* Opens what is there in whole records. 0, or -1: the end, or none that we understand.
 */
static int
open_records(struct link *l, struct buf *text)
{
    struct tls_state *st = l->records;
    size_t at = 0;
    int n = 0, end = 0;

    while (end == 0 &&
            (n = record_length((struct str){ l->raw.p + at, l->raw.n - at })) > 0 &&
            at + (size_t)n <= l->raw.n) {
        uint8_t type;
        char *to = buf_reserve(text, (size_t)n);
        int r = record_open(
                st, &st->rd, (struct str){ l->raw.p + at, (size_t)n }, to, &type);

        if (r < 0 || type == RECORD_ALERT ||
                (type == RECORD_HANDSHAKE && *to == KEY_UPDATE))
            end = -1;
        else if (type == RECORD_DATA)
            buf_added(text, (size_t)r);
        st->rd.sequence++;
        at += (size_t)n;
    }
    buf_drop(&l->raw, at);
    return n < 0 ? -1 : end;
}

int
link_receive(struct link *l, struct buf *text)
{
    ssize_t n;

    if (l->ssl) {
        n = SSL_read(l->ssl, buf_reserve(text, READ_SIZE), READ_SIZE);
        if (n <= 0) {
            int why = SSL_get_error(l->ssl, (int)n);

            ERR_clear_error();
            return why == SSL_ERROR_WANT_READ ? 0 : -1;
        }
        buf_added(text, (size_t)n);
        return 1;
    }
    struct buf *to = l->records ? &l->raw : text;

    n = recv(l->fd, buf_reserve(to, READ_SIZE), READ_SIZE, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN ? 0 : -1;
    buf_added(to, (size_t)n);
    if (l->records) {
        if (open_records(l, text) < 0)
            return -1;
        if (l->raw.n == 0)
            buf_fini(&l->raw);
    }
    return n == READ_SIZE; /* edge-triggered, but what comes later tells again */
}

void
link_flush(struct link *l)
{
    while (l->out.n > 0 && !l->shaking) {
        ssize_t n = l->ssl ? SSL_write(l->ssl, l->out.p, (int)l->out.n)
                           : send(l->fd, l->out.p, l->out.n, MSG_NOSIGNAL);

        if (n <= 0) {
            ERR_clear_error();
            return;
        }
        buf_drop(&l->out, (size_t)n);
    }
    if (l->out.n == 0 && l->out.p)
        buf_fini(&l->out);
}

void
link_send(struct link *l, struct str text)
{
    while (l->records && text.n > 0) {
        struct tls_state *st = l->records;
        size_t n = text.n < RECORD_PLAIN_MAX ? text.n : RECORD_PLAIN_MAX;
        char *to = buf_reserve(&l->out, n + RECORD_OVERHEAD);
        int r = record_seal(st, &st->wr, RECORD_DATA, text.p, n, to);

        if (r < 0)
            return;
        st->wr.sequence++;
        buf_added(&l->out, (size_t)r);
        text = (struct str){ text.p + n, text.n - n };
    }
    buf_add_str(&l->out, text);
    link_flush(l);
}

void
link_close(struct link *l)
{
    SSL_free(l->ssl);
    l->ssl = NULL;
    free(l->records);
    l->records = NULL;
    buf_fini(&l->raw);
    buf_fini(&l->out);
    close_fd(&l->fd);
}
