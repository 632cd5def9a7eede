/*
 * proxy.c -- the PROXY protocol, versions 1 and 2
 *
 * Only listeners that the administrator marks expect it, so that nobody else can claim
 * another address.
 */
#include "worker/proxy.h"

#include <arpa/inet.h>
#include <errno.h>

#include "worker/addresses.h"
#include "worker/c2s.h"
#include "worker/conn.h"

enum {
    V1_MAX = 107,
    V2_HEAD = 16,
    V2_MAX = 1024
};

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static void
map_v4(uint8_t addr[16], const void *v4)
{
    memset(addr, 0, 10);
    addr[10] = addr[11] = 0xff;
    memcpy(addr + 12, v4, 4);
}

static int
parse_v1(struct str in, uint8_t addr[16], uint16_t *port, bool *local)
{
    const char *nl = memchr(in.p, '\n', in.n < V1_MAX ? in.n : V1_MAX);
    struct str line, word[6] = { { 0 } }, rest;
    char text[64];
    uint64_t number;
    uint8_t v4[4];
    size_t n = 0;

    if (!nl)
        return in.n >= V1_MAX ? -EINVAL : 0;
    line = (struct str){ in.p, (size_t)(nl - in.p) };
    if (line.n == 0 || line.p[line.n - 1] != '\r')
        return -EINVAL;
    line.n--;
    for (rest = line; n < 6 && str_cut(&rest, ' ', &word[n]);)
        n++;
    if (n < 2 || !str_eq(word[0], STR("PROXY")))
        return -EINVAL;
    if (str_eq(word[1], STR("UNKNOWN"))) {
        *local = true;
        return (int)(nl - in.p) + 1;
    }
    if (n != 6 || rest.p || word[2].n >= sizeof text ||
            str_to_u64(word[4], &number) < 0 || number > UINT16_MAX)
        return -EINVAL;
    memcpy(text, word[2].p, word[2].n);
    text[word[2].n] = '\0';
    if (str_eq(word[1], STR("TCP4"))) {
        if (inet_pton(AF_INET, text, v4) != 1)
            return -EINVAL;
        map_v4(addr, v4);
    } else if (!str_eq(word[1], STR("TCP6")) || inet_pton(AF_INET6, text, addr) != 1) {
        return -EINVAL;
    }
    *port = (uint16_t)number;
    return (int)(nl - in.p) + 1;
}

static int
parse_v2(struct str in, uint8_t addr[16], uint16_t *port, bool *local)
{
    const unsigned char *p = (const unsigned char *)in.p;
    unsigned len, family;

    if (in.n < V2_HEAD)
        return 0;
    len = (unsigned)p[14] << 8 | p[15];
    family = p[13];
    if (p[12] >> 4 != 2 || (p[12] & 15) > 1 || len > V2_MAX)
        return -EINVAL;
    if (in.n < V2_HEAD + len)
        return 0;
    if ((p[12] & 15) == 0 || family == 0) { /* LOCAL; or an address of no known kind */
        *local = true;
    } else if (family == 0x11 && len >= 12) {
        map_v4(addr, p + V2_HEAD);
        *port = (uint16_t)(p[24] << 8 | p[25]);
    } else if (family == 0x21 && len >= 36) {
        memcpy(addr, p + V2_HEAD, 16);
        *port = (uint16_t)(p[48] << 8 | p[49]);
    } else {
        return -EINVAL;
    }
    return (int)(V2_HEAD + len);
}

int
proxy_parse(struct str in, uint8_t ret_addr[16], uint16_t *ret_port, bool *ret_local)
{
    size_t n = in.n < sizeof v2_signature ? in.n : sizeof v2_signature;

    *ret_local = false;
    if (in.n == 0)
        return 0;
    if (memcmp(in.p, v2_signature, n) == 0)
        return n < sizeof v2_signature ? 0
                                       : parse_v2(in, ret_addr, ret_port, ret_local);
    n = in.n < 6 ? in.n : 6;
    if (memcmp(in.p, "PROXY ", n) == 0)
        return n < 6 ? 0 : parse_v1(in, ret_addr, ret_port, ret_local);
    return -EINVAL;
}

bool
proxy_handle(struct worker *w, struct conn *c)
{
    uint8_t addr[16];
    uint16_t port = 0;
    bool local;
    int n;

    if (!c->in)
        return false;
    n = proxy_parse((struct str){ c->in->data, c->in->len }, addr, &port, &local);
    if (n == 0)
        return false;
    if (n < 0) {
        log_info(conn_ctx(w, c), "refused: no valid PROXY protocol header");
        conn_close(w, c, "no valid PROXY protocol header");
        return false;
    }
    worker_begin(w, c);
    if (!local) {
        for (int i = 0; i < 16; i++)
            SET(w, c->addr[i], addr[i]);
        SET(w, c->port, port);
    }
    memmove(c->in->data, c->in->data + n, c->in->len - (uint32_t)n);
    SET(w, c->in->len, c->in->len - (uint32_t)n);
    if (!local && !addresses_admit(w, c))
        conn_close(w, c, "too many connections from this address");
    else
        c2s_begin(w, c);
    worker_commit(w);
    return c->state != STREAM_CLOSED;
}
