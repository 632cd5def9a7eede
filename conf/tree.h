#ifndef CONF_TREE_H
#define CONF_TREE_H

#include "conf/node.h"

/*
 * Making and changing trees; inside conf/ only. NULL: the budget of node.h is used up.
 */
struct conf_node *conf_node_new(struct arena *conf_arena, struct conf_tree *tree,
        enum conf_kind kind, struct conf_pos pos);
struct conf_node *conf_node_scalar(struct arena *conf_arena, struct conf_tree *tree,
        struct str text, bool quoted, struct conf_pos pos);

/* A deep copy, key included, that starts at this depth. */
struct conf_node *conf_node_copy(struct arena *conf_arena, struct conf_tree *tree,
        const struct conf_node *node, unsigned depth);

void conf_node_add(struct conf_node *parent, struct conf_node *child);
void conf_node_drop(struct conf_node *parent, struct conf_node *child);
struct conf_node *conf_node_find(const struct conf_node *map, struct str key);

#endif
