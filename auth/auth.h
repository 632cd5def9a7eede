#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "auth/limit.h"
#include "auth/mech.h"
#include "auth/query.h"
#include "auth/recent.h"
#include "auth/sasl.h"
#include "auth/work.h"
#include "base/hash.h"
#include "base/list.h"

struct proc;
struct sql_client;

/* What the parts of the auth process share. */
enum {
    AUTH_LIFETIME_MAX_MS = 3600 * 1000,
    AUTH_DIALOGUES_MAX = 8192, /* below 10 kB each at the worst */
    AUTH_CALLS_MAX = 1024,
    AUTH_WORK_MAX = 2048, /* PBKDF2 waiting: some seconds */
    AUTH_ADDRESSES_MAX = 32768,
    AUTH_ACCOUNTS_MAX = 32768,
    AUTH_ADDRESS_BURST = 20,
    AUTH_ADDRESS_INTERVAL_MS = 1000,
    AUTH_ADDRESS_DELAY_MAX_MS = 10000,
    AUTH_ACCOUNT_BURST = 10,
    AUTH_ACCOUNT_INTERVAL_MS = 2000,
    AUTH_ACCOUNT_DELAY_MAX_MS = 5000
};

struct auth_host {
    struct str name;
    struct auth_policy policy;
    struct query_target target; /* without the user */
    bool hide_remote;           /* hide_sensitive_log_data */
};

struct auth {
    struct proc *proc;
    struct auth_host *host;
    size_t n_hosts;
    uint64_t lifetime_ms;             /* of a dialogue */
    uint8_t secret[SASL_SECRET_SIZE]; /* for salts of accounts that do not exist */
    struct limit *addresses, *accounts;
    struct recent *registered; /* NULL: nobody yet */
    uint64_t registration_ms;  /* between two of one source; CONF_INFINITY: any time */
    struct sql_client *sql;
    uint64_t sql_timeout_ms;
    struct work_queue work;
    struct map dialogues; /* by conn */
    struct list by_age;   /* dialogues, the oldest first */
    struct list calls;    /* account calls under way */
    size_t n_calls;
    struct loop_timer stop_timer;
    uint64_t stop_until_ms;
};

const struct auth_host *auth_find_host(const struct auth *auth, struct str name);

/* dialogue.c */
struct ipc_auth_step;
void dialogue_on_step(
        struct auth *auth, ipc_addr from, const struct ipc_auth_step *step);
void dialogue_on_abort(struct auth *auth, ipc_addr from, uint64_t conn);
void dialogues_end(struct auth *auth); /* all of them, with temporary-auth-failure */

/* account.c */
struct ipc_call;
void account_on_call(struct auth *auth, ipc_addr from, const struct ipc_call *call);
void accounts_end(struct auth *auth); /* all of them, with UNAVAILABLE */

#endif
