/*
 * cmd_rosters.c -- commands about the contacts of many accounts
 *
 * Each names a long row of single changes: they are asked one after the other of the
 * homes of the accounts, some at the same time. Accounts that are not there, or
 * contacts that cannot be, do not keep the others from being done.
 */
#include <errno.h>
#include <fnmatch.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "admin/rosters.h"
#include "base/mem.h"
#include "xmpp/erlterm.h"
#include "xmpp/jid.h"

enum {
    AT_ONCE = 32,
    ITEMS_A_PAGE = 1000,
    USERS_A_PAGE = 1000,
    USERS_MAX = 20000
};

/* --- Making contacts --- */

struct member {
    struct str user, host, group, nick;
};

/* Each of the owners gets each of the members that is not himself. */
struct pushing {
    struct member *owner, *member;
    size_t n_owners, n_members;
    size_t i_owner, i_member; /* the next */
    size_t n_asked, n_failed;
    struct str first_error;
};

static void push_on(struct request *rq);

static void
on_pushed(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct pushing *p = rq->state;

    (void)from;
    p->n_asked--;
    if (reply->status != IPC_OK && p->n_failed++ == 0)
        p->first_error = str_dup(&rq->arena, reply->text);
    push_on(rq);
}

static bool
is_same(const struct member *a, const struct member *b)
{
    return str_eq(a->user, b->user) && str_eq(a->host, b->host);
}

static void
push_one(struct request *rq, const struct member *owner, const struct member *m)
{
    struct str arg[ROSTER_ADD_GROUPS + 1] = { owner->user, owner->host };
    struct jid jid = { .local = m->user, .domain = m->host };
    struct buf text = { 0 };

    jid_write(&text, &jid);
    arg[ROSTER_ADD_JID] = buf_str(&text);
    arg[ROSTER_ADD_NICK] = m->nick;
    arg[ROSTER_ADD_SUBSCRIPTION] = STR("both");
    arg[ROSTER_ADD_GROUPS] = m->group;
    call_account_home(rq, "roster_add", arg, ARRAY_LEN(arg), on_pushed);
    buf_fini(&text);
}

static void
push_on(struct request *rq)
{
    struct pushing *p = rq->state;

    while (p->i_owner < p->n_owners && p->n_asked < AT_ONCE) {
        const struct member *owner = &p->owner[p->i_owner],
                            *member = &p->member[p->i_member];

        if (++p->i_member >= p->n_members) {
            p->i_member = 0;
            p->i_owner++;
        }
        if (is_same(owner, member))
            continue;
        p->n_asked++;
        push_one(rq, owner, member);
    }
    if (p->n_asked > 0)
        return;
    if (p->n_failed == 0)
        result_ok(&rq->result);
    else
        result_error(&rq->result, "failed", 0,
                "%zu contacts were not added, first: %.*s", p->n_failed,
                STR_ARG(p->first_error));
}

static void
push_begin(struct request *rq, struct pushing *p)
{
    rq->state = p;
    if (p->n_members == 0)
        p->n_owners = 0;
    push_on(rq);
}

/* A host of ours, and names in their prepared forms. */
static bool
member_prepare(struct request *rq, struct member *m)
{
    const struct conf_host *host = request_host(rq, m->host);

    if (!host || !request_user(rq, m->user, &m->user))
        return false;
    m->host = host->name;
    return true;
}

static bool
member_read(struct request *rq, const struct erlterm *term, struct member *ret)
{
    struct str *part[] = { &ret->user, &ret->host, &ret->group, &ret->nick };

    if (!erlterm_is_tuple(term, NULL, ARRAY_LEN(part)))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(part); i++) {
        if (erlterm_text(&rq->arena, erlterm_nth(term, i), part[i]) < 0)
            return false;
    }
    return true;
}

/* [{<<"user">>, <<"host">>, <<"group">>, <<"nick">>}, …]. */
static bool
members_read(struct request *rq, struct str text, struct pushing *ret)
{
    struct erlterm *list;
    size_t n = 0;

    text = str_trim(text);
    if (str_ends(text, STR(".")))
        text.n--;
    if (erlterm_parse(&rq->arena, text, &list) < 0 || list->type != ERLTERM_LIST)
        goto wrong;
    ret->member = arena_zalloc(&rq->arena, (list->n + 1) * sizeof *ret->member);
    for (const struct erlterm *term = list->first; term; term = term->next, n++) {
        if (!member_read(rq, term, &ret->member[n]))
            goto wrong;
    }
    ret->n_members = n;
    return true;
wrong:
    result_error(&rq->result, "invalid", 0,
            "the file must hold [{<<\"user\">>, <<\"host\">>, <<\"group\">>, "
            "<<\"nick\">>}, …].");
    return false;
}

void
cmd_push_roster(struct request *rq)
{
    struct pushing *p = arena_new(&rq->arena, struct pushing);
    struct member *owner = arena_new(&rq->arena, struct member);

    *owner = (struct member){ .user = rq->arg[1], .host = rq->arg[2] };
    if (!members_read(rq, rq->arg[0], p))
        return;
    if (!member_prepare(rq, owner)) {
        result_error(&rq->result, "not_found", 0, "unknown_user");
        return;
    }
    for (size_t i = 0; i < p->n_members; i++)
        member_prepare(rq, &p->member[i]); /* contacts may be elsewhere */
    p->owner = owner;
    p->n_owners = 1;
    push_begin(rq, p);
}

void
cmd_push_roster_all(struct request *rq)
{
    struct pushing *p = arena_new(&rq->arena, struct pushing);

    if (!members_read(rq, rq->arg[0], p))
        return;
    for (size_t i = 0; i < p->n_members; i++) {
        if (!member_prepare(rq, &p->member[i])) {
            result_error(&rq->result, "not_found", 0, "no account of ours: %.*s@%.*s",
                    STR_ARG(p->member[i].user), STR_ARG(p->member[i].host));
            return;
        }
    }
    p->owner = p->member;
    p->n_owners = p->n_members;
    push_begin(rq, p);
}

/* --- All accounts of a host --- */

struct everybody {
    struct str host, group, after;
    struct buf names; /* terminated each */
    size_t n;
};

static void
everybody_fini(void *arg)
{
    buf_fini(&((struct everybody *)arg)->names);
}

static void
everybody_complete(struct request *rq)
{
    struct everybody *all = rq->state;
    struct pushing *p = arena_new(&rq->arena, struct pushing);
    const char *name = buf_c(&all->names);

    p->member = arena_zalloc(&rq->arena, (all->n + 1) * sizeof *p->member);
    for (; p->n_members < all->n; name += strlen(name) + 1) {
        struct member *m = &p->member[p->n_members++];

        *m = (struct member){ .user = str_from(name),
            .host = all->host,
            .group = all->group,
            .nick = str_from(name) };
    }
    p->owner = p->member;
    p->n_owners = p->n_members;
    push_begin(rq, p);
}

static void everybody_ask(struct request *rq);

static void
on_users(struct request *rq, const struct sql_result *page)
{
    struct everybody *all = rq->state;

    if (page->status != SQL_OK) {
        result_error(&rq->result, "unavailable", 0, "the database does not answer");
        return;
    }
    for (size_t i = 0; i < page->n_rows; i++) {
        struct str name = page->value[i * page->n_cols].s;

        buf_add_str(&all->names, name);
        buf_add_char(&all->names, '\0');
        all->after = str_dup(&rq->arena, name);
    }
    all->n += page->n_rows;
    if (all->n > USERS_MAX)
        result_error(&rq->result, "failed", 0, "the host has more than %d accounts",
                USERS_MAX);
    else if (page->n_rows < USERS_A_PAGE)
        everybody_complete(rq);
    else
        everybody_ask(rq);
}

static void
everybody_ask(struct request *rq)
{
    struct everybody *all = rq->state;
    struct sql_value param[] = { sql_text(all->after), sql_int(USERS_A_PAGE) };

    call_sql(rq, all->host, SQL_USER_LIST, param, ARRAY_LEN(param), on_users);
}

void
cmd_push_alltoall(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[0]);
    struct everybody *all;

    if (!host) {
        result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
        return;
    }
    all = arena_new(&rq->arena, struct everybody);
    arena_on_end(&rq->arena, everybody_fini, all);
    all->host = host->name;
    all->group = rq->arg[1];
    all->after = STR("");
    rq->state = all;
    everybody_ask(rq);
}

/* --- Finding contacts --- */

/* All items of all hosts, page by page, as the client takes them. */
struct finding {
    bool deletes;
    size_t i_host;
    struct str host, after_user, after_jid; /* of the page under way */
    struct buf page; /* what has been found in it and is to be deleted: user, jid */
    size_t at, n_asked;
    bool last_page;
};

static void
finding_fini(void *arg)
{
    buf_fini(&((struct finding *)arg)->page);
}

/* "any", or several with colons between; NULL-terminated names of what there may be. */
static bool
words_know(struct str words, const char *const *names)
{
    struct str word;

    while (str_cut(&words, ':', &word)) {
        size_t i = 0;

        while (names[i] && !str_eq_c(word, names[i]))
            i++;
        if (!names[i])
            return false;
    }
    return true;
}

static bool
words_have(struct str words, const char *name)
{
    struct str word;

    if (str_eq(words, STR("any")))
        return true;
    while (str_cut(&words, ':', &word)) {
        if (str_eq_c(word, name))
            return true;
    }
    return false;
}

static bool
patterns_match(struct arena *scratch, struct str patterns, struct str address)
{
    const char *text = str_dup_c(scratch, address);
    struct str pattern;

    if (str_eq(patterns, STR("any")))
        return true;
    while (str_cut(&patterns, ':', &pattern)) {
        if (fnmatch(str_dup_c(scratch, pattern), text, 0) == 0)
            return true;
    }
    return false;
}

static const char *
kind_name(struct str letter)
{
    switch (letter.n ? letter.p[0] : 'N') {
    case 'B':
        return "both";
    case 'T':
        return "to";
    case 'F':
        return "from";
    default:
        return "none";
    }
}

/* Both of them for B. */
static bool
asks_match(struct str words, struct str letter)
{
    switch (letter.n ? letter.p[0] : 'N') {
    case 'O':
    case 'S':
        return words_have(words, "out");
    case 'I':
        return words_have(words, "in");
    case 'B':
        return words_have(words, "out") || words_have(words, "in");
    default:
        return words_have(words, "none");
    }
}

static void find_on(struct request *rq);

static void
on_deleted(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct finding *f = rq->state;

    (void)from;
    f->n_asked--;
    if (reply->status == IPC_OK || reply->status == IPC_NOT_FOUND)
        find_on(rq);
    else
        call_failed(rq, reply->status, reply->text);
}

/* Deletes what the page had; false when that is done. */
static bool
delete_some(struct request *rq)
{
    struct finding *f = rq->state;

    while (f->at < f->page.n && f->n_asked < AT_ONCE) {
        struct str user = str_from(f->page.p + f->at),
                   jid = str_from(f->page.p + f->at + user.n + 1);
        struct str arg[] = { user, f->host, jid };

        f->at += user.n + jid.n + 2;
        f->n_asked++;
        call_account_home(rq, "roster_delete", arg, ARRAY_LEN(arg), on_deleted);
    }
    return f->n_asked > 0;
}

static void
item_found(struct request *rq, struct str address, struct str user, struct str jid)
{
    struct finding *f = rq->state;
    struct str cell[] = { address, jid };

    result_row(&rq->result, cell);
    if (!f->deletes)
        return;
    buf_add_str(&f->page, user);
    buf_add_char(&f->page, '\0');
    buf_add_str(&f->page, jid);
    buf_add_char(&f->page, '\0');
}

/* username, jid, nick, subscription, ask */
static void
on_items(struct request *rq, const struct sql_result *page)
{
    struct finding *f = rq->state;
    struct arena scratch;

    if (page->status != SQL_OK) {
        result_error(&rq->result, "unavailable", 0, "the database does not answer");
        return;
    }
    arena_init(&scratch, 4096);
    buf_reset(&f->page, 1 << 16);
    f->at = 0;
    for (size_t i = 0; i < page->n_rows; i++) {
        const struct sql_value *row = &page->value[i * page->n_cols];
        struct jid user = { .local = row[0].s, .domain = f->host };
        struct str address = jid_text(&scratch, &user);

        if (words_have(rq->arg[1], kind_name(row[3].s)) &&
                asks_match(rq->arg[2], row[4].s) &&
                patterns_match(&scratch, rq->arg[3], address) &&
                patterns_match(&scratch, rq->arg[4], row[1].s))
            item_found(rq, address, row[0].s, row[1].s);
        arena_reset(&scratch);
        f->after_user = row[0].s;
        f->after_jid = row[1].s;
    }
    f->after_user = str_dup(&rq->arena, f->after_user);
    f->after_jid = str_dup(&rq->arena, f->after_jid);
    f->last_page = page->n_rows < ITEMS_A_PAGE;
    arena_fini(&scratch);
    find_on(rq);
}

static void
find_ask(struct request *rq)
{
    struct finding *f = rq->state;
    struct sql_value param[] = { sql_text(f->after_user), sql_text(f->after_jid),
        sql_int(ITEMS_A_PAGE) };

    rq->more = NULL;
    call_sql_module(rq, f->host, "mod_roster", SQL_ROSTER_LIST, param, ARRAY_LEN(param),
            on_items);
}

/* What the page had has been dealt with: the next one, when the client takes it. */
static void
find_on(struct request *rq)
{
    struct finding *f = rq->state;
    const struct conf *conf = rq->p->conf;

    if (delete_some(rq))
        return;
    if (f->last_page) {
        f->last_page = false;
        f->after_user = f->after_jid = STR("");
        if (++f->i_host >= conf->n_hosts) {
            result_end(&rq->result);
            return;
        }
        f->host = str_dup(&rq->arena, conf->hosts[f->i_host].name);
    }
    rq->more = find_ask;
}

void
cmd_process_rosteritems(struct request *rq)
{
    static const char *const kinds[] = { "any", "none", "from", "to", "both", NULL };
    static const char *const asks[] = { "any", "none", "out", "in", NULL };
    struct finding *f;

    if (!str_eq_c(rq->arg[0], "list") && !str_eq_c(rq->arg[0], "delete")) {
        result_error(&rq->result, "invalid", 0, "the action is list or delete");
        return;
    }
    if (!words_know(rq->arg[1], kinds) || !words_know(rq->arg[2], asks)) {
        result_error(&rq->result, "invalid", 0,
                "subs are any, none, from, to, both; asks any, none, out, in");
        return;
    }
    f = arena_new(&rq->arena, struct finding);
    arena_on_end(&rq->arena, finding_fini, f);
    f->deletes = str_eq_c(rq->arg[0], "delete");
    f->host = str_dup(&rq->arena, rq->p->conf->hosts[0].name);
    f->after_user = f->after_jid = STR("");
    rq->state = f;
    find_ask(rq);
}
