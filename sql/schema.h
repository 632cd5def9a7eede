#ifndef SQL_SCHEMA_H
#define SQL_SCHEMA_H

#include "sql/engine.h"

/*
 * Looks at the tables of a database that has just been connected, and brings them up to
 * date (schema.def) unless settings->update_schema is false: then it only reports. No
 * step destroys data; each module's steps are one transaction.
 */
struct sql_schema; /* opaque: one such run */

/* error NULL: the layout is what the operations will find, in its own arena. */
typedef void (*sql_schema_fn)(void *arg, const char *error);

/* layout is the caller's, empty; it is filled in before fn is called. */
struct sql_schema *sql_schema_new(const struct sql_engine *engine,
        struct sql_conn *conn, const struct sql_settings *settings, const char *name,
        struct sql_layout *layout, sql_schema_fn fn, void *arg);

/*
 * fn is called once, perhaps before this returns, unless the run is freed first; fn may
 * free it.
 */
void sql_schema_start(struct sql_schema *schema);
void sql_schema_free(struct sql_schema **schema);

#endif
