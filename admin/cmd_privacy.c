/*
 * cmd_privacy.c -- the command about privacy lists: mod_privacy's business
 *
 * The account's home does it, as it does what a client of the account asks for, so that
 * it takes effect at once.
 */
#include "admin/call.h"

void
cmd_privacy_set(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[1]);
    struct str arg[3] = { STR_NULL, STR_NULL, rq->arg[2] };

    if (!host) {
        result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
    } else if (!request_user(rq, rq->arg[0], &arg[0])) {
        result_error(&rq->result, "invalid", 0, "Invalid username");
    } else {
        arg[1] = host->name;
        call_account_home(rq, "privacy_set", arg, ARRAY_LEN(arg), call_done);
    }
}
