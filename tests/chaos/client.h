#ifndef CHAOS_CLIENT_H
#define CHAOS_CLIENT_H

#include <netinet/in.h>
#include <openssl/ssl.h>

#include "base/buf.h"

/*
 * An XMPP client of the crowd: one connection, from connect() to a bound
 * resource, by STARTTLS, TLS or neither, and SCRAM-SHA-1. It understands just as much
 * XML as it needs: it looks for known strings. It is a client of servers that are ours
 * to measure, on loopback.
 */
enum client_tls {
    CLIENT_PLAIN,
    CLIENT_STARTTLS,
    CLIENT_DIRECT
};

enum client_state {
    CLIENT_CONNECT,
    CLIENT_PROCEED,
    CLIENT_HANDSHAKE,
    CLIENT_CHALLENGE,
    CLIENT_SUCCESS,
    CLIENT_BIND_FEATURES,
    CLIENT_BOUND, /* asked for a resource */
    CLIENT_ONLINE,
    CLIENT_CLOSED
};

struct client;

/* What the clients of one program have in common. */
struct client_site {
    const char *address, *domain;
    int epoll_fd; /* events carry the struct client */
    SSL_CTX *ctx;
    /* It has a resource; what comes from now on is in c->in. */
    void (*on_online)(struct client *c);
    void (*on_text)(struct client *c);
    /* It was told no, or the connection is gone. The socket is closed afterwards. */
    void (*on_lost)(struct client *c, const char *why);
};

struct client {
    const struct client_site *site;
    int fd, index;
    enum client_state state;
    enum client_tls tls;
    SSL *ssl;
    char user[32], resource[32]; /* the password is "bench" */
    struct buf in, out, jid, auth;
    /*
     * Sent instead of a request for a resource, if there is something (XEP-0198). The
     * answer is in c->in when it is online.
     */
    struct buf resume;
};

/* Makes epoll_fd and ctx; the rest is set. */
void client_site_open(struct client_site *site);

/* 0, or -errno. Buffers of a former connection are emptied. */
int client_open(struct client *c, int port);
/* Lets go of the socket; nothing is said to the server. */
void client_close(struct client *c);
/* For an event of epoll on its socket. */
void client_event(struct client *c, unsigned events);
/* Sends what is in c->out, as far as the kernel takes it. */
void client_flush(struct client *c);

/* The text between the tag that begins with start and end; STR_NULL: not all there. */
struct str client_between(struct client *c, const char *start, const char *end);

#endif
