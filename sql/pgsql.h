#ifndef SQL_PGSQL_H
#define SQL_PGSQL_H

#include <libpq-fe.h>

#include "base/loop.h"
#include "sql/engine.h"
#include "sql/resolve.h"

/* Inside a connection to PostgreSQL: only pgsql*.c look in here. */
enum phase {
    PHASE_RESOLVING,
    PHASE_CONNECTING,
    PHASE_SCRIPT, /* simple protocol; idle between two */
    PHASE_PREPARING,
    PHASE_RUNNING
};

/* Where one walk over the statements of a group is. */
struct walk {
    struct list *at; /* the request's node; the group's head: at the end */
    size_t step, row;
    bool note, sync; /* the write ids come first; a Sync is due */
};

struct sql_conn {
    struct sql_db *db;
    PGconn *pg;
    struct sql_resolve *resolve;
    struct loop_io io;
    bool registered;
    enum phase phase;
    PostgresPollingStatusType wants; /* while connecting */

    sql_script_fn script_fn; /* NULL: none under way */
    void *script_arg;
    PGresult *script_rows;
    char script_error[256];

    const struct sql_stmts *stmts;
    bool usable[SQL_OPS][SQL_STEPS_MAX];
    enum sql_op preparing_op; /* whose answer comes next; SQL_OPS: the write ids' */
    size_t preparing_step;

    struct list *group; /* NULL: none under way */
    bool writes;
    struct walk in;         /* what is answered next */
    bool has_answer;        /* its answer has come; a NULL ends it */
    struct sql_req *failed; /* the first of the group */
    bool group_failed;
};
/* --- pgsql_statement.c: prepares the operations' statements, and sends them --- */

void pg_prepare(struct sql_conn *c, const struct sql_stmts *stmts);

/* A result while preparing; true: it is done, and db.c has been told. */
bool pg_prepare_take(struct sql_conn *c, const PGresult *res);

/* Can all steps of this request be used? */
bool pg_is_usable(const struct sql_conn *c, const struct sql_req *req);

bool pg_send_statement(
        struct sql_conn *c, const struct sql_req *req, size_t step, size_t row);
bool pg_send_note(struct sql_conn *c); /* the write ids of the group */

/* --- pgsql_group.c: runs groups --- */

void pg_run(struct sql_conn *c, struct list *group, bool writes);

/*
 * A result; true: the group is over and db.c has been told; the connection may be gone.
 */
bool pg_group_take(struct sql_conn *c, PGresult *res);

/* All results of one statement have come. */
void pg_group_next(struct sql_conn *c);

#endif
