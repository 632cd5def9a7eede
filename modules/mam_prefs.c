/*
 * mam_prefs.c -- which messages an account wants to keep (XEP-0441)
 *
 * Preferences are a row of archive_prefs with lists as Erlang terms. They are read with
 * the account, changed in its home, and told to every worker that has a session of it:
 * as the texts of the row, so that one function makes the part of both.
 *
 * What others must know to archive for the account is in its route flags. ARCHIVE: all
 * messages, so that the sender's worker does it on the way. FILTER: it depends on the
 * other side, so that the account's home has to do it. Neither: nothing is kept.
 */
#include "modules/mam.h"

#include <errno.h>
#include <stdlib.h>

#include "xmpp/erlterm.h"

enum {
    NOTIFY_PREFS = 1,
    JIDS_MAX = 2000 /* in both lists together */
};

/* A row of archive_prefs. */
struct prefs_row {
    struct str policy, always, never;
};

static const char *const policy_names[MAM_POLICIES] = {
    [MAM_NEVER] = "never",
    [MAM_ALWAYS] = "always",
    [MAM_ROSTER] = "roster",
};

static bool
policy_of(struct str name, enum mam_policy *ret)
{
    for (unsigned i = 0; i < MAM_POLICIES; i++) {
        if (!str_eq_c(name, policy_names[i]))
            continue;
        *ret = (enum mam_policy)i;
        return true;
    }
    return false;
}

/* --- Lists --- */

static struct jid
split(struct str bare)
{
    const char *at = bare.n ? memchr(bare.p, '@', bare.n) : NULL;
    size_t n = at ? (size_t)(at - bare.p) : 0;

    return (struct jid){ .local = { bare.p, n },
        .domain = at ? (struct str){ at + 1, bare.n - n - 1 } : bare };
}

/* As Erlang orders {User, Server, Resource}. */
static int
cmp_jids(const void *va, const void *vb)
{
    struct jid a = split(*(const struct str *)va), b = split(*(const struct str *)vb);
    int r = str_cmp(a.local, b.local);

    return r ? r : str_cmp(a.domain, b.domain);
}

/* Each once. */
static void
jids_sort(struct mam_jids *jids)
{
    size_t n = 0;

    if (jids->n)
        qsort(jids->at, jids->n, sizeof *jids->at, cmp_jids);
    for (size_t i = 0; i < jids->n; i++) {
        if (n == 0 || !str_eq(jids->at[i], jids->at[n - 1]))
            jids->at[n++] = jids->at[i];
    }
    jids->n = n;
}

static bool
jids_have(const struct mam_jids *jids, struct str bare)
{
    return jids->n && bsearch(&bare, jids->at, jids->n, sizeof *jids->at, cmp_jids);
}

/* [{User,Server,Resource}, …]; what is no address is left out. */
static void
jids_of_term(struct arena *arena, struct str text, struct mam_jids *ret)
{
    struct erlterm *list;

    *ret = (struct mam_jids){ 0 };
    if (erlterm_parse(arena, text, &list) < 0 || list->type != ERLTERM_LIST)
        return;
    ret->at = arena_alloc(arena, (list->n + 1) * sizeof *ret->at);
    for (const struct erlterm *t = list->first; t; t = t->next) {
        struct str user, server;
        struct jid jid;

        if (!erlterm_is_tuple(t, NULL, 3) ||
                erlterm_text(arena, erlterm_nth(t, 0), &user) < 0 ||
                erlterm_text(arena, erlterm_nth(t, 1), &server) < 0 ||
                jid_make(arena, user, server, STR_NULL, &jid) < 0)
            continue;
        ret->at[ret->n++] = jid_text(arena, &jid);
    }
    jids_sort(ret);
}

static struct str
jids_term(struct arena *arena, const struct mam_jids *jids)
{
    struct erlterm *list = erlterm_list(arena);
    struct buf out = { 0 };
    struct str text;

    for (size_t i = 0; i < jids->n; i++) {
        struct erlterm *tuple = erlterm_push(list, erlterm_tuple(arena));
        struct jid jid = split(jids->at[i]);

        erlterm_push(tuple, erlterm_binary(arena, jid.local));
        erlterm_push(tuple, erlterm_binary(arena, jid.domain));
        erlterm_push(tuple, erlterm_binary(arena, STR("")));
    }
    erlterm_write(&out, list);
    text = str_dup(arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

/* --- The part --- */

static size_t
text_size(const struct mam_jids *jids)
{
    size_t n = 0;

    for (size_t i = 0; i < jids->n; i++)
        n += jids->at[i].n;
    return n;
}

/* Copies texts behind *text, the views of them behind *at. */
static void
jids_copy(
        struct mam_jids *to, const struct mam_jids *from, struct str **at, char **text)
{
    to->at = *at;
    to->n = from->n;
    for (size_t i = 0; i < from->n; i++) {
        memcpy(*text, from->at[i].p, from->at[i].n);
        to->at[i] = (struct str){ *text, from->at[i].n };
        *text += from->at[i].n;
    }
    *at += from->n;
}

static struct mam_prefs *
prefs_new(const struct prefs_row *row, struct str bare)
{
    struct mam_jids always, never;
    struct mam_prefs *p;
    struct arena arena;
    enum mam_policy policy = MAM_NEVER;
    struct str *at;
    char *text;

    arena_init(&arena, 4096);
    if (!policy_of(row->policy, &policy))
        log_warning(NULL, "archive_prefs of %.*s: unknown policy %.*s: never is taken",
                STR_ARG(bare), STR_ARG(row->policy));
    jids_of_term(&arena, row->always, &always);
    jids_of_term(&arena, row->never, &never);
    p = mem_alloc(sizeof *p + (always.n + never.n) * sizeof *at + text_size(&always) +
                  text_size(&never));
    p->policy = policy;
    at = (struct str *)(void *)(p + 1);
    text = (char *)(at + always.n + never.n);
    jids_copy(&p->always, &always, &at, &text);
    jids_copy(&p->never, &never, &at, &text);
    arena_fini(&arena);
    return p;
}

void *
mam_prefs_load(struct account *a, void *config, const struct sql_result *rows)
{
    (void)config;
    for (size_t i = 0; i < rows->n_rows; i++) {
        const struct sql_value *v = rows->value + i * rows->n_cols;

        if (str_eq_c(v[0].s, "a"))
            return prefs_new(
                    &(struct prefs_row){ v[1].s, v[2].s, v[3].s }, account_bare(a));
    }
    return NULL;
}

void
mam_prefs_free(void *part)
{
    mem_free_p(part);
}

/* In force for who has none of his own. */
static enum mam_policy
policy_usual(const struct mam_config *config)
{
    return config->activates ? MAM_NEVER : config->policy;
}

static uint16_t
route_flags(const struct mam_config *config, const struct mam_prefs *p)
{
    enum mam_policy policy = p ? p->policy : policy_usual(config);

    if (policy == MAM_ALWAYS && (!p || p->never.n == 0))
        return ROUTE_ARCHIVE;
    if (policy == MAM_NEVER && (!p || p->always.n == 0))
        return 0;
    return ROUTE_FILTER;
}

enum hook_result
mam_prefs_loaded(struct event *e)
{
    account_set_flags(e->w, e->account, e->module,
            route_flags(e->config, account_part(e->account, e->module)));
    return HOOK_PASS;
}

bool
mam_prefs_keep(const struct mam_config *config, struct account *a,
        const struct module *m, const struct jid *peer)
{
    const struct mam_prefs *p = account_part(a, m);
    char text[2 * JID_PART_MAX + 1];
    struct str bare = { text, 0 };
    struct contact contact;
    enum mam_policy policy = p ? p->policy : policy_usual(config);

    if (policy != MAM_ROSTER && (!p || p->always.n + p->never.n == 0))
        return policy == MAM_ALWAYS;
    if (peer->local.n) {
        memcpy(text, peer->local.p, peer->local.n);
        text[peer->local.n] = '@';
        bare.n = peer->local.n + 1;
    }
    memcpy(text + bare.n, peer->domain.p, peer->domain.n);
    bare.n += peer->domain.n;
    if (p && jids_have(&p->always, bare))
        return true;
    if (p && jids_have(&p->never, bare))
        return false;
    if (policy != MAM_ROSTER)
        return policy == MAM_ALWAYS;
    return contacts_find(account_contacts(a), bare, &contact) &&
           (contact.bits & (CONTACT_TO | CONTACT_FROM | CONTACT_SHARED));
}

/* --- Changing them --- */

static void
pack(struct buf *out, struct str s)
{
    uint32_t n = (uint32_t)s.n;

    buf_add(out, &n, sizeof n);
    buf_add_str(out, s);
}

static struct str
unpack(struct str *rest)
{
    uint32_t n;
    struct str s;

    if (rest->n < sizeof n)
        return STR_NULL;
    memcpy(&n, rest->p, sizeof n);
    if (n > rest->n - sizeof n)
        return STR_NULL;
    s = (struct str){ rest->p + sizeof n, n };
    *rest = (struct str){ s.p + n, rest->n - sizeof n - n };
    return s;
}

static void
tell(struct job *j, struct str bare, const struct prefs_row *row)
{
    struct buf data = { 0 };

    pack(&data, row->policy);
    pack(&data, row->always);
    pack(&data, row->never);
    sessions_notify(j->w, j->module, bare, NOTIFY_PREFS, buf_str(&data));
    buf_fini(&data);
}

void
mam_prefs_notify(struct event *e, unsigned what, struct str data)
{
    struct prefs_row row;

    if (what != NOTIFY_PREFS)
        return;
    row.policy = unpack(&data);
    row.always = unpack(&data);
    row.never = unpack(&data);
    account_set_part(e->account, e->module, prefs_new(&row, account_bare(e->account)));
    mam_prefs_loaded(e);
}

static void
write_row(struct job *j, unsigned step, struct str user, const struct prefs_row *row)
{
    struct sql_value param[] = { sql_text(user), sql_text(row->policy),
        sql_text(row->always), sql_text(row->never) };

    job_sql(j, step, SQL_PREFS_SET, param, ARRAY_LEN(param));
}

/* The JIDs in <always/> or <never/>, bare as ejabberd takes them. */
static int
jids_of_el(struct arena *arena, const struct xml_el *list, struct mam_jids *ret)
{
    size_t n = 0;

    xml_for(el, list, "jid", NS_MAM)
    {
        n++;
    }
    *ret = (struct mam_jids){ .at = arena_alloc(arena, (n + 1) * sizeof *ret->at) };
    xml_for(el, list, "jid", NS_MAM)
    {
        struct jid jid;

        if (jid_parse(arena, str_trim(xml_text(el)), &jid) < 0)
            return -EINVAL;
        ret->at[ret->n++] = jid_bare_text(arena, &jid);
    }
    jids_sort(ret);
    return 0;
}

/* What a request wants. 0, or -EINVAL, or -E2BIG. */
static int
prefs_read(struct arena *arena, const struct xml_el *el, enum mam_policy *ret_policy,
        struct mam_jids *ret_always, struct mam_jids *ret_never)
{
    if (!policy_of(xml_attr(el, "default"), ret_policy) ||
            jids_of_el(arena, xml_child(el, "always", NS_MAM), ret_always) < 0 ||
            jids_of_el(arena, xml_child(el, "never", NS_MAM), ret_never) < 0)
        return -EINVAL;
    return ret_always->n + ret_never->n > JIDS_MAX ? -E2BIG : 0;
}

static void
add_jids(struct xml_el *prefs, const char *name, const struct mam_jids *jids)
{
    struct xml_el *list = xml_add(prefs, name, NULL);

    for (size_t i = 0; jids && i < jids->n; i++)
        xml_add_leaf(list, "jid", NULL, jids->at[i]);
}

static void
answer(struct job *j, enum mam_policy policy, const struct mam_jids *always,
        const struct mam_jids *never)
{
    struct xml_el *prefs = job_result(j, "prefs", NS_MAM);

    xml_set_c(prefs, "default", policy_names[policy]);
    add_jids(prefs, "always", always);
    add_jids(prefs, "never", never);
    job_send_result(j, prefs);
}

static bool
may_change(const struct job *j)
{
    const struct mam_config *config = j->config;
    struct conf_subject who = { .user = j->from.local, .server = j->from.domain };

    return conf_access_allows(j->host, &config->access_preferences, &who);
}

static void
change(struct job *j)
{
    struct mam_jids always, never;
    enum mam_policy policy;
    struct prefs_row row;
    int r = prefs_read(j->arena, j->payload, &policy, &always, &never);

    if (!may_change(j)) {
        job_error(j, STANZA_ERROR_FORBIDDEN, "not by this service's rules");
    } else if (r == -E2BIG) {
        job_error(j, STANZA_ERROR_POLICY_VIOLATION, "too many addresses");
    } else if (r < 0) {
        job_error(j, STANZA_ERROR_BAD_REQUEST, NULL);
    } else {
        row.policy = str_from(policy_names[policy]);
        row.always = jids_term(j->arena, &always);
        row.never = jids_term(j->arena, &never);
        write_row(j, MAM_STEP_PREFS_SET, j->to.local, &row);
    }
}

void
mam_step_prefs(struct job *j, const struct sql_result *result)
{
    const struct mam_prefs *p = account_part(j->account, j->module);

    (void)result;
    if (!jid_eq_bare(&j->from, &j->to))
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
    else if (j->type == IQ_SET)
        change(j);
    else
        answer(j, p ? p->policy : policy_usual(j->config), p ? &p->always : NULL,
                p ? &p->never : NULL);
}

void
mam_step_prefs_set(struct job *j, const struct sql_result *result)
{
    struct mam_jids always, never;
    enum mam_policy policy;
    struct prefs_row row;

    if (job_failed(j, result) ||
            prefs_read(j->arena, j->payload, &policy, &always, &never) < 0)
        return;
    row.policy = str_from(policy_names[policy]);
    row.always = jids_term(j->arena, &always);
    row.never = jids_term(j->arena, &never);
    tell(j, jid_bare_text(j->arena, &j->to), &row);
    answer(j, policy, &always, &never);
}

/* --- request_activates_archiving --- */

void
mam_prefs_activate(struct job *j, struct account *a)
{
    const struct mam_config *config = j->config;
    struct home_call call = { .module = j->module,
        .step = MAM_STEP_ACTIVATE,
        .bare = account_bare(a),
        .from = account_jid(a),
        .to = account_jid(a) };

    if (config->activates && !account_part(a, j->module) && !jobs_are_many(j->w))
        home_call(j->w, &call);
}

static struct prefs_row
usual_row(const struct job *j)
{
    const struct mam_config *config = j->config;

    return (struct prefs_row){ str_from(policy_names[config->policy]), STR("[]"),
        STR("[]") };
}

void
mam_step_activate(struct job *j, const struct sql_result *result)
{
    struct prefs_row row = usual_row(j);

    (void)result;
    if (!account_part(j->account, j->module)) /* nobody has meanwhile */
        write_row(j, MAM_STEP_ACTIVATED, j->to.local, &row);
}

void
mam_step_activated(struct job *j, const struct sql_result *result)
{
    struct prefs_row row = usual_row(j);

    if (!job_failed(j, result))
        tell(j, jid_bare_text(j->arena, &j->to), &row);
}
