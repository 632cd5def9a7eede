/*
 * mod_privacy.c -- privacy lists (XEP-0016) and the block list (XEP-0191): what they
 * say of the stanzas of an account
 *
 * The default list is a part of the account, so that judging a stanza asks nobody. What
 * comes in for an account that has one is judged in its home (HOOK_FILTER), what a
 * session sends in its worker. A session that has activated a list has that one in its
 * slot and is judged by it alone: what comes in for it passes the home and is judged in
 * its worker (HOOK_FILTER_SESSION).
 *
 * An account without lists costs each stanza one comparison.
 */
#include "modules/privacy.h"

static void *
load(struct account *a, void *config, const struct sql_result *rows)
{
    struct privacy_part *part = NULL;
    struct privacy_item *items;
    struct arena arena;
    struct str name = STR_NULL;
    size_t n = 0;

    (void)a, (void)config;
    arena_init(&arena, 1024);
    items = arena_zalloc(&arena, (rows->n_rows + 1) * sizeof *items);
    for (size_t i = 0; i < rows->n_rows; i++) {
        const struct sql_value *row = rows->value + i * rows->n_cols;

        if (!str_eq(row[0].s, STR("p")))
            continue;
        name = row[1].s;
        if (privacy_row_item(&arena, row + 2, 7, &items[n]))
            n++;
    }
    if (name.n)
        part = privacy_part_new(name, privacy_list_new(items, n));
    arena_fini(&arena);
    return part;
}

/* --- Judging --- */

static enum privacy_stanza
kind_of(const struct stanza *s)
{
    switch (s->kind) {
    case STANZA_MESSAGE:
        return PRIVACY_MESSAGE;
    case STANZA_IQ:
        return PRIVACY_IQ;
    case STANZA_PRESENCE:
        if (s->type == PRESENCE_AVAILABLE || s->type == PRESENCE_UNAVAILABLE)
            return PRIVACY_NOTIFICATION;
        break;
    case STANZA_OTHER:
        break;
    }
    return PRIVACY_OTHER;
}

static enum hook_result
user_send(struct event *e)
{
    const struct privacy_list *list = privacy_list_of(e->part, e->c);
    enum privacy_verdict verdict;
    struct xml_el *refusal;

    if (!list || !e->account)
        return HOOK_PASS;
    verdict = privacy_verdict(e->account, list, &e->s->to, PRIVACY_OUT, kind_of(e->s));
    if (verdict == PRIVACY_ALLOWED)
        return HOOK_PASS;
    refusal = privacy_refusal(e->s->el->arena, e->s->el, PRIVACY_OUT, verdict);
    if (refusal) {
        worker_count(e->w, COUNTER_STANZAS_BOUNCED, 1);
        session_send(e->w, e->c, refusal);
    }
    return HOOK_DONE;
}

/* May the session get a stanza to the account, or to a resource that is not there? */
static bool
may_take(const struct route_entry *entry, const struct stanza *s)
{
    switch (s->kind) {
    case STANZA_MESSAGE:
        return (!s->to.resource.n || s->type == MESSAGE_CHAT) &&
               s->type != MESSAGE_ERROR && entry->available && entry->priority >= 0;
    case STANZA_PRESENCE:
        return !s->to.resource.n &&
               (s->type == PRESENCE_AVAILABLE || s->type == PRESENCE_UNAVAILABLE ||
                       s->type == PRESENCE_PROBE);
    case STANZA_IQ:
    case STANZA_OTHER:
        break;
    }
    return false;
}

/*
 * The account's list denies it, but it does not apply to sessions that have their own
 * (2.2, 1 and 2). Is the stanza one that they may get?
 */
static bool
is_for_own_lists(struct event *e)
{
    const struct stanza *s = e->s;
    const struct route_snapshot *snap;
    size_t n = route_sessions(e->w, account_bare(e->account), 0, &snap);

    for (size_t i = 0; i < n && s->to.resource.n; i++) {
        if (str_eq(snap->entry[i].resource, s->to.resource))
            return snap->entry[i].flags & ROUTE_OWN_LIST;
    }
    for (size_t i = 0; i < n; i++) {
        if (snap->entry[i].flags & ROUTE_OWN_LIST && may_take(&snap->entry[i], s))
            return true;
    }
    return false;
}

static enum hook_result
filter(struct event *e)
{
    const struct privacy_part *part = e->part;
    enum privacy_verdict verdict;

    if (!part || !part->list)
        return HOOK_PASS;
    verdict = privacy_verdict(
            e->account, part->list, &e->s->from, PRIVACY_IN, kind_of(e->s));
    if (verdict == PRIVACY_ALLOWED)
        return HOOK_PASS;
    if (is_for_own_lists(e)) {
        e->s->flags |= STANZA_OWN_LISTS;
        return HOOK_PASS;
    }
    if (privacy_refusal(e->arena, e->s->el, PRIVACY_IN, verdict))
        route_error(e->w, e->s, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    return HOOK_DONE;
}

static enum hook_result
filter_session(struct event *e)
{
    struct privacy_own own = privacy_own_of(e->c);
    enum privacy_verdict verdict = privacy_verdict(
            e->account, own.list, &e->s->from, PRIVACY_IN, kind_of(e->s));
    const struct xml_el *el = e->s->el;

    if (verdict == PRIVACY_ALLOWED)
        return HOOK_PASS;
    if (!el)
        el = stanza_parse(e->w, e->arena, e->s->bytes);
    if (el && privacy_refusal(e->arena, el, PRIVACY_IN, verdict))
        e->error = STANZA_ERROR_SERVICE_UNAVAILABLE;
    return HOOK_DONE;
}

static enum hook_result
filter_out(struct event *e)
{
    const struct privacy_part *part = e->part;
    const struct privacy_list *list = part ? part->list : NULL;

    if (e->c)
        list = privacy_list_of(part, e->c);
    else if (e->own_list.n)
        list = privacy_own(e->own_list).list;
    return privacy_verdict(e->account, list, &e->s->to, PRIVACY_OUT,
                   PRIVACY_NOTIFICATION) == PRIVACY_ALLOWED
                   ? HOOK_PASS
                   : HOOK_DONE;
}

/* --- Accounts and sessions --- */

static enum hook_result
moved(struct event *e)
{
    privacy_refresh_own(e->w, e->c);
    return HOOK_PASS;
}

/*
 * A session that has its own list before the account was read: a predecessor has died,
 * and perhaps not heard of a change.
 */
static enum hook_result
account_loaded(struct event *e)
{
    const struct privacy_part *part = e->part;
    struct conn *c;
    uint32_t at = 0;

    account_set_flags(e->w, e->account, &module, part && part->list ? ROUTE_FILTER : 0);
    while ((c = session_next(e->w, e->account, &at)))
        privacy_refresh_own(e->w, c);
    return HOOK_PASS;
}

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    uint64_t *max_lists = mem_zalloc(sizeof *max_lists);

    (void)host;
    *max_lists = conf_module_number(options, "max_lists");
    return max_lists;
}

static void
unconfigure(void *config)
{
    mem_free_p(config);
}

static const struct module_hook hooks[] = {
    { HOOK_USER_SEND, 5, user_send },
    { HOOK_FILTER, 50, filter },
    { HOOK_FILTER_SESSION, 50, filter_session },
    { HOOK_FILTER_OUT, 50, filter_out },
    { HOOK_ACCOUNT_LOADED, 50, account_loaded },
    { HOOK_SESSION_MOVED, 50, moved },
    { 0 },
};

static const struct module_iq iqs[] = {
    { .ns = NS_PRIVACY,
            .name = "query",
            .where = IQ_OWN,
            .types = IQ_BOTH,
            .discipline = IQ_HOME,
            .step = PRIVACY_STEP_QUERY },
    { 0 },
};

static const struct module_call calls[] = {
    { .name = "privacy_set", .account = true, .step = PRIVACY_STEP_COMMAND },
    { 0 },
};

static const char *const features[] = { NS_PRIVACY, NULL };
static const struct module_part part = { .load = load, .free = privacy_part_free };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_privacy",
    .doc = "Privacy lists (XEP-0016)",
    .features = features,
    .configure = configure,
    .unconfigure = unconfigure,
    .hooks = hooks,
    .iqs = iqs,
    .steps = privacy_steps,
    .n_steps = PRIVACY_STEPS,
    .calls = calls,
    .part = &part,
    .notify = privacy_on_note,
};
