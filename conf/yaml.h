#ifndef CONF_YAML_H
#define CONF_YAML_H

#include "conf/report.h"
#include "conf/tree.h"

/*
 * Reads one YAML document into nodes of the tree. An empty one gives an empty map.
 * 0; -EINVAL when it is not well-formed, too deep or too large (reported).
 */
int conf_yaml_parse(struct arena *conf_arena, struct conf_tree *tree, const char *file,
        struct str text, struct conf_report *report, struct conf_node **ret_root);

/*
 * The same from a file, which is added to tree->files. 0, -EINVAL as above or the
 * -errno of reading (reported, at `from` when the file is an included one).
 */
int conf_yaml_read(struct arena *conf_arena, struct conf_tree *tree, const char *path,
        struct conf_pos from, struct conf_report *report, struct conf_node **ret_root);

#endif
