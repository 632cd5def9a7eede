#ifndef SQL_TEXT_H
#define SQL_TEXT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "sql/op.h"

/* Which tables and columns a database has: keys "table" and "table.column". */
struct sql_layout {
    struct arena *arena;
    struct map has;
};
void sql_layout_add(struct sql_layout *layout, struct str table, struct str column);
bool sql_layout_has(
        const struct sql_layout *layout, const char *table, const char *column);
void sql_layout_fini(struct sql_layout *layout); /* the arena is its owner's */

/* For whom a template is filled in. */
struct sql_dialect {
    enum sql_engine_type engine;
    bool multihost;
    const struct sql_layout *layout;
};

/*
 * A statement of one engine. param[i] says what its parameter i + 1 is: 0 the host,
 * else the operation's parameter param[i] - 1.
 */
struct sql_stmt {
    const char *text; /* "" when nothing is to be done */
    size_t n_params;
    uint8_t param[SQL_PARAMS_MAX + 1];
    char type[SQL_PARAMS_MAX + 1]; /* of each, as in op.def */
};

/*
 * Fills a template in. Besides what op.def says, for the schema:
 *   {def}      the column server_host and a comma, where there is one
 *   {created}  created_at, the time of the row
 *   {serial}   a number counted up by the database
 * def NULL: there are no parameters, and a colon is a colon. A template that is not
 * well-formed is a bug and asserts.
 */
void sql_text_fill(
        struct buf *out, const char *text, const struct sql_dialect *dialect);
void sql_text_compile(struct arena *arena, const char *text,
        const struct sql_dialect *dialect, const struct sql_op_def *def,
        struct sql_stmt *ret_stmt);

#endif
