#ifndef WORKER_JOBS_H
#define WORKER_JOBS_H

#include "base/hash.h"
#include "base/list.h"
#include "base/loop.h"
#include "worker/module.h"
#include "worker/worker.h"

/*
 * The engine behind worker/job.h, for the files of this folder.
 */
struct job_queue;

/* The heap part of a job. */
struct job_live {
    struct slot_job *slot;
    struct worker *w;
    struct job_queue *queue; /* of its key; NULL: it has none, or was released */
    struct list in_queue;
    struct list waiting; /* in account.waiting, jobs.route, jobs.ready, jobs.to_ask */
    struct account *account;
    struct loop_timer timer;
    uint64_t wanted_ms; /* since when it has wanted its account; 0: it has not */
    bool asked;         /* the database is */
};

/* Jobs that wait for what comes with a number, in lists by the number's lowest bits. */
enum {
    JOB_LISTS = 512
};
struct job_lists {
    struct list of[JOB_LISTS];
};

struct jobs {
    struct map queues;       /* by key */
    struct list ready;       /* to be run at the end of the turn */
    struct list to_ask;      /* their requests go out with the commit */
    struct job_lists route;  /* wait for the router: by connection */
    struct job_lists output; /* wait for their client to take what it was sent: likewise */
    struct job_lists told;   /* wait for other workers: by job */
    struct list auth;        /* wait for the auth process */
    size_t n, bytes;
};

/* In front of a command's arguments, where other jobs have their stanza. */
struct job_caller {
    uint64_t id;
    uint32_t n;
    ipc_addr from;
};

/* The stanza as it is kept; empty: there is none. */
struct str job_stanza(const struct job *j);

/* kind, type and payload of j->el. */
void job_see_stanza(struct job *j);

struct jobs *jobs_new(void);
void jobs_free(struct worker *w);

/* A successor: every job that was under way goes on. */
void jobs_resume(struct worker *w);

/* At the end of a turn: runs what became ready, some of it. */
void jobs_run_ready(struct worker *w);
bool jobs_are_ready(const struct worker *w);

/* The transaction was committed: requests to the database go out. */
void jobs_committed(struct worker *w);

/* The router has committed the flags or presence with this serial, or need not any
 * more: the session has ended, or goes on with another connection. */
void jobs_on_route(struct worker *w, struct conn *c);

/* Something was sent to a client that a job waits for (LIVE_JOB_WAITS), or it is gone.
 */
void jobs_on_output(struct worker *w, struct conn *c);

/* A database that was away is there again. */
void jobs_on_database(struct worker *w);

/* How many there are, without those that sleep for longer than this. */
size_t jobs_under_way(const struct worker *w, uint64_t ms);

/* Says in the log that n will not be finished, and of the first of them what they are. */
void jobs_log_left(const struct worker *w, size_t n);
/* A worker acts by what job_notify() has told it. */
void jobs_on_notified(struct worker *w, const struct ipc_notified *m);

/* The account is loaded, or cannot be. */
void jobs_on_account(struct worker *w, struct job_live *l);

/* Is there one with this key that has not been released? */
bool jobs_have_key(const struct worker *w, struct str key);

/* For the other files of this engine: the next step and what it waits for; it runs. */
struct slot_job *job_goes_on(struct job *j, unsigned step, enum job_wait wait);
void job_run(struct worker *w, struct slot_job *s, const struct sql_result *result);

/* As job_sql(), of the database `which`, whatever the module's is. */
void job_sql_at(struct job *j, unsigned step, enum sql_which which, enum sql_op op,
        const struct sql_value *param, size_t n);

/* worker/job_auth.c */
void job_auth_send(struct worker *w, struct slot_job *s);
void jobs_on_auth_reply(struct worker *w, const struct ipc_reply *m);

/* As job_begin(), for steps that want the account of the key. */
void job_begin_loaded(struct worker *w, const struct job_start *start);
/* The same, in front of the others with the key: waits for none of them. */
void job_begin_ahead(struct worker *w, const struct job_start *start);

/*
 * Goes on when every worker has handled what it had received before it hears of this,
 * and what it has sent here before has come; after some seconds in any case.
 */
void job_barrier(struct job *j, unsigned step);

/* A step without a job behind it yet: it becomes one when it waits for something. */
void job_call_step(struct worker *w, const struct job_start *start, struct xml_el *el);

/* Another process asks with the arguments of a command. */
void job_begin_call(struct worker *w, const struct module *m,
        const struct module_call *mc, const struct conf_host *host, ipc_addr from,
        const struct ipc_call *call);

#endif
