#ifndef SQL_SQLITE_ROWS_H
#define SQL_SQLITE_ROWS_H

#include <sqlite3.h>

#include "sql/engine.h"

/* Rows on their way into an arena; but for that, { 0 } are none. */
struct sqlite_rows {
    struct arena *arena;
    struct sql_value *value;
    size_t n_rows, n_cols, size, bytes;
};

/*
 * Takes the row at which the statement is. def NULL: all are texts. A statement may
 * have fewer columns than its operation: then the others are NULL. SQLITE_OK, or
 * SQLITE_TOOBIG: they are more than one result may have.
 */
int sqlite_rows_add(
        struct sqlite_rows *rows, sqlite3_stmt *stmt, const struct sql_op_def *def);

/* Values in the arena. */
void sqlite_rows_result(const struct sqlite_rows *rows, struct sql_result *result);

#endif
