/*
 * cmd_home.c -- commands that a module answers, in the home of an account or of a host
 *
 * user and host, the first two arguments, or the host alone, are prepared; the others
 * go as they are. What the module answers is the result, in the shape that commands.def
 * gives it.
 */
#include "admin/call.h"

static void
list(struct request *rq, const struct ipc_reply *reply)
{
    struct ipc_list results = reply->results;
    struct str one;

    while (ipc_list_next(&results, &one))
        result_row(&rq->result, &one);
    result_end(&rq->result);
}

static void
record(struct request *rq, const struct ipc_reply *reply)
{
    struct str cell[COMMAND_FIELDS_MAX] = { { NULL, 0 } };
    struct ipc_list results = reply->results;
    size_t n = 0;

    while (n < rq->command->n_fields && ipc_list_next(&results, &cell[n]))
        n++;
    result_row(&rq->result, cell);
    result_end(&rq->result);
}

static void
on_reply(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status != IPC_OK) {
        call_failed(rq, reply->status, reply->text);
        return;
    }
    switch (rq->command->shape) {
    case SHAPE_RESCODE:
        result_ok(&rq->result);
        break;
    case SHAPE_RESTUPLE:
        result_text(&rq->result, reply->text);
        break;
    case SHAPE_SCALAR:
        result_row(&rq->result, &reply->text);
        result_end(&rq->result);
        break;
    case SHAPE_LIST:
        list(rq, reply);
        break;
    case SHAPE_RECORD:
        record(rq, reply);
        break;
    case SHAPE_RECORDS:
    case SHAPE_TABLE:
        call_failed(rq, IPC_FAILED, STR("an answer of another shape was expected"));
        break;
    }
}

static void
ask_home(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[1]);
    struct str arg[COMMAND_ARGS_MAX];

    for (size_t i = 0; i < rq->command->n_args; i++)
        arg[i] = rq->arg[i].p ? rq->arg[i] : STR("");
    if (!host) {
        result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
    } else if (!request_user(rq, rq->arg[0], &arg[0])) {
        result_error(&rq->result, "not_found", 0, "unknown_user");
    } else {
        arg[1] = host->name;
        call_account_home(rq, rq->command->name, arg, rq->command->n_args, on_reply);
    }
}

#define HOME_COMMAND(name)              \
    void cmd_##name(struct request *rq) \
    {                                   \
        ask_home(rq);                   \
    }
HOME_COMMAND(private_get)
HOME_COMMAND(private_set)
HOME_COMMAND(get_vcard)
HOME_COMMAND(get_vcard2)
HOME_COMMAND(get_vcard2_multi)
HOME_COMMAND(set_vcard)
HOME_COMMAND(set_vcard2)
HOME_COMMAND(set_vcard2_multi)
HOME_COMMAND(set_nickname)
HOME_COMMAND(get_last)
HOME_COMMAND(set_last)

static void
ask_host_home(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[0]);
    struct str arg[COMMAND_ARGS_MAX];

    for (size_t i = 0; i < rq->command->n_args; i++)
        arg[i] = rq->arg[i].p ? rq->arg[i] : STR("");
    if (!host) {
        result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
        return;
    }
    arg[0] = host->name;
    call_host_home(rq, rq->command->name, arg, rq->command->n_args, on_reply);
}

#define HOST_COMMAND(name)              \
    void cmd_##name(struct request *rq) \
    {                                   \
        ask_host_home(rq);              \
    }
HOST_COMMAND(delete_old_messages_batch)
HOST_COMMAND(delete_old_messages_status)
HOST_COMMAND(abort_delete_old_messages)
HOST_COMMAND(announce_send_all)
HOST_COMMAND(announce_send_online)
HOST_COMMAND(announce_motd_set_online)
HOST_COMMAND(announce_motd_update)
HOST_COMMAND(announce_motd_delete)
HOST_COMMAND(announce_motd_get)
