/*
 * account_load.c -- reading an account from the database, and who waits for that
 *
 * The databases that its parts are in are asked at the same time. When all have
 * answered, a module may still hold the account up (HOOK_ACCOUNT_LOADING); then it is
 * ready, and the sessions and jobs that waited for it go on. It is read again when the
 * configuration gives its host other parts, and when somebody else has written.
 */
#include "worker/account_load.h"

#include "sql/client.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/in.h"
#include "worker/jobs.h"
#include "worker/modules.h"

/* One question to a database. */
struct load {
    struct worker *w;
    struct account *a;
    uint8_t which;
    enum sql_op op;
    uint32_t module; /* whose own it is; 0: SQL_ACCOUNT_GET, SQL_USER_EXISTS */
};

/* Everybody who waited for it goes on. */
static void
release(struct worker *w, struct account *a)
{
    struct conn *c, *next;
    uint32_t at = 0;

    a->refs++; /* those that go on may let it go */
    for (c = session_next(w, a, &at); c; c = next) {
        next = session_next(w, a, &at);
        worker_begin(w, c);
        c2s_on_account(w, c);
        worker_commit(w);
        in_resume(w, c);
    }
    while (!list_empty(&a->waiting))
        jobs_on_account(w, list_entry(a->waiting.next, struct job_live, waiting));
    account_unref(w, &a);
}

/* What its modules ask for, by its parts and by the configuration in force. */
static void
settle(struct worker *w, struct account *a)
{
    struct event e = { .w = w, .host = a->host, .account = a };

    a->settling = true; /* the router hears of all flags at once */
    hook_run(w, HOOK_ACCOUNT_LOADED, &e);
    a->settling = false;
    account_settle_flags(w, a);
}

/* A module may need something else first: then it stays LOADING. */
static bool
is_held(struct worker *w, struct account *a)
{
    struct event e = { .w = w, .host = a->host, .account = a };

    if (!hook_exists(w, a->host, HOOK_ACCOUNT_LOADING))
        return false;
    worker_begin(w, NULL);
    a->held = hook_run(w, HOOK_ACCOUNT_LOADING, &e) == HOOK_DONE;
    worker_commit(w);
    return a->held;
}

static void
loaded(struct worker *w, struct account *a, bool ok)
{
    if (a->refs == 0) {
        account_forget(w, a);
        return;
    }
    a->held = false;
    if (ok && is_held(w, a))
        return;
    a->state = ok ? ACCOUNT_READY : ACCOUNT_FAILED;
    if (ok) {
        contacts_trim(&a->contacts);
        worker_begin(w, NULL);
        settle(w, a);
        worker_commit(w);
    }
    release(w, a);
}

/* Those that go on may let others go: what is noted are names. */
void
accounts_go_on(struct worker *w, bool ok)
{
    struct buf names = { 0 };
    struct map_entry *entry;
    struct str rest, name;
    size_t at = 0;

    while ((entry = map_next(&w->accounts, &at))) {
        struct account *a = entry->value;

        if (a->held) {
            buf_add_str(&names, account_bare(a));
            buf_add_char(&names, '\n');
        }
    }
    rest = buf_str(&names);
    while (str_cut(&rest, '\n', &name)) {
        struct account *a = map_get(&w->accounts, name);

        if (a && a->held)
            loaded(w, a, ok);
    }
    buf_fini(&names);
}

static void
take_rows(struct worker *w, struct account *a, unsigned which,
        const struct sql_result *rows)
{
    const struct host_run *run = host_run_of(w, a->host);

    for (size_t i = 0; i < run->n_modules; i++) {
        const struct host_module *hm = &run->module[i];

        if (hm->module->part && hm->module->part->load && hm->which == which)
            a->part[hm->part] = hm->module->part->load(a, hm->config, rows);
    }
}

static void
take_own(struct worker *w, struct account *a, uint32_t module,
        const struct sql_result *rows)
{
    const struct host_module *hm = host_module_by_hash(w, a->host, module);

    if (hm && hm->module->part && hm->module->part->take)
        a->part[hm->part] = hm->module->part->take(w, a, hm->config, rows);
}

static void
on_rows(void *arg, const struct sql_result *result)
{
    struct load *load = arg;
    struct worker *w = load->w;
    struct account *a = load->a;
    struct load what = *load;

    mem_free_p(load);
    if (w->finishing)
        return;
    a->n_asked--;
    if (a->state == ACCOUNT_LOADING && result->status == SQL_OK && a->refs > 0) {
        if (what.module)
            take_own(w, a, what.module, result);
        else if (what.op == SQL_USER_EXISTS)
            a->exists = a->exists || result->n_rows > 0;
        else
            take_rows(w, a, what.which, result);
    } else if (a->state == ACCOUNT_LOADING) {
        a->state = ACCOUNT_FAILED;
    }
    if (a->n_asked == 0)
        loaded(w, a, a->state == ACCOUNT_LOADING);
}

static void
ask(struct worker *w, struct account *a, enum sql_op op, unsigned which,
        uint32_t module)
{
    struct load *load = mem_zalloc(sizeof *load);
    struct sql_value user = sql_text((struct str){ a->bare, a->local_n });
    struct sql_call call = { .op = op,
        .which = (enum sql_which)which,
        .host = a->host->name,
        .param = &user,
        .n_params = 1,
        .done = on_rows,
        .arg = load };

    *load = (struct load){ w, a, (uint8_t)which, op, module };
    if (sql_client_ask(w->sql, &call) < 0) {
        mem_free_p(load);
        a->state = ACCOUNT_FAILED;
        return;
    }
    a->n_asked++;
}

/* The databases that its parts are in, each once. */
void
account_load(struct worker *w, struct account *a, bool existence)
{
    const struct host_run *run = host_run_of(w, a->host);
    unsigned asked = 0;

    a->state = ACCOUNT_LOADING;
    a->exists = !existence;
    a->parts = run->parts;
    for (size_t i = 0; i < run->n_modules; i++) {
        const struct host_module *hm = &run->module[i];

        if (hm->module->part && hm->module->part->take)
            ask(w, a, hm->module->part->op, hm->which, hm->hash);
        if (!hm->module->part || !hm->module->part->load || asked & 1u << hm->which)
            continue;
        asked |= 1u << hm->which;
        ask(w, a, SQL_ACCOUNT_GET, hm->which, 0);
    }
    for (size_t i = 0; existence && i < a->host->n_auth_methods; i++)
        ask(w, a, SQL_USER_EXISTS,
                a->host->auth_method[i] == CONF_AUTH_SQL ? SQL_WHICH_SQL
                                                         : SQL_WHICH_EMBEDDED,
                0);
    if (a->n_asked == 0 && a->state == ACCOUNT_LOADING) {
        a->state = ACCOUNT_READY;
        worker_begin(w, NULL);
        settle(w, a);
        worker_commit(w);
    }
}

/* Those who hold it wait for the answers, or hear at once that there will be none. */
static void
load_again(struct worker *w, struct account *a)
{
    account_free_parts(w, a);
    account_load(w, a, false);
    if (a->state == ACCOUNT_FAILED && a->n_asked == 0)
        release(w, a);
}

void
account_read_again(struct worker *w, struct account *a)
{
    if (a->state == ACCOUNT_READY)
        load_again(w, a);
}

static void
find_host(struct worker *w, struct account *a)
{
    a->host = conf_host_find(w->proc->conf, account_jid(a).domain);
    if (!a->host)
        a->host = &w->proc->conf->hosts[0]; /* its sessions are ended (host-gone) */
}

void
accounts_reload(struct worker *w)
{
    size_t at = 0;
    struct map_entry *e;

    list_for(node, &w->removed) find_host(w, list_entry(node, struct account, removed));
    while ((e = map_next(&w->accounts, &at))) {
        struct account *a = e->value;

        find_host(w, a);
        if (a->state == ACCOUNT_LOADING)
            continue;
        if (a->parts == host_run_of(w, a->host)->parts) {
            if (a->state != ACCOUNT_READY)
                continue;
            worker_begin(w, NULL); /* the same modules keep the same */
            settle(w, a);
            worker_commit(w);
            continue;
        }
        load_again(w, a);
    }
    accounts_go_on(w, true); /* perhaps nobody holds them up any more */
}
