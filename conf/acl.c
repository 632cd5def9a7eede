/*
 * acl.c -- access control lists, access rules and shaper rules: from nodes to
 * conditions
 *
 * An access control list holds when any of its values matches. An entry of a rule holds
 * when all of its conditions do, and the first entry that holds decides. Both are
 * written as maps or as lists of maps. How they are evaluated is in access.c.
 */
#include "conf/acl.h"

#include <errno.h>

#include "base/mem.h"
#include "conf/bind.h"
#include "conf/regex.h"

static const struct {
    const char *name;
    enum conf_cond_kind kind;
} kinds[] = {
    { "acl", CONF_COND_ACL },
    { "user", CONF_COND_USER },
    { "server", CONF_COND_SERVER },
    { "resource", CONF_COND_RESOURCE },
    { "user_regexp", CONF_COND_USER_RE },
    { "server_regexp", CONF_COND_SERVER_RE },
    { "resource_regexp", CONF_COND_RESOURCE_RE },
    { "node_regexp", CONF_COND_NODE_RE },
    { "user_glob", CONF_COND_USER_GLOB },
    { "server_glob", CONF_COND_SERVER_GLOB },
    { "resource_glob", CONF_COND_RESOURCE_GLOB },
    { "node_glob", CONF_COND_NODE_GLOB },
    { "shared_group", CONF_COND_SHARED_GROUP },
    { "ip", CONF_COND_IP },
};

struct acl_parser {
    struct conf_binder *b;
    const char *where; /* "acl->admin", for messages */
    bool in_list;      /* inside `acl`: other lists cannot be named (no circles) */
};

static int
fail(struct acl_parser *p, const struct conf_node *node, const char *advice,
        const char *what)
{
    conf_say(p->b, CONF_ERROR, node->pos, advice, "%s: %s", p->where, what);
    return -EINVAL;
}

static int
prepare(struct acl_parser *p, const struct conf_node *node, enum conf_prep_kind kind,
        struct str in, struct str *ret)
{
    if (conf_prep(p->b, kind, in, ret) == 0)
        return 0;
    conf_say(p->b, CONF_ERROR, node->pos, NULL, "%s: not a valid %s: %.*s", p->where,
            kind == CONF_PREP_DOMAIN ? "domain"
            : kind == CONF_PREP_USER ? "user name"
                                     : "resource",
            STR_ARG(in));
    return -EINVAL;
}

static int
compile(struct acl_parser *p, const struct conf_node *node, struct str pattern,
        regex_t **ret)
{
    const char *why = NULL;

    if (conf_regex(p->b->arena, pattern, ret, &why) == 0)
        return 0;
    conf_say(p->b, CONF_ERROR, node->pos, NULL, "%s: the regular expression %.*s: %s",
            p->where, STR_ARG(pattern), why);
    return -EINVAL;
}

static int
parse_user(struct acl_parser *p, const struct conf_node *node, struct conf_cond *c)
{
    int r = prepare(p, node, CONF_PREP_USER, c->text, &c->text);

    if (r == 0 && c->server.p)
        r = prepare(p, node, CONF_PREP_DOMAIN, c->server, &c->server);
    return r;
}

static int
parse_regexps(struct acl_parser *p, const struct conf_node *node, struct conf_cond *c)
{
    int r = compile(p, node, c->text, &c->re);

    if (r == 0 && c->server.p && c->kind == CONF_COND_NODE_RE)
        r = compile(p, node, c->server, &c->server_re);
    else if (r == 0 && c->server.p)
        r = prepare(p, node, CONF_PREP_DOMAIN, c->server, &c->server);
    return r;
}

/* One condition from its text; for {user: server} maps `server` is set already. */
static int
parse_text(struct acl_parser *p, const struct conf_node *node, struct conf_cond *c)
{
    bool splits = c->kind == CONF_COND_USER || c->kind == CONF_COND_USER_RE ||
                  c->kind == CONF_COND_USER_GLOB || c->kind == CONF_COND_NODE_RE ||
                  c->kind == CONF_COND_NODE_GLOB;

    for (size_t i = c->text.n; splits && !c->server.p && i-- > 0;)
        if (c->text.p[i] == '@') {
            c->server = (struct str){ c->text.p + i + 1, c->text.n - i - 1 };
            c->text.n = i;
            break;
        }
    switch (c->kind) {
    case CONF_COND_ACL:
        return c->text.n ? 0 : fail(p, node, NULL, "the name of a list is missing");
    case CONF_COND_USER:
        return parse_user(p, node, c);
    case CONF_COND_SERVER:
        return prepare(p, node, CONF_PREP_DOMAIN, c->text, &c->text);
    case CONF_COND_RESOURCE:
        return prepare(p, node, CONF_PREP_RESOURCE, c->text, &c->text);
    case CONF_COND_NODE_RE:
    case CONF_COND_NODE_GLOB:
        if (!c->server.p)
            return fail(p, node, "write user@server, both as patterns",
                    "a node pattern without a server");
        if (c->kind == CONF_COND_NODE_GLOB)
            break;
        return parse_regexps(p, node, c);
    case CONF_COND_USER_RE:
    case CONF_COND_SERVER_RE:
    case CONF_COND_RESOURCE_RE:
        return parse_regexps(p, node, c);
    case CONF_COND_USER_GLOB:
        if (c->server.p &&
                prepare(p, node, CONF_PREP_DOMAIN, c->server, &c->server) < 0)
            return -EINVAL;
        break;
    case CONF_COND_SERVER_GLOB:
    case CONF_COND_RESOURCE_GLOB:
        break;
    case CONF_COND_SHARED_GROUP:
        conf_say(p->b, CONF_WARNING, node->pos, NULL,
                "%s: shared_group never matches yet", p->where);
        return 0;
    case CONF_COND_IP:
        if (conf_parse_net(c->text, &c->net) < 0)
            return fail(p, node, "write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32",
                    "not an address or network");
        return 0;
    }
    /* fnmatch() takes terminated strings. */
    c->text = str_dup(p->b->arena, c->text);
    if (c->server.p)
        c->server = str_dup(p->b->arena, c->server);
    return 0;
}

static int
parse_cond(struct acl_parser *p, const struct conf_node *node, enum conf_cond_kind kind,
        struct conf_any *any)
{
    struct conf_cond c = { .kind = kind, .pos = node->pos };
    int r;

    if (node->kind == CONF_SCALAR) {
        c.text = str_dup(p->b->arena, node->text);
        r = parse_text(p, node, &c);
        if (r == 0)
            any->cond[any->n++] = c;
        return r;
    }
    if (node->kind == CONF_LIST)
        return fail(p, node, NULL, "a list inside a list");
    if (kind != CONF_COND_USER && kind != CONF_COND_USER_RE &&
            kind != CONF_COND_USER_GLOB && kind != CONF_COND_NODE_RE &&
            kind != CONF_COND_NODE_GLOB)
        return fail(p, node, "write a single value", "a map is not possible here");
    conf_node_for(child, node)
    {
        if (child->kind != CONF_SCALAR)
            return fail(p, child, "write user: server", "the server is missing");
        c.text = str_dup(p->b->arena, child->key->text);
        c.server = str_dup(p->b->arena, child->text);
        r = parse_text(p, child, &c);
        if (r < 0)
            return r;
        any->cond[any->n++] = c;
    }
    return 0;
}

/* How many conditions a value can become at most. */
static size_t
count(const struct conf_node *node)
{
    size_t n = 0;

    if (node->kind == CONF_SCALAR)
        return 1;
    conf_node_for(c, node) n += c->kind == CONF_SCALAR ? 1 : c->n;
    return n;
}

/* `type: value` or `type: [value, …]`, added to *any, which has the room. */
static int
parse_typed(struct acl_parser *p, const struct conf_node *node, struct conf_any *any)
{
    struct conf_guess g;
    struct buf advice = { 0 };
    int r = 0, one;

    if (p->in_list && str_eq_c(node->key->text, "acl"))
        return fail(p, node->key, "repeat its conditions, or name both in the rule",
                "a list cannot name another list");
    conf_guess_init(&g, node->key->text);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        conf_guess_try(&g, str_from(kinds[i].name));
        if (!str_eq_c(node->key->text, kinds[i].name))
            continue;
        if (node->kind != CONF_LIST)
            return parse_cond(p, node, kinds[i].kind, any);
        conf_node_for(c, node)
        {
            one = parse_cond(p, c, kinds[i].kind, any);
            if (one < 0)
                r = one;
        }
        return r;
    }
    if (g.best.p)
        buf_addf(&advice, "did you mean %.*s?", STR_ARG(g.best));
    else
        buf_add_c(&advice,
                "use user, server, resource, ip, or one of these with _regexp "
                "or _glob");
    conf_say(p->b, CONF_ERROR, node->key->pos, buf_c(&advice),
            "%s: unknown kind of condition: %.*s", p->where, STR_ARG(node->key->text));
    buf_fini(&advice);
    return -EINVAL;
}

static struct conf_any
any_new(struct acl_parser *p, size_t room)
{
    return (struct conf_any){
        arena_alloc(p->b->arena, (room + 1) * sizeof(struct conf_cond)), 0
    };
}

/* The value of one list: a map of types, or a list of such maps. */
static int
parse_acl(struct acl_parser *p, const struct conf_node *node, struct conf_acl *acl)
{
    size_t room = 0;
    int r = 0, one;

    if (node->kind == CONF_SCALAR)
        return fail(p, node, "write, for example, `user: romeo` below it",
                "expected a map of conditions");
    conf_node_for(c, node)
    {
        if (node->kind == CONF_MAP) {
            room += count(c);
            continue;
        }
        if (c->kind != CONF_MAP)
            return fail(
                    p, c, "write, for example, `user: romeo`", "expected a condition");
        conf_node_for(cc, c) room += count(cc);
    }
    acl->any = any_new(p, room);
    conf_node_for(c, node)
    {
        if (node->kind == CONF_MAP) {
            one = parse_typed(p, c, &acl->any);
            if (one < 0)
                r = one;
            continue;
        }
        conf_node_for(cc, c)
        {
            one = parse_typed(p, cc, &acl->any);
            if (one < 0)
                r = one;
        }
    }
    return r;
}

/* The right side of a rule's entry: a name, a map of types, or a list of these. */
static int
parse_all(struct acl_parser *p, const struct conf_node *node, struct conf_entry *e)
{
    int r = 0, one;

    if (node->kind == CONF_SCALAR) {
        e->all[e->n] = any_new(p, 1);
        return parse_cond(p, node, CONF_COND_ACL, &e->all[e->n++]);
    }
    if (node->n == 0)
        return fail(p, node, "write `all` for everybody", "no condition");
    conf_node_for(c, node)
    {
        if (node->kind == CONF_LIST && c->kind == CONF_LIST) {
            one = fail(p, c, NULL, "a list inside a list");
        } else if (node->kind == CONF_LIST) {
            one = parse_all(p, c, e);
        } else {
            e->all[e->n] = any_new(p, count(c));
            one = parse_typed(p, c, &e->all[e->n++]);
        }
        if (one < 0)
            r = one;
    }
    return r;
}

static size_t
count_all(const struct conf_node *node)
{
    size_t n = 0;

    if (node->kind == CONF_SCALAR)
        return 1;
    if (node->kind == CONF_MAP)
        return node->n;
    conf_node_for(c, node) n += c->kind == CONF_SCALAR ? 1 : c->n;
    return n;
}

static int
parse_verdict(struct acl_parser *p, const struct conf_node *node, bool shaper,
        struct conf_entry *e)
{
    if (!shaper) {
        if (str_eq_c(node->text, "allow"))
            e->verdict = CONF_VERDICT_ALLOW;
        else if (str_eq_c(node->text, "deny"))
            e->verdict = CONF_VERDICT_DENY;
        else
            return fail(p, node, "write allow: or deny: before the name of the list",
                    "expected allow or deny");
        return 0;
    }
    if (conf_is_number(node, &e->number)) {
        e->verdict = CONF_VERDICT_NUMBER;
    } else if (conf_is_infinite(node->text) || str_eq_c(node->text, "none")) {
        e->verdict = CONF_VERDICT_UNLIMITED;
    } else if (node->text.n) {
        e->verdict = CONF_VERDICT_SHAPER;
        e->shaper = str_dup(p->b->arena, node->text);
    } else {
        return fail(
                p, node, NULL, "expected a number, infinity or the name of a shaper");
    }
    return 0;
}

/* `verdict: condition`, or a verdict alone, which is for all. */
static int
parse_entry(struct acl_parser *p, const struct conf_node *node, bool shaper,
        struct conf_rule *rule)
{
    static const struct conf_node all = { .kind = CONF_SCALAR, .text = { "all", 3 } };
    struct conf_entry *e = &rule->entry[rule->n++];
    const struct conf_node *verdict = node->key ? node->key : node;
    const struct conf_node *what = node->key ? node : &all;
    int r;

    *e = (struct conf_entry){ .pos = verdict->pos };
    if (verdict->kind != CONF_SCALAR)
        return fail(p, node, "write `allow: NAME` or `deny: NAME`", "not an entry");
    e->all = arena_alloc(p->b->arena, (count_all(what) + 1) * sizeof *e->all);
    r = parse_verdict(p, verdict, shaper, e);
    return r < 0 ? r : parse_all(p, what, e);
}

static int
parse_rule(struct acl_parser *p, const struct conf_node *node, bool shaper,
        struct conf_rule *rule)
{
    struct conf_node alone = *node;
    size_t room = 1;
    int r = 0, one;

    conf_node_for(c, node) room +=
            c->kind == CONF_MAP && node->kind == CONF_LIST ? c->n : 1;
    rule->entry = arena_alloc(p->b->arena, room * sizeof *rule->entry);
    if (node->kind == CONF_SCALAR) {
        alone.key = NULL;
        return parse_entry(p, &alone, shaper, rule);
    }
    if (node->n == 0)
        return fail(p, node, shaper ? "write `10: all`" : "write `allow: all`",
                "an empty rule");
    conf_node_for(c, node)
    {
        if (node->kind == CONF_LIST && c->kind == CONF_MAP) {
            one = 0;
            conf_node_for(cc, c)
            {
                one = parse_entry(p, cc, shaper, rule);
                if (one < 0)
                    r = one;
            }
        } else {
            one = parse_entry(p, c, shaper, rule);
        }
        if (one < 0)
            r = one;
    }
    return r;
}

int
conf_rule_inline(struct conf_binder *b, enum conf_type type, const char *where,
        const char *option, const struct conf_node *node, const struct conf_rule **ret)
{
    struct conf_rule *rule = arena_new(b->arena, struct conf_rule);
    struct buf path = { 0 };
    struct acl_parser p = { .b = b };
    int r;

    buf_addf(&path, "%s%s", where, option);
    p.where = buf_c(&path);
    r = parse_rule(&p, node, type == CONF_T_SHAPER_ACCESS, rule);
    buf_fini(&path);
    *ret = rule;
    return r;
}

/* Checks the names of one option; fn is called with each value. */
static int
each_name(struct conf_binder *b, const char *option, const struct conf_node *map,
        bool reserved,
        int (*fn)(struct acl_parser *p, const struct conf_node *, void *to), void *to)
{
    struct buf path = { 0 };
    int r = 0, one;

    if (!map)
        return 0;
    if (map->kind != CONF_MAP) {
        if (map->n == 0 && map->kind == CONF_LIST)
            return 0;
        conf_say(b, CONF_ERROR, map->pos, "write `NAME:` lines below it",
                "invalid value of option %s: expected a map", option);
        return -EINVAL;
    }
    conf_node_for(c, map)
    {
        struct acl_parser p = { .b = b };

        buf_reset(&path, 4096);
        buf_addf(&path, "%s->%.*s", option, STR_ARG(c->key->text));
        p.where = buf_c(&path);
        if (c->key->text.n == 0)
            one = fail(&p, c->key, "give it a name", "a rule without a name");
        else if (reserved &&
                 (str_eq_c(c->key->text, "all") || str_eq_c(c->key->text, "none")))
            one = fail(&p, c->key, "choose another name", "this name is predefined");
        else if (conf_node_find(map, c->key->text) != c)
            one = fail(&p, c->key, "remove one of the two", "the name is given twice");
        else
            one = fn(&p, c, to);
        if (one < 0)
            r = one;
    }
    buf_fini(&path);
    return r;
}

static int
add_acl(struct acl_parser *p, const struct conf_node *node, void *to)
{
    struct conf_rules *rules = to;
    struct conf_acl *acl = &rules->acl[rules->n_acls++];

    *acl = (struct conf_acl){ .name = str_dup(p->b->arena, node->key->text) };
    p->in_list = true;
    return parse_acl(p, node, acl);
}

static int
add_access(struct acl_parser *p, const struct conf_node *node, void *to)
{
    struct conf_rules *rules = to;
    struct conf_rule *rule = &rules->access[rules->n_access++];

    *rule = (struct conf_rule){ .name = str_dup(p->b->arena, node->key->text) };
    return parse_rule(p, node, false, rule);
}

static int
add_shaper(struct acl_parser *p, const struct conf_node *node, void *to)
{
    struct conf_rules *rules = to;
    struct conf_rule *rule = &rules->shaper[rules->n_shapers++];

    *rule = (struct conf_rule){ .name = str_dup(p->b->arena, node->key->text) };
    return parse_rule(p, node, true, rule);
}

int
conf_rules_new(struct conf_binder *b, const struct conf_node *acl,
        const struct conf_node *access, const struct conf_node *shaper,
        struct conf_rules **ret)
{
    struct conf_rules *rules = arena_new(b->arena, struct conf_rules);
    int r, one;

    rules->acl = arena_alloc(b->arena, ((acl ? acl->n : 0) + 1) * sizeof *rules->acl);
    rules->access = arena_alloc(
            b->arena, ((access ? access->n : 0) + 1) * sizeof *rules->access);
    rules->shaper = arena_alloc(
            b->arena, ((shaper ? shaper->n : 0) + 1) * sizeof *rules->shaper);
    r = each_name(b, "acl", acl, true, add_acl, rules);
    one = each_name(b, "access_rules", access, true, add_access, rules);
    if (one < 0)
        r = one;
    one = each_name(b, "shaper_rules", shaper, false, add_shaper, rules);
    if (one < 0)
        r = one;
    *ret = rules;
    return r;
}
