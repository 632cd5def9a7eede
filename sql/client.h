#ifndef SQL_CLIENT_H
#define SQL_CLIENT_H

#include "base/loop.h"
#include "ipc/post.h"
#include "sql/sql.h"

/*
 * The other processes' way to a database: the same calls and results as in sql.h, sent
 * to a sql process. What is unanswered when that process dies is asked again of its
 * successor, changes with their write ids: so each is done once.
 *
 * A process that may itself die and be continued gives each change an id of its own
 * making, stored before it asks; its successor then asks the same again.
 */
struct sql_client; /* opaque: one per process */

struct sql_client *sql_client_new(struct loop *loop, struct post *post);

/* What is unanswered is answered with SQL_UNAVAILABLE. Not from a done_fn. */
void sql_client_free(struct sql_client **client);

/*
 * As sql_request; also -EHOSTDOWN: there is no sql process to send it to. timeout_ms 0:
 * 60 seconds. SQL_UNAVAILABLE comes at the latest when that is over.
 */
int sql_client_ask(struct sql_client *client, const struct sql_call *call);

/* For the handlers of IPC_SQL_REPLY and IPC_SQL_RESTARTED. */
void sql_client_on_reply(
        struct sql_client *client, ipc_addr from, const struct ipc_sql_reply *reply);
void sql_client_on_restarted(struct sql_client *client, ipc_addr from);

/* How many are unanswered. */
size_t sql_client_waiting(const struct sql_client *client);

#endif
