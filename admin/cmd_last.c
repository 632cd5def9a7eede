/*
 * cmd_last.c -- commands about who has been there, and about removing who has not
 *
 * Accounts that nobody uses are found in pages: first those whose last time is too long
 * ago, then those that are as old and never had one. Each is removed by its home, one
 * after the other. Who has a session, or is under the access rule protect_old_users,
 * stays.
 */
#include <errno.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "admin/sessions.h"
#include "base/clock.h"

enum {
    USERS_A_PAGE = 100,
    NAMES_SIZE = 64 << 10, /* of the answer */
    DAY_S = 24 * 60 * 60
};

static const char mod_last[] = "mod_last";

static bool
has_last(const struct conf_host *host)
{
    return conf_module_find(host, str_from(mod_last)) != NULL;
}

/* The time so many days ago; false: no such number, and that is the result. */
static bool
days_ago(struct request *rq, struct str days, int64_t *ret)
{
    uint64_t n, now = clock_wall_us() / 1000000;

    if (str_to_u64(days, &n) < 0 || n > now / DAY_S) {
        result_error(&rq->result, "invalid", 0, "not a number of days");
        return false;
    }
    *ret = (int64_t)(now - n * DAY_S);
    return true;
}

/* --- num_active_users --- */

static void
on_count(struct request *rq, const struct sql_result *result)
{
    if (result->status == SQL_OK && result->n_rows > 0)
        result_number(&rq->result, (uint64_t)result->value[0].i);
    else
        result_error(&rq->result, "unavailable", 0, "the database does not answer");
}

void
cmd_num_active_users(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[0]);
    struct sql_value since = sql_int(0);

    if (!host)
        result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
    else if (!has_last(host))
        result_error(&rq->result, "invalid", 0, "the host does not have mod_last");
    else if (days_ago(rq, rq->arg[1], &since.i))
        call_sql_module(rq, host->name, mod_last, SQL_LAST_COUNT, &since, 1, on_count);
}

/* --- delete_old_users --- */

struct deletion {
    const struct conf_host *only; /* this one; NULL: all */
    size_t next_host;
    struct str host;
    bool never; /* the second pass: those who never were there */
    int64_t before;
    struct buf after; /* the last name of the page */
    struct str user[USERS_A_PAGE];
    struct arena page_arena;
    size_t n, at;
    uint64_t n_deleted;
    struct buf names;
};

static void
deletion_fini(void *arg)
{
    struct deletion *d = arg;

    buf_fini(&d->after);
    buf_fini(&d->names);
    arena_fini(&d->page_arena);
}

static void page_ask(struct request *rq);
static void page_work(struct request *rq);

static void
finish(struct request *rq)
{
    struct deletion *d = rq->state;
    struct buf text = { 0 };

    buf_addf(&text, "Deleted %llu users: [%s]", (unsigned long long)d->n_deleted,
            buf_c(&d->names));
    result_text(&rq->result, buf_str(&text));
    buf_fini(&text);
}

static void
begin_host(struct request *rq)
{
    struct deletion *d = rq->state;
    const struct conf *conf = rq->p->conf;

    while (d->next_host < conf->n_hosts) {
        const struct conf_host *host = &conf->hosts[d->next_host++];

        if (!has_last(host) || (d->only && d->only != host))
            continue;
        d->host = str_dup(&rq->arena, host->name);
        d->never = false;
        buf_reset(&d->after, 1024);
        page_ask(rq);
        return;
    }
    finish(rq);
}

static void
on_page(struct request *rq, const struct sql_result *page)
{
    struct deletion *d = rq->state;

    if (page->status != SQL_OK) {
        result_error(&rq->result, "unavailable", 0, "the database does not answer");
        return;
    }
    arena_reset(&d->page_arena);
    d->n = d->at = 0;
    for (size_t i = 0; i < page->n_rows && d->n < USERS_A_PAGE; i++)
        d->user[d->n++] = str_dup(&d->page_arena, page->value[i * page->n_cols].s);
    page_work(rq);
}

static void
page_ask(struct request *rq)
{
    struct deletion *d = rq->state;
    const struct sql_value param[] = { sql_int(d->before),
        sql_text(d->after.n ? buf_str(&d->after) : STR("")), sql_int(USERS_A_PAGE) };

    rq->more = NULL;
    call_sql_module(rq, d->host, mod_last, d->never ? SQL_LAST_NEVER : SQL_LAST_OLDER,
            param, ARRAY_LEN(param), on_page);
}

static void
page_end(struct request *rq)
{
    struct deletion *d = rq->state;

    if (d->n == USERS_A_PAGE) {
        buf_reset(&d->after, 1024);
        buf_add_str(&d->after, d->user[d->n - 1]);
        page_ask(rq);
    } else if (!d->never) {
        d->never = true;
        buf_reset(&d->after, 1024);
        page_ask(rq);
    } else {
        begin_host(rq);
    }
}

static void
on_deleted(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct deletion *d = rq->state;

    (void)from;
    if (reply->status != IPC_OK) {
        call_failed(rq, reply->status, reply->text);
        return;
    }
    d->n_deleted++;
    if (d->names.n < NAMES_SIZE)
        buf_addf(&d->names, "%s{<<\"%.*s\">>,<<\"%.*s\">>}", d->names.n ? "," : "",
                STR_ARG(d->user[d->at]), STR_ARG(d->host));
    d->at++;
    page_work(rq);
}

/* -EAGAIN: the route table is busy. */
static int
may_be_deleted(struct request *rq, struct str user, struct str host_name)
{
    const struct conf_host *host = conf_host_find(rq->p->conf, host_name);
    struct conf_subject who = { user, host_name, STR_NULL, NULL };
    struct session *sessions;
    struct str bare;
    int n;

    if (!host || !request_bare(rq, user, host_name, &bare) ||
            conf_access(host, STR("protect_old_users"), &who))
        return 0;
    n = sessions_of(rq, bare, false, &sessions);
    return n < 0 ? n : n == 0;
}

static void
page_work(struct request *rq)
{
    struct deletion *d = rq->state;

    rq->more = NULL;
    for (; d->at < d->n; d->at++) {
        const struct str arg[] = { d->user[d->at], d->host };
        int r = may_be_deleted(rq, arg[0], arg[1]);

        if (r == -EAGAIN) {
            rq->more = page_work;
            return;
        }
        if (r > 0) {
            call_account_home(rq, "remove_user", arg, ARRAY_LEN(arg), on_deleted);
            return;
        }
    }
    page_end(rq);
}

static void
delete_begin(struct request *rq, const struct conf_host *only, struct str days)
{
    struct deletion *d = arena_new(&rq->arena, struct deletion);

    arena_init(&d->page_arena, 4096);
    arena_on_end(&rq->arena, deletion_fini, d);
    d->only = only;
    rq->state = d;
    if (days_ago(rq, days, &d->before))
        begin_host(rq);
}

void
cmd_delete_old_users(struct request *rq)
{
    delete_begin(rq, NULL, rq->arg[0]);
}

void
cmd_delete_old_users_vhost(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[0]);

    if (!host)
        result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
    else if (!has_last(host))
        result_error(&rq->result, "invalid", 0, "the host does not have mod_last");
    else
        delete_begin(rq, host, rq->arg[1]);
}
