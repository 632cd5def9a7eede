/*
 * shared_roster_opts.c -- the options of a group as ejabberd stores them
 *
 * A list of {Name, Value} as text. What we do not know of is kept as it is.
 */
#include "modules/shared_roster.h"
#include "xmpp/erlterm.h"

enum {
    DISPLAYED_MAX = 10000
};

static struct erlterm *
parse(struct arena *arena, struct str text)
{
    struct erlterm *list;

    if (erlterm_parse(arena, text, &list) < 0 || list->type != ERLTERM_LIST)
        return erlterm_list(arena);
    return list;
}

static struct str
text_of(struct arena *arena, const struct erlterm *list, const char *name)
{
    struct str text;

    if (erlterm_text(arena, erlterm_prop(list, name), &text) < 0)
        return STR("");
    return str_dup(arena, text);
}

static bool
flag_of(const struct erlterm *list, const char *name)
{
    return erlterm_is_atom(erlterm_prop(list, name), "true");
}

void
sr_opts_read(struct arena *arena, struct str text, struct sr_opts *ret)
{
    struct erlterm *list = parse(arena, str_dup(arena, text)),
                   *names = erlterm_prop(list, "displayed_groups");

    *ret = (struct sr_opts){
        .label = text_of(arena, list, "label"),
        .description = text_of(arena, list, "description"),
        .all = flag_of(list, "all_users"),
        .online = flag_of(list, "online_users"),
        .disabled = flag_of(list, "disabled"),
    };
    if (!names || names->type != ERLTERM_LIST || names->n > DISPLAYED_MAX)
        return;
    ret->displayed = arena_alloc(arena, (names->n + 1) * sizeof *ret->displayed);
    for (const struct erlterm *t = names->first; t; t = t->next) {
        struct str name;

        if (erlterm_text(arena, t, &name) == 0 && name.n)
            ret->displayed[ret->n_displayed++] = str_dup(arena, name);
    }
}

/* --- Changes --- */

/* A copy of a list without one element or property; elements may not be in two. */
static struct erlterm *
without(struct arena *arena, const struct erlterm *list, const char *name)
{
    struct erlterm *copy = erlterm_list(arena);

    for (const struct erlterm *t = list->first; t; t = t->next) {
        struct erlterm *own = arena_new(arena, struct erlterm);

        if (erlterm_is_atom(t, name) || erlterm_is_tuple(t, name, 2))
            continue;
        *own = *t;
        own->next = NULL;
        erlterm_push(copy, own);
    }
    return copy;
}

/* The property in its place, or at the end. */
static struct erlterm *
with(struct arena *arena, const struct erlterm *list, const char *name,
        struct erlterm *value)
{
    struct erlterm *copy = erlterm_list(arena);
    bool done = false;

    for (const struct erlterm *t = list->first; t; t = t->next) {
        struct erlterm *own;

        if (!erlterm_is_atom(t, name) && !erlterm_is_tuple(t, name, 2)) {
            own = arena_new(arena, struct erlterm);
            *own = *t;
            own->next = NULL;
            erlterm_push(copy, own);
        } else if (!done) {
            erlterm_push_prop(arena, copy, name, value);
            done = true;
        }
    }
    if (!done)
        erlterm_push_prop(arena, copy, name, value);
    return copy;
}

static bool
is_one_of(struct str key, const char *const *names)
{
    for (; *names; names++) {
        if (str_eq_c(key, *names))
            return true;
    }
    return false;
}

bool
sr_opts_set(struct arena *arena, struct str before, struct str key, struct str value,
        struct buf *out)
{
    static const char *const texts[] = { "label", "description", NULL };
    static const char *const flags[] = { "all_users", "online_users", "disabled",
        NULL };
    const char *name = str_dup_c(arena, key);
    struct erlterm *list = parse(arena, before);

    if (is_one_of(key, texts))
        list = with(arena, list, name, erlterm_binary(arena, value));
    else if (!is_one_of(key, flags))
        return false;
    else if (str_eq(value, STR("true")))
        list = with(arena, list, name, erlterm_atom(arena, value));
    else if (str_eq(value, STR("false")))
        list = without(arena, list, name);
    else
        return false;
    erlterm_write(out, list);
    return true;
}

void
sr_opts_display(struct arena *arena, struct str before, struct str group, bool add,
        struct buf *out)
{
    struct erlterm *list = parse(arena, before), *names = erlterm_list(arena);
    struct sr_opts opts;

    sr_opts_read(arena, before, &opts);
    for (size_t i = 0; i < opts.n_displayed; i++) {
        if (!str_eq(opts.displayed[i], group))
            erlterm_push(names, erlterm_binary(arena, opts.displayed[i]));
    }
    if (add)
        erlterm_push(names, erlterm_binary(arena, group));
    erlterm_write(out, with(arena, list, "displayed_groups", names));
}

void
sr_opts_special(struct arena *arena, struct str before, struct str user, bool add,
        struct buf *out)
{
    const char *name = str_eq(user, STR("@all@")) ? "all_users" : "online_users";
    struct erlterm *list = parse(arena, before);

    if (add)
        list = with(arena, list, name, erlterm_atom(arena, STR("true")));
    else
        list = without(arena, list, name);
    erlterm_write(out, list);
}

void
sr_opts_new(struct arena *arena, struct str label, struct str description,
        const struct str *displayed, size_t n, bool bare, struct buf *out)
{
    struct erlterm *list = erlterm_list(arena), *names = erlterm_list(arena);

    for (size_t i = 0; i < n; i++)
        erlterm_push(names, erlterm_binary(arena, displayed[i]));
    erlterm_push_prop(arena, list, "label", erlterm_binary(arena, label));
    if (bare)
        erlterm_push_prop(
                arena, list, "description", erlterm_binary(arena, description));
    erlterm_push_prop(arena, list, "displayed_groups", names);
    if (!bare)
        erlterm_push_prop(
                arena, list, "description", erlterm_binary(arena, description));
    erlterm_write(out, list);
}
