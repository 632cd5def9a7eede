/*
 * cmd_archive.c -- commands about message archives: mod_mam's business
 *
 * About an account they are asked of its home, about a host of the worker that cares
 * for it.
 */
#include "admin/call.h"
#include "xmpp/jid.h"

static void
unknown_host(struct request *rq)
{
    result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
}

static void
invalid_user(struct request *rq)
{
    result_error(&rq->result, "invalid", 0, "Invalid username");
}

/* Asks about the account that the first two arguments name; with: the third, or none.
 */
static void
ask_account(struct request *rq, const char *name, struct str with, call_fn fn)
{
    const struct conf_host *host = request_host(rq, rq->arg[1]);
    struct str arg[3] = { STR_NULL, STR_NULL, with };

    if (!host) {
        unknown_host(rq);
        return;
    }
    if (!request_user(rq, rq->arg[0], &arg[0])) {
        invalid_user(rq);
        return;
    }
    arg[1] = host->name;
    call_account_home(rq, name, arg, with.p ? 3 : 2, fn);
}

static void
on_number(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    uint64_t n = 0;

    (void)from;
    if (reply->status == IPC_OK && str_to_u64(reply->text, &n) == 0)
        result_number(&rq->result, n);
    else
        call_failed(rq, reply->status, reply->text);
}

static void
on_text(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status == IPC_OK)
        result_text(&rq->result, reply->text.p ? reply->text : STR(""));
    else
        call_failed(rq, reply->status, reply->text);
}

static void
on_scalar(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status != IPC_OK) {
        call_failed(rq, reply->status, reply->text);
        return;
    }
    result_row(&rq->result, &reply->text);
    result_end(&rq->result);
}

void
cmd_get_mam_count(struct request *rq)
{
    ask_account(rq, "get_mam_count", STR_NULL, on_number);
}

void
cmd_remove_mam_for_user(struct request *rq)
{
    ask_account(rq, "remove_mam_for_user", STR_NULL, on_text);
}

void
cmd_remove_mam_for_user_with_peer(struct request *rq)
{
    struct jid peer;

    if (jid_parse(&rq->arena, rq->arg[2], &peer) < 0)
        result_error(&rq->result, "invalid", 0, "Invalid peer JID");
    else
        ask_account(rq, "remove_mam_for_user_with_peer",
                jid_bare_text(&rq->arena, &peer), on_text);
}

/* --- Of a host, or of all --- */

static void
ask_host(struct request *rq, const char *name, call_fn fn)
{
    const struct conf_host *host = request_host(rq, rq->arg[0]);
    struct str arg[COMMAND_ARGS_MAX];

    if (!host) {
        unknown_host(rq);
        return;
    }
    memcpy(arg, rq->arg, sizeof arg);
    arg[0] = host->name;
    call_host_home(rq, name, arg, rq->command->n_args, fn);
}

void
cmd_delete_old_mam_messages_batch(struct request *rq)
{
    ask_host(rq, "delete_old_mam_messages_batch", on_text);
}

void
cmd_delete_old_mam_messages_status(struct request *rq)
{
    ask_host(rq, "delete_old_mam_messages_status", on_scalar);
}

void
cmd_abort_delete_old_mam_messages(struct request *rq)
{
    ask_host(rq, "abort_delete_old_mam_messages", on_scalar);
}

/* The hosts one after the other, by their place in the list. */
static void purge_next(struct request *rq);

static void
on_purged(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status != IPC_OK)
        call_failed(rq, reply->status, reply->text);
    else
        purge_next(rq);
}

static void
purge_next(struct request *rq)
{
    const struct conf *conf = rq->p->conf;
    size_t *next = rq->state;

    while (*next < conf->n_hosts) {
        const struct conf_host *host = &conf->hosts[(*next)++];
        struct str arg[] = { host->name, rq->arg[0], rq->arg[1] };

        if (!conf_module_find(host, STR("mod_mam")))
            continue;
        call_host_home(rq, "delete_old_mam_messages", arg, 3, on_purged);
        return;
    }
    result_ok(&rq->result);
}

void
cmd_delete_old_mam_messages(struct request *rq)
{
    rq->state = arena_new(&rq->arena, size_t);
    purge_next(rq);
}
