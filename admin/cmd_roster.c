/*
 * cmd_roster.c -- commands about the contacts of one account
 *
 * They are asked of the account's home (modules/roster_call.c), so that what they
 * change takes effect on its clients at once.
 */
#include <errno.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "admin/rosters.h"
#include "base/mem.h"
#include "xmpp/jid.h"

/* Account and host in their prepared forms; false: the error is the result. */
static bool
account_args(struct request *rq, struct str user, struct str host, struct str ret[2])
{
    const struct conf_host *h = request_host(rq, host);

    if (!h) {
        result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
        return false;
    }
    if (!request_user(rq, user, &ret[0])) {
        result_error(&rq->result, "invalid", 0, "not a user name: %.*s", STR_ARG(user));
        return false;
    }
    ret[1] = h->name;
    return true;
}

/* The contact of two arguments: a domain if the user is empty. */
static bool
contact_arg(struct request *rq, struct str user, struct str host, struct str *ret)
{
    struct jid jid;

    if (jid_make(&rq->arena, user, host, STR_NULL, &jid) < 0) {
        result_error(&rq->result, "invalid", 0, "not an address: %.*s@%.*s",
                STR_ARG(user), STR_ARG(host));
        return false;
    }
    *ret = jid_text(&rq->arena, &jid);
    return true;
}

/* --- Looking --- */

/* jid, nick, subscription, pending, number of groups, groups … */
static bool
contact_row(struct request *rq, struct ipc_list *list, struct buf *groups)
{
    struct str cell[5], group;
    uint64_t n = 0;

    for (size_t i = 0; i < 5; i++) {
        if (!ipc_list_next(list, &cell[i]))
            return false;
    }
    str_to_u64(cell[4], &n);
    buf_reset(groups, 4096);
    for (uint64_t i = 0; i < n && ipc_list_next(list, &group); i++) {
        if (i > 0)
            buf_add_char(groups, '\0');
        buf_add_str(groups, group);
    }
    cell[4] = buf_str(groups);
    result_row(&rq->result, cell);
    return true;
}

/* An account that is not there has no contacts, as in ejabberd. */
static void
on_get(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct ipc_list list = reply->results;
    struct buf groups = { 0 };

    (void)from;
    if (reply->status != IPC_OK && reply->status != IPC_NOT_FOUND) {
        call_failed(rq, reply->status, reply->text);
        return;
    }
    while (contact_row(rq, &list, &groups))
        ;
    result_end(&rq->result);
    buf_fini(&groups);
}

void
cmd_get_roster(struct request *rq)
{
    struct str arg[2];

    if (account_args(rq, rq->arg[0], rq->arg[1], arg))
        call_account_home(rq, "roster_get", arg, ARRAY_LEN(arg), on_get);
}

static void
on_count(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    uint64_t n = 0;

    (void)from;
    if (reply->status != IPC_OK && reply->status != IPC_NOT_FOUND) {
        call_failed(rq, reply->status, reply->text);
        return;
    }
    if (reply->status == IPC_OK)
        str_to_u64(reply->text, &n);
    result_number(&rq->result, n);
}

void
cmd_get_roster_count(struct request *rq)
{
    struct str arg[2];

    if (account_args(rq, rq->arg[0], rq->arg[1], arg))
        call_account_home(rq, "roster_count", arg, ARRAY_LEN(arg), on_count);
}

/* --- Changing --- */

void
cmd_add_rosteritem(struct request *rq)
{
    char between = rq->command->since == 0 ? ';' : ',';
    struct str arg[ROSTER_ADD_ARGS_MAX], groups = rq->arg[5], group;
    size_t n = ROSTER_ADD_GROUPS;

    if (!account_args(rq, rq->arg[0], rq->arg[1], arg) ||
            !contact_arg(rq, rq->arg[2], rq->arg[3], &arg[ROSTER_ADD_JID]))
        return;
    arg[ROSTER_ADD_NICK] = rq->arg[4];
    arg[ROSTER_ADD_SUBSCRIPTION] = rq->arg[6];
    while (n < ARRAY_LEN(arg) && str_cut(&groups, between, &group)) {
        if (group.n > 0)
            arg[n++] = group;
    }
    call_account_home(rq, "roster_add", arg, n, call_done);
}

static void
on_delete(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct ipc_reply copy = *reply;

    if (copy.status == IPC_NOT_FOUND)
        copy.status = IPC_OK; /* what is not there counts as deleted */
    call_done(rq, from, &copy);
}

void
cmd_delete_rosteritem(struct request *rq)
{
    struct str arg[3];

    if (account_args(rq, rq->arg[0], rq->arg[1], arg) &&
            contact_arg(rq, rq->arg[2], rq->arg[3], &arg[ROSTER_ADD_JID]))
        call_account_home(rq, "roster_delete", arg, ARRAY_LEN(arg), on_delete);
}
