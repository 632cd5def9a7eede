/*
 * scalar.c -- what a plain word can be: a boolean, a number, a time, an address, a name
 *
 * Only plain words are numbers and booleans; in quotation marks they are text, as in
 * ejabberd. A time is a number of seconds or text with a unit.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "conf/bind.h"
#include "conf/value.h"

bool
value_is_one_of(struct str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_caseeq(s, str_from(words[i])))
            return true;
    return false;
}

bool
conf_is_bool(const struct conf_node *node, bool *ret)
{
    static const char *const yes[] = { "true", "on", "yes", "y" };
    static const char *const no[] = { "false", "off", "no", "n" };

    if (node->kind != CONF_SCALAR || node->quoted)
        return false;
    if (value_is_one_of(node->text, yes, ARRAY_LEN(yes)))
        *ret = true;
    else if (value_is_one_of(node->text, no, ARRAY_LEN(no)))
        *ret = false;
    else
        return false;
    return true;
}

bool
conf_is_number(const struct conf_node *node, uint64_t *ret)
{
    struct str s = node->text;

    if (node->kind != CONF_SCALAR || node->quoted)
        return false;
    if (s.n > 1 && s.p[0] == '+') {
        s.p++;
        s.n--;
    }
    return str_to_u64(s, ret) == 0 && *ret < (uint64_t)1 << 62;
}

bool
conf_is_infinite(struct str text)
{
    static const char *const words[] = { "infinity", "infinite", "unlimited" };

    return value_is_one_of(text, words, ARRAY_LEN(words));
}

bool
conf_is_time(const struct conf_node *node, uint64_t *ret_ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {
        { "ms", 1 },
        { "msec", 1 },
        { "millisec", 1 },
        { "millisecond", 1 },
        { "s", 1000 },
        { "sec", 1000 },
        { "second", 1000 },
        { "m", 60000 },
        { "min", 60000 },
        { "minute", 60000 },
        { "h", 3600000 },
        { "hour", 3600000 },
        { "d", 86400000 },
        { "day", 86400000 },
    };
    const uint64_t max = (uint64_t)1 << 40;
    struct str s = str_trim(node->text), unit;
    uint64_t n;
    size_t i = 0;

    if (node->kind != CONF_SCALAR)
        return false;
    if (conf_is_number(node, &n)) {
        *ret_ms = n * 1000;
        return n < max;
    }
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    if (str_to_u64((struct str){ s.p, i }, &n) < 0 || n >= max)
        return false;
    unit = str_trim((struct str){ s.p + i, s.n - i });
    for (i = 0; i < ARRAY_LEN(units); i++) {
        struct str name = str_from(units[i].name);
        bool plural = unit.n == name.n + 1 && name.n > 2 - (units[i].ms == 1) &&
                      (unit.p[unit.n - 1] | 0x20) == 's';

        if (str_caseeq(unit, name) ||
                (plural && str_caseeq((struct str){ unit.p, name.n }, name))) {
            *ret_ms = n * units[i].ms;
            return true;
        }
    }
    return false;
}

int
conf_parse_net(struct str text, struct conf_net *ret)
{
    struct conf_net net = { .prefix = 128 };
    struct str addr, rest = text;
    uint64_t bits;
    char c[INET6_ADDRSTRLEN];
    bool v4;

    if (!str_cut(&rest, '/', &addr) || addr.n >= sizeof c || addr.n == 0)
        return -EINVAL;
    memcpy(c, addr.p, addr.n);
    c[addr.n] = '\0';
    v4 = inet_pton(AF_INET, c, net.addr + 12) == 1;
    if (v4)
        net.addr[10] = net.addr[11] = 0xff;
    else if (inet_pton(AF_INET6, c, net.addr) != 1)
        return -EINVAL;
    if (rest.p) {
        if (str_to_u64(rest, &bits) < 0 || bits > (v4 ? 32 : 128))
            return -EINVAL;
        net.prefix = (uint8_t)(bits + (v4 ? 96 : 0));
    }
    *ret = net;
    return 0;
}

bool
conf_net_has(const struct conf_net *net, const struct sockaddr *ip)
{
    uint8_t a[16] = { 0 };
    size_t whole = net->prefix / 8, bits = net->prefix % 8;

    if (!ip)
        return false;
    if (ip->sa_family == AF_INET) {
        a[10] = a[11] = 0xff;
        memcpy(a + 12, &((const struct sockaddr_in *)(const void *)ip)->sin_addr, 4);
    } else if (ip->sa_family == AF_INET6) {
        memcpy(a, &((const struct sockaddr_in6 *)(const void *)ip)->sin6_addr, 16);
    } else {
        return false;
    }
    if (memcmp(a, net->addr, whole) != 0)
        return false;
    return bits == 0 || (a[whole] ^ net->addr[whole]) >> (8 - bits) == 0;
}

int
conf_prep(
        struct conf_binder *b, enum conf_prep_kind kind, struct str in, struct str *ret)
{
    struct str out;
    char *p;

    if (in.n == 0 || in.n > 1023 || !str_is_utf8(in))
        return -EINVAL;
    for (size_t i = 0; i < in.n && kind != CONF_PREP_RESOURCE; i++)
        if ((unsigned char)in.p[i] <= ' ' || strchr("@/\"&'<>\x7f", in.p[i]))
            return -EINVAL;
    if (b->loader->prep)
        return b->loader->prep(b->arena, kind, in, ret);
    p = str_dup_c(b->arena, in);
    for (size_t i = 0; i < in.n && kind != CONF_PREP_RESOURCE; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] + ('a' - 'A'));
    out = (struct str){ p, in.n };
    *ret = out;
    return 0;
}

struct str
conf_absolute(struct conf_binder *b, struct str path)
{
    struct buf full = { 0 };
    struct str ret;

    if (path.n == 0 || path.p[0] == '/')
        return str_dup(b->arena, path);
    buf_add_str(&full, b->conf->home);
    buf_add_char(&full, '/');
    buf_add_str(&full, path);
    ret = str_dup(b->arena, buf_str(&full));
    buf_fini(&full);
    return ret;
}

struct str
conf_replace(struct conf_binder *b, struct str text, struct str mark, struct str by)
{
    struct buf out = { 0 };
    struct str ret;
    size_t i = 0;

    while (i < text.n) {
        if (str_starts((struct str){ text.p + i, text.n - i }, mark)) {
            buf_add_str(&out, by);
            i += mark.n;
        } else {
            buf_add_char(&out, text.p[i++]);
        }
    }
    ret = str_dup(b->arena, buf_str(&out));
    buf_fini(&out);
    return ret;
}
