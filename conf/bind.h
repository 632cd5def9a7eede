#ifndef CONF_BIND_H
#define CONF_BIND_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "conf/report.h"
#include "conf/table.h"
#include "conf/tree.h"

/* Inside conf/ only: what the stages from a file to a struct conf share. */
struct conf_binder {
    struct conf *conf;
    struct arena *arena; /* conf->arena */
    struct conf_tree *tree;
    const struct conf_loader *loader;
    struct conf_report *report;
    const char *path;            /* of the main file */
    bool may_include;            /* files may be opened */
    bool quiet;                  /* binding what has been checked: report nothing */
    bool in_append;              /* below append_host_config: the modules are not all */
    struct conf_strs host_names; /* prepared, known before anything else */
};

struct conf_nets {
    struct conf_net *at;
    size_t n;
    bool all;
};

/* Adds a problem unless the binder is quiet. */
void conf_say(struct conf_binder *b, enum conf_severity severity, struct conf_pos pos,
        const char *advice, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The stages on the tree, in this order; 0 or -EINVAL (reported). */
int conf_include(struct conf_binder *b, struct conf_node *root);
int conf_macros(struct conf_binder *b, struct conf_node *root);
int conf_combine(struct conf_binder *b, struct conf_node *root);
int conf_keywords(struct conf_binder *b, struct conf_node *root);

/*
 * Two values of one option in one: what append_host_config does (`second` is added),
 * and what host_config does with named rules (`second` replaces a name). Both may be
 * NULL.
 */
const struct conf_node *conf_append(struct conf_binder *b, enum conf_type type,
        const struct conf_node *first, const struct conf_node *second);
const struct conf_node *conf_overlay(struct conf_binder *b,
        const struct conf_node *first, const struct conf_node *second);

/*
 * Checks one value and, when out is not NULL, stores it there: a field of the type's C
 * type (type.def). `where` is what the message names: "listen->ejabberd_c2s->".
 */
int conf_value(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, void *out);

/* The default of an option, likewise; a field is left alone when there is none. */
void conf_default(struct conf_binder *b, const struct conf_option *opt, void *out);

/* Single values, without a report; false: not one. */
bool conf_is_bool(const struct conf_node *node, bool *ret);
bool conf_is_number(const struct conf_node *node, uint64_t *ret);
bool conf_is_infinite(struct str text);
bool conf_is_time(const struct conf_node *node, uint64_t *ret_ms);
int conf_parse_net(struct str text, struct conf_net *ret);
bool conf_net_has(const struct conf_net *net, const struct sockaddr *ip);
int conf_prep(struct conf_binder *b, enum conf_prep_kind kind, struct str in,
        struct str *ret_out);

/* Text with every mark replaced. */
struct str conf_replace(
        struct conf_binder *b, struct str text, struct str mark, struct str by);

/* A path as it is used: relative ones are below home. */
struct str conf_absolute(struct conf_binder *b, struct str path);

/* The global value of an option; NULL: not given. */
const struct conf_node *conf_top(const struct conf_binder *b, const char *name);

/* Bind the tree: check everything, then fill in b->conf. */
int conf_bind(struct conf_binder *b);
int conf_bind_hosts(struct conf_binder *b, const struct conf_strs *names);
int conf_bind_listeners(struct conf_binder *b, const struct conf_node *list);
int conf_check_modules(struct conf_binder *b, const struct conf_node *map);
int conf_bind_modules(
        struct conf_binder *b, struct conf_host *host, const struct conf_node *map);

const struct conf_module *conf_module_in(
        const struct conf_host *host, const struct conf_option *def);

/* Gives the host modules of its own where their options say @HOST@. */
int conf_personalise_modules(struct conf_binder *b, struct conf_host *host);
int conf_bind_shapers(struct conf_binder *b, const struct conf_node *map);

/*
 * What only makes sense together: names that are not defined, TLS without certificates.
 */
int conf_judge(struct conf_binder *b);

#endif
