/*
 * mod_offline.c -- messages for who is away (XEP-0160)
 *
 * A message that no resource may have comes to its account's home, within a job that
 * goes on here: it is stored, and only then is the next thing done that concerns the
 * account. So a session that becomes available meanwhile finds the message: what it
 * asks for comes behind (offline_flush.c). Whoever is there in spite of that, because
 * the route table could not be read or has changed, is looked for once more.
 *
 * A message that comes back, because the session it was given to has gone, keeps the
 * time at which it was first stored, and its place does not count again.
 */
#include "base/clock.h"
#include "modules/offline.h"
#include "xmpp/delay.h"

enum {
    GIVE_UP_US =
            10 * 60 * 1000000 /* then the sender is told that it cannot be stored */
};

/* --- Storing --- */

/* What is kept while the database stores. */
struct storing {
    uint64_t since_us;
    bool silent; /* no error when there is no room */
};

/* The XML as ejabberd writes it. NULL: it cannot be. again: was stored before. */
static struct str
as_row(struct event *e, bool *ret_again)
{
    struct arena *arena = e->job->arena;
    struct jid domain = { .domain = e->host->name };
    struct xml_el *el = stanza_parse(e->w, arena, e->s->bytes);
    struct buf out = { 0 };
    struct str ret;
    int64_t us;

    if (!el)
        return STR_NULL;
    *ret_again = delay_find(el, &domain, &us) == 0;
    if (!*ret_again)
        delay_add(el, e->host->name, (int64_t)clock_wall_us(), STR("Offline Storage"));
    if (!xml_attr(el, "to").p)
        xml_set(el, "to", jid_text(arena, &e->s->to));
    xml_write(&out, el, STR_NULL);
    ret = str_dup(arena, buf_str(&out));
    buf_fini(&out);
    return ret;
}

/* How many messages the account may have; -1: any number. */
static int64_t
max_messages(const struct event *e)
{
    const struct offline *cf = e->config;
    struct jid jid = account_jid(e->account);
    struct conf_subject who = { .user = jid.local, .server = jid.domain };
    struct conf_shaper_pick pick = conf_shaper_pick(e->host, &cf->max_messages, &who);

    return pick.kind == CONF_SHAPING_NUMBER && pick.number <= INT64_MAX
                   ? (int64_t)pick.number
                   : -1;
}

enum hook_result
offline_on_message(struct event *e)
{
    const struct offline *cf = e->config;
    enum message_type type = (enum message_type)e->s->type;
    uint64_t traits = traits_inside(e->s->el, e->s->traits, &type);
    struct storing storing = { .since_us = clock_wall_us() };
    struct sql_value param[3];
    bool again;
    struct str xml;

    if (!traits_storable(traits, type, cf->empty, cf->groupchat))
        return HOOK_PASS;
    xml = as_row(e, &again);
    if (!xml.p)
        return HOOK_PASS;
    storing.silent = !cf->bounce_groupchat &&
                     (e->s->type == MESSAGE_GROUPCHAT || traits & TRAIT(MUCSUB));
    job_take(e->job, e->module);
    job_keep(e->job, (struct str){ (const char *)&storing, sizeof storing });
    param[0] = offline_user(e->job);
    param[1] = sql_text(xml);
    param[2] = sql_int(again ? -1 : max_messages(e));
    job_sql(e->job, STEP_STORED, SQL_SPOOL_ADD, param, 3);
    return HOOK_DONE;
}

static void
refuse(struct job *j, enum stanza_error error, const char *text)
{
    struct stanza s = { .kind = STANZA_MESSAGE,
        .type = j->type,
        .traits = traits_of(j->el),
        .from = j->from,
        .to = j->to,
        .el = j->el };

    route_error(j->w, &s, error, text);
}

void
offline_stored(struct job *j, const struct sql_result *result)
{
    struct jid account = account_jid(j->account);
    struct storing storing;

    if (!j->el || j->data.n != sizeof storing)
        return;
    memcpy(&storing, j->data.p, sizeof storing);
    switch (result->status) {
    case SQL_OK:
        offline_flush_begin(j->w, j->module, &account, 0);
        break;
    case SQL_UNAVAILABLE:
        if (clock_wall_us() - storing.since_us < GIVE_UP_US)
            job_retry(j, STEP_STORED);
        else
            refuse(j, STANZA_ERROR_RESOURCE_CONSTRAINT, "the database is away");
        break;
    case SQL_CONFLICT:
        if (!storing.silent)
            refuse(j, STANZA_ERROR_RESOURCE_CONSTRAINT,
                    "too many messages wait for the recipient");
        break;
    case SQL_NOT_FOUND:
    case SQL_ERROR:
        log_error(NULL, "a message for %.*s cannot be stored",
                STR_ARG(account_bare(j->account)));
        refuse(j, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
        break;
    }
}

/* --- The module --- */

static enum traits_empty
empty_of(struct str word)
{
    if (str_eq(word, STR("unless_chat_state")))
        return TRAITS_EMPTY_UNLESS_CHAT_STATE;
    if (str_caseeq(word, STR("true")) || str_caseeq(word, STR("yes")) ||
            str_caseeq(word, STR("on")) || str_caseeq(word, STR("y")))
        return TRAITS_EMPTY_KEEP;
    return TRAITS_EMPTY_DROP;
}

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct offline *cf = mem_zalloc(sizeof *cf);

    (void)host;
    cf->max_messages = conf_module_shaper(options, "access_max_user_messages");
    cf->empty = empty_of(conf_module_text(options, "store_empty_body"));
    cf->groupchat = conf_module_bool(options, "store_groupchat");
    cf->bounce_groupchat = conf_module_bool(options, "bounce_groupchat");
    return cf;
}

static void
unconfigure(void *config)
{
    mem_free_p(config);
}

static const job_fn steps[OFFLINE_STEPS] = {
    [STEP_STORED] = offline_stored,
    [STEP_FLUSH] = offline_flush,
    [STEP_FLUSH_ROWS] = offline_flush_rows,
    [STEP_FLUSH_DELETE] = offline_flush_delete,
    [STEP_FLUSH_DELETED] = offline_flush_deleted,
    [STEP_FLUSH_NEXT] = offline_flush_next,
    [STEP_FLUSH_GO_ON] = offline_flush_go_on,
    [STEP_FLUSH_DONE] = offline_flush_done,
    [STEP_FLEX] = offline_flex,
    [STEP_FLEX_HOME] = offline_flex_home,
    [STEP_FLEX_COUNT] = offline_flex_count,
    [STEP_FLEX_COUNTED] = offline_flex_counted,
    [STEP_FLEX_HEADERS] = offline_flex_headers,
    [STEP_FLEX_HEADER_ROWS] = offline_flex_header_rows,
    [STEP_FLEX_READ] = offline_flex_read,
    [STEP_FLEX_READ_ROWS] = offline_flex_read_rows,
    [STEP_FLEX_READ_NEXT] = offline_flex_read_next,
    [STEP_FLEX_READ_ON] = offline_flex_read_on,
    [STEP_FLEX_REMOVE] = offline_flex_remove,
    [STEP_FLEX_REMOVE_ROWS] = offline_flex_remove_rows,
    [STEP_FLEX_PURGE] = offline_flex_purge,
    [STEP_FLEX_DONE] = offline_flex_done,
    [STEP_CALL_COUNT] = offline_call_count,
    [STEP_CALL_COUNTED] = offline_call_counted,
    [STEP_CALL_OLD] = offline_call_old,
    [STEP_CALL_OLD_DONE] = offline_call_old_done,
    [STEP_CALL_EXPIRED] = offline_call_expired,
    [STEP_CALL_EXPIRED_ROWS] = offline_call_expired_rows,
    [STEP_CALL_EXPIRED_DONE] = offline_call_expired_done,
    [STEP_BATCH] = offline_batch,
    [STEP_BATCH_RUN] = offline_batch_run,
    [STEP_BATCH_RAN] = offline_batch_ran,
    [STEP_BATCH_STATUS] = purge_status,
    [STEP_BATCH_ABORT] = purge_abort,
};

static const struct module_hook hooks[] = {
    { HOOK_OFFLINE, 50, offline_on_message },
    { HOOK_COMING, 50, offline_on_coming },
    { HOOK_PRESENCE, 50, offline_on_presence },
    { HOOK_SESSION_MOVED, 50, offline_on_moved },
    { 0 },
};

static const struct module_iq iqs[] = {
    { NS_OFFLINE, "offline", IQ_OWN | IQ_OTHERS, IQ_BOTH, IQ_PARALLEL, STEP_FLEX },
    { 0 },
};

static const struct module_node_iq node_iqs[] = {
    { NS_OFFLINE, { NS_DISCO_INFO, "query", IQ_OWN | IQ_OTHERS, IQ_GETS, IQ_PARALLEL,
                          STEP_FLEX } },
    { NS_OFFLINE, { NS_DISCO_ITEMS, "query", IQ_OWN | IQ_OTHERS, IQ_GETS, IQ_PARALLEL,
                          STEP_FLEX } },
    { 0 },
};

static const struct module_call calls[] = {
    { "get_offline_count", true, STEP_CALL_COUNT },
    { "delete_old_messages", false, STEP_CALL_OLD },
    { "delete_expired_messages", false, STEP_CALL_EXPIRED },
    { "delete_old_messages_batch", false, STEP_BATCH },
    { "delete_old_messages_status", false, STEP_BATCH_STATUS },
    { "abort_delete_old_messages", false, STEP_BATCH_ABORT },
    { 0 },
};

static const char *const features[] = { NS_MSGOFFLINE, NS_OFFLINE, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_offline",
    .doc = "Messages for who is away (XEP-0160, XEP-0013)",
    .features = features,
    .account_features = features,
    .configure = configure,
    .unconfigure = unconfigure,
    .hooks = hooks,
    .iqs = iqs,
    .node_iqs = node_iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
    .calls = calls,
};
