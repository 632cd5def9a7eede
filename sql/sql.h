#ifndef SQL_SQL_H
#define SQL_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/*
 * One database: requests go in, each is answered once. Nothing here blocks, except that
 * SQLite itself works in the calling process.
 */
struct loop;
struct sql_db; /* opaque: one connection */

enum sql_engine_type {
    SQL_ENGINE_SQLITE,
    SQL_ENGINE_PGSQL
};

/* Strings are copied by sql_db_open; unset ones have p == NULL. */
struct sql_settings {
    enum sql_engine_type type;
    struct str database; /* SQLite: the file; its folder is made when it is missing */
    struct str server;   /* a host name, an address, or the folder of a Unix socket */
    struct str username, password;
    uint32_t port;
    bool ssl, ssl_verify;
    struct str ssl_cafile, ssl_certfile;
    uint64_t connect_timeout_ms;    /* sql_connect_timeout */
    uint64_t query_timeout_ms;      /* sql_query_timeout */
    uint64_t start_interval_ms;     /* the longest wait between two attempts */
    uint64_t keepalive_interval_ms; /* 0: none */
    uint64_t schema_timeout_ms;     /* update_sql_schema_timeout */
    bool multihost;                 /* tables have a column server_host */
    bool update_schema;             /* false: look at it and report only */
    bool password_types;            /* users.type is added where it is missing */
    bool no_prepared_statements;    /* sql_prepared_statements: false */
};

/* The operations: SQL_USER_GET ... (sql/op.def). */
enum sql_op {
#define OP(name, ...) SQL_##name,
#include "sql/op.def"
    SQL_OPS
};

enum sql_kind {
    SQL_NULL,
    SQL_INT, /* and boolean: 0 or 1 */
    SQL_TEXT
};
struct sql_value {
    enum sql_kind kind;
    int64_t i;
    struct str s;
};
struct sql_value sql_null(void);
struct sql_value sql_int(int64_t i);
struct sql_value sql_text(struct str s);

enum sql_status {
    SQL_OK,
    SQL_CONFLICT,    /* what was to be made exists; nothing was done */
    SQL_NOT_FOUND,   /* what was to be changed does not exist; nothing was done */
    SQL_UNAVAILABLE, /* not known to be done: the same request, same id, may be repeated
                      */
    SQL_ERROR        /* will not work, nothing was done; logged */
};
const char *sql_status_name(enum sql_status status);

/*
 * The name of one change, made by whoever wants it before it is first sent. A request
 * that is repeated with the same id is done once: ids are kept in the database (table
 * stanzad_write), each in the transaction of its change, for SQL_REPEAT_MAX_MS. An id
 * begins with its time, so that the table grows at one end and is cut at the other.
 */
struct sql_write_id {
    unsigned char b[16]; /* 48 bits of milliseconds since 1970, 80 bits at random */
};
enum {
    SQL_REPEAT_MAX_MS = 15 * 60 * 1000
};
void sql_write_id_new(struct sql_write_id *ret_id);
bool sql_write_id_is_set(const struct sql_write_id *id);
uint64_t sql_write_id_ms(const struct sql_write_id *id);

struct sql_result {
    enum sql_status status;
    bool repeated;    /* this change was done before; there are no rows */
    uint64_t changed; /* rows changed, of all steps together */
    size_t n_rows, n_cols;
    const struct sql_value *value; /* row by row; texts are terminated as well */
};

/* The result is valid during the call. May call sql_request. */
typedef void (*sql_done_fn)(void *arg, const struct sql_result *result);

/* Which database of a host: by its default_db, or by an auth_method or db_type. */
enum sql_which {
    SQL_WHICH_DEFAULT,
    SQL_WHICH_EMBEDDED, /* mnesia: our SQLite file */
    SQL_WHICH_SQL       /* sql: what sql_type says */
};

struct sql_call {
    enum sql_op op;
    enum sql_which which;   /* for sql/client.h; sql_request knows its database */
    struct str host;        /* prepared name of the virtual host */
    struct sql_write_id id; /* of a change; all zero: one is made */
    uint64_t timeout_ms;    /* 0: query_timeout_ms */
    const struct sql_value *param;
    size_t n_params; /* the fixed ones and any number of repeated rows */
    sql_done_fn done;
    void *arg;
};

/*
 * Queues a request; everything is copied. done is called later, never from in here, and
 * for a change only after its commit. Requests take effect in the order in which they
 * were made.
 *
 * -EINVAL: parameters do not fit the operation, or a text is not UTF-8 or has a NUL;
 * -ESTALE: the id is older than SQL_REPEAT_MAX_MS; -ENOBUFS: the queue is full. done is
 * not called then.
 */
int sql_request(struct sql_db *db, const struct sql_call *call);

/* Starts connecting, and goes on trying until the end. name is for the log. */
struct sql_db *sql_db_open(
        struct loop *loop, const struct sql_settings *settings, const char *name);

/* Unanswered requests are answered with SQL_UNAVAILABLE first. Not from a done_fn. */
void sql_db_close(struct sql_db **db);

/* Called when the database has been away and is there again. */
void sql_db_on_back(struct sql_db *db, void (*fn)(void *arg), void *arg);

enum sql_state {
    SQL_AWAY,
    SQL_CONNECTING, /* and bringing the schema up to date */
    SQL_READY
};
enum sql_state sql_db_state(const struct sql_db *db);
const char *sql_db_why_away(const struct sql_db *db); /* "" when it is not */

struct sql_stats {
    uint64_t requests, answered, repeated;
    uint64_t groups, groups_split, commits, lost;
    size_t waiting; /* requests not answered yet */
};
void sql_db_stats(const struct sql_db *db, struct sql_stats *ret_stats);

#endif
