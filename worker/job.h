#ifndef WORKER_JOB_H
#define WORKER_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "sql/sql.h"
#include "worker/stanza.h"
#include "xml/el.h"
#include "xmpp/error.h"
#include "xmpp/jid.h"

/*
 * Work that has to wait: for the database, for an account, for the router, for its
 * turn.
 *
 * A job is a chain of steps, functions of a module. A step does what can be done now,
 * and names the next step and what it waits for: job_sql(), job_account(), job_route().
 * When a step returns without having named another one, the job is over. Each step is
 * one transaction.
 *
 * Everything that the next step will need is in the slot: the stanza, what job_keep()
 * kept, and the request to the database with the id of its change. So a successor of
 * this process asks the same again, a change is done once, and the next step runs as if
 * nothing had happened. Nothing else may be carried from step to step.
 */
struct worker;
struct module;
struct account;
struct slot_job;

struct job {
    struct worker *w;
    const struct conf_host *host; /* whose module it is */
    const struct module *module;
    void *config;        /* of the module for this host */
    struct arena *arena; /* until the step returns */
    uint64_t conn;       /* the session that it is for; 0: none */
    struct jid from, to; /* of the stanza; without one: as home_call() was told */
    struct xml_el *el;   /* the stanza; NULL: there is none. May be changed: not kept */
    struct xml_el *payload;  /* of an iq */
    enum stanza_kind kind;   /* of el */
    uint8_t type;            /* message_type, presence_type, iq_type */
    struct account *account; /* loaded: with a key, after job_account() or IQ_HOME */
    struct str data;         /* what was kept */
    uint32_t answers;        /* after job_notify(): what all said, or'ed */
    /* The engine's own. */
    struct slot_job *slot;
    unsigned next_step;
    bool goes_on;
};

/* result: the database's answer to job_sql(), valid during the call; otherwise NULL. */
typedef void (*job_fn)(struct job *j, const struct sql_result *result);

/* --- What a step may name --- */

/*
 * Asks the host's database (the one that db_type of the module, or default_db, says)
 * when this transaction has been committed. Parameters are copied. At most once per
 * step.
 */
void job_sql(struct job *j, unsigned step, enum sql_op op,
        const struct sql_value *param, size_t n);

/* The same of the database that accounts of this auth_method are in. */
void job_sql_accounts(struct job *j, unsigned step, enum conf_auth_method method,
        enum sql_op op, const struct sql_value *param, size_t n);

/* The same request again after a while (1 s, 2 s, … 30 s), after SQL_UNAVAILABLE. */
void job_retry(struct job *j, unsigned step);

/* How often that was, in the job's life. */
unsigned job_tries(const struct job *j);

/*
 * Asks the auth process about accounts (auth/account.c). The only value of the result
 * is its enum ipc_status as a number. It is asked until it answers, so the question
 * must be one that may be repeated. Texts are copied.
 */
void job_auth(struct job *j, unsigned step, const char *name, const struct str *arg,
        size_t n);

/* Goes on when the account (of the job's key) is loaded: j->account. */
void job_account(struct job *j, unsigned step);

/* Goes on when the router has committed what session_set_flags() changed. */
void job_route(struct job *j, unsigned step);

/*
 * sessions_notify() of the job's account, then goes on when all workers act by it, or
 * after some seconds: one that has just died does so before it goes on.
 */
void job_notify(struct job *j, unsigned step, unsigned what, struct str data);

/* Goes on after this time. */
void job_sleep(struct job *j, unsigned step, uint32_t ms);

/*
 * Goes on when most of what waits for the client (j->conn) has been sent, or it has
 * gone: between the portions of a long answer.
 */
void job_output(struct job *j, unsigned step);

/* In the next turn: for work that comes in portions. */
void job_again(struct job *j, unsigned step);

/* Others with the same key need not wait any longer for this one. */
void job_release(struct job *j);

/* The next step is one of that module's, which the host has; so is what is kept. */
void job_take(struct job *j, const struct module *m);

/* Bytes for the next steps, in place of those before. */
void job_keep(struct job *j, struct str data);

/* --- Other jobs of this worker --- */

/* How many have this key. */
size_t jobs_queued(const struct worker *w, struct str key);
/* Is one of them about a message? */
bool jobs_have_message(const struct worker *w, struct str key);

/*
 * What the first of them has kept; p == NULL: there is none, or it has kept nothing.
 * And something else for it to find there: it goes on at once if it sleeps.
 */
struct str job_peek(const struct worker *w, struct str key);
void job_tell(struct worker *w, struct str key, struct str data);

/* --- What a step may answer --- */

/* Answers the iq. result: a tree of iq_result() or iq_result_with(); NULL: an empty
 * one. */
void job_reply(struct job *j, const struct xml_el *result);

/* <iq type='result'><name xmlns='ns'/></iq>, not yet sent: returns the child. */
struct xml_el *job_result(struct job *j, const char *name, const char *ns);
/* Sends the tree that `el` is in. */
void job_send_result(struct job *j, struct xml_el *el);

/* Answers the stanza with an error; text may be NULL. */
void job_error(struct job *j, enum stanza_error e, const char *text);

/*
 * Did the database fail? Then the stanza is answered (resource-constraint: later; or
 * internal-server-error) or the command is, it is logged, and the step should return.
 */
bool job_failed(struct job *j, const struct sql_result *result);

/* A command's arguments, and its end (worker/module.h). */
struct str job_arg(const struct job *j, size_t i);
size_t job_n_args(const struct job *j);
/* Rows of text: results in their order; text: an error, or the only result. */
void job_call_reply(struct job *j, enum ipc_status status, struct str text);
void job_call_reply_list(struct job *j, const struct str *results, size_t n);

/* --- Beginning one --- */

enum {
    JOB_WRITTEN = UINT16_MAX /* as a step of job_write(): nothing more to do */
};

/* A job about nothing in particular (no stanza); key may be STR_NULL. */
struct job_start {
    const struct module *module;
    const struct conf_host *host;
    unsigned step;
    struct str key; /* jobs with the same key run one after the other */
    uint64_t conn;
    struct jid from, to;
    struct str stanza; /* serialised; may be empty */
    struct str data;
};
void job_begin(struct worker *w, const struct job_start *start);

/*
 * A change that nobody waits for (archiving): kept in the slot until the database has
 * done it, tried again while that is away; for longer than SQL_REPEAT_MAX_MS only if
 * the step is JOB_WRITTEN and the operation makes what is not there yet (its only step
 * is a HIT of SQL_CONFLICT). start->step runs with the result, or is JOB_WRITTEN.
 */
void job_write(struct worker *w, const struct job_start *start, enum sql_op op,
        const struct sql_value *param, size_t n);

/* How many jobs this worker has: others have about as many. */
size_t jobs_waiting(const struct worker *w);

/* Too many jobs wait, or too large ones: new ones should be refused with
 * resource-constraint. */
bool jobs_are_many(const struct worker *w);

#endif
