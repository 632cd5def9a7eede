#ifndef SQL_ENGINE_H
#define SQL_ENGINE_H

#include "base/arena.h"
#include "base/list.h"
#include "sql/op.h"
#include "sql/text.h"

/*
 * What db.c and an engine (sqlite.c, pgsql.c) are for each other.
 *
 * A connection lives through: open, scripts (the schema), prepare, groups; and ends by
 * close, which db.c calls, also when the engine has said sql_db_on_lost(). One script,
 * prepare or group is under way at a time. An engine may answer before its function has
 * returned. After sql_db_on_lost() the connection is gone: touch nothing.
 */
struct sql_conn; /* opaque, each engine's own */
struct loop;

/* One request on its way. Strings are terminated. */
struct sql_req {
    struct list node;
    enum sql_op op;
    const struct sql_op_def *def;
    struct str host;
    struct sql_write_id id;
    struct sql_value *param;
    size_t n_params, size; /* size: bytes on the heap */
    uint64_t since_ms, until_ms;
    sql_done_fn done;
    void *arg;
    unsigned n_tries; /* how often its group was lost or split */
    bool alone; /* in a group of its own: another request of its group failed, or it */
    bool answered;            /* its time was over while it was under way */
    struct sql_result result; /* the engine's answer; in the arena of the group */
    size_t result_bytes;      /* how big that is by now */
};

/* A connection's statements: stmt[op][step], of which text "" is skipped. */
struct sql_stmts {
    struct sql_stmt stmt[SQL_OPS][SQL_STEPS_MAX];
    bool has_write_ids; /* the table stanzad_write is there */
};

/* What one statement of a script tells: rows are all texts. error NULL: it worked. */
typedef void (*sql_script_fn)(
        void *arg, const char *error, const struct sql_result *rows);

struct sql_engine {
    const char *name;
    struct sql_conn *(*open)(struct sql_db *db); /* makes it; start() begins */
    /* Ends in sql_db_on_open() or sql_db_on_lost(). */
    void (*start)(struct sql_conn *conn);
    void (*close)(struct sql_conn **conn);
    /*
     * Statements separated by semicolons; fn is called once unless the connection ends.
     */
    void (*script)(
            struct sql_conn *conn, const char *text, sql_script_fn fn, void *arg);
    /*
     * Ends in sql_db_on_prepared(); sql_db_on_unusable() before, for what cannot be
     * prepared.
     */
    void (*prepare)(struct sql_conn *conn, const struct sql_stmts *stmts);
    /*
     * Runs a list of struct sql_req, all reading or all writing, in order; ends in
     * sql_db_on_group() with all results set. If a change fails that is not alone, or
     * its commit, nothing of the group is done and it ends in sql_db_on_group_failed().
     */
    void (*run)(struct sql_conn *conn, struct list *group, bool writes);
    /* The longest time of one statement, from now on. */
    void (*limit)(struct sql_conn *conn, uint64_t ms, sql_script_fn fn, void *arg);
};
extern const struct sql_engine sql_engine_sqlite, sql_engine_pgsql;

/* For the engines. */
struct loop *sql_db_loop(struct sql_db *db);
const struct sql_settings *sql_db_settings(const struct sql_db *db);
const char *sql_db_name(const struct sql_db *db);
struct arena *sql_db_group_arena(struct sql_db *db);
bool sql_db_has(const struct sql_db *db, const struct sql_conn *conn); /* not gone? */
void sql_db_on_open(struct sql_db *db);
/* A statement cannot be prepared: its operation will be an error. */
void sql_db_on_unusable(struct sql_db *db, enum sql_op op, const char *why);
void sql_db_on_prepared(struct sql_db *db);
void sql_db_on_lost(struct sql_db *db, const char *why);
void sql_db_on_read(
        struct sql_db *db, struct sql_req *req); /* its result is complete */
void sql_db_on_group(struct sql_db *db);
/* req: whose fault it was, its result set; NULL: not known. */
void sql_db_on_group_failed(struct sql_db *db, struct sql_req *req);
/* Somebody else holds the database: try the same group again a little later. */
void sql_db_on_group_busy(struct sql_db *db);

/* The value of a statement's parameter i for one row of repeated parameters. */
struct sql_value sql_req_param(
        const struct sql_req *req, const struct sql_stmt *stmt, size_t i, size_t row);

/* How often a step runs: once, or once per row. */
size_t sql_req_times(const struct sql_req *req, size_t step);

#endif
