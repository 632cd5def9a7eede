/*
 * account.c -- what a worker knows of an account, while somebody needs it
 *
 * It is read from the database once (account_load.c), before the account's first
 * session here is bound or when a job in its home wants it, and forgotten with the last
 * one that holds it. A change is committed to the database in the home, and then told
 * to all workers: one that reads the account at that time has the change either in what
 * it reads or in the notification, which waits for it as a job (worker/home.c). So
 * notifications name new values, not differences: what they say may be known already.
 *
 * After a death the successor reads an account again when one of its sessions says
 * something, or when it is told of a change.
 */
#include "worker/account.h"

#include "worker/account_load.h"
#include "worker/modules.h"
#include "worker/session.h"

enum {
    IDLE_S = 30,       /* without sessions */
    IDLE_A_TICK = 1000 /* looked at, at most */
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

void
account_settle_flags(struct worker *w, struct account *a)
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
        account_settle_flags(w, a);
}

void
account_free_parts(struct worker *w, struct account *a)
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
account_free(struct worker *w, struct account *a)
{
    account_free_parts(w, a);
    mem_free_p(a->bare);
    mem_free_p(a);
}

void
account_forget(struct worker *w, struct account *a)
{
    if (map_get(&w->accounts, account_bare(a)) == a)
        map_del(&w->accounts, account_bare(a));
    list_del(&a->removed);
    list_del(&a->idle);
    account_free(w, a);
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
    account_forget(w, a);
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
            account_forget(w, a);
        }
    }
}

struct account *
account_find(const struct worker *w, struct str bare)
{
    struct account *a = map_get(&w->accounts, bare);

    return a && a->state == ACCOUNT_READY ? a : NULL;
}

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
            account_load(w, a, existence);
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
    account_load(w, a, existence);
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
account_removed(struct worker *w, struct account *a)
{
    if (map_get(&w->accounts, account_bare(a)) != a)
        return;
    map_del(&w->accounts, account_bare(a));
    list_add(&w->removed, &a->removed);
    a->exists = false;
}

/* --- The whole worker --- */

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
