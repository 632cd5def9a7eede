#ifndef MODULES_OFFLINE_H
#define MODULES_OFFLINE_H

#include "worker/module.h"
#include "xmpp/traits.h"

/*
 * The parts of mod_offline: what they share. Everything that reads or changes the store
 * of an account runs in its home, one after the other.
 */

/* The configuration of a host. */
struct offline {
    struct conf_shaper_access max_messages;
    enum traits_empty empty;
    bool groupchat, bounce_groupchat;
};

/* Numbers stay: jobs that are under way know their next step by them. */
enum offline_step {
    STEP_STORED,
    STEP_FLUSH,
    STEP_FLUSH_ROWS,
    STEP_FLUSH_DELETE,
    STEP_FLUSH_DELETED,
    STEP_FLUSH_NEXT,
    STEP_FLUSH_GO_ON,
    STEP_FLUSH_DONE,
    STEP_FLEX,
    STEP_FLEX_HOME,
    STEP_FLEX_COUNT,
    STEP_FLEX_COUNTED,
    STEP_FLEX_HEADERS,
    STEP_FLEX_HEADER_ROWS,
    STEP_FLEX_READ,
    STEP_FLEX_READ_ROWS,
    STEP_FLEX_READ_NEXT,
    STEP_FLEX_READ_ON,
    STEP_FLEX_REMOVE,
    STEP_FLEX_REMOVE_ROWS,
    STEP_FLEX_PURGE,
    STEP_FLEX_DONE,
    STEP_CALL_COUNT,
    STEP_CALL_COUNTED,
    STEP_CALL_OLD,
    STEP_CALL_OLD_DONE,
    STEP_CALL_EXPIRED,
    STEP_CALL_EXPIRED_ROWS,
    STEP_CALL_EXPIRED_DONE,
    STEP_BATCH,
    STEP_BATCH_RUN,
    STEP_BATCH_RAN,
    STEP_BATCH_STATUS,
    STEP_BATCH_ABORT,
    OFFLINE_STEPS
};

enum {
    OFFLINE_PAGE = 100,          /* rows read at a time */
    OFFLINE_PAGE_BYTES = 1 << 20 /* of them given to a client at a time; job_output() */
};

/* The whole module: each part has its steps and hooks. */
#define OFFLINE_STEP(name) \
    void offline_##name(struct job *j, const struct sql_result *result)
OFFLINE_STEP(stored);
OFFLINE_STEP(flush);
OFFLINE_STEP(flush_rows);
OFFLINE_STEP(flush_delete);
OFFLINE_STEP(flush_deleted);
OFFLINE_STEP(flush_next);
OFFLINE_STEP(flush_go_on);
OFFLINE_STEP(flush_done);
OFFLINE_STEP(flex);
OFFLINE_STEP(flex_home);
OFFLINE_STEP(flex_count);
OFFLINE_STEP(flex_counted);
OFFLINE_STEP(flex_headers);
OFFLINE_STEP(flex_header_rows);
OFFLINE_STEP(flex_read);
OFFLINE_STEP(flex_read_rows);
OFFLINE_STEP(flex_read_next);
OFFLINE_STEP(flex_read_on);
OFFLINE_STEP(flex_remove);
OFFLINE_STEP(flex_remove_rows);
OFFLINE_STEP(flex_purge);
OFFLINE_STEP(flex_done);
OFFLINE_STEP(call_count);
OFFLINE_STEP(call_counted);
OFFLINE_STEP(call_old);
OFFLINE_STEP(call_old_done);
OFFLINE_STEP(call_expired);
OFFLINE_STEP(call_expired_rows);
OFFLINE_STEP(call_expired_done);
OFFLINE_STEP(batch);
OFFLINE_STEP(batch_run);
OFFLINE_STEP(batch_ran);

enum hook_result offline_on_message(struct event *e);
enum hook_result offline_on_coming(struct event *e);
enum hook_result offline_on_presence(struct event *e);
enum hook_result offline_on_moved(struct event *e);

/* --- A message as it is stored: modules/offline_row.c --- */

/* A row of SPOOL_GET or SPOOL_READ. */
struct offline_row {
    int64_t seq;
    struct xml_el *el; /* NULL: it cannot be read */
    bool expired;      /* XEP-0023 */
};

/* The i-th row; its tree is in the job's arena. */
void offline_row(struct job *j, const struct sql_result *result, size_t i,
        struct offline_row *ret);

/* The time at which the message was stored. XEP-0023: may it be forgotten? */
bool offline_has_expired(
        const struct conf_host *host, const struct xml_el *el, int64_t stored_us);

/*
 * Gives it to a session, before live messages; returns how many bytes. once: not so,
 * and nobody else gets it should that session have gone; otherwise it is then delivered
 * as any message, and so stored again.
 */
size_t offline_give(struct job *j, uint64_t conn, const struct xml_el *el, bool once);

/* The user of the job's account, as a parameter. */
struct sql_value offline_user(const struct job *j);

/*
 * The database is away, and the step was told so: then it runs again later, and true.
 */
bool offline_retries(struct job *j, unsigned step, const struct sql_result *result);

/* The time so many days ago, in microseconds; -1: that is no number. */
int64_t offline_days_ago(struct str days);

/* Begins to give the account what is stored for it: to that session, or 0: to any. */
void offline_flush_begin(struct worker *w, const struct module *m,
        const struct jid *account, uint64_t conn);

#endif
