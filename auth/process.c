/*
 * process.c -- the auth process
 *
 * It has no socket to the network and no database: steps of SASL dialogues come from
 * the workers, credentials from the sql process, and answers go back. All of its state
 * is per dialogue; when it dies, those who are logging in get one
 * temporary-auth-failure. What was guessed so far is forgotten then, too.
 */
#include "auth/process.h"

#include <errno.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/digest.h"
#include "base/mem.h"
#include "sql/client.h"

enum {
    STOP_MS = 2000,
    STOP_LOOK_MS = 10
};

const struct auth_host *
auth_find_host(const struct auth *auth, struct str name)
{
    for (size_t i = 0; i < auth->n_hosts; i++) {
        if (str_eq(auth->host[i].name, name))
            return &auth->host[i];
    }
    return NULL;
}

/* Where the accounts of a host are, in the order of auth_method. */
static void
target_of(const struct conf_host *host, struct query_target *ret)
{
    *ret = (struct query_target){ .host = host->name };
    for (size_t i = 0; i < host->n_auth_methods && i < QUERY_PLACES_MAX; i++)
        ret->which[ret->n_which++] = host->auth_method[i] == CONF_AUTH_SQL
                                             ? SQL_WHICH_SQL
                                             : SQL_WHICH_EMBEDDED;
    if (ret->n_which == 0)
        ret->which[ret->n_which++] = SQL_WHICH_DEFAULT;
}

/* Names are views into the configuration: taken anew with each. */
static void
auth_configure(struct auth *auth, const struct conf *conf)
{
    mem_free(&auth->host);
    auth->n_hosts = conf->n_hosts;
    auth->host = mem_zalloc((conf->n_hosts + 1) * sizeof *auth->host);
    for (size_t i = 0; i < conf->n_hosts; i++) {
        auth->host[i].name = conf->hosts[i].name;
        auth_policy_of(&conf->hosts[i], &auth->host[i].policy);
        target_of(&conf->hosts[i], &auth->host[i].target);
        auth->host[i].hide_remote = conf->hosts[i].hide_sensitive_log_data;
    }
    auth->registration_ms = conf->registration_timeout_ms;
    auth->lifetime_ms = conf->negotiation_timeout_ms;
    if (auth->lifetime_ms > AUTH_LIFETIME_MAX_MS)
        auth->lifetime_ms = AUTH_LIFETIME_MAX_MS;
}

static int
auth_prepare(struct proc *p)
{
    static const struct limit_params addresses = { .burst = AUTH_ADDRESS_BURST,
        .interval_ms = AUTH_ADDRESS_INTERVAL_MS,
        .delay_max_ms = AUTH_ADDRESS_DELAY_MAX_MS,
        .n_max = AUTH_ADDRESSES_MAX };
    static const struct limit_params accounts = { .burst = AUTH_ACCOUNT_BURST,
        .interval_ms = AUTH_ACCOUNT_INTERVAL_MS,
        .delay_max_ms = AUTH_ACCOUNT_DELAY_MAX_MS,
        .n_max = AUTH_ACCOUNTS_MAX };
    struct auth *auth;
    int r = digest_init();

    if (r < 0) {
        log_critical(NULL, "OpenSSL lacks SHA-1, SHA-2, HMAC or PBKDF2");
        return r;
    }
    auth = mem_zalloc(sizeof *auth);
    auth->proc = p;
    digest_hmac(DIGEST_SHA256, (struct str){ p->secret, sizeof p->secret },
            &STR("salts of accounts that do not exist"), 1, auth->secret);
    auth->addresses = limit_new(&addresses);
    auth->accounts = limit_new(&accounts);
    auth->sql = sql_client_new(p->loop, p->post);
    auth->sql_timeout_ms = QUERY_TIMEOUT_MS;
    work_queue_init(&auth->work, p->loop, AUTH_WORK_MAX);
    list_init(&auth->by_age);
    list_init(&auth->calls);
    auth_configure(auth, p->conf);
    p->self = auth;
    return 0;
}

/*
 * Dialogues died with a predecessor: clients who wait for the answer to what it had read
 * need not wait as long as for one that is slow.
 */
static int
auth_start(struct proc *p)
{
    for (unsigned i = 0; p->starts > 0 && i < p->n_workers; i++)
        proc_send(p, ipc_addr_of(PROC_WORKER, i), IPC_AUTH_RESTARTED,
                &(struct ipc_nothing){ 0 });
    proc_ready(p);
    return 0;
}

static void
auth_reload(struct proc *p)
{
    auth_configure(p->self, p->conf);
}

/* Who is logging in just now gets through; not for ever. */
static void
on_stop_timer(struct loop_timer *timer)
{
    struct auth *auth = container_of(timer, struct auth, stop_timer);
    struct proc *p = auth->proc;

    if ((!list_empty(&auth->by_age) || !list_empty(&auth->calls)) &&
            loop_now_ms(p->loop) < auth->stop_until_ms) {
        loop_timer_set(p->loop, timer, STOP_LOOK_MS);
        return;
    }
    dialogues_end(auth);
    accounts_end(auth);
    proc_stopped(p, 0);
}

static void
auth_stop(struct proc *p)
{
    struct auth *auth = p->self;

    auth->stop_timer.fn = on_stop_timer;
    auth->stop_until_ms = loop_now_ms(p->loop) + STOP_MS;
    on_stop_timer(&auth->stop_timer);
}

static void
auth_finish(struct proc *p)
{
    struct auth *auth = p->self;

    if (!auth)
        return;
    dialogues_end(auth);
    accounts_end(auth);
    limit_free(&auth->addresses);
    limit_free(&auth->accounts);
    recent_free(&auth->registered);
    sql_client_free(&auth->sql);
    map_fini(&auth->dialogues);
    list_del(&auth->work.turn.node);
    mem_free(&auth->host);
    mem_wipe(auth, sizeof *auth);
    mem_free_p(auth);
    p->self = NULL;
    digest_fini();
}

static void
on_step(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;

    (void)fd;
    dialogue_on_step(p->self, from, msg);
}

static void
on_abort(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_conn *m = msg;
    struct proc *p = ctx;

    (void)fd;
    dialogue_on_abort(p->self, from, m->conn);
}

static void
on_account_call(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;

    (void)fd;
    account_on_call(p->self, from, msg);
}

static void
on_sql_reply(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    struct auth *auth = p->self;

    (void)fd;
    sql_client_on_reply(auth->sql, from, msg);
}

static void
on_sql_restarted(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;
    struct auth *auth = p->self;

    (void)msg, (void)fd;
    sql_client_on_restarted(auth->sql, from);
}

static const ipc_handler_fn auth_handlers[IPC_TYPES] = {
    [IPC_AUTH_STEP] = on_step,
    [IPC_AUTH_ABORT] = on_abort,
    [IPC_ACCOUNT_CALL] = on_account_call,
    [IPC_SQL_REPLY] = on_sql_reply,
    [IPC_SQL_RESTARTED] = on_sql_restarted,
};

const struct proc_role_ops auth_ops = {
    .role = PROC_AUTH,
    .prepare = auth_prepare,
    .start = auth_start,
    .reload = auth_reload,
    .stop = auth_stop,
    .finish = auth_finish,
    .handlers = auth_handlers,
};
