#ifndef AUTH_QUERY_H
#define AUTH_QUERY_H

#include "auth/store.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/loop.h"
#include "ipc/ipc.h"
#include "sql/sql.h"

struct proc;

/*
 * Questions to the sql process. A query is a member of what waits for it; one that got
 * no answer is sent again with the same ids, which is harmless (DESIGN.md), because the
 * sql process may have died with it; after QUERY_TRIES it is answered with UNAVAILABLE.
 */
enum {
    QUERY_RETRY_MS = 4000,
    QUERY_TRIES = 4
};

struct query {
    uint64_t id; /* 0: not under way */
    struct queries *all;
    struct loop_timer timer;
    unsigned n_tries;
    enum sql_op op;
    struct sql_write_id write_id;
    struct buf host, params;
    uint32_t n_params;

    /*
     * The answer; called once. For USER_GET, creds holds what was found. May free what
     * the query is a member of.
     */
    void (*on_answer)(struct query *query, enum ipc_status status);
    struct creds *creds; /* with USER_GET, else NULL; the query's until taken */
};

struct queries {
    struct proc *proc;
    struct map by_id;
    uint64_t next_id;
    uint64_t retry_ms;
};

void queries_init(struct queries *all, struct proc *proc);
void queries_fini(struct queries *all);

/* USER_GET, USER_EXISTS, USER_DEL. */
void query_start(struct queries *all, struct query *query, enum sql_op op,
        struct str host, struct str user);

/* USER_CREATE, USER_UPDATE. */
void query_start_rows(struct queries *all, struct query *query, enum sql_op op,
        struct str host, struct str user, const struct cred_row *rows, size_t n_rows);

/* Ends it without an answer and frees what it holds; harmless when it is not under way.
 */
void query_cancel(struct query *query);

/* The creds of the answer, now the caller's to creds_free(). NULL: there were none. */
struct creds *query_take_creds(struct query *query);

void creds_free(struct creds **creds); /* wipes */

void queries_on_reply(struct queries *all, const struct ipc_sql_reply *reply);

#endif
