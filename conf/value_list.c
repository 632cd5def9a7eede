/*
 * value_list.c -- values that are one or a list of something
 *
 * ejabberd takes one value for a list of one everywhere; so do we.
 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "conf/value.h"

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
        return value_fail(b, opt, where, node, NULL);
    conf_node_for(c, node)
    {
        one = c->kind == CONF_SCALAR ? fn(b, opt, where, c, to)
                                     : value_fail(b, opt, where, c, NULL);
        if (one < 0)
            r = one;
    }
    return r;
}

static int
on_word(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *element, void *to)
{
    int i = value_word(opt->words, element);

    if (i < 0)
        return value_fail(b, opt, where, element, value_guess(b, opt->words, element));
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
            value_fail(b, opt, where, element, g.best.p ? buf_c(&advice) : NULL);
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
            return value_fail(
                    b, opt, where, element, "write a domain, such as example.org");
    } else if (opt->type == CONF_T_GLOBS) {
        if (s.n == 0)
            return value_fail(b, opt, where, element, NULL);
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
        return value_fail(b, opt, where, element, NULL);
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
    else if (value_is_one_of(element->text, later, ARRAY_LEN(later))) {
        conf_say(b, CONF_ERROR, element->pos,
                "use mnesia (accounts in an embedded file) or sql",
                "%s%s: %.*s is not supported yet, and nobody could log in", where,
                opt->name, STR_ARG(element->text));
        return -EINVAL;
    } else {
        return value_fail(b, opt, where, element,
                value_guess(b, "mnesia|internal|sql|anonymous|external|jwt|ldap|pam",
                        element));
    }
    for (; *methods >> shift & 15; shift += 4)
        if ((*methods >> shift & 15) == method)
            return 0;
    *methods |= method << shift;
    return 0;
}

/* A map whose keys are words, and whose values are texts or lists of texts. */
static int
record(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node)
{
    if (node->kind != CONF_MAP)
        return value_fail(b, opt, where, node, NULL);
    conf_node_for(c, node)
    {
        if (value_word(opt->words, c->key) < 0)
            return value_fail(
                    b, opt, where, c->key, value_guess(b, opt->words, c->key));
        if (c->kind == CONF_MAP)
            return value_fail(b, opt, where, c, NULL);
        conf_node_for(item, c) if (item->kind != CONF_SCALAR) return value_fail(
                b, opt, where, item, NULL);
    }
    return 0;
}

int
value_record(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node)
{
    int r = 0;

    if (opt->type == CONF_T_RECORD)
        return record(b, opt, where, node);
    if (node->kind != CONF_LIST)
        return value_fail(b, opt, where, node, NULL);
    conf_node_for(c, node) if (record(b, opt, where, c) < 0) r = -EINVAL;
    return r;
}

int
value_list(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, void *to)
{
    size_t room = node->kind == CONF_SCALAR ? 2 : node->n + 1;
    struct conf_strs *strs = to;
    struct conf_nets *nets = to;

    switch (opt->type) {
    case CONF_T_SET:
    case CONF_T_ENUMS:
        return each(b, opt, where, node, on_word, to);
    case CONF_T_TLS_OPTIONS:
        return each(b, opt, where, node, on_tls_option, to);
    case CONF_T_AUTH_METHODS:
        return each(b, opt, where, node, on_auth_method, to);
    case CONF_T_NETS:
        if (opt->words[0] && node->kind == CONF_SCALAR &&
                str_eq_c(node->text, opt->words)) {
            nets->all = true;
            return 0;
        }
        nets->at = arena_alloc(b->arena, room * sizeof *nets->at);
        return each(b, opt, where, node, on_net, to);
    default: /* the types of strings */
        strs->at = arena_alloc(b->arena, room * sizeof *strs->at);
        return each(b, opt, where, node, on_string, to);
    }
}
