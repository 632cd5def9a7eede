/*
 * mod_mam.c -- message archives of users (XEP-0313), in ejabberd's tables
 *
 * Archiving: mam_store.c; which messages: mam_prefs.c (XEP-0441). Queries: mam_query.c
 * reads them, mam_page.c answers. mam_purge.c: commands of administrators.
 */
#include "modules/mam.h"

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct mam_config *c = mem_zalloc(sizeof *c);
    struct str policy = conf_module_text(options, "default");

    (void)host;
    c->access_preferences = conf_module_access(options, "access_preferences");
    c->activates = conf_module_bool(options, "request_activates_archiving");
    c->compress = conf_module_bool(options, "compress_xml");
    c->is_used = conf_module_bool(options, "assume_mam_usage");
    c->policy = str_eq_c(policy, "always")   ? MAM_ALWAYS
                : str_eq_c(policy, "roster") ? MAM_ROSTER
                                             : MAM_NEVER;
    return c;
}

static void
unconfigure(void *config)
{
    mem_free_p(config);
}

static const struct module_hook hooks[] = {
    { HOOK_USER_SEND, 10, mam_store_send },
    { HOOK_USER_RECEIVE, 80, mam_store_receive }, /* behind those that refuse it */
    { HOOK_USER_SENT, 20, mam_store_sent },       /* before carbons are made */
    { HOOK_OFFLINE, 90, mam_store_offline },      /* behind offline storage */
    { HOOK_GIVE_BACK, 50, mam_store_give_back },
    { HOOK_ACCOUNT_LOADED, 50, mam_prefs_loaded },
    { 0 },
};

static const struct module_iq iqs[] = {
    { NS_MAM, "query", IQ_OWN | IQ_OTHERS, IQ_BOTH, IQ_PARALLEL, MAM_STEP_QUERY },
    { NS_MAM, "metadata", IQ_OWN | IQ_OTHERS, IQ_GETS, IQ_PARALLEL, MAM_STEP_METADATA },
    { NS_MAM, "prefs", IQ_OWN | IQ_OTHERS, IQ_BOTH, IQ_HOME, MAM_STEP_PREFS },
    { 0 },
};

static const job_fn steps[MAM_STEPS] = {
    [MAM_STEP_PREFS] = mam_step_prefs,
    [MAM_STEP_PREFS_SET] = mam_step_prefs_set,
    [MAM_STEP_ACTIVATE] = mam_step_activate,
    [MAM_STEP_ACTIVATED] = mam_step_activated,
    [MAM_STEP_QUERY] = mam_step_query,
    [MAM_STEP_PAGE] = mam_step_page,
    [MAM_STEP_PAGE_IDS] = mam_step_page_ids,
    [MAM_STEP_PAGE_ROWS] = mam_step_page_rows,
    [MAM_STEP_PAGE_MORE] = mam_step_page_more,
    [MAM_STEP_PAGE_COUNT] = mam_step_page_count,
    [MAM_STEP_METADATA] = mam_step_metadata,
    [MAM_STEP_METADATA_EDGES] = mam_step_metadata_edges,
    [MAM_STEP_COUNT] = mam_step_count,
    [MAM_STEP_COUNTED] = mam_step_counted,
    [MAM_STEP_REMOVE] = mam_step_remove,
    [MAM_STEP_REMOVED] = mam_step_removed,
    [MAM_STEP_PURGE] = mam_step_purge,
    [MAM_STEP_PURGED] = mam_step_purged,
    [MAM_STEP_BATCH] = mam_step_batch,
    [MAM_STEP_BATCH_RUN] = mam_step_batch_run,
    [MAM_STEP_BATCH_RAN] = mam_step_batch_ran,
    [MAM_STEP_BATCH_STATUS] = purge_status,
    [MAM_STEP_BATCH_ABORT] = purge_abort,
};

static const struct module_call calls[] = {
    { "get_mam_count", true, MAM_STEP_COUNT },
    { "remove_mam_for_user", true, MAM_STEP_REMOVE },
    { "remove_mam_for_user_with_peer", true, MAM_STEP_REMOVE },
    { "delete_old_mam_messages", false, MAM_STEP_PURGE },
    { "delete_old_mam_messages_batch", false, MAM_STEP_BATCH },
    { "delete_old_mam_messages_status", false, MAM_STEP_BATCH_STATUS },
    { "abort_delete_old_mam_messages", false, MAM_STEP_BATCH_ABORT },
    { 0 },
};

static const struct module_part part = {
    .load = mam_prefs_load,
    .free = mam_prefs_free,
};

static const char *const account_features[] = { NS_MAM, NS_MAM_EXTENDED,
    NS_MAM_GROUPCHAT, NS_SID, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_mam",
    .doc = "Message archives of users (XEP-0313), which messages they keep (XEP-0441)",
    .account_features = account_features,
    .configure = configure,
    .unconfigure = unconfigure,
    .hooks = hooks,
    .iqs = iqs,
    .steps = steps,
    .n_steps = MAM_STEPS,
    .calls = calls,
    .part = &part,
    .notify = mam_prefs_notify,
};
