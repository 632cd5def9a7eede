#ifndef AUTH_QUERY_H
#define AUTH_QUERY_H

#include "auth/store.h"
#include "ipc/ipc.h"
#include "sql/sql.h"

struct sql_client;

/*
 * Questions about one account to the databases of its host, one after the other as
 * auth_method says. A query is a member of what waits for it, and can be called off,
 * which sql/client.h does not know.
 */
enum {
    QUERY_TIMEOUT_MS = 15000, /* each database; longer than a sql process is away */
    QUERY_PLACES_MAX = 2
};

struct query_target {
    struct str host, user; /* prepared; live until the answer */
    enum sql_which which[QUERY_PLACES_MAX];
    size_t n_which;
};

struct query {
    struct asked *asked; /* NULL: not under way */
    struct sql_client *client;
    struct query_target target;
    enum sql_op op;
    uint64_t timeout_ms;
    struct sql_write_id id;     /* of the change; all zero: each step makes one */
    const struct cred_row *row; /* of USER_CREATE and USER_UPDATE */
    size_t n_rows, step;
    bool any; /* USER_DEL: there was one */

    /*
     * The answer; called once, perhaps before query_start() returns. May free what the
     * query is a member of. Status: of USER_GET OK (whether there are rows or not),
     * UNAVAILABLE or FAILED; of the others also NOT_FOUND or CONFLICT.
     */
    void (*on_answer)(struct query *query, enum ipc_status status);
    struct creds *creds; /* of USER_GET, when OK */
};

/*
 * USER_GET and USER_EXISTS: the first database that has the account. USER_UPDATE: the
 * same. USER_DEL: all. USER_CREATE: the first, if none has it. rows, for CREATE and
 * UPDATE, live until the answer.
 */
void query_start(struct query *query, struct sql_client *client, enum sql_op op,
        const struct query_target *target, const struct cred_row *rows, size_t n_rows);

/* Ends it without an answer; harmless when it is not under way. */
void query_cancel(struct query *query);

/* The creds of the answer, now the caller's to creds_free(). */
struct creds *query_take_creds(struct query *query);

void creds_free(struct creds **creds); /* wipes */

#endif
