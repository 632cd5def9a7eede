/*
 * include.c -- include_config_file
 *
 * The options of an included file take the place of the include itself, at the top
 * level or below a host. A relative path is looked for beside the file that names it.
 * Files that include each other are caught by the chain of files being read.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "conf/bind.h"
#include "conf/yaml.h"

struct include_chain {
    const struct include_chain *up;
    const char *path;
};

static int include_map(struct conf_binder *b, struct conf_node *map,
        const struct include_chain *chain);

static const char *
beside(struct conf_binder *b, const struct include_chain *chain, struct str name)
{
    struct buf path = { 0 };
    const char *slash = strrchr(chain->path, '/');
    const char *ret;

    if (name.n && name.p[0] != '/' && slash)
        buf_add(&path, chain->path, (size_t)(slash - chain->path) + 1);
    buf_add_str(&path, name);
    ret = str_dup_c(b->arena, buf_str(&path));
    buf_fini(&path);
    return ret;
}

static bool
is_listed(const struct conf_node *names, struct str name)
{
    if (names->kind == CONF_SCALAR)
        return str_eq(names->text, name);
    conf_node_for(
            c, names) if (c->kind == CONF_SCALAR && str_eq(c->text, name)) return true;
    return false;
}

/* disallow and allow_only: options of the file that they rule out are dropped. */
static int
filter(struct conf_binder *b, struct conf_node *map, const struct conf_node *opts)
{
    const struct conf_node *disallow = conf_node_get(opts, "disallow");
    const struct conf_node *allow_only = conf_node_get(opts, "allow_only");

    conf_node_for(o, opts) if (o != disallow && o != allow_only)
    {
        conf_say(b, CONF_ERROR, o->key->pos, "use disallow or allow_only",
                "unknown or repeated option of include_config_file: %.*s",
                STR_ARG(o->key->text));
        return -EINVAL;
    }
    for (struct conf_node *c = map->first, *next; c; c = next) {
        next = c->next;
        if ((disallow && is_listed(disallow, c->key->text)) ||
                (allow_only && !is_listed(allow_only, c->key->text))) {
            conf_say(b, CONF_WARNING, c->key->pos, NULL,
                    "the option %.*s is not allowed in this included file, and is "
                    "ignored",
                    STR_ARG(c->key->text));
            conf_node_drop(map, c);
        }
    }
    return 0;
}

/* Reads one file and moves its options behind `before` in the map. */
static int
include_file(struct conf_binder *b, struct conf_node *map, struct conf_node *before,
        const struct conf_node *name, const struct conf_node *opts,
        const struct include_chain *chain)
{
    struct include_chain own = { chain, NULL };
    struct conf_node *root;
    unsigned depth = 0;
    int r;

    if (name->kind != CONF_SCALAR || name->text.n == 0) {
        conf_say(b, CONF_ERROR, name->pos, "write the path of a file",
                "invalid value of option include_config_file");
        return -EINVAL;
    }
    own.path = beside(b, chain, name->text);
    for (const struct include_chain *c = chain; c; c = c->up, depth++)
        if (strcmp(c->path, own.path) == 0 || depth > CONF_DEPTH_MAX) {
            conf_say(b, CONF_ERROR, name->pos, "remove one of the includes",
                    "the file %s includes itself", own.path);
            return -EINVAL;
        }
    r = conf_yaml_read(b->arena, b->tree, own.path, name->pos, b->report, &root);
    if (r == 0)
        r = include_map(b, root, &own);
    if (r == 0 && opts)
        r = filter(b, root, opts);
    if (r < 0)
        return r;
    if (!root->first)
        return 0;
    root->last->next = before->next;
    if (!before->next)
        map->last = root->last;
    before->next = root->first;
    map->n += root->n;
    return 0;
}

static int
include_value(struct conf_binder *b, struct conf_node *map, struct conf_node *inc,
        const struct include_chain *chain)
{
    struct conf_node *last = inc;
    int r = 0, one;

    if (!b->may_include) {
        conf_say(b, CONF_ERROR, inc->key->pos, NULL, "no file can be included here");
        return -EINVAL;
    }
    if (inc->kind == CONF_SCALAR)
        return include_file(b, map, inc, inc, NULL, chain);
    conf_node_for(c, inc)
    {
        const struct conf_node *name = inc->kind == CONF_MAP ? c->key : c;
        const struct conf_node *opts = inc->kind == CONF_MAP ? c : NULL;

        if (inc->kind == CONF_LIST && c->kind == CONF_MAP && c->n == 1) {
            name = c->first->key;
            opts = c->first;
        }
        if (opts && opts->kind == CONF_SCALAR && opts->text.n) {
            conf_say(b, CONF_ERROR, opts->pos,
                    "write disallow: or allow_only: below it",
                    "invalid value of option include_config_file");
            return -EINVAL;
        }
        /*
         * Keep the order of the list: each goes behind what came with the one before.
         */
        size_t n = map->n;
        one = include_file(b, map, last, name, opts, chain);
        if (one < 0)
            r = one;
        for (; n < map->n; n++)
            last = last->next;
    }
    return r;
}

static int
include_map(
        struct conf_binder *b, struct conf_node *map, const struct include_chain *chain)
{
    int r = 0, one;

    for (struct conf_node *c = map->first, *next; c; c = next) {
        next = c->next;
        if (!str_eq_c(c->key->text, "include_config_file"))
            continue;
        one = include_value(b, map, c, chain);
        if (one < 0)
            r = one;
        /* What was spliced in has had its own includes resolved already. */
        conf_node_drop(map, c);
    }
    return r;
}

int
conf_include(struct conf_binder *b, struct conf_node *root)
{
    struct include_chain chain = { NULL, b->path };
    int r = include_map(b, root, &chain), one;

    for (struct conf_node *c = root->first; c; c = c->next) {
        if (!str_eq_c(c->key->text, "host_config") &&
                !str_eq_c(c->key->text, "append_host_config"))
            continue;
        for (struct conf_node *host = c->kind == CONF_MAP ? c->first : NULL; host;
                host = host->next) {
            if (host->kind != CONF_MAP)
                continue;
            one = include_map(b, host, &chain);
            if (one < 0)
                r = one;
        }
    }
    return r;
}
