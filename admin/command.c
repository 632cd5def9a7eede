/*
 * command.c -- the table of commands, taken apart once
 *
 * The columns "arguments" and "result" are little texts in ejabberd's notation; a
 * mistake in one of them is a bug, found by the first program that starts.
 */
#include "admin/command.h"

#include <assert.h>
#include <errno.h>

#include "base/mem.h"

enum {
    SERVER,
    CLIENT
};

static struct command commands[COMMANDS] = {
#define COMMAND(name_, where, args_, result, since_, tags_, sentence_) \
    [COMMAND_##name_##_##since_] = { .id = COMMAND_##name_##_##since_, \
        .name = #name_,                                                \
        .args_spec = args_,                                            \
        .result_spec = result,                                         \
        .tags = tags_,                                                 \
        .sentence = sentence_,                                         \
        .at_client = where,                                            \
        .since = since_ },
#include "admin/commands.def"
#undef COMMAND
};

static const struct argument {
    const char *tag; /* NULL: of all commands that have no row of their own */
    const char *name, *example, *sentence;
} arguments[] = {
#define ARGUMENT(name, example, sentence)         { NULL, #name, example, sentence },
#define ARGUMENT_OF(tag, name, example, sentence) { #tag, #name, example, sentence },
#include "admin/arguments.def"
#undef ARGUMENT
#undef ARGUMENT_OF
};

/* "name:type": takes the name off, what is left is the type. */
static struct str
name_cut(struct str *spec)
{
    struct str name = STR_NULL;
    bool there = str_cut(spec, ':', &name);

    assert(there && spec->n > 0);
    return str_trim(name);
}

static void
args_parse(struct command *c)
{
    struct str rest = str_from(c->args_spec), part;

    while (rest.n > 0 && str_cut(&rest, ',', &part)) {
        struct command_arg *a = &c->arg[c->n_args++];
        struct str name = name_cut(&part);

        assert(c->n_args <= COMMAND_ARGS_MAX);
        assert(part.n == 1 || (part.n == 2 && part.p[1] == '?'));
        *a = (struct command_arg){ name, part.p[0], part.n == 2 };
        assert(memchr("siplfh", a->type, 6));
        assert(a->optional || c->n_args_min == c->n_args - 1);
        c->n_args_min += !a->optional;
    }
}

static void
fields_parse(struct command *c, struct str spec)
{
    struct str part;

    while (str_cut(&spec, ',', &part)) {
        struct str name = name_cut(&part);

        assert(c->n_fields < COMMAND_FIELDS_MAX && part.n == 1);
        c->field[c->n_fields++] = (struct command_field){ name, part.p[0] };
    }
}

static struct str
unwrap(struct str s, struct str open, struct str close)
{
    assert(str_starts(s, open) && str_ends(s, close));
    return (struct str){ s.p + open.n, s.n - open.n - close.n };
}

static void
result_parse(struct command *c)
{
    struct str spec = str_from(c->result_spec), type = spec;

    name_cut(&type);
    if (str_eq_c(type, "rescode")) {
        c->shape = SHAPE_RESCODE;
    } else if (str_eq_c(type, "restuple")) {
        c->shape = SHAPE_RESTUPLE;
    } else if (str_starts(type, STR("[{"))) {
        c->shape = SHAPE_RECORDS;
        fields_parse(c, unwrap(type, STR("[{"), STR("}]")));
    } else if (str_starts(type, STR("["))) {
        c->shape = SHAPE_LIST;
        fields_parse(c, unwrap(type, STR("["), STR("]")));
        assert(c->n_fields == 1);
    } else if (str_starts(type, STR("{"))) {
        c->shape = SHAPE_RECORD;
        fields_parse(c, unwrap(type, STR("{"), STR("}")));
    } else if (str_starts(type, STR("table{"))) {
        c->shape = SHAPE_TABLE;
        fields_parse(c, unwrap(type, STR("table{"), STR("}")));
    } else {
        c->shape = SHAPE_SCALAR;
        fields_parse(c, spec);
    }
}

const struct command *
command_at(enum command_id id)
{
    static bool parsed;

    if (!parsed) {
        for (size_t i = 0; i < COMMANDS; i++) {
            args_parse(&commands[i]);
            result_parse(&commands[i]);
        }
        parsed = true;
    }
    return &commands[id];
}

bool
command_name_eq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        char x = a.p[i] == '-' ? '_' : a.p[i], y = b.p[i] == '-' ? '_' : b.p[i];

        if (x != y)
            return false;
    }
    return true;
}

const struct command *
command_find(struct str name, unsigned api_version)
{
    const struct command *found = NULL;

    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *c = command_at((enum command_id)i);

        if (command_name_eq(name, str_from(c->name)) && c->since <= api_version)
            found = c;
    }
    return found;
}

bool
command_is_replaced(const struct command *c)
{
    return command_find(str_from(c->name), COMMAND_API_LATEST) != c;
}

bool
command_has_tag(const struct command *c, struct str tag)
{
    struct str rest = str_from(c->tags), head;

    while (str_cut(&rest, ',', &head))
        if (str_eq(head, tag))
            return true;
    return false;
}

/* A name that is far too long is near to nothing: not worth the product of lengths. */
const char *
command_nearest(struct str name)
{
    const char *best = commands[0].name;
    unsigned best_distance = ~0u;

    if (name.n > 64)
        name.n = 64;
    for (size_t i = 0; i < COMMANDS; i++) {
        unsigned d = str_distance(name, str_from(commands[i].name));

        if (d < best_distance) {
            best_distance = d;
            best = commands[i].name;
        }
    }
    return best;
}

static const struct argument *
argument_find(const struct command *c, struct str name)
{
    const struct argument *found = NULL;

    for (size_t i = 0; i < ARRAY_LEN(arguments); i++) {
        const struct argument *a = &arguments[i];

        if (!str_eq_c(name, a->name))
            continue;
        if (a->tag && command_has_tag(c, str_from(a->tag)))
            return a;
        if (!a->tag)
            found = a;
    }
    return found;
}

const char *
argument_sentence(const struct command *c, struct str name)
{
    const struct argument *a = argument_find(c, name);

    return a ? a->sentence : NULL;
}

const char *
argument_example(const struct command *c, struct str name)
{
    const struct argument *a = argument_find(c, name);

    return a ? a->example : NULL;
}

int
command_check(
        const struct command *c, const struct str *arg, size_t n, struct buf *ret_error)
{
    if (n < c->n_args_min || n > c->n_args) {
        bool more = n < c->n_args_min;

        buf_addf(ret_error, "the command '%s' requires %zu %s argument.", c->name,
                more ? c->n_args_min - n : n - c->n_args, more ? "more" : "less");
        return -EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        const struct command_arg *a = &c->arg[i];
        int64_t number;

        if (!str_is_utf8(arg[i]) || (arg[i].n && memchr(arg[i].p, '\0', arg[i].n))) {
            buf_addf(ret_error, "argument '%.*s' is not UTF-8 text.", STR_ARG(a->name));
            return -EINVAL;
        }
        if (a->type == 'i' && str_to_i64(arg[i], &number) < 0) {
            buf_addf(
                    ret_error, "argument '%.*s' must be an integer.", STR_ARG(a->name));
            return -EINVAL;
        }
    }
    return 0;
}
