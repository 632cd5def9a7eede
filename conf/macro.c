/*
 * macro.c -- define_macro, define_keyword and the predefined keywords
 *
 * A macro is a value with a name: NAME as a whole value stands for it, and @NAME@
 * inside a string for its text. Macros are expanded everywhere, in each other too,
 * right after the includes. Keywords come after that and lose against macros of their
 * name. A host may have keywords of its own, which count in the options of its modules
 * only; so such a host gets a copy of the modules. All definitions are then taken out
 * of the tree: they may hold passwords, and the tree is sent to other processes.
 */
#include <errno.h>

#include "base/hash.h"
#include "base/mem.h"
#include "conf/bind.h"

enum macro_state {
    MACRO_RAW,
    MACRO_BUSY,
    MACRO_DONE
};

struct macro {
    struct conf_node *value;
    enum macro_state state;
    bool whole; /* may stand for a whole value without the @ */
};

struct expander {
    struct conf_binder *b;
    struct map macros;           /* of struct macro */
    const struct expander *next; /* looked in when a name is not found here */
    bool full;
};

static int expand(struct expander *x, struct conf_node *node, unsigned depth);

static bool
is_name_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool
is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_char(s.p[i]))
            return false;
    return s.n > 0;
}

static int
fail_budget(struct expander *x, const struct conf_node *node)
{
    if (!x->full)
        conf_say(x->b, CONF_ERROR, node->pos, "use fewer or smaller macros",
                "the configuration is too large once macros are expanded");
    x->full = true;
    return -EINVAL;
}

static int
define(struct expander *x, struct conf_node *name, struct conf_node *value)
{
    struct macro *m = map_get(&x->macros, name->text);

    if (!is_name(name->text)) {
        conf_say(x->b, CONF_ERROR, name->pos, "use capitals, digits and _ only",
                "invalid name of a macro: %.*s", STR_ARG(name->text));
        return -EINVAL;
    }
    if (m) {
        conf_say(x->b, CONF_ERROR, name->pos, "remove one of the two",
                "%.*s is defined twice, first in line %u", STR_ARG(name->text),
                m->value->key ? m->value->key->pos.line : 0);
        return -EINVAL;
    }
    m = arena_new(x->b->arena, struct macro);
    m->value = value;
    m->whole = true;
    map_set(&x->macros, name->text, m);
    return 0;
}

/* A map of definitions, or a list of such maps. */
static int
define_all(struct expander *x, struct conf_node *node)
{
    int r = 0, one;

    if (node->kind == CONF_SCALAR) {
        conf_say(x->b, CONF_ERROR, node->pos, "write `NAME: value` lines below it",
                "invalid value of option %.*s", node->key ? (int)node->key->text.n : 1,
                node->key ? node->key->text.p : "");
        return -EINVAL;
    }
    for (struct conf_node *c = node->first; c; c = c->next) {
        if (node->kind == CONF_LIST && c->kind != CONF_MAP) {
            conf_say(x->b, CONF_ERROR, c->pos, "write `NAME: value`",
                    "a macro without a value");
            one = -EINVAL;
        } else {
            one = node->kind == CONF_MAP ? define(x, c->key, c) : define_all(x, c);
        }
        if (one < 0)
            r = one;
    }
    return r;
}

/* Takes all options of that name out of the map and defines what they hold. */
static int
take(struct expander *x, struct conf_node *map, const char *option)
{
    int r = 0, one;

    for (struct conf_node *c = map->first, *next; c; c = next) {
        next = c->next;
        if (!str_eq_c(c->key->text, option))
            continue;
        conf_node_drop(map, c);
        one = define_all(x, c);
        if (one < 0)
            r = one;
    }
    return r;
}

static struct macro *
lookup(struct expander *x, struct str name)
{
    struct macro *m = map_get(&x->macros, name);

    for (const struct expander *n = x->next; !m && n; n = n->next)
        m = map_get(&n->macros, name);
    return m;
}

/* The macro with everything inside it expanded; NULL with *ret_r set on errors. */
static struct macro *
resolve(struct expander *x, struct macro *m, const struct conf_node *use,
        unsigned depth, int *ret_r)
{
    if (m->state == MACRO_BUSY) {
        conf_say(x->b, CONF_ERROR, use->pos, "break the circle",
                "a macro that is defined by itself: %.*s", STR_ARG(use->text));
        *ret_r = -EINVAL;
        return NULL;
    }
    if (m->state == MACRO_RAW) {
        m->state = MACRO_BUSY;
        *ret_r = expand(x, m->value, depth + 1);
        m->state = MACRO_DONE;
        if (*ret_r < 0)
            return NULL;
    }
    return m;
}

/* The node becomes what the macro stands for, where it is. */
static int
replace_whole(
        struct expander *x, struct conf_node *node, struct macro *m, unsigned depth)
{
    struct conf_node *copy;
    int r = 0;

    m = resolve(x, m, node, depth, &r);
    if (!m)
        return r;
    copy = conf_node_copy(x->b->arena, x->b->tree, m->value, depth);
    if (!copy)
        return fail_budget(x, node);
    node->kind = copy->kind;
    node->quoted = copy->quoted;
    node->text = copy->text;
    node->first = copy->first;
    node->last = copy->last;
    node->n = copy->n;
    return 0;
}

/* The next @NAME@ in s from *at on: its name, and *at behind it. */
static bool
next_use(struct str s, size_t *at, struct str *ret_name)
{
    for (size_t i = *at; i < s.n; i++) {
        size_t j = i + 1;

        if (s.p[i] != '@')
            continue;
        while (j < s.n && is_name_char(s.p[j]))
            j++;
        if (j == i + 1 || j == s.n || s.p[j] != '@')
            continue;
        *ret_name = (struct str){ s.p + i + 1, j - i - 1 };
        *at = j + 1;
        return true;
    }
    return false;
}

static int
replace_inside(struct expander *x, struct conf_node *node, unsigned depth)
{
    struct str name, text = node->text;
    struct buf out = { 0 };
    size_t at = 0, done = 0;
    bool any = false;
    int r = 0;

    while (next_use(text, &at, &name)) {
        size_t start = (size_t)(name.p - text.p) - 1;
        struct macro *m = lookup(x, name);

        if (!m) {
            at--; /* its second @ may be the first of another */
            continue;
        }
        m = resolve(x, m, node, depth, &r);
        if (!m)
            goto out;
        if (m->value->kind != CONF_SCALAR) {
            conf_say(x->b, CONF_ERROR, node->pos, "use it as a whole value only",
                    "%.*s stands for a list or a map, not for text", STR_ARG(name));
            r = -EINVAL;
            goto out;
        }
        buf_add(&out, text.p + done, start - done);
        buf_add_str(&out, m->value->text);
        done = at;
        any = true;
        if (out.n > CONF_TEXT_SIZE_MAX - x->b->tree->text_size) {
            r = fail_budget(x, node);
            goto out;
        }
    }
    if (any) {
        buf_add(&out, text.p + done, text.n - done);
        if (out.n > CONF_TEXT_SIZE_MAX - x->b->tree->text_size) {
            r = fail_budget(x, node);
            goto out;
        }
        x->b->tree->text_size += out.n;
        node->text = str_dup(x->b->arena, buf_str(&out));
        node->quoted = true;
    }
out:
    if (out.p)
        mem_wipe(out.p, out.size);
    buf_fini(&out);
    return r;
}

static int
expand_scalar(struct expander *x, struct conf_node *node, unsigned depth)
{
    struct str name, s = node->text;
    struct macro *m;
    size_t at = 0;

    /* Debian's file writes c2s_ciphers: 'TLS_CIPHERS', so quoted ones count, too. */
    if (is_name(s) && (m = lookup(x, s)) && m->whole)
        return replace_whole(x, node, m, depth);
    if (next_use(s, &at, &name) && name.n + 2 == s.n && (m = lookup(x, name)))
        return replace_whole(x, node, m, depth);
    return replace_inside(x, node, depth);
}

static int
expand(struct expander *x, struct conf_node *node, unsigned depth)
{
    int r = 0, one;

    if (depth > CONF_DEPTH_MAX)
        return fail_budget(x, node);
    if (node->kind == CONF_SCALAR)
        return expand_scalar(x, node, depth);
    for (struct conf_node *c = node->first; c && !x->full; c = c->next) {
        one = c->key ? replace_inside(x, c->key, depth) : 0;
        if (one == 0)
            one = expand(x, c, depth + 1);
        if (one < 0)
            r = one;
    }
    return r;
}

int
conf_macros(struct conf_binder *b, struct conf_node *root)
{
    struct expander x = { .b = b };
    int r = take(&x, root, "define_macro");

    if (r == 0)
        r = expand(&x, root, 0);
    map_fini(&x.macros);
    return r;
}

static void
predefine(struct expander *x, const char *name, struct str text)
{
    struct macro *m;

    if (map_get(&x->macros, str_from(name)))
        return; /* what the file says wins */
    m = arena_new(x->b->arena, struct macro);
    m->value = conf_node_scalar(
            x->b->arena, x->b->tree, text, true, (struct conf_pos){ 0 });
    m->state = MACRO_DONE;
    if (m->value)
        map_set(&x->macros, str_from(name), m);
}

/* Expands the modules of one host, inherited ones too, by its keywords. */
static int
expand_host(struct expander *global, struct conf_node *root, struct conf_node *host,
        bool append)
{
    struct expander x = { .b = global->b, .next = global };
    struct conf_node *modules, *inherited;
    int r = take(&x, host, "define_keyword");

    if (r < 0)
        goto out;
    modules = conf_node_find(host, STR("modules"));
    inherited = conf_node_find(root, STR("modules"));
    if (!modules && !append && inherited && x.macros.n > x.macros.n_dead) {
        modules = conf_node_copy(x.b->arena, x.b->tree, inherited, 2);
        if (!modules) {
            r = fail_budget(&x, host);
            goto out;
        }
        conf_node_add(host, modules);
    }
    if (modules)
        r = expand(&x, modules, 3);
out:
    map_fini(&x.macros);
    return r;
}

static int
expand_hosts(struct expander *x, struct conf_node *root, const char *option)
{
    struct conf_node *hosts = conf_node_find(root, str_from(option));
    int r = 0, one;

    if (!hosts || hosts->kind != CONF_MAP)
        return 0;
    for (struct conf_node *h = hosts->first; h; h = h->next) {
        if (h->kind != CONF_MAP)
            continue;
        one = expand_host(x, root, h, str_eq_c(hosts->key->text, "append_host_config"));
        if (one < 0)
            r = one;
        for (struct conf_node *c = h->first; c && one == 0; c = c->next)
            if (!str_eq_c(c->key->text, "modules")) {
                one = expand(x, c, 3);
                if (one < 0)
                    r = one;
            }
    }
    return r;
}

int
conf_keywords(struct conf_binder *b, struct conf_node *root)
{
    static const char *const plain[] = { "hosts", "loglevel", "version", "host_config",
        "append_host_config" };
    struct conf *conf = b->conf;
    struct expander x = { .b = b };
    struct str semver = conf->version, major_minor = semver;
    int r = take(&x, root, "define_keyword"), one;
    size_t dots = 0;

    for (size_t i = 0; i < semver.n; i++)
        if (semver.p[i] == '.' && ++dots == 2) {
            major_minor.n = i;
            break;
        }
    if (r < 0)
        goto out;
    predefine(&x, "HOME", conf->home);
    predefine(&x, "CONFIG_PATH", str_from(b->path));
    predefine(&x, "DATABASE_PATH", conf->database_path);
    predefine(&x, "LOG_PATH", conf->log_path);
    predefine(&x, "VERSION", major_minor);
    predefine(&x, "SEMVER", semver);
    /*
     * Before the global modules themselves, of which hosts with keywords take a copy.
     */
    r = expand_hosts(&x, root, "host_config");
    one = expand_hosts(&x, root, "append_host_config");
    if (one < 0)
        r = one;
    for (struct conf_node *c = root->first; c; c = c->next) {
        bool skip = false;

        for (size_t i = 0; i < ARRAY_LEN(plain); i++)
            skip |= str_eq_c(c->key->text, plain[i]);
        one = skip ? 0 : expand(&x, c, 1);
        if (one < 0)
            r = one;
    }
out:
    map_fini(&x.macros);
    return r;
}
