/*
 * node.c -- nodes of a configuration
 *
 * Every node that is made is counted, copies too, so that neither an alias inside an
 * alias nor a macro inside a macro can grow without bound.
 */
#include "conf/node.h"

#include "conf/tree.h"

struct conf_node *
conf_node_new(struct arena *conf_arena, struct conf_tree *tree, enum conf_kind kind,
        struct conf_pos pos)
{
    struct conf_node *node;

    if (tree->n_nodes >= CONF_NODES_MAX)
        return NULL;
    tree->n_nodes++;
    node = arena_new(conf_arena, struct conf_node);
    node->kind = kind;
    node->pos = pos;
    return node;
}

struct conf_node *
conf_node_scalar(struct arena *conf_arena, struct conf_tree *tree, struct str text,
        bool quoted, struct conf_pos pos)
{
    struct conf_node *node;

    if (text.n > CONF_TEXT_SIZE_MAX - tree->text_size)
        return NULL;
    node = conf_node_new(conf_arena, tree, CONF_SCALAR, pos);
    if (!node)
        return NULL;
    tree->text_size += text.n;
    node->text = str_dup(conf_arena, text);
    node->quoted = quoted;
    return node;
}

void
conf_node_add(struct conf_node *parent, struct conf_node *child)
{
    child->next = NULL;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->n++;
}

void
conf_node_drop(struct conf_node *parent, struct conf_node *child)
{
    struct conf_node *before = NULL;

    for (struct conf_node *c = parent->first; c; before = c, c = c->next) {
        if (c != child)
            continue;
        if (before)
            before->next = c->next;
        else
            parent->first = c->next;
        if (parent->last == c)
            parent->last = before;
        parent->n--;
        c->next = NULL;
        return;
    }
}

struct conf_node *
conf_node_copy(struct arena *conf_arena, struct conf_tree *tree,
        const struct conf_node *node, unsigned depth)
{
    struct conf_node *copy, *child;

    if (depth > CONF_DEPTH_MAX)
        return NULL;
    if (node->kind == CONF_SCALAR) {
        copy = conf_node_scalar(conf_arena, tree, node->text, node->quoted, node->pos);
    } else {
        copy = conf_node_new(conf_arena, tree, node->kind, node->pos);
        if (!copy)
            return NULL;
        conf_node_for(c, node)
        {
            child = conf_node_copy(conf_arena, tree, c, depth + 1);
            if (!child)
                return NULL;
            conf_node_add(copy, child);
        }
    }
    if (copy && node->key) {
        copy->key = conf_node_copy(conf_arena, tree, node->key, depth);
        if (!copy->key)
            return NULL;
    }
    return copy;
}

struct conf_node *
conf_node_find(const struct conf_node *map, struct str key)
{
    if (!map || map->kind != CONF_MAP)
        return NULL;
    for (struct conf_node *c = map->first; c; c = c->next)
        if (str_eq(c->key->text, key))
            return c;
    return NULL;
}

const struct conf_node *
conf_node_get(const struct conf_node *map, const char *key)
{
    return conf_node_find(map, str_from(key));
}
