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
#include "conf/value.h"

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

int
value_fail(struct conf_binder *b, const struct conf_option *opt, const char *where,
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

/* The index of a word, -1 when it is none of them; booleans in all their forms. */
int
value_word(const char *words, const struct conf_node *node)
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

const char *
value_guess(struct conf_binder *b, const char *words, const struct conf_node *node)
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

static int
fail_time(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node)
{
    uint64_t n;

    if (node->kind == CONF_SCALAR && node->quoted && str_to_u64(node->text, &n) == 0)
        return value_fail(
                b, opt, where, node, "remove the quotation marks, or add a unit");
    return value_fail(
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
        return value_fail(b, opt, where, node, "the least is one second");
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
        return value_fail(b, opt, where, node, "remove the quotation marks");
    if (!conf_is_number(node, &n) || n < min || n > max)
        return value_fail(b, opt, where, node, NULL);
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
        return value_fail(b, opt, where, node, NULL);
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
        return value_fail(b, opt, where, node, NULL);
    *ret = str_dup(b->arena, node->text);
    return 0;
}

static int
value_octal(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, uint32_t *ret)
{
    uint32_t n = 0;

    if (!is_text(node) || node->text.n == 0 || node->text.n > 6)
        return value_fail(b, opt, where, node, NULL);
    for (size_t i = 0; i < node->text.n; i++) {
        if (node->text.p[i] < '0' || node->text.p[i] > '7')
            return value_fail(
                    b, opt, where, node, "use the digits 0 to 7, such as 0660");
        n = n * 8 + (uint32_t)(node->text.p[i] - '0');
    }
    if (n > 0777)
        return value_fail(b, opt, where, node, "a mode is at most 0777");
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
                r = value_fail(b, opt, where, c, NULL);
                break;
            }
            if (all.n)
                buf_add_char(&all, ':');
            buf_add_str(&all, c->text);
        }
    } else {
        r = value_fail(b, opt, where, node, NULL);
    }
    for (size_t i = 0; r == 0 && i < all.n; i++)
        if ((unsigned char)all.p[i] <= ' ' || (unsigned char)all.p[i] >= 0x7f)
            r = value_fail(b, opt, where, node, "separate ciphers by colons");
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
        return value_fail(b, opt, where, node, NULL);
    return 0;
}

static int
value_strings_map(struct conf_binder *b, const struct conf_option *opt,
        const char *where, const struct conf_node *node)
{
    if (node->kind == CONF_LIST && node->n == 0)
        return 0;
    if (node->kind != CONF_MAP)
        return value_fail(b, opt, where, node, NULL);
    conf_node_for(c, node) if (c->kind != CONF_SCALAR) return value_fail(
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
    int r = 0;

    switch (opt->type) {
    case CONF_T_BOOL:
        if (conf_is_bool(node, &v->truth))
            return 0;
        return value_fail(b, opt, where, node,
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
        return value_fail(b, opt, where, node, NULL);
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
        v->word = value_word(opt->words, node);
        if (v->word >= 0)
            return 0;
        return value_fail(b, opt, where, node, value_guess(b, opt->words, node));
    case CONF_T_SET:
    case CONF_T_ENUMS:
    case CONF_T_TLS_OPTIONS:
        v->n32 = 0;
        return value_list(b, opt, where, node, &v->n32);
    case CONF_T_LOGLEVEL:
        if (node->kind != CONF_SCALAR || log_level_from(node->text, &level) < 0)
            return value_fail(b, opt, where, node, NULL);
        v->word = (int)level;
        return 0;
    case CONF_T_STRING:
    case CONF_T_REGEXP:
        if (!is_text(node))
            return value_fail(b, opt, where, node, NULL);
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
        v->strs = (struct conf_strs){ 0 };
        return value_list(b, opt, where, node, &v->strs);
    case CONF_T_NETS:
        v->nets = (struct conf_nets){ 0 };
        return value_list(b, opt, where, node, &v->nets);
    case CONF_T_ACCESS:
        v->access = (struct conf_access){ .pos = node->pos };
        if (node->kind == CONF_SCALAR) {
            v->access.name = str_dup(b->arena, node->text);
            return node->text.n ? 0 : value_fail(b, opt, where, node, NULL);
        }
        return conf_rule_inline(b, opt->type, where, opt->name, node, &v->access.rule);
    case CONF_T_SHAPER_ACCESS:
        v->shaper = (struct conf_shaper_access){ .pos = node->pos };
        if (node->kind == CONF_SCALAR) {
            v->shaper.name = str_dup(b->arena, node->text);
            return node->text.n ? 0 : value_fail(b, opt, where, node, NULL);
        }
        return conf_rule_inline(b, opt->type, where, opt->name, node, &v->shaper.rule);
    case CONF_T_AUTH_METHODS:
        v->n32 = 0;
        r = value_list(b, opt, where, node, &v->n32);
        if (r == 0 && v->n32 == 0)
            return value_fail(b, opt, where, node, "name at least one");
        return r;
    case CONF_T_MAP:
        if (node->kind == CONF_MAP || (node->kind == CONF_LIST && node->n == 0))
            return 0;
        return value_fail(b, opt, where, node, NULL);
    case CONF_T_MAP_STRINGS:
        return value_strings_map(b, opt, where, node);
    case CONF_T_RECORD:
    case CONF_T_RECORDS:
        return value_record(b, opt, where, node);
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
