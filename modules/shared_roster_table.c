/*
 * shared_roster_table.c -- the groups of a host in memory
 *
 * A cache of the database, on the heap: a successor reads it again. As in ejabberd a
 * user is a member by the tables of his own host only; groups may show groups of other
 * hosts, "group@host".
 */
#include "modules/shared_roster.h"

static struct {
    struct map tables; /* by host */
    bool linked;
} all;

struct sr_table *
sr_table_of(struct str host)
{
    struct sr_table *t = map_get(&all.tables, host);

    if (t)
        return t;
    t = mem_zalloc(sizeof *t);
    t->host = str_heap_c(host);
    map_set(&all.tables, (struct str){ t->host, host.n }, t);
    return t;
}

bool
sr_table_next(size_t *at, struct sr_table **ret)
{
    struct map_entry *e = map_next(&all.tables, at);

    *ret = e ? e->value : NULL;
    return e != NULL;
}

struct sr_content *
sr_content_new(struct sr_table *t)
{
    struct sr_content *c = mem_zalloc(sizeof *c);

    c->table = t;
    return c;
}

static void
group_free(struct sr_group *g)
{
    map_fini(&g->members);
    mem_free_p(g->shows);
    mem_free_p(g->shown_by);
    arena_fini(&g->arena);
    mem_free_p(g);
}

void
sr_content_free(struct sr_content **pc)
{
    struct sr_content *c = *pc;
    struct map_entry *e;
    size_t at = 0;

    if (!c)
        return;
    while ((e = map_next(&c->groups, &at)))
        group_free(e->value);
    at = 0;
    while ((e = map_next(&c->users, &at))) {
        struct sr_user *u = e->value;

        mem_free_p(u->groups);
        mem_free_p(u->bare);
        mem_free_p(u);
    }
    map_fini(&c->groups);
    map_fini(&c->users);
    mem_free_p(c->special);
    mem_free(pc);
    all.linked = false;
}

/* --- Changes --- */

struct sr_user *
sr_find_user(const struct sr_content *c, struct str bare)
{
    return map_get(&c->users, bare);
}

struct sr_user *
sr_put_user(struct sr_content *c, struct str bare)
{
    struct sr_user *u = map_get(&c->users, bare);

    if (u)
        return u;
    u = mem_zalloc(sizeof *u);
    u->bare = str_heap_c(bare);
    u->bare_n = bare.n;
    map_set(&c->users, (struct str){ u->bare, u->bare_n }, u);
    return u;
}

static struct sr_group *
group_of(struct sr_content *c, struct str name)
{
    struct sr_group *g = map_get(&c->groups, name);
    char *copy;

    if (g)
        return g;
    g = mem_zalloc(sizeof *g);
    arena_init(&g->arena, 256);
    g->content = c;
    copy = str_dup_c(&g->arena, name);
    g->name = (struct str){ copy, name.n };
    map_set(&c->groups, g->name, g);
    return g;
}

/* The list of those that have members without naming them. */
static void
find_special(struct sr_content *c)
{
    struct map_entry *e;
    size_t at = 0;

    c->n_special = 0;
    c->has_all = c->has_online = false;
    c->special = mem_realloc(c->special, (c->groups.n + 1) * sizeof(struct sr_group *));
    while ((e = map_next(&c->groups, &at))) {
        struct sr_group *g = e->value;

        if (!g->exists || (!g->opts.all && !g->opts.online))
            continue;
        c->has_all = c->has_all || g->opts.all;
        c->has_online = c->has_online || g->opts.online;
        c->special[c->n_special++] = g;
    }
    all.linked = false;
}

void
sr_put_group(struct sr_content *c, struct str name, struct str opts)
{
    struct sr_group *g = group_of(c, name);
    struct sr_opts read;
    struct arena arena;

    arena_init(&arena, 1024);
    map_del(&c->groups, name); /* the key is about to move */
    sr_opts_read(&arena, opts, &read);
    g->name = str_dup(&arena, name);
    arena_fini(&g->arena);
    g->arena = arena;
    g->opts = read;
    g->exists = true;
    map_set(&c->groups, g->name, g);
    find_special(c);
}

static void
forget_membership(struct sr_user *u, const struct sr_group *g)
{
    for (size_t i = 0; i < u->n_groups; i++) {
        if (u->groups[i] == g) {
            u->groups[i] = u->groups[--u->n_groups];
            return;
        }
    }
}

void
sr_del_group(struct sr_content *c, struct str name)
{
    struct sr_group *g = map_del(&c->groups, name);
    struct map_entry *e;
    size_t at = 0;

    if (!g)
        return;
    while ((e = map_next(&g->members, &at)))
        forget_membership(e->value, g);
    group_free(g);
    find_special(c);
}

void
sr_put_member(struct sr_content *c, struct str bare, struct str group)
{
    struct sr_group *g = group_of(c, group);
    struct sr_user *u = sr_put_user(c, bare);

    if (map_get(&g->members, bare))
        return;
    map_set(&g->members, (struct str){ u->bare, u->bare_n }, u);
    u->groups = mem_realloc(u->groups, (u->n_groups + 1) * sizeof(struct sr_group *));
    u->groups[u->n_groups++] = g;
}

void
sr_del_member(struct sr_content *c, struct str bare, struct str group)
{
    struct sr_group *g = map_get(&c->groups, group);
    struct sr_user *u = g ? map_del(&g->members, bare) : NULL;

    if (u)
        forget_membership(u, g);
}

/* --- Who shows whom --- */

bool
sr_foreign(struct str name, struct str *ret_group, struct str *ret_host)
{
    const char *at = memchr(name.p, '@', name.n);

    if (!at)
        return false;
    *ret_group = (struct str){ name.p, (size_t)(at - name.p) };
    *ret_host = (struct str){ at + 1, name.n - ret_group->n - 1 };
    return true;
}

static struct sr_group *
resolve(struct sr_content *c, struct str name)
{
    struct str host;
    struct sr_group *g;

    if (sr_foreign(name, &name, &host)) {
        const struct sr_table *t = map_get(&all.tables, host);

        c = t ? t->now : NULL;
    }
    g = c ? map_get(&c->groups, name) : NULL;
    return g && g->exists && !g->opts.disabled ? g : NULL;
}

static void
push(struct sr_group ***list, size_t *n, struct sr_group *g)
{
    for (size_t i = 0; i < *n; i++) {
        if ((*list)[i] == g)
            return;
    }
    *list = mem_realloc(*list, (*n + 1) * sizeof **list);
    (*list)[(*n)++] = g;
}

static void
each_of_all(void (*fn)(struct sr_group *g))
{
    struct sr_table *t;
    struct map_entry *e;

    for (size_t at = 0; sr_table_next(&at, &t);) {
        for (size_t i = 0; t->now && (e = map_next(&t->now->groups, &i));)
            fn(e->value);
    }
}

static void
unlink_group(struct sr_group *g)
{
    g->n_shows = g->n_shown_by = 0;
}

static void
link_group(struct sr_group *g)
{
    if (!g->exists || g->opts.disabled)
        return;
    for (size_t i = 0; i < g->opts.n_displayed; i++) {
        struct sr_group *other = resolve(g->content, g->opts.displayed[i]);

        if (!other)
            continue;
        push(&g->shows, &g->n_shows, other);
        push(&other->shown_by, &other->n_shown_by, g);
    }
}

void
sr_link(struct worker *w, const struct module *m)
{
    struct sr_table *t;

    if (all.linked)
        return;
    for (size_t at = 0; sr_table_next(&at, &t);) {
        const struct conf_host *host = host_of(w, str_from(t->host));

        if (host && module_config(w, host, m))
            continue;
        sr_content_free(&t->now); /* of a host that has it no more */
        t->state = SR_UNKNOWN;
    }
    each_of_all(unlink_group);
    each_of_all(link_group);
    all.linked = true;
}

/* --- Questions --- */

static bool
is_special_member(const struct sr_group *g, const struct sr_user *u)
{
    return (g->opts.all && u->registered) || (g->opts.online && u->online);
}

bool
sr_is_member(const struct sr_group *g, struct str bare)
{
    const struct sr_user *u = sr_find_user(g->content, bare);

    return u && (map_get(&g->members, bare) || is_special_member(g, u));
}

void
sr_each_group(const struct sr_content *c, const struct sr_user *u,
        void (*each)(void *arg, struct sr_group *g), void *arg)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->n_groups; i++) {
        if (u->groups[i]->exists && !u->groups[i]->opts.disabled)
            each(arg, u->groups[i]);
    }
    for (size_t i = 0; i < c->n_special; i++) {
        if (!c->special[i]->opts.disabled && is_special_member(c->special[i], u))
            each(arg, c->special[i]);
    }
}

void
sr_each_member(
        const struct sr_group *g, void (*each)(void *arg, struct str bare), void *arg)
{
    struct map_entry *e;
    size_t at = 0;

    while ((e = map_next(&g->members, &at)))
        each(arg, e->key);
    for (at = 0; g->opts.all || g->opts.online;) {
        e = map_next(&g->content->users, &at);
        if (!e)
            return;
        if (is_special_member(g, e->value) && !map_get(&g->members, e->key))
            each(arg, e->key);
    }
}
