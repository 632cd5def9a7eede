/*
 * shared_roster_apply.c -- a change of the groups, in this worker
 *
 * The tables in memory are changed at once. Then a job goes through the sessions of the
 * worker, so many a turn, and makes of each account's contacts what they should be: for
 * a change of one user that user's contacts, and that user among those of the others.
 *
 * What a client has been told is known as long as the process lives that told it. The
 * job of one that has died pushes what the change is about whether it seems to be news
 * or not; so does each when the account was read after the change was written: then it
 * has it already, and a session may be older than that.
 */
#include "modules/shared_roster.h"

enum {
    SESSIONS_A_TURN = 100,
    WAIT_MS = 50
};

/* --- Packed --- */

struct packed {
    uint64_t when_ms;
    uint32_t what, first_n, second_n;
};

void
sr_change_pack(struct buf *out, const struct sr_change *ch)
{
    struct packed p = { .when_ms = ch->when_ms,
        .what = ch->what,
        .first_n = (uint32_t)ch->first.n,
        .second_n = (uint32_t)ch->second.n };

    buf_add(out, &p, sizeof p);
    buf_add_str(out, ch->first);
    buf_add_str(out, ch->second);
}

bool
sr_change_unpack(struct str *data, struct sr_change *ret)
{
    struct packed p;
    size_t n;

    if (data->n < sizeof p)
        return false;
    memcpy(&p, data->p, sizeof p);
    n = sizeof p + p.first_n + p.second_n;
    if (p.what > SR_ALL || data->n < n)
        return false;
    *ret = (struct sr_change){ .what = (enum sr_what)p.what,
        .when_ms = p.when_ms,
        .first = { data->p + sizeof p, p.first_n },
        .second = { data->p + sizeof p + p.first_n, p.second_n } };
    data->p += n;
    data->n -= n;
    return true;
}

void
sr_tell(struct worker *w, const struct module *m, const struct conf_host *host,
        struct sr_change *ch)
{
    struct buf data = { 0 };

    if (ch->when_ms == 0)
        ch->when_ms = worker_now_ms(w);
    sr_change_pack(&data, ch);
    workers_notify(w, m, host, ch->what, buf_str(&data));
    buf_fini(&data);
}

/* --- The tables --- */

static bool
is_online(struct worker *w, struct str bare)
{
    const struct route_snapshot *snap;

    return route_sessions(w, bare, 0, &snap) > 0;
}

static void
remove_user(struct sr_content *c, struct str bare)
{
    struct sr_user *u = sr_find_user(c, bare);

    if (!u)
        return;
    u->registered = u->online = false;
    while (u->n_groups > 0)
        sr_del_member(c, bare, u->groups[0]->name);
}

bool
sr_change_content(struct worker *w, struct sr_content *c, const struct sr_change *ch)
{
    struct sr_user *u;
    bool online;

    switch (ch->what) {
    case SR_GROUP:
        sr_put_group(c, ch->first, ch->second);
        return true;
    case SR_GROUP_GONE:
        sr_del_group(c, ch->first);
        return true;
    case SR_MEMBER:
        sr_put_member(c, ch->first, ch->second);
        return true;
    case SR_MEMBER_GONE:
        sr_del_member(c, ch->first, ch->second);
        return true;
    case SR_ONLINE:
        u = sr_put_user(c, ch->first);
        online = is_online(w, ch->first);
        if (u->online == online)
            return false;
        u->online = online;
        return c->has_online;
    case SR_REGISTERED:
        u = sr_put_user(c, ch->first);
        if (u->registered)
            return false;
        u->registered = true;
        return c->has_all;
    case SR_REMOVED:
        remove_user(c, ch->first);
        return true;
    case SR_ALL:
        break;
    }
    return true;
}

/* Who has an account, and who is online, is read only where a group asks for it. */
bool
sr_change_now(struct worker *w, struct sr_table *t, const struct sr_change *ch)
{
    bool had_all = t->now->has_all, had_online = t->now->has_online,
         matters = sr_change_content(w, t->now, ch);

    if ((t->now->has_all && !had_all) || (t->now->has_online && !had_online)) {
        t->until_ms = 0;
        t->when_ms = ch->when_ms;
    }
    return matters;
}

void
sr_notify(struct event *e, unsigned what, struct str data)
{
    struct sr_table *t = sr_table_of(e->host->name);
    struct str rest = data;
    struct sr_change ch;

    (void)what;
    if (e->account || !sr_change_unpack(&rest, &ch))
        return;
    if (t->next)
        buf_add_str(&t->pending, data);
    if (t->state == SR_READY && !sr_change_now(e->w, t, &ch))
        return;
    sr_apply_begin(e->w, e->module, e->host, &ch);
}

/* --- The accounts --- */

struct head {
    uint64_t process;
    uint32_t at;        /* connection */
    uint32_t idle_done; /* accounts without sessions here */
};

static void
keep(struct job *j, const struct head *head, struct str change)
{
    struct buf data = { 0 };

    buf_add(&data, head, sizeof *head);
    buf_add_str(&data, change);
    job_keep(j, buf_str(&data));
    buf_fini(&data);
}

static bool
read_head(const struct job *j, struct head *ret, struct str *ret_change,
        struct sr_change *ret_ch)
{
    struct str rest;

    if (j->data.n < sizeof *ret)
        return false;
    memcpy(ret, j->data.p, sizeof *ret);
    rest = *ret_change =
            (struct str){ j->data.p + sizeof *ret, j->data.n - sizeof *ret };
    return sr_change_unpack(&rest, ret_ch);
}

void
sr_apply_begin(struct worker *w, const struct module *m, const struct conf_host *host,
        const struct sr_change *ch)
{
    struct head head = { .process = sr_this_process(w) };
    struct buf data = { 0 }, key = { 0 };
    struct job_start start = { .module = m, .host = host, .step = SR_STEP_APPLY };

    buf_add(&data, &head, sizeof head);
    sr_change_pack(&data, ch);
    buf_addf(&key, " %s apply %.*s", m->name, STR_ARG(host->name));
    start.data = buf_str(&data);
    start.key = buf_str(&key);
    job_begin(w, &start);
    buf_fini(&data);
    buf_fini(&key);
}

static void
tell_member(void *arg, struct str bare)
{
    struct map *members = arg;

    map_set(members, bare, members);
}

/* Everybody whom a change of a group may be about, once more to the clients. */
static void
tell_group(struct worker *w, const struct module *m, struct account *a,
        const struct sr_change *ch)
{
    const struct sr_table *t = sr_table_of(account_host(a)->name);
    const struct sr_group *g = t->now ? map_get(&t->now->groups, ch->first) : NULL;
    struct arena arena;
    struct map members = { 0 };
    struct map_entry *e;
    struct contact c;
    size_t at = 0;

    arena_init(&arena, 4096);
    if (g)
        sr_each_member(g, tell_member, &members);
    while (contacts_next(account_contacts(a), &at, &c)) {
        if (c.bits & CONTACT_SHARED && !map_get(&members, c.jid))
            map_set(&members, str_dup(&arena, c.jid), &members);
    }
    for (at = 0; (e = map_next(&members, &at));)
        sr_merge_one(w, m, a, e->key, true, ch->when_ms);
    map_fini(&members);
    arena_fini(&arena);
}

static void
apply_to(struct worker *w, const struct module *m, struct account *a,
        const struct sr_change *ch, bool told)
{
    told = told || (ch->when_ms > 0 && sr_merged_ms(m, a) >= ch->when_ms);
    switch (ch->what) {
    case SR_MEMBER:
    case SR_MEMBER_GONE:
    case SR_ONLINE:
    case SR_REGISTERED:
    case SR_REMOVED:
        if (!str_eq(ch->first, account_bare(a))) {
            sr_merge_one(w, m, a, ch->first, told, ch->when_ms);
            return;
        }
        break;
    case SR_GROUP:
    case SR_GROUP_GONE:
    case SR_ALL:
        break;
    }
    sr_merge(w, m, a, ch->when_ms);
    if (told)
        tell_group(w, m, a, ch);
}

/* Is the module there for the account? */
static bool
is_ours(struct worker *w, const struct module *m, struct account *a)
{
    return module_config(w, account_host(a), m) != NULL;
}

/* Those that a job holds, without sessions here. */
static void
apply_to_idle(struct job *j, const struct sr_change *ch)
{
    struct account *a;

    for (size_t at = 0; (a = account_walk(j->w, &at));) {
        uint32_t session = 0;

        if (is_ours(j->w, j->module, a) && !session_next(j->w, a, &session))
            apply_to(j->w, j->module, a, ch, false);
    }
}

/* A session whose account has not been read since a predecessor died. */
static void
load_first(struct job *j, struct conn *c, struct str change)
{
    const struct conf_host *host = host_of(j->w, conn_domain(c));
    struct job_start start = { .module = j->module,
        .host = host,
        .step = SR_STEP_APPLY_LOAD,
        .key = conn_bare(c),
        .data = change };

    if (host && module_config(j->w, host, j->module))
        job_begin(j->w, &start);
}

void
sr_apply(struct job *j, const struct sql_result *result)
{
    struct head head;
    struct str change;
    struct sr_change ch;
    struct conn *c = NULL;
    uint32_t none = 0;

    (void)result;
    if (!read_head(j, &head, &change, &ch))
        return;
    if (!sr_is_ready(j->w, j->module, j->host)) {
        if (session_walk(j->w, NULL, &none)) /* else nobody wants to know */
            job_sleep(j, SR_STEP_APPLY, WAIT_MS);
        return;
    }
    if (!head.idle_done)
        apply_to_idle(j, &ch);
    head.idle_done = 1;
    for (int i = 0; i < SESSIONS_A_TURN && (c = session_walk(j->w, NULL, &head.at));
            i++) {
        struct account *a = session_account(j->w, c);

        if (!a)
            load_first(j, c, change);
        else if (is_ours(j->w, j->module, a))
            apply_to(j->w, j->module, a, &ch, head.process != sr_this_process(j->w));
    }
    if (!c)
        return;
    keep(j, &head, str_dup(j->arena, change));
    job_again(j, SR_STEP_APPLY);
}

void
sr_apply_load(struct job *j, const struct sql_result *result)
{
    (void)result;
    job_account(j, SR_STEP_APPLY_ONE);
}

void
sr_apply_one(struct job *j, const struct sql_result *result)
{
    struct str rest = j->data;
    struct sr_change ch;

    (void)result;
    if (sr_change_unpack(&rest, &ch))
        apply_to(j->w, j->module, j->account, &ch, true);
}
