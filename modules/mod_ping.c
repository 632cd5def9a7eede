/*
 * mod_ping.c -- XMPP Ping (XEP-0199)
 *
 * Answers for the server and for the asker's own account. Pings that the server sends
 * to clients that are silent (send_pings) are a matter of the worker's clock:
 * worker/tick.c reads their options.
 */
#include "worker/module.h"

enum {
    STEP_PING
};

static void
ping(struct job *j, const struct sql_result *result)
{
    (void)result;
    job_reply(j, NULL);
}

static const job_fn steps[] = { [STEP_PING] = ping };

static const struct module_iq iqs[] = {
    { NS_PING, "ping", IQ_SERVER | IQ_OWN, IQ_GETS, IQ_NO_QUEUE, STEP_PING },
    { 0 },
};

static const char *const features[] = { NS_PING, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_ping",
    .doc = "XMPP Ping (XEP-0199)",
    .features = features,
    .account_features = features,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
};
