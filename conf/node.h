#ifndef CONF_NODE_H
#define CONF_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

/* A place in a configuration file; lines and columns count from 1, 0: unknown. */
struct conf_pos {
    const char *file; /* NULL: unknown */
    uint32_t line, column;
};

enum conf_kind {
    CONF_SCALAR,
    CONF_LIST,
    CONF_MAP
};

/* The most a configuration may hold, includes, aliases and macros expanded. */
#define CONF_DEPTH_MAX     32
#define CONF_NODES_MAX     200000
#define CONF_FILE_SIZE_MAX (4u << 20)
#define CONF_TEXT_SIZE_MAX (16u << 20)
#define CONF_FILES_MAX     64
#define CONF_DERIVED_MAX   2000000
#define CONF_MAP_MAX       20000
#define CONF_HOSTS_MAX     10000
#define CONF_LISTENERS_MAX 256

/*
 * A YAML node. Children are a chain; in a map each child is a value, and its key is a
 * scalar node of its own, because it has a position of its own.
 */
struct conf_node {
    enum conf_kind kind;
    bool quoted;     /* scalars: 'x' and "x" are never a number or a boolean */
    struct str text; /* scalars; terminated */
    struct conf_pos pos;
    struct conf_node *key;          /* in maps only */
    struct conf_node *next;         /* the next child of the same parent */
    struct conf_node *first, *last; /* children */
    size_t n;                       /* how many */
};

/* A resolved configuration: one map, and the names of the files it came from. */
struct conf_tree {
    struct conf_node *root;
    const char *files[CONF_FILES_MAX];
    size_t n_files;
    size_t n_nodes, text_size; /* budget used */
    size_t n_derived;          /* nodes made by merging the options of hosts */
};

/* Values that only some processes may see; bits for conf_pack(). */
enum conf_secret {
    CONF_SECRET_SQL = 1 << 0,    /* sql_* credentials: the sql process */
    CONF_SECRET_AUTH = 1 << 1,   /* ldap_password, jwt_key …: the auth process */
    CONF_SECRET_PEER = 1 << 2,   /* passwords of components and the like */
    CONF_SECRET_MODULE = 1 << 3, /* secrets of modules */
    CONF_SECRET_CACHE = 1 << 4,  /* redis_password */
    CONF_SECRET_ALL = (1 << 5) - 1
};

#define conf_node_for(child, parent)                                               \
    for (const struct conf_node *child = (parent) ? (parent)->first : NULL; child; \
            child = child->next)

/* The value of a key of a map; NULL when there is none (or map is NULL or no map). */
const struct conf_node *conf_node_get(const struct conf_node *map, const char *key);

#endif
