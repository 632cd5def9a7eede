/*
 * account.c -- what a worker knows of an account, while somebody needs it
 *
 * It is read from the database once, before the account's first session here is bound
 * or when a job in its home wants it, and forgotten with the last one that holds it. A
 * change is committed to the database in the home, and then told to all workers: one
 * that reads the account at that time has the change either in what it reads or in the
 * notification, which waits for it as a job (worker/home.c). So notifications name new
 * values, not differences: what they say may be known already.
 *
 * After a death the successor reads an account again when one of its sessions says
 * something, or when it is told of a change.
 */
#include "worker/account.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "sql/client.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/in.h"
#include "worker/jobs.h"
#include "worker/modules.h"
#include "worker/outbox.h"
#include "worker/session.h"

enum {
    IDLE_S = 30,       /* without sessions */
    IDLE_A_TICK = 1000 /* looked at, at most */
};

/* One question to a database. */
struct load {
    struct worker *w;
    struct account *a;
    uint8_t which;
    enum sql_op op;
    uint32_t module; /* whose own it is; 0: SQL_ACCOUNT_GET, SQL_USER_EXISTS */
};

unsigned
account_home(const struct worker *w, struct str bare)
{
    return proc_home_of(w->proc, bare);
}

/* Where the domain is in the bare JID. */
static size_t
domain_at(const struct account *a)
{
    return a->local_n ? (size_t)a->local_n + 1 : 0;
}

struct str
account_bare(const struct account *a)
{
    return (struct str){ a->bare, domain_at(a) + a->domain_n };
}

struct jid
account_jid(const struct account *a)
{
    return (struct jid){ .local = { a->bare, a->local_n },
        .domain = { a->bare + domain_at(a), a->domain_n } };
}

const struct conf_host *
account_host(const struct account *a)
{
    return a->host;
}

bool
account_exists(const struct account *a)
{
    return a->exists;
}

struct contacts *
account_contacts(struct account *a)
{
    return &a->contacts;
}

bool
account_shows(struct account *a, const struct jid *to)
{
    struct contact contact;
    struct buf bare = { 0 };
    struct jid own = account_jid(a);
    bool shows;

    if (!a->exists)
        return false;
    if (jid_eq_bare(to, &own))
        return true;
    jid_write_bare(&bare, to);
    shows = contacts_find(&a->contacts, buf_str(&bare), &contact) &&
            contact.bits & CONTACT_MAY_SEE;
    buf_fini(&bare);
    return shows;
}

void *
account_part(const struct account *a, const struct module *m)
{
    int i = module_part_index(m);

    return i < 0 ? NULL : a->part[i];
}

void
account_set_part(struct account *a, const struct module *m, void *part)
{
    int i = module_part_index(m);

    if (i < 0)
        return;
    if (a->part[i] && m->part->free)
        m->part->free(a->part[i]);
    a->part[i] = part;
}

uint16_t
account_route_flags(const struct account *a)
{
    uint16_t flags = 0;

    for (unsigned i = 0; i < ACCOUNT_PARTS_MAX; i++)
        flags |= a->flags[i];
    return flags;
}

static void
flags_settle(struct worker *w, struct account *a)
{
    struct conn *c;
    uint32_t at = 0;

    while ((c = session_next(w, a, &at)))
        session_flags_settle(w, c);
}

void
account_set_flags(
        struct worker *w, struct account *a, const struct module *m, uint16_t flags)
{
    int i = module_part_index(m);

    if (i < 0)
        return;
    a->flags[i] = flags;
    if (a->state == ACCOUNT_READY && !a->settling)
        flags_settle(w, a);
}

static void
parts_free(struct worker *w, struct account *a)
{
    for (unsigned i = 0; i < ACCOUNT_PARTS_MAX; i++) {
        const struct module *m = module_of_part(w, i);

        if (a->part[i] && m && m->part->free)
            m->part->free(a->part[i]);
        a->part[i] = NULL;
        a->flags[i] = 0;
    }
    contacts_fini(&a->contacts);
}

static void
forget(struct worker *w, struct account *a)
{
    if (map_get(&w->accounts, account_bare(a)) == a)
        map_del(&w->accounts, account_bare(a));
    list_del(&a->removed);
    list_del(&a->idle);
    parts_free(w, a);
    mem_free_p(a->bare);
    mem_free_p(a);
}

/*
 * Its home is asked about every stanza for an account that has a list: it is not read
 * for each of them again, nor does anybody have to wait for the database. It hears of
 * changes like any other.
 */
static bool
is_worth_keeping(const struct worker *w, const struct account *a)
{
    return a->state == ACCOUNT_READY && a->exists && !w->stopping &&
           account_route_flags(a) & ROUTE_FILTER &&
           account_home(w, account_bare(a)) == w->proc->slot &&
           map_get(&w->accounts, account_bare(a)) == a;
}

void
account_unref(struct worker *w, struct account **pa)
{
    struct account *a = *pa;

    *pa = NULL;
    if (!a || --a->refs > 0)
        return;
    if (a->state == ACCOUNT_LOADING && a->n_asked > 0)
        return; /* its answers are on their way: then */
    if (is_worth_keeping(w, a)) {
        a->idle_s = w->now_s;
        list_add(&w->idle, &a->idle);
        return;
    }
    forget(w, a);
}

void
accounts_tick(struct worker *w)
{
    const struct route_snapshot *snap;

    for (unsigned i = 0; i < IDLE_A_TICK && !list_empty(&w->idle); i++) {
        struct account *a = list_entry(w->idle.next, struct account, idle);

        if (w->now_s - a->idle_s < IDLE_S)
            break;
        list_del(&a->idle);
        if (route_sessions(w, account_bare(a), 0, &snap) > 0) {
            a->idle_s = w->now_s;
            list_add(&w->idle, &a->idle);
        } else {
            forget(w, a);
        }
    }
}

struct account *
account_find(const struct worker *w, struct str bare)
{
    struct account *a = map_get(&w->accounts, bare);

    return a && a->state == ACCOUNT_READY ? a : NULL;
}

/* --- Loading --- */

uint32_t
account_notify(struct worker *w, struct account *a, uint32_t module, unsigned what,
        struct str data)
{
    const struct host_module *hm = host_module_by_hash(w, a->host, module);
    struct event e = { .w = w, .host = a->host, .account = a };

    if (!hm || !hm->module->notify)
        return 0;
    e.module = hm->module;
    e.config = hm->config;
    e.part = hm->part >= 0 ? a->part[hm->part] : NULL;
    e.arena = &w->scratch;
    hm->module->notify(&e, what, data);
    return e.answer;
}

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
    flags_settle(w, a);
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
        forget(w, a);
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

struct account *
account_walk(struct worker *w, size_t *at)
{
    struct map_entry *entry;

    while ((entry = map_next(&w->accounts, at))) {
        struct account *a = entry->value;

        if (a->state == ACCOUNT_READY)
            return a;
    }
    return NULL;
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

/* The databases that its parts are in, each once; and whether there is such an account.
 */
static void
load(struct worker *w, struct account *a, bool existence)
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
    parts_free(w, a);
    load(w, a, false);
    if (a->state == ACCOUNT_FAILED && a->n_asked == 0)
        release(w, a);
}

static void
join(struct worker *w, struct account *a, struct conn *c)
{
    struct live *l = live_of(w, c);

    l->account = a;
    l->next_session = a->first_session;
    a->first_session = conn_index(w, c) + 1;
}

/* After a death: its other sessions that are here are its own again, too. */
static void
adopt(struct worker *w, struct account *a)
{
    const struct route_snapshot *snap;
    size_t n = route_sessions(w, account_bare(a), 0, &snap);

    for (size_t i = 0; i < n; i++) {
        struct conn *c = conn_find(w, snap->entry[i].conn);

        if (!c || (c->state != STREAM_OPEN && c->state != STREAM_DETACHED) ||
                live_of(w, c)->account)
            continue;
        a->refs++;
        join(w, a, c);
    }
}

static struct account *
hold(struct worker *w, struct str bare, bool existence)
{
    struct account *a = map_get(&w->accounts, bare);
    const struct conf_host *host;
    struct jid jid;

    if (a) {
        a->refs++;
        list_del(&a->idle);
        if (a->state == ACCOUNT_FAILED && a->n_asked == 0)
            load(w, a, existence);
        return a;
    }
    if (jid_parse(&w->scratch, bare, &jid) < 0)
        return NULL;
    host = conf_host_find(w->proc->conf, jid.domain);
    if (!host)
        return NULL;
    a = mem_zalloc(sizeof *a);
    a->host = host;
    a->bare = str_heap_c(bare);
    a->local_n = (uint16_t)jid.local.n;
    a->domain_n = (uint16_t)jid.domain.n;
    a->refs = 1;
    list_init(&a->waiting);
    list_init(&a->removed);
    list_init(&a->idle);
    map_set(&w->accounts, account_bare(a), a);
    if (w->inherited)
        adopt(w, a);
    load(w, a, existence);
    return a;
}

struct account *
account_ref(struct worker *w, struct str bare)
{
    return hold(w, bare, true);
}

/* --- Sessions --- */

void
account_join(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    struct account *a = l->account ? NULL : hold(w, conn_bare(c), false);

    if (!a)
        return;
    a->exists = true;
    if (l->account == a)
        account_unref(w, &a); /* it has been adopted meanwhile */
    else
        join(w, a, c);
}

void
account_leave(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    uint32_t *at, self = conn_index(w, c) + 1;

    if (!l->account)
        return;
    at = &l->account->first_session;
    while (*at && *at != self)
        at = &live_of(w, &w->conns[*at - 1])->next_session;
    if (*at)
        *at = l->next_session;
    l->next_session = 0;
    account_unref(w, &l->account);
}

struct account *
session_account(const struct worker *w, const struct conn *c)
{
    struct account *a = live_of(w, c)->account;

    return a && a->state == ACCOUNT_READY ? a : NULL;
}

struct conn *
session_next(struct worker *w, struct account *a, uint32_t *at)
{
    uint32_t i = *at ? live_of(w, &w->conns[*at - 1])->next_session : a->first_session;

    *at = i;
    return i ? &w->conns[i - 1] : NULL;
}

void
account_read_again(struct worker *w, struct account *a)
{
    if (a->state == ACCOUNT_READY)
        load_again(w, a);
}

void
account_removed(struct worker *w, struct account *a)
{
    if (map_get(&w->accounts, account_bare(a)) != a)
        return;
    map_del(&w->accounts, account_bare(a));
    list_add(&w->removed, &a->removed);
    a->exists = false;
}

/* --- The whole worker --- */

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

static void
account_free(struct worker *w, struct account *a)
{
    parts_free(w, a);
    mem_free_p(a->bare);
    mem_free_p(a);
}

void
accounts_free(struct worker *w)
{
    size_t at = 0;
    struct map_entry *e;

    while ((e = map_next(&w->accounts, &at)))
        account_free(w, e->value);
    map_fini(&w->accounts);
    list_for_safe(node, &w->removed)
            account_free(w, list_entry(node, struct account, removed));
}
