/*
 * conn_identity.c -- which connection it is: its id, its JID, its network address
 *
 * An id holds the worker's slot, the record's place and its generation, so that a frame
 * for a connection that has gone is recognised. The JID is one text in the slot; its
 * parts are views of it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "worker/conn.h"

uint64_t
conn_id(const struct worker *w, const struct conn *c)
{
    return conn_id_of(w->proc->slot, conn_index(w, c), c->generation);
}

struct conn *
conn_find(const struct worker *w, uint64_t id)
{
    uint32_t i = conn_id_index(id);
    struct conn *c;

    if (conn_id_slot(id) != w->proc->slot || i >= w->slot->conns_used)
        return NULL;
    c = &w->conns[i];
    return c->state != STREAM_FREE && c->state != STREAM_CLOSED &&
                           c->generation == conn_id_generation(id)
                   ? c
                   : NULL;
}

struct str
conn_domain(const struct conn *c)
{
    size_t at = c->local_n ? c->local_n + 1u : 0;

    return c->jid ? (struct str){ c->jid + at, c->domain_n } : STR_NULL;
}

struct str
conn_bare(const struct conn *c)
{
    size_t at = c->local_n ? c->local_n + 1u : 0;

    return c->jid ? (struct str){ c->jid, at + c->domain_n } : STR_NULL;
}

struct str
conn_full(const struct conn *c)
{
    struct str s = conn_bare(c);

    if (c->resource_n)
        s.n += 1u + c->resource_n;
    return s;
}

struct jid
conn_jid(const struct conn *c)
{
    struct str bare = conn_bare(c);

    return (struct jid){
        .local = { c->jid, c->local_n },
        .domain = conn_domain(c),
        .resource = { c->resource_n ? bare.p + bare.n + 1 : NULL, c->resource_n },
    };
}

void
conn_set_jid(struct worker *w, struct conn *c, const struct jid *jid)
{
    size_t n = jid->local.n + jid->domain.n + jid->resource.n + 3;
    char *p = slot_alloc(w, n), *at = p;

    if (jid->local.n) {
        memcpy(at, jid->local.p, jid->local.n);
        at += jid->local.n;
        *at++ = '@';
    }
    memcpy(at, jid->domain.p, jid->domain.n);
    at += jid->domain.n;
    if (jid->resource.n) {
        *at++ = '/';
        memcpy(at, jid->resource.p, jid->resource.n);
        at += jid->resource.n;
    }
    *at = '\0';
    slot_free(w, c->jid);
    SET(w, c->jid, p);
    SET(w, c->local_n, (uint16_t)jid->local.n);
    SET(w, c->domain_n, (uint16_t)jid->domain.n);
    SET(w, c->resource_n, (uint16_t)jid->resource.n);
}

bool
conn_is_encrypted(const struct conn *c)
{
    return c->tls != CONN_PLAIN;
}

void
conn_sockaddr(const struct conn *c, struct sockaddr_storage *ret_addr)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_addr;

    memset(ret_addr, 0, sizeof *ret_addr);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(c->port);
    memcpy(&in6->sin6_addr, c->addr, 16);
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(c->port) };

        memcpy(&in.sin_addr, c->addr + 12, 4);
        memset(ret_addr, 0, sizeof *ret_addr);
        memcpy(ret_addr, &in, sizeof in);
    }
}

static bool
is_v4(const struct conn *c)
{
    struct in6_addr a;

    memcpy(&a, c->addr, 16);
    return IN6_IS_ADDR_V4MAPPED(&a);
}

const char *
conn_address(const struct conn *c, char ret_text[CONN_REMOTE_SIZE])
{
    if (is_v4(c))
        inet_ntop(AF_INET, c->addr + 12, ret_text, CONN_REMOTE_SIZE);
    else
        inet_ntop(AF_INET6, c->addr, ret_text, CONN_REMOTE_SIZE);
    return ret_text;
}

const char *
conn_remote(const struct conn *c, char ret_text[CONN_REMOTE_SIZE])
{
    char address[CONN_REMOTE_SIZE];

    conn_address(c, address);
    snprintf(ret_text, CONN_REMOTE_SIZE, is_v4(c) ? "%.45s:%u" : "[%.45s]:%u", address,
            c->port);
    return ret_text;
}

const struct log_ctx *
conn_ctx(const struct worker *w, const struct conn *c)
{
    static struct log_ctx ctx;
    static char remote[CONN_REMOTE_SIZE];

    ctx = (struct log_ctx){ .conn = conn_id(w, c),
        .jid = conn_full(c),
        .remote = str_from(conn_remote(c, remote)) };
    if (c->local_n == 0) {
        ctx.host = ctx.jid;
        ctx.jid = STR_NULL;
    }
    return &ctx;
}

void
conn_set_addr(struct conn *c, const struct sockaddr *addr)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    memset(c->addr, 0, sizeof c->addr);
    c->port = 0;
    if (addr->sa_family == AF_INET) {
        memcpy(&in, addr, sizeof in);
        memcpy(c->addr, mapped, 12);
        memcpy(c->addr + 12, &in.sin_addr, 4);
        c->port = ntohs(in.sin_port);
    } else if (addr->sa_family == AF_INET6) {
        memcpy(&in6, addr, sizeof in6);
        memcpy(c->addr, &in6.sin6_addr, 16);
        c->port = ntohs(in6.sin6_port);
    } else {
        memcpy(c->addr, mapped, 12); /* a Unix socket counts as 127.0.0.1 */
        c->addr[12] = 127;
        c->addr[15] = 1;
    }
}
