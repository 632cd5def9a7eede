#ifndef SQL_DB_H
#define SQL_DB_H

#include "base/loop.h"
#include "sql/engine.h"
#include "sql/queue.h"
#include "sql/schema.h"

/* Inside a struct sql_db: only db.c and group.c look in here. */
struct sql_db {
    void (*on_back)(void *arg);
    void *on_back_arg;
    struct loop *loop;
    struct sql_settings settings;
    char *name;
    struct arena arena; /* settings, name */
    const struct sql_engine *engine;

    /* The connection, if there is one, and what was found in its database. */
    struct sql_conn *conn;
    enum sql_state state;
    char why[256]; /* it is away */
    uint64_t back_off_ms;
    struct arena conn_arena;
    struct sql_layout layout;
    struct sql_schema *schema;
    struct sql_stmts stmts;
    unsigned n_unusable;     /* operations that cannot be prepared */
    enum sql_op unusable_op; /* the latest of them */

    struct sql_queue queue;    /* not begun */
    struct sql_queue later;    /* nor are these: changes put off */
    struct list group;         /* under way */
    size_t group_n, group_max; /* requests in this one, and in the next at most */
    bool running, group_writes;
    uint64_t group_since_ms, hold_until_ms;
    struct arena group_arena; /* results of the group */

    struct loop_timer step;  /* connect now, or give the attempt up */
    struct loop_timer kick;  /* look whether a group can be run */
    struct loop_timer watch; /* look at the requests' time */
    struct loop_timer care;  /* keep-alive, old write ids */
    uint64_t cared_ms, pinged_ms;
    struct sql_stats stats;
};

/* group.c: makes groups of the requests in the queue, runs them, answers them. */
void sql_group_add(struct sql_db *db, struct sql_req *req);
void sql_group_kick(struct sql_db *db);
void sql_group_init(struct sql_db *db);
void sql_group_fini(struct sql_db *db);

/* The connection is gone: what was under way goes back to the queue. */
void sql_group_return(struct sql_db *db);

#endif
