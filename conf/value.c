/*
 * value.c -- one value, checked against its type
 *
 * Numbers and booleans are what YAML takes for such: plain words. Whatever else a value
 * may be is in type.def, and so is the sentence that an error message tells.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/acl.h"
#include "conf/bind.h"

static const struct {
    const char *name;
    uint32_t bit;
} tls_options[] = {
    { "no_sslv2", CONF_TLS_NO_SSLV2 },
    { "no_sslv3", CONF_TLS_NO_SSLV3 },
    { "no_tlsv1", CONF_TLS_NO_TLSV1 },
    { "no_tlsv1_1", CONF_TLS_NO_TLSV1_1 },
    { "no_tlsv1_2", CONF_TLS_NO_TLSV1_2 },
    { "no_tlsv1_3", CONF_TLS_NO_TLSV1_3 },
    { "cipher_server_preference", CONF_TLS_CIPHER_SERVER_PREFERENCE },
    { "no_compression", CONF_TLS_NO_COMPRESSION },
    { "no_ticket", CONF_TLS_NO_TICKET },
    /* Work-arounds of old OpenSSL versions that today's knows no more. */
    { "all", 0 },
    { "dont_insert_empty_fragments", 0 },
    { "ephemeral_rsa", 0 },
    { "legacy_server_connect", 0 },
    { "netscape_ca_dn_bug", 0 },
    { "netscape_demo_cipher_change_bug", 0 },
    { "no_session_resumption_on_renegotiation", 0 },
    { "pkcs1_check_1", 0 },
    { "pkcs1_check_2", 0 },
    { "single_dh_use", 0 },
    { "single_ecdh_use", 0 },
    { "tls_block_padding_bug", 0 },
    { "tls_d5_bug", 0 },
    { "tls_rollback_bug", 0 },
};

void
conf_say(struct conf_binder *b, enum conf_severity severity, struct conf_pos pos,
        const char *advice, const char *fmt, ...)
{
    struct buf text = { 0 };
    va_list ap;

    if (b->quiet)
        return;
    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    conf_report_add(b->report, severity, pos, advice, "%s", buf_c(&text));
    buf_fini(&text);
}

/* The words of an ENUM as a sentence. */
static void
add_words(struct buf *out, const char *words)
{
    struct str rest = str_from(words), word;
    size_t n = 0;

    while (str_cut(&rest, '|', &word)) {
        if (n++)
            buf_add_c(out, rest.p ? ", " : " or ");
        buf_add_str(out, word);
    }
}

static void
add_wanted(struct buf *out, const struct conf_option *opt)
{
    const char *text = conf_type_text(opt->type), *hole = strstr(text, "%s");
    struct str low = str_from(opt->words), head;

    if (!hole) {
        buf_add_c(out, text);
        return;
    }
    buf_add(out, text, (size_t)(hole - text));
    if (opt->type == CONF_T_INT && str_cut(&low, ',', &head))
        buf_addf(out, "%.*s to %.*s", STR_ARG(head), STR_ARG(low));
    else
        add_words(out, opt->words);
    buf_add_c(out, hole + 2);
}

static void
add_found(struct buf *out, const struct conf_option *opt, const struct conf_node *node)
{
    if (opt->secret)
        buf_add_c(out, "what is written there");
    else if (node->kind == CONF_LIST)
        buf_add_c(out, node->n ? "a list" : "an empty list");
    else if (node->kind == CONF_MAP)
        buf_add_c(out, node->n ? "a map" : "an empty map");
    else if (node->text.n == 0)
        buf_add_c(out, "nothing");
    else
        buf_addf(out, node->quoted ? "\"%.*s\"" : "%.*s",
                node->text.n > 80 ? 80 : (int)node->text.n, node->text.p);
}

static int
fail_type(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, const char *advice)
{
    struct buf wanted = { 0 }, found = { 0 };

    add_wanted(&wanted, opt);
    add_found(&found, opt, node);
    conf_say(b, CONF_ERROR, node->pos, advice,
            "invalid value of option %s%s: expected %s, got %s", where, opt->name,
            buf_c(&wanted), buf_c(&found));
    buf_fini(&wanted);
    buf_fini(&found);
    return -EINVAL;
}

static bool
is_one_of(struct str s, const char *const *words, size_t n)
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
    if (is_one_of(node->text, yes, ARRAY_LEN(yes)))
        *ret = true;
    else if (is_one_of(node->text, no, ARRAY_LEN(no)))
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

    return is_one_of(text, words, ARRAY_LEN(words));
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

/* The index of a word, -1 when it is none of them; booleans in all their forms. */
static int
word_index(const char *words, const struct conf_node *node)
{
    struct str rest = str_from(words), word, text = node->text;
    bool truth;
    int i = 0;

    if (node->kind != CONF_SCALAR)
        return -1;
    if (strstr(words, "true") && conf_is_bool(node, &truth))
        text = truth ? STR("true") : STR("false");
    for (; str_cut(&rest, '|', &word); i++)
        if (str_eq(word, text))
            return i;
    return -1;
}

static const char *
guess_word(struct conf_binder *b, const char *words, const struct conf_node *node)
{
    struct str rest = str_from(words), word;
    struct conf_guess g;
    struct buf text = { 0 };
    const char *ret;

    if (node->kind != CONF_SCALAR)
        return NULL;
    conf_guess_init(&g, node->text);
    while (str_cut(&rest, '|', &word))
        conf_guess_try(&g, word);
    if (!g.best.p)
        return NULL;
    buf_addf(&text, "did you mean %.*s?", STR_ARG(g.best));
    ret = str_dup_c(b->arena, buf_str(&text));
    buf_fini(&text);
    return ret;
}

static bool
is_text(const struct conf_node *node)
{
    return node->kind == CONF_SCALAR;
}

/* Calls fn with each element of a list, or with a single value. */
typedef int element_fn(struct conf_binder *b, const struct conf_option *opt,
        const char *where, const struct conf_node *element, void *to);

static int
each(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, element_fn *fn, void *to)
{
    int r = 0, one;

    if (node->kind == CONF_SCALAR)
        return fn(b, opt, where, node, to);
    if (node->kind == CONF_MAP)
        return fail_type(b, opt, where, node, NULL);
    conf_node_for(c, node)
    {
        one = c->kind == CONF_SCALAR ? fn(b, opt, where, c, to)
                                     : fail_type(b, opt, where, c, NULL);
        if (one < 0)
            r = one;
    }
    return r;
}

static int
on_word(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *element, void *to)
{
    int i = word_index(opt->words, element);

    if (i < 0)
        return fail_type(b, opt, where, element, guess_word(b, opt->words, element));
    *(uint32_t *)to |= 1u << i;
    return 0;
}

static int
on_tls_option(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *element, void *to)
{
    struct str rest = element->text, word;

    while (str_cut(&rest, '|', &word)) {
        struct conf_guess g;
        size_t i = 0;

        word = str_trim(word);
        conf_guess_init(&g, word);
        for (; i < ARRAY_LEN(tls_options); i++) {
            conf_guess_try(&g, str_from(tls_options[i].name));
            if (str_eq_c(word, tls_options[i].name))
                break;
        }
        if (word.n == 0)
            continue;
        if (i == ARRAY_LEN(tls_options)) {
            struct buf advice = { 0 };

            if (g.best.p)
                buf_addf(&advice, "did you mean %.*s?", STR_ARG(g.best));
            fail_type(b, opt, where, element, g.best.p ? buf_c(&advice) : NULL);
            buf_fini(&advice);
            return -EINVAL;
        }
        *(uint32_t *)to |= tls_options[i].bit;
    }
    return 0;
}

static int
on_string(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *element, void *to)
{
    struct conf_strs *strs = to;
    struct str s = str_dup(b->arena, element->text);

    if (opt->type == CONF_T_DOMAINS || opt->type == CONF_T_HOSTS) {
        if (conf_prep(b, CONF_PREP_DOMAIN, s, &s) < 0)
            return fail_type(
                    b, opt, where, element, "write a domain, such as example.org");
    } else if (opt->type == CONF_T_GLOBS) {
        if (s.n == 0)
            return fail_type(b, opt, where, element, NULL);
        s = conf_absolute(b, s);
    } else if (opt->type == CONF_T_MECHANISMS) {
        char *p = str_dup_c(b->arena, s);

        for (size_t i = 0; i < s.n; i++)
            if (p[i] >= 'a' && p[i] <= 'z')
                p[i] = (char)(p[i] - ('a' - 'A'));
        s.p = p;
    }
    strs->at[strs->n++] = s;
    return 0;
}

static int
on_net(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *element, void *to)
{
    struct conf_nets *nets = to;

    if (conf_parse_net(element->text, &nets->at[nets->n]) < 0)
        return fail_type(b, opt, where, element, NULL);
    nets->n++;
    return 0;
}

static int
on_auth_method(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *element, void *to)
{
    static const char *const later[] = { "anonymous", "external", "jwt", "ldap",
        "pam" };
    uint32_t *methods = to; /* four bits each, the first lowest; 0 ends */
    uint32_t method = 0, shift = 0;

    if (str_eq_c(element->text, "mnesia") || str_eq_c(element->text, "internal"))
        method = CONF_AUTH_MNESIA + 1;
    else if (str_eq_c(element->text, "sql") || str_eq_c(element->text, "odbc"))
        method = CONF_AUTH_SQL + 1;
    else if (is_one_of(element->text, later, ARRAY_LEN(later))) {
        conf_say(b, CONF_ERROR, element->pos,
                "use mnesia (accounts in an embedded file) or sql",
                "%s%s: %.*s is not supported yet, and nobody could log in", where,
                opt->name, STR_ARG(element->text));
        return -EINVAL;
    } else {
        return fail_type(b, opt, where, element,
                guess_word(b, "mnesia|internal|sql|anonymous|external|jwt|ldap|pam",
                        element));
    }
    for (; *methods >> shift & 15; shift += 4)
        if ((*methods >> shift & 15) == method)
            return 0;
    *methods |= method << shift;
    return 0;
}

static int
fail_time(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node)
{
    uint64_t n;

    if (node->kind == CONF_SCALAR && node->quoted && str_to_u64(node->text, &n) == 0)
        return fail_type(
                b, opt, where, node, "remove the quotation marks, or add a unit");
    return fail_type(
            b, opt, where, node, "write, for example, 30 seconds or 5 minutes");
}

static int
value_time(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, uint64_t *ret)
{
    uint64_t ms;

    if (opt->type == CONF_T_TIMEOUT_INF && node->kind == CONF_SCALAR &&
            conf_is_infinite(node->text)) {
        *ret = CONF_INFINITY;
        return 0;
    }
    if (!conf_is_time(node, &ms))
        return fail_time(b, opt, where, node);
    if (ms < 1000 && (ms != 0 || opt->type != CONF_T_TIMEOUT_0))
        return fail_type(b, opt, where, node, "the least is one second");
    *ret = ms;
    return 0;
}

/* Numbers: what they may be at least and at most. */
static int
value_number(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t n;

    if (node->kind == CONF_SCALAR && node->quoted && str_to_u64(node->text, &n) == 0)
        return fail_type(b, opt, where, node, "remove the quotation marks");
    if (!conf_is_number(node, &n) || n < min || n > max)
        return fail_type(b, opt, where, node, NULL);
    *ret = n;
    return 0;
}

static int
value_range(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, uint64_t *ret)
{
    struct str max = str_from(opt->words), min;
    uint64_t low = 0, high = 0;

    str_cut(&max, ',', &min);
    str_to_u64(min, &low);
    str_to_u64(max, &high);
    return value_number(b, opt, where, node, low, high, ret);
}

static int
value_file(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, struct str *ret)
{
    struct str path;

    if (!is_text(node) || node->text.n == 0)
        return fail_type(b, opt, where, node, NULL);
    path = conf_absolute(b, node->text);
    if (opt->type == CONF_T_FILE && !b->loader->skip_files &&
            access(path.p, R_OK) < 0) {
        conf_say(b, opt->effect ? CONF_ERROR : CONF_WARNING, node->pos,
                "check the path, the owner and the mode", "%s%s: cannot read %.*s: %s",
                where, opt->name, STR_ARG(path), strerror(errno));
        if (opt->effect)
            return -EINVAL;
    }
    *ret = path;
    return 0;
}

static int
value_ip(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, struct str *ret)
{
    unsigned char addr[16];
    char c[INET6_ADDRSTRLEN];
    bool ok = false;

    if (is_text(node) && node->text.n < sizeof c) {
        memcpy(c, node->text.p, node->text.n);
        c[node->text.n] = '\0';
        ok = (opt->type != CONF_T_IP6 && inet_pton(AF_INET, c, addr) == 1) ||
             (opt->type != CONF_T_IP4 && inet_pton(AF_INET6, c, addr) == 1);
    }
    if (!ok)
        return fail_type(b, opt, where, node, NULL);
    *ret = str_dup(b->arena, node->text);
    return 0;
}

static int
value_octal(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, uint32_t *ret)
{
    uint32_t n = 0;

    if (!is_text(node) || node->text.n == 0 || node->text.n > 6)
        return fail_type(b, opt, where, node, NULL);
    for (size_t i = 0; i < node->text.n; i++) {
        if (node->text.p[i] < '0' || node->text.p[i] > '7')
            return fail_type(
                    b, opt, where, node, "use the digits 0 to 7, such as 0660");
        n = n * 8 + (uint32_t)(node->text.p[i] - '0');
    }
    *ret = n;
    return 0;
}

/* Lists of ciphers are joined by colons, as OpenSSL wants them. */
static int
value_ciphers(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, struct str *ret)
{
    struct buf all = { 0 };
    int r = 0;

    if (is_text(node)) {
        buf_add_str(&all, node->text);
    } else if (node->kind == CONF_LIST) {
        conf_node_for(c, node)
        {
            if (!is_text(c)) {
                r = fail_type(b, opt, where, c, NULL);
                break;
            }
            if (all.n)
                buf_add_char(&all, ':');
            buf_add_str(&all, c->text);
        }
    } else {
        r = fail_type(b, opt, where, node, NULL);
    }
    for (size_t i = 0; r == 0 && i < all.n; i++)
        if ((unsigned char)all.p[i] <= ' ' || (unsigned char)all.p[i] >= 0x7f)
            r = fail_type(b, opt, where, node, "separate ciphers by colons");
    if (r == 0)
        *ret = str_dup(b->arena, buf_str(&all));
    buf_fini(&all);
    return r;
}

static int
value_float(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node)
{
    struct str rest, whole;
    uint64_t n;

    rest = node->text;
    if (node->kind != CONF_SCALAR || node->quoted || !str_cut(&rest, '.', &whole) ||
            str_to_u64(whole, &n) < 0 || (rest.p && str_to_u64(rest, &n) < 0))
        return fail_type(b, opt, where, node, NULL);
    return 0;
}

static int
value_strings_map(struct conf_binder *b, const struct conf_option *opt,
        const char *where, const struct conf_node *node)
{
    if (node->kind == CONF_LIST && node->n == 0)
        return 0;
    if (node->kind != CONF_MAP)
        return fail_type(b, opt, where, node, NULL);
    conf_node_for(c, node) if (c->kind != CONF_SCALAR) return fail_type(
            b, opt, where, c, NULL);
    return 0;
}

/* Every C type that a field may have. */
union value {
    bool truth;
    int word;
    uint32_t n32;
    uint64_t n64;
    int64_t s64;
    struct str str;
    struct conf_strs strs;
    struct conf_nets nets;
    struct conf_access access;
    struct conf_shaper_access shaper;
};

static int
value_one(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, union value *v)
{
    enum log_level level;
    uint64_t n = 0;
    size_t room = node->kind == CONF_SCALAR ? 1 : node->n;
    int r = 0;

    switch (opt->type) {
    case CONF_T_BOOL:
        if (conf_is_bool(node, &v->truth))
            return 0;
        return fail_type(b, opt, where, node,
                node->kind == CONF_SCALAR && node->quoted ? "remove the quotation marks"
                                                          : NULL);
    case CONF_T_INT:
        r = value_range(b, opt, where, node, &n);
        v->n32 = (uint32_t)n;
        return r;
    case CONF_T_SINT:
        if (node->kind == CONF_SCALAR && !node->quoted &&
                str_to_i64(node->text, &v->s64) == 0)
            return 0;
        return fail_type(b, opt, where, node, NULL);
    case CONF_T_POS:
    case CONF_T_NAT:
        r = value_number(
                b, opt, where, node, opt->type == CONF_T_POS, UINT32_MAX - 1, &n);
        v->n32 = (uint32_t)n;
        return r;
    case CONF_T_NUMBER:
        v->s64 = 0;
        return value_float(b, opt, where, node);
    case CONF_T_POS_INF:
    case CONF_T_NAT_INF:
        if (node->kind == CONF_SCALAR && conf_is_infinite(node->text)) {
            v->n64 = CONF_INFINITY;
            return 0;
        }
        return value_number(b, opt, where, node, opt->type == CONF_T_POS_INF,
                (uint64_t)1 << 62, &v->n64);
    case CONF_T_PORT:
        r = value_number(b, opt, where, node, 1, 65535, &n);
        v->n32 = (uint32_t)n;
        return r;
    case CONF_T_OCTAL:
        return value_octal(b, opt, where, node, &v->n32);
    case CONF_T_WORKERS:
        if (node->kind == CONF_SCALAR && str_eq_c(node->text, "auto")) {
            long cores = sysconf(_SC_NPROCESSORS_ONLN);

            v->n32 = cores < 1 ? 1 : cores > 256 ? 256 : (uint32_t)cores;
            return 0;
        }
        r = value_number(b, opt, where, node, 1, 256, &n);
        v->n32 = (uint32_t)n;
        return r;
    case CONF_T_TIMEOUT:
    case CONF_T_TIMEOUT_INF:
    case CONF_T_TIMEOUT_0:
        return value_time(b, opt, where, node, &v->n64);
    case CONF_T_MSEC:
        return value_number(b, opt, where, node, 0, 3600000, &v->n64);
    case CONF_T_ENUM:
        v->word = word_index(opt->words, node);
        if (v->word >= 0)
            return 0;
        return fail_type(b, opt, where, node, guess_word(b, opt->words, node));
    case CONF_T_SET:
    case CONF_T_ENUMS:
        v->n32 = 0;
        return each(b, opt, where, node, on_word, &v->n32);
    case CONF_T_LOGLEVEL:
        if (node->kind != CONF_SCALAR || log_level_from(node->text, &level) < 0)
            return fail_type(b, opt, where, node, NULL);
        v->word = (int)level;
        return 0;
    case CONF_T_TLS_OPTIONS:
        v->n32 = 0;
        return each(b, opt, where, node, on_tls_option, &v->n32);
    case CONF_T_STRING:
    case CONF_T_REGEXP:
        if (!is_text(node))
            return fail_type(b, opt, where, node, NULL);
        v->str = str_dup(b->arena, node->text);
        return 0;
    case CONF_T_CIPHERS:
        return value_ciphers(b, opt, where, node, &v->str);
    case CONF_T_FILE:
    case CONF_T_PATH:
        return value_file(b, opt, where, node, &v->str);
    case CONF_T_IP:
    case CONF_T_IP4:
    case CONF_T_IP6:
        return value_ip(b, opt, where, node, &v->str);
    case CONF_T_STRINGS:
    case CONF_T_GLOBS:
    case CONF_T_DOMAINS:
    case CONF_T_HOSTS:
    case CONF_T_MECHANISMS:
        v->strs = (struct conf_strs){
            arena_alloc(b->arena, (room + 1) * sizeof(struct str)), 0
        };
        return each(b, opt, where, node, on_string, &v->strs);
    case CONF_T_NETS:
        v->nets = (struct conf_nets){ 0 };
        if (opt->words[0] && node->kind == CONF_SCALAR &&
                str_eq_c(node->text, opt->words)) {
            v->nets.all = true;
            return 0;
        }
        v->nets.at = arena_alloc(b->arena, (room + 1) * sizeof *v->nets.at);
        return each(b, opt, where, node, on_net, &v->nets);
    case CONF_T_ACCESS:
        v->access = (struct conf_access){ .pos = node->pos };
        if (node->kind == CONF_SCALAR) {
            v->access.name = str_dup(b->arena, node->text);
            return node->text.n ? 0 : fail_type(b, opt, where, node, NULL);
        }
        return conf_rule_inline(b, opt->type, where, opt->name, node, &v->access.rule);
    case CONF_T_SHAPER_ACCESS:
        v->shaper = (struct conf_shaper_access){ .pos = node->pos };
        if (node->kind == CONF_SCALAR) {
            v->shaper.name = str_dup(b->arena, node->text);
            return node->text.n ? 0 : fail_type(b, opt, where, node, NULL);
        }
        return conf_rule_inline(b, opt->type, where, opt->name, node, &v->shaper.rule);
    case CONF_T_AUTH_METHODS:
        v->n32 = 0;
        r = each(b, opt, where, node, on_auth_method, &v->n32);
        if (r == 0 && v->n32 == 0)
            return fail_type(b, opt, where, node, "name at least one");
        return r;
    case CONF_T_MAP:
        if (node->kind == CONF_MAP || (node->kind == CONF_LIST && node->n == 0))
            return 0;
        return fail_type(b, opt, where, node, NULL);
    case CONF_T_MAP_STRINGS:
        return value_strings_map(b, opt, where, node);
    case CONF_T_ANY:
    case CONF_T_LISTEN:
    case CONF_T_MODULES:
    case CONF_T_ACL:
    case CONF_T_ACCESS_RULES:
    case CONF_T_SHAPERS:
    case CONF_T_SHAPER_RULES:
    case CONF_T_HOST_CONFIG:
    case CONF_T_INCLUDE:
    case CONF_T_MACROS:
    case CONF_TYPES:
        return 0;
    }
    return 0;
}

int
conf_value(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, void *out)
{
    union value v;
    int r = value_one(b, opt, where, node, &v);

    if (r == 0 && out)
        memcpy(out, &v, conf_type_size(opt->type));
    return r;
}

void
conf_default(struct conf_binder *b, const struct conf_option *opt, void *out)
{
    struct conf_node node = { .kind = CONF_SCALAR };
    int r;

    if (!opt->deflt)
        return;
    node.text = str_from(opt->deflt);
    r = conf_value(b, opt, "default of ", &node, out);
    assert(r == 0);
    (void)r;
}
