/*
 * combine.c -- several values of one option made one
 *
 * Old names are turned into today's first. Then, at the top level and for a host, lists
 * and maps that are given twice (in included files, say) are joined, and anything else
 * that is given twice is an error. Later, when a host's options are looked up, what
 * host_config and append_host_config say is put on top of the global value; the nodes
 * made for that are counted by themselves, because their number is hosts times options.
 */
#include <errno.h>

#include "conf/bind.h"

static bool
is_scope(const struct conf_node *c)
{
    return str_eq_c(c->key->text, "host_config") ||
           str_eq_c(c->key->text, "append_host_config");
}

static enum conf_type
type_of(const struct conf_node *option)
{
    const struct conf_option *o =
            conf_table_find(&conf_options, option->key->text, 1u << CONF_ROW_OPTION);

    return o ? o->type : CONF_T_ANY;
}

static bool
is_named(enum conf_type type)
{
    return type == CONF_T_ACL || type == CONF_T_ACCESS_RULES ||
           type == CONF_T_SHAPER_RULES;
}

/* A list of maps is read as one map, where a map is wanted. */
static void
flatten(struct conf_node *node)
{
    struct conf_node whole = *node;

    if (node->kind != CONF_LIST)
        return;
    conf_node_for(c, node) if (c->kind != CONF_MAP) return;
    node->kind = CONF_MAP;
    node->first = node->last = NULL;
    node->n = 0;
    for (struct conf_node *m = whole.first; m; m = m->next)
        for (struct conf_node *c = m->first, *next; c; c = next) {
            next = c->next;
            conf_node_add(node, c);
        }
}

/* The certificates of an old option go to the global list. */
static int
hoist(struct conf_binder *b, struct conf_node *root, struct conf_node *value)
{
    struct conf_node *all = conf_node_find(root, STR("certfiles")), *single;

    value->next = NULL;
    if (!all) {
        value->key = conf_node_scalar(
                b->arena, b->tree, STR("certfiles"), false, value->pos);
        if (!value->key)
            return -EINVAL;
        conf_node_add(root, value);
        return 0;
    }
    if (all->kind == CONF_SCALAR) {
        single = arena_new(b->arena, struct conf_node);
        *single = *all;
        single->key = single->next = NULL;
        all->kind = CONF_LIST;
        all->first = all->last = NULL;
        all->n = 0;
        conf_node_add(all, single);
    }
    value->key = NULL;
    if (value->kind == CONF_SCALAR)
        conf_node_add(all, value);
    for (struct conf_node *c = value->kind == CONF_LIST ? value->first : NULL, *next; c;
            c = next) {
        next = c->next;
        conf_node_add(all, c);
    }
    return 0;
}

static int
rename_old(struct conf_binder *b, struct conf_node *root, struct conf_node *map)
{
    int r = 0;

    for (struct conf_node *c = map->first, *next; c && r == 0; c = next) {
        const struct conf_option *old =
                conf_table_find(&conf_options, c->key->text, 1u << CONF_ROW_ALIAS);

        next = c->next;
        if (!old)
            continue;
        conf_say(b, CONF_WARNING, c->key->pos, NULL, "%s is the old name of %s",
                old->name, old->words);
        if (str_eq_c(STR("certfiles"), old->words)) {
            conf_node_drop(map, c);
            r = hoist(b, root, c);
        } else {
            c->key->text = str_from(old->words);
        }
    }
    return r;
}

static int
hoist_from_listeners(struct conf_binder *b, struct conf_node *root)
{
    int r = 0;

    for (struct conf_node *l = root->first; l; l = l->next) {
        if (!str_eq_c(l->key->text, "listen") || l->kind != CONF_LIST)
            continue;
        for (struct conf_node *ln = l->first; ln && r == 0; ln = ln->next) {
            struct conf_node *cert = conf_node_find(ln, STR("certfile"));

            if (!cert)
                continue;
            conf_say(b, CONF_WARNING, cert->key->pos, NULL,
                    "certfile of a listener is old; it is added to certfiles");
            conf_node_drop(ln, cert);
            r = hoist(b, root, cert);
        }
    }
    return r;
}

/* Moves what the second holds to the end of the first. */
static void
join(struct conf_node *first, struct conf_node *second)
{
    for (struct conf_node *c = second->first, *next; c; c = next) {
        next = c->next;
        conf_node_add(first, c);
    }
}

static int
join_twice(struct conf_binder *b, struct conf_node *map)
{
    int r = 0;

    for (struct conf_node *c = map->first, *next; c; c = next) {
        struct conf_node *first = conf_node_find(map, c->key->text);

        next = c->next;
        if (first == c)
            continue;
        if (first->kind != CONF_SCALAR && first->kind == c->kind) {
            conf_node_drop(map, c);
            join(first, c);
            continue;
        }
        conf_say(b, CONF_ERROR, c->key->pos, "remove one of the two",
                "the option %.*s is given twice, first in %s:%u", STR_ARG(c->key->text),
                first->key->pos.file ? first->key->pos.file : "line",
                first->key->pos.line);
        r = -EINVAL;
    }
    return r;
}

static void
flatten_options(struct conf_node *map)
{
    for (struct conf_node *c = map->first; c; c = c->next) {
        enum conf_type type = type_of(c);

        if (is_named(type) || type == CONF_T_MODULES || type == CONF_T_HOST_CONFIG ||
                type == CONF_T_SHAPERS)
            flatten(c);
    }
}

int
conf_combine(struct conf_binder *b, struct conf_node *root)
{
    int r = rename_old(b, root, root), one;

    if (r == 0)
        r = hoist_from_listeners(b, root);
    if (r < 0)
        return r;
    flatten_options(root);
    r = join_twice(b, root);
    for (struct conf_node *c = root->first; c; c = c->next) {
        if (!is_scope(c) || c->kind != CONF_MAP)
            continue;
        one = join_twice(b, c);
        for (struct conf_node *h = c->first; h && one == 0; h = h->next) {
            if (h->kind != CONF_MAP)
                continue;
            flatten_options(h);
            one = rename_old(b, root, h);
            if (one == 0)
                one = join_twice(b, h);
        }
        if (one < 0)
            r = one;
    }
    return r;
}

static struct conf_node *
derive(struct conf_binder *b, const struct conf_node *node, bool empty)
{
    struct conf_node *copy = arena_new(b->arena, struct conf_node);

    b->tree->n_derived++;
    *copy = *node;
    copy->next = NULL;
    if (empty) {
        copy->first = copy->last = NULL;
        copy->n = 0;
    }
    return copy;
}

static bool
is_affordable(struct conf_binder *b, const struct conf_node *first,
        const struct conf_node *second)
{
    if (b->tree->n_derived + first->n + second->n + 2 <= CONF_DERIVED_MAX)
        return true;
    b->quiet = false;
    conf_say(b, CONF_ERROR, second->pos, "use fewer host_config entries",
            "the options of all hosts together are too many");
    return false;
}

const struct conf_node *
conf_overlay(struct conf_binder *b, const struct conf_node *first,
        const struct conf_node *second)
{
    struct conf_node *ret;

    if (!first || !second || !is_affordable(b, first, second))
        return second ? second : first;
    ret = derive(b, second, true);
    conf_node_for(c, first) if (!conf_node_find(second, c->key->text))
            conf_node_add(ret, derive(b, c, false));
    conf_node_for(c, second) conf_node_add(ret, derive(b, c, false));
    return ret;
}

/* The elements of both as one list; what is no list counts as one element. */
static struct conf_node *
concat(struct conf_binder *b, const struct conf_node *first,
        const struct conf_node *second)
{
    const struct conf_node *both[] = { first, second };
    struct conf_node *ret = derive(b, first, true), *one;

    ret->kind =
            first->kind == CONF_MAP && second->kind == CONF_MAP ? CONF_MAP : CONF_LIST;
    for (int i = 0; i < 2; i++) {
        if (both[i]->kind == CONF_LIST || ret->kind == CONF_MAP) {
            conf_node_for(c, both[i]) conf_node_add(ret, derive(b, c, false));
        } else {
            one = derive(b, both[i], false);
            one->key = NULL;
            conf_node_add(ret, one);
        }
    }
    return ret;
}

const struct conf_node *
conf_append(struct conf_binder *b, enum conf_type type, const struct conf_node *first,
        const struct conf_node *second)
{
    const struct conf_node *was, *joined;
    struct conf_node *ret;

    if (!first || !second || !is_affordable(b, first, second))
        return second ? second : first;
    switch (type) {
    case CONF_T_STRINGS:
    case CONF_T_MECHANISMS:
    case CONF_T_SET:
    case CONF_T_ENUMS:
    case CONF_T_TLS_OPTIONS:
    case CONF_T_CIPHERS:
    case CONF_T_AUTH_METHODS:
        return concat(b, first, second);
    default: /* all other types: by the kind of the values */
        break;
    }
    if (first->kind == CONF_LIST && second->kind == CONF_LIST)
        return concat(b, first, second);
    if (first->kind != CONF_MAP || second->kind != CONF_MAP)
        return second;
    ret = derive(b, first, true);
    conf_node_for(c, first) if (!conf_node_find(second, c->key->text))
            conf_node_add(ret, derive(b, c, false));
    conf_node_for(c, second)
    {
        was = conf_node_find(first, c->key->text);
        joined = c;
        if (was && is_affordable(b, was, c)) {
            if (is_named(type))
                joined = concat(b, was, c);
            else if (type == CONF_T_MODULES)
                joined = conf_overlay(b, was, c);
        }
        struct conf_node *own = derive(b, joined, false);

        own->key = c->key;
        conf_node_add(ret, own);
    }
    return ret;
}
