#ifndef ADMIN_CALL_H
#define ADMIN_CALL_H

#include "admin/request.h"
#include "sql/sql.h"

/*
 * A question to another process. fn gets its answer; or, when none came within the
 * request's time-out, one with IPC_UNAVAILABLE and a text that says who was silent. A
 * request that ends takes its questions with it: fn is not called any more then.
 */
typedef void (*call_fn)(
        struct request *rq, ipc_addr from, const struct ipc_reply *reply);

void call_start(struct request *rq, ipc_addr to, enum ipc_type type, const char *name,
        const struct str *arg, size_t n_args, call_fn fn);

/*
 * A question to the home of an account, or to the worker that cares for a host: the
 * name of a module's command (worker/module.h) with its arguments, first the account's
 * user and host, prepared, or the host alone.
 */
void call_account_home(struct request *rq, const char *name, const struct str *arg,
        size_t n_args, call_fn fn);
void call_host_home(struct request *rq, const char *name, const struct str *arg,
        size_t n_args, call_fn fn);

/*
 * A question to the database of one host (sql/sql.h); the result is there during the
 * call.
 */
typedef void (*call_sql_fn)(struct request *rq, const struct sql_result *result);
void call_sql(struct request *rq, struct str host, enum sql_op op,
        const struct sql_value *param, size_t n_params, call_sql_fn fn);

/* The same to the database that a module of the host uses (its db_type). */
void call_sql_module(struct request *rq, struct str host, const char *module,
        enum sql_op op, const struct sql_value *param, size_t n_params, call_sql_fn fn);

/* An answer that says why not, as the result. */
void call_failed(struct request *rq, enum ipc_status status, struct str text);

/* A call_fn: done, or why not. */
void call_done(struct request *rq, ipc_addr from, const struct ipc_reply *reply);

/* Ends all questions of a request. */
void call_cancel(struct request *rq);

/*
 * A successor does not answer what this process was asked before: fn gets
 * IPC_UNAVAILABLE at once.
 */
void call_on_successor(struct admin *admin, ipc_addr of);

/* For the frames *_REPLY. */
void call_on_reply(struct admin *admin, ipc_addr from, const struct ipc_reply *reply);

#endif
