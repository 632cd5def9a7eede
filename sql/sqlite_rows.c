/*
 * sqlite_rows.c -- what a statement of SQLite's gives, as values
 */
#include "sql/sqlite_rows.h"

#include <assert.h>

enum {
    RESULT_BYTES_MAX = 16 << 20,
    ROWS_FIRST = 24 /* room for so many at first */
};

static struct sql_value
column_text(struct arena *arena, sqlite3_stmt *stmt, int i)
{
    const char *text = (const char *)sqlite3_column_text(stmt, i);
    int n = text ? sqlite3_column_bytes(stmt, i) : 0;

    return text ? sql_text(str_dup(arena, (struct str){ text, (size_t)n }))
                : sql_null();
}

static struct sql_value
column_value(struct arena *arena, sqlite3_stmt *stmt, int i, char type)
{
    int kind;
    const char *text;

    if (type != 'i' && type != 'b')
        return column_text(arena, stmt, i);
    kind = sqlite3_column_type(stmt, i);
    if (kind == SQLITE_NULL)
        return sql_null();
    if (type == 'i' || kind == SQLITE_INTEGER)
        return sql_int(sqlite3_column_int64(stmt, i));
    text = (const char *)sqlite3_column_text(stmt, i);
    return sql_int(text && (*text == 't' || *text == '1'));
}

int
sqlite_rows_add(
        struct sqlite_rows *rows, sqlite3_stmt *stmt, const struct sql_op_def *def)
{
    size_t n = (size_t)sqlite3_column_count(stmt);
    struct sql_value *v;

    rows->n_cols = def ? def->n_cols : n;
    if ((rows->n_rows + 1) * rows->n_cols > rows->size) {
        struct sql_value *old = rows->value;

        rows->size = rows->size ? rows->size * 2 : ROWS_FIRST * rows->n_cols;
        rows->value = arena_alloc(rows->arena, rows->size * sizeof *rows->value);
        if (old)
            memcpy(rows->value, old, rows->n_rows * rows->n_cols * sizeof *old);
    }
    assert(rows->value && n <= rows->n_cols);
    v = &rows->value[rows->n_rows * rows->n_cols];
    for (size_t i = 0; i < n; i++) {
        v[i] = column_value(rows->arena, stmt, (int)i, def ? def->cols[i] : 't');
        rows->bytes += v[i].s.n;
    }
    for (size_t i = n; i < rows->n_cols; i++)
        v[i] = (struct sql_value){ .kind = SQL_NULL };
    rows->bytes += rows->n_cols * sizeof *v;
    rows->n_rows++;
    return rows->bytes > RESULT_BYTES_MAX ? SQLITE_TOOBIG : SQLITE_OK;
}

void
sqlite_rows_result(const struct sqlite_rows *rows, struct sql_result *result)
{
    result->n_rows = rows->n_rows;
    result->n_cols = rows->n_cols;
    result->value = rows->value;
}
