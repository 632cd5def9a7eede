/*
 * cmd_offline.c -- commands about stored messages: mod_offline's business
 */
#include "admin/call.h"
#include "admin/admin.h"
#include "base/mem.h"

static void
on_count(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    uint64_t n;

    (void)from;
    if (reply->status != IPC_OK || str_to_u64(reply->text, &n) < 0)
        call_failed(rq, (enum ipc_status)reply->status, reply->text);
    else
        result_number(&rq->result, n);
}

void
cmd_get_offline_count(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[1]);
    struct str arg[2];

    if (!host) {
        result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
    } else if (!request_user(rq, rq->arg[0], &arg[0])) {
        result_number(&rq->result, 0); /* nobody can have that name */
    } else {
        arg[1] = host->name;
        call_account_home(rq, "get_offline_count", arg, 2, on_count);
    }
}

/* --- One host after the other --- */

struct walk {
    const char *name;
    size_t next; /* host */
};

static void next_host(struct request *rq);

static void
on_host(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status == IPC_OK)
        next_host(rq);
    else
        call_failed(rq, (enum ipc_status)reply->status, reply->text);
}

static void
next_host(struct request *rq)
{
    const struct conf *conf = rq->p->conf;
    struct walk *walk = rq->state;
    struct str arg[2];

    while (walk->next < conf->n_hosts) {
        const struct conf_host *host = &conf->hosts[walk->next++];

        if (!conf_module_find(host, STR("mod_offline")))
            continue;
        arg[0] = host->name;
        arg[1] = rq->arg[0];
        call_host_home(rq, walk->name, arg, 1 + rq->command->n_args, on_host);
        return;
    }
    result_ok(&rq->result);
}

static void
all_hosts(struct request *rq, const char *name)
{
    struct walk *walk = arena_new(&rq->arena, struct walk);

    walk->name = name;
    rq->state = walk;
    next_host(rq);
}

void
cmd_delete_old_messages(struct request *rq)
{
    all_hosts(rq, "delete_old_messages");
}

void
cmd_delete_expired_messages(struct request *rq)
{
    all_hosts(rq, "delete_expired_messages");
}
