/*
 * op.c -- the operations of op.def as a table
 *
 * The rows are taken apart at the first use; a mistake in op.def is a bug and asserts.
 */
#include "sql/op.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>

struct op_row {
    const char *name;
    unsigned how;
    const char *params, *each, *cols;
    struct sql_step_def step[SQL_STEPS_MAX];
};

#define READS  0
#define WRITES 1
#define LATER  (WRITES | 2)
#define TWICE  4
#define ROWS(text)                  \
    {                               \
        SQL_STEP_ROWS, SQL_OK, text \
    }
#define ROWS_EACH(text)                  \
    {                                    \
        SQL_STEP_ROWS_EACH, SQL_OK, text \
    }
#define DO(text)                  \
    {                             \
        SQL_STEP_DO, SQL_OK, text \
    }
#define EACH(text)                  \
    {                               \
        SQL_STEP_EACH, SQL_OK, text \
    }
#define NEED(status, text)          \
    {                               \
        SQL_STEP_NEED, status, text \
    }
#define HIT(status, text)          \
    {                              \
        SQL_STEP_HIT, status, text \
    }

static const struct op_row op_rows[SQL_OPS] = {
#define OP(op_name, op_how, op_params, op_each, op_cols, ...) \
    [SQL_##op_name] = { .name = #op_name,                     \
        .how = op_how,                                        \
        .params = op_params,                                  \
        .each = op_each,                                      \
        .cols = op_cols,                                      \
        .step = { __VA_ARGS__ } },
#include "sql/op.def"
};

static struct sql_op_def op_defs[SQL_OPS];
static char op_names[SQL_OPS][32];

static size_t
op_take_params(struct sql_op_def *def, size_t at, const char *text)
{
    struct str rest = str_from(text), word;
    size_t n = 0;

    while (rest.n && str_cut(&rest, ' ', &word)) {
        struct sql_param_def *p = &def->param[at + n];

        assert(at + n < SQL_PARAMS_MAX);
        assert(word.n > 2 && word.p[word.n - 2] == ':');
        p->type = word.p[word.n - 1];
        assert(strchr("tibu", p->type));
        p->name = (struct str){ word.p, word.n - 2 };
        n++;
    }
    return n;
}

bool
sql_step_gives_rows(enum sql_step_kind kind)
{
    return kind == SQL_STEP_ROWS || kind == SQL_STEP_ROWS_EACH;
}

bool
sql_step_is_each(enum sql_step_kind kind)
{
    return kind == SQL_STEP_EACH || kind == SQL_STEP_ROWS_EACH;
}

static void
op_take_steps(struct sql_op_def *def, const struct op_row *row)
{
    def->step = row->step;
    while (def->n_steps < SQL_STEPS_MAX && row->step[def->n_steps].kind)
        def->n_steps++;
    for (size_t i = 0; i < def->n_steps; i++) {
        enum sql_step_kind kind = row->step[i].kind;

        assert(kind != SQL_STEP_HIT || (def->n_steps == 1 && def->writes));
        assert(!sql_step_gives_rows(kind) || def->n_cols > 0);
        assert(def->writes || sql_step_gives_rows(kind) || kind == SQL_STEP_NEED);
        assert(!sql_step_is_each(kind) || def->n_each > 0);
    }
}

/* The table that a change inserts into. */
static struct str
table_of(const struct op_row *row)
{
    static const char insert[] = "INSERT INTO ";
    const char *name = strstr(row->step[0].text, insert);

    assert(name);
    name += sizeof insert - 1;
    return (struct str){ name, strcspn(name, " ") };
}

static bool
in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool
names_table(const struct op_row *row, struct str table)
{
    for (size_t i = 0; i < SQL_STEPS_MAX && row->step[i].kind; i++) {
        const char *text = row->step[i].text, *at = text;

        while ((at = memmem(at, strlen(at), table.p, table.n))) {
            if ((at == text || !in_word(at[-1])) && !in_word(at[table.n]))
                return true;
            at += table.n;
        }
    }
    return false;
}

static bool
op_meets_later(const struct op_row *row)
{
    for (enum sql_op op = 0; op < SQL_OPS; op++) {
        const struct op_row *other = &op_rows[op];

        if (other != row && (other->how & LATER) == LATER &&
                names_table(row, table_of(other)))
            return true;
    }
    return false;
}

static void
op_take(enum sql_op op)
{
    const struct op_row *row = &op_rows[op];
    struct sql_op_def *def = &op_defs[op];
    size_t n = strlen(row->name);

    assert(n < sizeof op_names[op]);
    for (size_t i = 0; i < n; i++)
        op_names[op][i] = (char)tolower((unsigned char)row->name[i]);
    def->writes = row->how & WRITES;
    def->later = (row->how & LATER) == LATER;
    def->twice = row->how & TWICE;
    def->meets = op_meets_later(row);
    def->cols = row->cols;
    def->n_cols = strlen(row->cols);
    assert(def->n_cols <= SQL_COLS_MAX);
    def->n_fixed = op_take_params(def, 0, row->params);
    def->each_min_one = row->each[0] == '+';
    def->n_each = op_take_params(def, def->n_fixed, row->each + def->each_min_one);
    op_take_steps(def, row);
    def->name = op_names[op];
}

const struct sql_op_def *
sql_op_def(enum sql_op op)
{
    if ((unsigned)op >= SQL_OPS)
        return NULL;
    if (!op_defs[op].name)
        op_take(op);
    return &op_defs[op];
}

bool
sql_op_makes_once(const struct sql_op_def *def)
{
    return def->n_steps == 1 && def->step[0].kind == SQL_STEP_HIT &&
           def->step[0].otherwise == SQL_CONFLICT;
}

size_t
sql_op_rows(const struct sql_op_def *def, size_t n)
{
    return def->n_each ? (n - def->n_fixed) / def->n_each : 0;
}

static bool
value_fits(char type, const struct sql_value *v)
{
    if (v->kind == SQL_NULL)
        return true;
    switch (type) {
    case 'i':
        return v->kind == SQL_INT;
    case 'b':
        return v->kind == SQL_INT && (v->i == 0 || v->i == 1);
    case 'u':
        return v->kind == SQL_TEXT && v->s.n == 16;
    default:
        /* No engine stores a NUL in a text, and neither does XML (XML 1.0, 2.2). */
        return v->kind == SQL_TEXT && str_is_utf8(v->s) &&
               !(v->s.n && memchr(v->s.p, '\0', v->s.n));
    }
}

int
sql_op_check(const struct sql_op_def *def, const struct sql_value *param, size_t n)
{
    size_t rows;

    if (n < def->n_fixed || (def->n_each == 0 && n != def->n_fixed))
        return -EINVAL;
    rows = sql_op_rows(def, n);
    if (n != def->n_fixed + rows * def->n_each || rows > SQL_ROWS_MAX)
        return -EINVAL;
    if (def->each_min_one && rows == 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        size_t k =
                i < def->n_fixed ? i : def->n_fixed + (i - def->n_fixed) % def->n_each;

        if (!value_fits(def->param[k].type, &param[i]))
            return -EINVAL;
    }
    return 0;
}
