/*
 * cmd_account.c -- commands about accounts: the auth process's business, and the end of
 * one that of its home
 *
 * Names are prepared here, so that a host that is not ours or a user that cannot be is
 * answered at once; passwords are passed on as they are.
 */
#include <errno.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "admin/stats.h"
#include "xmpp/jid.h"

enum {
    USERS_A_PAGE = 1000
};

static const ipc_addr auth = PROC_AUTH << 10;

const struct conf_host *
request_host(struct request *rq, struct str text)
{
    struct str name;

    if (jid_prep_domain(&rq->arena, text, &name) < 0)
        return NULL;
    return conf_host_find(rq->p->conf, name);
}

bool
request_user(struct request *rq, struct str text, struct str *ret_user)
{
    return jid_prep_local(&rq->arena, text, ret_user) == 0;
}

bool
request_bare(struct request *rq, struct str user, struct str host, struct str *ret_bare)
{
    struct jid jid;

    if (user.n == 0 || jid_make(&rq->arena, user, host, STR_NULL, &jid) < 0)
        return false;
    *ret_bare = jid_bare_text(&rq->arena, &jid);
    return true;
}

static void
unknown_host(struct request *rq)
{
    result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
}

/* Asks auth about user and host, the first two arguments; more: a password follows. */
static void
ask_auth(struct request *rq, const char *name, struct str user, struct str host,
        bool more, call_fn fn)
{
    struct str arg[3] = { user, host, rq->arg[2] };

    call_start(rq, auth, IPC_ACCOUNT_CALL, name, arg, more ? 3 : 2, fn);
}

static void
on_register(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct str user = rq->arg[0], host = rq->arg[1];
    struct buf text = { 0 };
    const char *why = reply->status == IPC_DENIED ? "Not allowed" : "Database failure";

    (void)from;
    if (reply->status == IPC_OK) {
        buf_addf(&text, "User %.*s@%.*s successfully registered", STR_ARG(user),
                STR_ARG(host));
        result_text(&rq->result, buf_str(&text));
    } else if (reply->status == IPC_CONFLICT) {
        result_error(&rq->result, "conflict", 10090,
                "User %.*s@%.*s already registered", STR_ARG(user), STR_ARG(host));
    } else {
        result_error(&rq->result, "cannot_register", 10001,
                "Can't register user %.*s@%.*s at node %s: %.*s", STR_ARG(user),
                STR_ARG(host), admin_node(rq->admin),
                STR_ARG(reply->text.n ? reply->text : str_from(why)));
    }
    buf_fini(&text);
}

void
cmd_register(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[1]);
    struct str user;

    if (!host)
        result_error(&rq->result, "cannot_register", 10001, "Unknown virtual host");
    else if (!request_user(rq, rq->arg[0], &user))
        result_error(&rq->result, "cannot_register", 10001,
                "Can't register user %.*s@%.*s at node %s: Malformed username",
                STR_ARG(rq->arg[0]), STR_ARG(rq->arg[1]), admin_node(rq->admin));
    else
        ask_auth(rq, "register", user, host->name, true, on_register);
}

/* As in ejabberd, an account that is not there counts as deleted. */
static void
on_unregister(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status == IPC_OK)
        result_text(&rq->result, STR(""));
    else
        call_failed(rq, reply->status, reply->text);
}

/* Its contacts and its sessions have to hear of it: worker/removal.c. */
void
cmd_unregister(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[1]);
    struct str arg[2];

    if (!host) {
        unknown_host(rq);
    } else if (!request_user(rq, rq->arg[0], &arg[0])) {
        result_text(&rq->result, STR(""));
    } else {
        arg[1] = host->name;
        call_account_home(rq, "remove_user", arg, ARRAY_LEN(arg), on_unregister);
    }
}

static void
on_change_password(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status == IPC_OK)
        result_ok(&rq->result);
    else if (reply->status == IPC_NOT_FOUND)
        result_error(&rq->result, "not_found", 0, "unknown_user");
    else
        call_failed(rq, reply->status, reply->text);
}

void
cmd_change_password(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[1]);
    struct str user;

    if (!host || !request_user(rq, rq->arg[0], &user))
        result_error(&rq->result, "not_found", 0, "unknown_user");
    else
        ask_auth(rq, "change_password", user, host->name, true, on_change_password);
}

/* Questions: yes is nothing and 0, no is "Error: false" and 1. */
static void
on_check(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status == IPC_OK)
        result_ok(&rq->result);
    else if (reply->status == IPC_NOT_FOUND || reply->status == IPC_DENIED)
        result_error(&rq->result, NULL, 0, "false");
    else
        call_failed(rq, reply->status, reply->text);
}

static void
check(struct request *rq, const char *name, bool password)
{
    const struct conf_host *host = request_host(rq, rq->arg[1]);
    struct str user;

    if (!host || !request_user(rq, rq->arg[0], &user))
        result_error(&rq->result, NULL, 0, "false");
    else
        ask_auth(rq, name, user, host->name, password, on_check);
}

void
cmd_check_account(struct request *rq)
{
    check(rq, "check_account", false);
}

void
cmd_check_password(struct request *rq)
{
    check(rq, "check_password", true);
}

void
cmd_registered_vhosts(struct request *rq)
{
    for (size_t i = 0; i < rq->p->conf->n_hosts; i++)
        result_row(&rq->result, &rq->p->conf->hosts[i].name);
    result_end(&rq->result);
}

/*
 * Names come in pages, each asked for when the client has taken the one before: a list
 * of millions needs the memory of one page.
 */
struct users_list {
    struct str host;
    struct buf after; /* the last name so far */
};

static void
users_list_fini(void *arg)
{
    struct users_list *list = arg;

    buf_fini(&list->after);
}

static void users_ask(struct request *rq);

static void
on_users(struct request *rq, const struct sql_result *page)
{
    struct users_list *list = rq->state;

    if (page->status != SQL_OK) {
        result_error(&rq->result, "unavailable", 0, "the database does not answer");
        return;
    }
    for (size_t i = 0; i < page->n_rows; i++)
        result_row(&rq->result, &page->value[i * page->n_cols].s);
    if (page->n_rows < USERS_A_PAGE) {
        result_end(&rq->result);
        return;
    }
    buf_reset(&list->after, 1024);
    buf_add_str(&list->after, page->value[(page->n_rows - 1) * page->n_cols].s);
    rq->more = users_ask;
}

static void
users_ask(struct request *rq)
{
    struct users_list *list = rq->state;
    struct sql_value param[] = { sql_text(buf_str(&list->after)),
        sql_int(USERS_A_PAGE) };

    rq->more = NULL;
    call_sql(rq, list->host, SQL_USER_LIST, param, 2, on_users);
}

void
cmd_registered_users(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[0]);
    struct users_list *list;

    if (!host) {
        unknown_host(rq);
        return;
    }
    list = arena_new(&rq->arena, struct users_list);
    arena_on_end(&rq->arena, users_list_fini, list);
    buf_add_c(&list->after, "");
    list->host = str_dup(&rq->arena, host->name);
    rq->state = list;
    users_ask(rq);
}

/* The number of accounts: the hosts one after the other, by their place in the list. */
struct users_count {
    struct str host; /* only this one; p == NULL: all */
    size_t next;
    uint64_t n;
};

static void on_count(struct request *rq, const struct sql_result *result);

static void
count_next(struct request *rq)
{
    struct users_count *count = rq->state;
    const struct conf *conf = rq->p->conf;
    struct str host = count->host;

    if (!host.p && count->next < conf->n_hosts)
        host = conf->hosts[count->next].name;
    if (host.p && count->next < (count->host.p ? 1 : conf->n_hosts)) {
        count->next++;
        call_sql(rq, host, SQL_USER_COUNT, NULL, 0, on_count);
        return;
    }
    result_number(&rq->result, count->n);
}

static void
on_count(struct request *rq, const struct sql_result *result)
{
    struct users_count *count = rq->state;

    if (result->status != SQL_OK || result->n_rows == 0) {
        result_error(&rq->result, "unavailable", 0, "the database does not answer");
        return;
    }
    count->n += (uint64_t)result->value[0].i;
    count_next(rq);
}

void
stats_registered(struct request *rq, struct str host)
{
    struct users_count *count = arena_new(&rq->arena, struct users_count);

    count->host = host;
    rq->state = count;
    count_next(rq);
}
