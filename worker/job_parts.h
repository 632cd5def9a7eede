#ifndef WORKER_JOB_PARTS_H
#define WORKER_JOB_PARTS_H

#include "worker/jobs.h"

/*
 * What the files of the engine have in common: worker/job.c (records and queues),
 * job_run.c, job_sql.c, job_step.c. Within a transaction, but where a step is run.
 */
enum {
    JOB_RETRY_FIRST_MS = 1000,
    JOB_OUTPUT_LOW = 64 << 10 /* bytes that may still wait for a client */
};

/* The texts of a record, one after the other. */
enum job_text {
    JOB_TEXT_KEY,
    JOB_TEXT_HOST,
    JOB_TEXT_FROM,
    JOB_TEXT_TO,
    JOB_TEXT_STANZA
};
struct str job_text(const struct slot_job *s, unsigned part);

/* Records. */
struct slot_job *job_record_new(struct worker *w, const struct job_start *start);
void job_record_end(struct worker *w, struct slot_job *s);
struct job_live *job_live_new(struct worker *w, struct slot_job *s);
void job_set_data(struct worker *w, struct slot_job *s, struct str data);
void job_clear_request(struct worker *w, struct slot_job *s);
/* A job that ran without a record gets one. */
struct slot_job *job_slot(struct job *j);

/* The list that this number is in. */
struct list *job_list_of(struct job_lists *lists, uint64_t number);

/* Queues of those with the same key. */
void job_queue_join(struct worker *w, struct job_live *l);
void job_queue_leave(struct worker *w, struct job_live *l);
bool job_is_first(const struct job_live *l);

/* Running: at the end of the turn; when its account is there (false: it waits). */
void job_make_ready(struct worker *w, struct job_live *l);
bool job_has_account(struct worker *w, struct slot_job *s);
void job_on_timer(struct loop_timer *t);

/* Requests to the database. */
void job_set_request(struct worker *w, struct slot_job *s, unsigned which,
        enum sql_op op, const struct sql_value *param, size_t n);
void job_ask(struct worker *w, struct slot_job *s);
void job_retry_later(struct worker *w, struct slot_job *s);

#endif
