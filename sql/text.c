/*
 * text.c -- statement templates
 *
 * All differences between the two shapes of the schema, between engines and between
 * versions of tables are settled here, once, when a database has been connected. What
 * comes in from outside is never part of a text: it only goes into parameters.
 */
#include "sql/text.h"

#include <assert.h>
#include <stdio.h>

void
sql_layout_add(struct sql_layout *layout, struct str table, struct str column)
{
    size_t n = table.n + 1 + column.n;
    char *key = arena_alloc_unaligned(layout->arena, n);

    memcpy(key, table.p, table.n);
    key[table.n] = '.';
    memcpy(key + table.n + 1, column.p, column.n);
    map_set(&layout->has, (struct str){ key, n }, layout);
    map_set(&layout->has, (struct str){ key, table.n }, layout);
}

static bool
layout_has_key(const struct sql_layout *layout, struct str key)
{
    return layout && map_get(&layout->has, key) != NULL;
}

bool
sql_layout_has(const struct sql_layout *layout, const char *table, const char *column)
{
    char key[128];
    int n = snprintf(key, sizeof key, column ? "%s.%s" : "%s", table, column);

    assert(n > 0 && (size_t)n < sizeof key);
    return layout_has_key(layout, (struct str){ key, (size_t)n });
}

void
sql_layout_fini(struct sql_layout *layout)
{
    map_fini(&layout->has);
}

struct filling {
    struct buf *out;
    const struct sql_dialect *dialect;
    const struct sql_op_def *def;
    struct sql_stmt *stmt; /* NULL: no parameters */
};

static void fill(struct filling *f, struct str text);

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || c == '_';
}

/* Where the group that begins at text.p[at] == '{' ends. */
static size_t
group_end(struct str text, size_t at)
{
    int depth = 0;

    for (; at < text.n; at++) {
        depth += text.p[at] == '{';
        depth -= text.p[at] == '}';
        if (depth == 0)
            return at;
    }
    assert(depth == 0); /* or a group is not closed */
    return at;
}

static bool
fill_word(struct filling *f, struct str word)
{
    bool pg = f->dialect->engine == SQL_ENGINE_PGSQL;
    const struct {
        const char *word, *single, *multi;
    } words[] = {
        { "where", "", "server_host = :host AND " },
        { "col", "", "server_host, " },
        { "val", "", ":host, " },
        { "def", "", "server_host text NOT NULL, " },
        { "created",
                pg ? "created_at timestamp NOT NULL DEFAULT now()"
                   : "created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP",
                NULL },
        { "serial", pg ? "bigserial" : "integer PRIMARY KEY AUTOINCREMENT", NULL },
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (str_eq_c(word, words[i].word)) {
            bool multi = f->dialect->multihost && words[i].multi;

            fill(f, str_from(multi ? words[i].multi : words[i].single));
            return true;
        }
    }
    return false;
}

/* {condition|text} */
static void
fill_condition(struct filling *f, struct str condition, struct str text)
{
    bool wanted, is;

    assert(condition.n > 1);
    if (str_eq_c(condition, "pg")) {
        is = f->dialect->engine == SQL_ENGINE_PGSQL;
    } else if (str_eq_c(condition, "lite")) {
        is = f->dialect->engine == SQL_ENGINE_SQLITE;
    } else {
        wanted = condition.p[0] == '+';
        assert(wanted || condition.p[0] == '-');
        is = wanted == layout_has_key(f->dialect->layout,
                               (struct str){ condition.p + 1, condition.n - 1 });
    }
    if (is)
        fill(f, text);
}

static void
fill_group(struct filling *f, struct str group)
{
    struct str rest = group, condition;

    if (fill_word(f, group))
        return;
    assert(memchr(group.p, '|', group.n));
    str_cut(&rest, '|', &condition);
    fill_condition(f, condition, rest);
}

/*
 * What the parameter `name` of a statement is: 0 the host, else one of the operation.
 */
static uint8_t
param_find(const struct sql_op_def *def, struct str name, char *ret_type)
{
    size_t n = def->n_fixed + def->n_each;

    *ret_type = 't';
    if (str_eq_c(name, "host"))
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (str_eq(name, def->param[i].name)) {
            *ret_type = def->param[i].type;
            return (uint8_t)(i + 1);
        }
    }
    assert(n == SIZE_MAX); /* op.def names a parameter that it does not declare */
    return 0;
}

static void
fill_param(struct filling *f, struct str name)
{
    struct sql_stmt *stmt = f->stmt;
    char type;
    uint8_t param = param_find(f->def, name, &type);
    size_t i = 0;

    while (i < stmt->n_params && stmt->param[i] != param)
        i++;
    if (i == stmt->n_params) {
        assert(i <= SQL_PARAMS_MAX);
        stmt->param[i] = param;
        stmt->type[i] = type;
        stmt->n_params++;
    }
    buf_addf(
            f->out, "%c%zu", f->dialect->engine == SQL_ENGINE_PGSQL ? '$' : '?', i + 1);
}

static void
fill(struct filling *f, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        size_t end = i + 1;

        if (c == '{') {
            end = group_end(text, i);
            fill_group(f, (struct str){ text.p + i + 1, end - i - 1 });
            i = end;
        } else if (c == ':' && f->stmt && end < text.n && is_name_char(text.p[end])) {
            while (end < text.n && is_name_char(text.p[end]))
                end++;
            fill_param(f, (struct str){ text.p + i + 1, end - i - 1 });
            i = end - 1;
        } else {
            buf_add_char(f->out, c);
        }
    }
}

void
sql_text_fill(struct buf *out, const char *text, const struct sql_dialect *dialect)
{
    struct filling f = { .out = out, .dialect = dialect };

    fill(&f, str_from(text));
}

void
sql_text_compile(struct arena *arena, const char *text,
        const struct sql_dialect *dialect, const struct sql_op_def *def,
        struct sql_stmt *ret_stmt)
{
    struct buf out = { 0 };
    struct sql_stmt stmt = { 0 };
    struct filling f = { .out = &out, .dialect = dialect, .def = def, .stmt = &stmt };

    fill(&f, str_from(text));
    stmt.text = str_dup_c(arena, buf_str(&out));
    buf_fini(&out);
    *ret_stmt = stmt;
}
