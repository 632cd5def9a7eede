#ifndef WORKER_ACCOUNT_H
#define WORKER_ACCOUNT_H

#include "worker/module.h"
#include "worker/worker.h"

enum {
    ACCOUNT_PARTS_MAX = 8
};

enum account_state {
    ACCOUNT_LOADING,
    ACCOUNT_READY,
    ACCOUNT_FAILED /* the database is away; forgotten when the last one lets go */
};

/*
 * Which sessions were found to carry a route flag, as long as the stamp holds
 * (account_flag_elsewhere): how many (2: or more), and one of them.
 */
struct holders {
    struct route_stamp stamp;
    uint64_t conn;
    uint16_t flags;
    uint8_t n;
};

/*
 * An account as this worker knows it, on the heap: roster, block list and the like. It
 * is held by its sessions here, all of them, and by jobs; changes are made in its home
 * (home_call) and told to all who hold it (sessions_notify), in their order, so each
 * copy stays true.
 */
struct account {
    const struct conf_host *host; /* of the configuration in force */
    char *bare;
    uint16_t local_n, domain_n; /* of bare: local, "@", domain */
    uint32_t refs;
    uint8_t state; /* enum account_state */
    bool exists, settling, held;
    uint16_t flags[ACCOUNT_PARTS_MAX]; /* enum route_flag, by who asks for them */
    uint8_t n_asked;                   /* databases that have not answered */
    uint32_t parts;                    /* struct host_run.parts when it was read */
    uint32_t first_session;            /* index + 1 of a connection; 0: none */
    struct contacts contacts;
    void *part[ACCOUNT_PARTS_MAX];
    struct list waiting; /* job_live.waiting, while LOADING */
    struct list removed; /* in worker.removed: not to be found any more */
    struct list idle;    /* in worker.idle: nobody holds it, */
    uint32_t idle_s;     /* since then */
    struct holders holders;
};

/* Loads it if need be: LOADING or better, with one more reference; NULL: no such host.
 */
struct account *account_ref(struct worker *w, struct str bare);
/* Sets *a to NULL. */
void account_unref(struct worker *w, struct account **a);

/* A session holds its account from the request to bind on (live_of(c)->account). */
void account_join(struct worker *w, struct conn *c);
void account_leave(struct worker *w, struct conn *c);

/* The flags that its parts ask for; the router is told, session by session. */
uint16_t account_route_flags(const struct account *a);
void account_settle_flags(struct worker *w, struct account *a);

/* It is ready: the module (by its hash) hears what has changed. What it answers. */
uint32_t account_notify(struct worker *w, struct account *a, uint32_t module,
        unsigned what, struct str data);

/*
 * It has been removed: it does not exist any more, and is not found; those who hold it
 * may still say its last words. One of that name is another account.
 */
void account_removed(struct worker *w, struct account *a);

/* For worker/account_load.c: nobody holds it; what was read is not true any more. */
void account_forget(struct worker *w, struct account *a);
void account_free_parts(struct worker *w, struct account *a);

/* Once a second: those that have been idle for long are forgotten. */
void accounts_tick(struct worker *w);

void accounts_free(struct worker *w);

/* The worker in which changes of the account are made. */
unsigned account_home(const struct worker *w, struct str bare);

#endif
