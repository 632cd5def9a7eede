#ifndef MODULES_MAM_H
#define MODULES_MAM_H

#include "worker/module.h"

/*
 * Message archives of users: what the parts of mod_mam share. Rooms' archives are
 * theirs.
 *
 * A row's id is the time of its message in microseconds (worker_stamp_us()); both the
 * id and the time of a message, which clients see, and the key in the table.
 */
enum mam_policy {
    MAM_NEVER,
    MAM_ALWAYS,
    MAM_ROSTER /* with contacts only */
};
enum {
    MAM_POLICIES = MAM_ROSTER + 1
};

/* Of a host. */
struct mam_config {
    struct conf_access access_preferences;
    enum mam_policy policy; /* of who has no preferences of his own */
    bool activates;         /* nothing is kept before the first query */
    bool compress;
    bool is_used; /* clients look into the archive: assume_mam_usage */
};

/* The module's steps, in the order of its table: mod_mam.c. */
enum mam_step {
    MAM_STEP_PREFS,
    MAM_STEP_PREFS_SET,
    MAM_STEP_ACTIVATE,
    MAM_STEP_ACTIVATED,
    MAM_STEP_QUERY,
    MAM_STEP_PAGE,
    MAM_STEP_PAGE_IDS,
    MAM_STEP_PAGE_ROWS,
    MAM_STEP_PAGE_MORE,
    MAM_STEP_PAGE_COUNT,
    MAM_STEP_METADATA,
    MAM_STEP_METADATA_EDGES,
    MAM_STEP_COUNT,
    MAM_STEP_COUNTED,
    MAM_STEP_REMOVE,
    MAM_STEP_REMOVED,
    MAM_STEP_PURGE,
    MAM_STEP_PURGED,
    MAM_STEP_BATCH,
    MAM_STEP_BATCH_RUN,
    MAM_STEP_BATCH_RAN,
    MAM_STEP_BATCH_STATUS,
    MAM_STEP_BATCH_ABORT,
    MAM_STEPS
};

/* --- Preferences (mam_prefs.c) --- */

/* Bare JIDs as text, sorted as ejabberd does: by local part, then by domain. */
struct mam_jids {
    struct str *at;
    size_t n;
};

/* The part of an account that has any; with their text in one piece of memory. */
struct mam_prefs {
    enum mam_policy policy;
    struct mam_jids always, never;
};

void *mam_prefs_load(struct account *a, void *config, const struct sql_result *rows);
void mam_prefs_free(void *part);
enum hook_result mam_prefs_loaded(struct event *e);
void mam_prefs_notify(struct event *e, unsigned what, struct str data);

/* Is what goes to and comes from peer kept for this account? */
bool mam_prefs_keep(const struct mam_config *config, struct account *a,
        const struct module *m, const struct jid *peer);

/* In its home, for an account without preferences: those of the host become its own. */
void mam_prefs_activate(struct job *j, struct account *a);

void mam_step_prefs(struct job *j, const struct sql_result *result);
void mam_step_prefs_set(struct job *j, const struct sql_result *result);
void mam_step_activate(struct job *j, const struct sql_result *result);
void mam_step_activated(struct job *j, const struct sql_result *result);

/* --- Archiving (mam_store.c) --- */

/* How our rows begin: by it they are told from what others have written. */
#define MAM_XML_START "<message xmlns='" NS_CLIENT "'"

enum hook_result mam_store_send(struct event *e);
enum hook_result mam_store_sent(struct event *e);
enum hook_result mam_store_receive(struct event *e);
enum hook_result mam_store_offline(struct event *e);
enum hook_result mam_store_give_back(struct event *e);

/* --- Queries (mam_query.c) --- */

enum {
    MAM_PAGE_USUAL = 50, /* as ejabberd */
    MAM_PAGE_MOST = 250,
    MAM_IDS_MAX = MAM_PAGE_MOST
};

/* What is asked for; views of the request. */
struct mam_query {
    struct str queryid;
    struct str with;     /* prepared; p == NULL: anybody */
    bool with_full;      /* a full JID */
    int64_t start, end;  /* ids, both included: the form's times, before-id, after-id */
    int64_t first, last; /* the same with the paging's after and before */
    bool paged;          /* these say more than those */
    bool backwards;      /* the page is the last one of them */
    bool flip;           /* and is sent the latest first */
    uint32_t max;        /* messages; 0: only their number is wanted */
    int64_t known[4];    /* ids that must be there */
    size_t n_known;
    int64_t *ids; /* only these, sorted; NULL: all */
    size_t n_ids;
};

/* 0, or -EINVAL with the error that answers it; text may stay NULL. */
int mam_query_read(struct arena *arena, const struct xml_el *el, struct mam_query *ret,
        enum stanza_error *ret_error, const char **ret_text);

/* The form that can be filled in, into <query/>. */
void mam_query_form(struct xml_el *query);

/* One message of the answer to j's request, as it goes to the client. */
struct mam_row {
    int64_t id;
    struct str peer, xml;
};
void mam_result_write(struct buf *out, struct job *j, const struct mam_query *q,
        const struct mam_row *row);

/* --- Pages (mam_page.c) --- */

void mam_step_query(struct job *j, const struct sql_result *result);
void mam_step_page(struct job *j, const struct sql_result *result);
void mam_step_page_ids(struct job *j, const struct sql_result *result);
void mam_step_page_rows(struct job *j, const struct sql_result *result);
void mam_step_page_more(struct job *j, const struct sql_result *result);
void mam_step_page_count(struct job *j, const struct sql_result *result);
void mam_step_metadata(struct job *j, const struct sql_result *result);
void mam_step_metadata_edges(struct job *j, const struct sql_result *result);

/* --- Commands (mam_purge.c) --- */

void mam_step_count(struct job *j, const struct sql_result *result);
void mam_step_counted(struct job *j, const struct sql_result *result);
void mam_step_remove(struct job *j, const struct sql_result *result);
void mam_step_removed(struct job *j, const struct sql_result *result);
void mam_step_purge(struct job *j, const struct sql_result *result);
void mam_step_purged(struct job *j, const struct sql_result *result);
void mam_step_batch(struct job *j, const struct sql_result *result);
void mam_step_batch_run(struct job *j, const struct sql_result *result);
void mam_step_batch_ran(struct job *j, const struct sql_result *result);

#endif
