/*
 * mod_blocking.c -- the blocking command (XEP-0191), with reports of abuse (XEP-0377)
 *
 * The block list is a view of the default privacy list, so mod_privacy does the work;
 * what is here is who may ask for what. A session that asks for the list is noted in
 * the route table first: so it hears of every change that is not in the answer.
 */
#include "modules/privacy.h"

enum {
    STEP_ASK,
    STEP_LIST,
    STEP_CHANGE
};

/* Lets the account's home do a step of mod_privacy. */
static void
hand_over(struct job *j, enum privacy_step step)
{
    struct home_call call = { .module = module_find(j->w, j->host, "mod_privacy"),
        .step = step,
        .bare = jid_bare_text(j->arena, &j->from),
        .conn = j->conn,
        .from = j->from,
        .to = j->to,
        .el = j->el };

    if (call.module)
        home_call(j->w, &call);
    else
        job_error(j, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

static void
ask(struct job *j, const struct sql_result *result)
{
    struct conn *c = conn_find(j->w, j->conn);

    (void)result;
    if (c)
        session_set_flags(j->w, c, ROUTE_BLOCKLIST, 0);
    job_route(j, STEP_LIST);
}

static void
list(struct job *j, const struct sql_result *result)
{
    (void)result;
    hand_over(j, PRIVACY_STEP_BLOCKLIST);
}

static void
change(struct job *j, const struct sql_result *result)
{
    (void)result;
    hand_over(j, PRIVACY_STEP_BLOCK);
}

static const job_fn steps[] = {
    [STEP_ASK] = ask,
    [STEP_LIST] = list,
    [STEP_CHANGE] = change,
};

static const struct module_iq iqs[] = {
    { .ns = NS_BLOCKING,
            .name = "blocklist",
            .where = IQ_OWN,
            .types = IQ_GETS,
            .discipline = IQ_PARALLEL,
            .step = STEP_ASK },
    { .ns = NS_BLOCKING,
            .name = "block",
            .where = IQ_OWN,
            .types = IQ_SETS,
            .discipline = IQ_PARALLEL,
            .step = STEP_CHANGE },
    { .ns = NS_BLOCKING,
            .name = "unblock",
            .where = IQ_OWN,
            .types = IQ_SETS,
            .discipline = IQ_PARALLEL,
            .step = STEP_CHANGE },
    { 0 },
};

static const char *const features[] = { NS_BLOCKING, NS_REPORTING, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_blocking",
    .doc = "Blocking command (XEP-0191)",
    .features = features,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
};
