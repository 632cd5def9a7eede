/*
 * privacy_query.c -- requests about privacy lists (XEP-0016, 2.3 to 2.8)
 *
 * They are done in the account's home, one after the other: what they need to know is
 * read, then what they change is written (privacy_change.c).
 */
#include "modules/privacy.h"

enum {
    NAME_MAX_BYTES = 1023
};

/* The request as it is; of a command it is the third argument. */
static bool
request_of(struct job *j, struct privacy_request *ret)
{
    const struct xml_el *query = j->payload;
    enum iq_type type = (enum iq_type)j->type;

    if (job_n_args(j) > 2) {
        query = stanza_parse(j->w, j->arena, job_arg(j, 2));
        type = IQ_SET;
    }
    return xml_is(query, "query", NS_PRIVACY) && privacy_request(query, type, ret) == 0;
}

/* --- Who else uses a list? --- */

/* Other resources that are judged by the default list (2.2, 11). */
static bool
others_use_default(struct job *j)
{
    const struct route_snapshot *snap;
    size_t n = route_sessions(j->w, account_bare(j->account), 0, &snap);

    if (j->conn == 0 || !account_part(j->account, &module))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (snap->entry[i].conn != j->conn && !(snap->entry[i].flags & ROUTE_OWN_LIST))
            return true;
    }
    return false;
}

static struct str
default_name(const struct job *j)
{
    return privacy_part_name(account_part(j->account, &module));
}

/* --- Requests --- */

static void
set_list(struct job *j, const struct privacy_request *r)
{
    if (r->name.n > NAME_MAX_BYTES)
        privacy_fail(j, STANZA_ERROR_NOT_ACCEPTABLE, "the name is too long");
    else
        privacy_ask(j, PRIVACY_STEP_PUT, SQL_PRIVACY_LISTS, STR_NULL);
}

static void
set_default(struct job *j, const struct privacy_request *r)
{
    struct privacy_note note = { .conn = j->conn,
        .flags = PRIVACY_IS_DEFAULT | PRIVACY_NO_DEFAULT,
        .before = privacy_default_bytes(j) };
    struct str now = default_name(j);

    if (!r->name.p == !now.p && (!now.p || str_eq(r->name, now))) {
        privacy_done(j); /* it is so already */
    } else if (others_use_default(j)) {
        privacy_fail(j, STANZA_ERROR_CONFLICT, NULL);
    } else if (r->name.p) {
        privacy_ask(j, PRIVACY_STEP_DEFAULT, SQL_PRIVACY_GET, r->name);
    } else {
        privacy_keep(j, &note);
        privacy_ask(j, PRIVACY_STEP_CHANGED, SQL_PRIVACY_DEFAULT_UNSET, STR_NULL);
    }
}

/* NULL: its own list no more. */
static void
activate(struct job *j, struct str name, const struct privacy_list *list)
{
    struct privacy_note note = {
        .conn = j->conn, .name = name, .after = privacy_list_bytes(list)
    };

    privacy_keep(j, &note);
    privacy_tell_all(j, PRIVACY_STEP_SETTLED, PRIVACY_NOTE_SESSION, &note);
}

static void
set_active(struct job *j, const struct privacy_request *r)
{
    if (j->conn == 0)
        privacy_fail(j, STANZA_ERROR_BAD_REQUEST, "only a session has an active list");
    else if (r->name.p)
        privacy_ask(j, PRIVACY_STEP_ACTIVATE, SQL_PRIVACY_GET, r->name);
    else
        activate(j, STR_NULL, NULL);
}

static void
remove_list(struct job *j, const struct privacy_request *r)
{
    struct privacy_note note = { .conn = j->conn, .name = r->name };

    if (str_eq(r->name, default_name(j)) && others_use_default(j))
        privacy_fail(j, STANZA_ERROR_CONFLICT, NULL);
    else
        privacy_tell_all(j, PRIVACY_STEP_REMOVE, PRIVACY_NOTE_IN_USE, &note);
}

static void
query(struct job *j, const struct sql_result *result)
{
    struct privacy_request r;

    (void)result;
    if (!request_of(j, &r)) {
        privacy_fail(j, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    switch (r.op) {
    case PRIVACY_GET_NAMES:
        privacy_ask(j, PRIVACY_STEP_NAMES, SQL_PRIVACY_LISTS, STR_NULL);
        break;
    case PRIVACY_GET_LIST:
        privacy_ask(j, PRIVACY_STEP_LIST, SQL_PRIVACY_GET, r.name);
        break;
    case PRIVACY_SET_ACTIVE:
        set_active(j, &r);
        break;
    case PRIVACY_SET_DEFAULT:
        set_default(j, &r);
        break;
    case PRIVACY_SET_LIST:
        set_list(j, &r);
        break;
    case PRIVACY_REMOVE_LIST:
        remove_list(j, &r);
        break;
    }
}

static void
command(struct job *j, const struct sql_result *result)
{
    if (account_exists(j->account))
        query(j, result);
    else
        privacy_fail(j, STANZA_ERROR_ITEM_NOT_FOUND, "there is no such account");
}

/* --- With what the database says --- */

static void
names(struct job *j, const struct sql_result *result)
{
    struct privacy_note note = { .conn = j->conn };
    struct xml_el *payload;
    struct buf iq = { 0 };

    if (privacy_failed(j, result))
        return;
    payload = job_result(j, "query", NS_PRIVACY);
    for (size_t i = 0; i < result->n_rows; i++) {
        if (result->value[2 * i + 1].i)
            xml_set(xml_add(payload, "default", NULL), "name", result->value[2 * i].s);
    }
    for (size_t i = 0; i < result->n_rows; i++)
        xml_set(xml_add(payload, "list", NULL), "name", result->value[2 * i].s);
    xml_write(&iq, payload->parent, STR(NS_CLIENT));
    note.name = buf_str(&iq);
    privacy_tell(j, PRIVACY_NOTE_NAMES, &note);
    buf_fini(&iq);
}

/* The list that the request names; false: answered. */
static bool
list_of(struct job *j, const struct sql_result *result, struct privacy_request *ret_r,
        struct privacy_list **ret_list)
{
    if (privacy_failed(j, result))
        return false;
    if (request_of(j, ret_r) && privacy_rows(result, 0, ret_list))
        return true;
    privacy_fail(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    return false;
}

static void
show(struct job *j, const struct sql_result *result)
{
    struct privacy_request r;
    struct privacy_list *list;
    struct xml_el *payload;

    if (!list_of(j, result, &r, &list))
        return;
    payload = job_result(j, "query", NS_PRIVACY);
    privacy_list_write(list, r.name, payload);
    job_send_result(j, payload);
    privacy_list_free(&list);
}

static void
activated(struct job *j, const struct sql_result *result)
{
    struct privacy_request r;
    struct privacy_list *list;

    if (!list_of(j, result, &r, &list))
        return;
    activate(j, r.name, list);
    privacy_list_free(&list);
}

static void
default_found(struct job *j, const struct sql_result *result)
{
    struct privacy_request r;
    struct privacy_list *list;
    struct privacy_note note = {
        .conn = j->conn, .flags = PRIVACY_IS_DEFAULT, .before = privacy_default_bytes(j)
    };

    if (!list_of(j, result, &r, &list))
        return;
    note.name = r.name;
    note.after = privacy_list_bytes(list);
    privacy_keep(j, &note);
    privacy_ask(j, PRIVACY_STEP_CHANGED, SQL_PRIVACY_DEFAULT_SET, r.name);
    privacy_list_free(&list);
}

static bool
has_group(void *arg, struct str group)
{
    struct account *a = arg;
    struct contact contact;
    size_t at = 0;

    while (contacts_next(account_contacts(a), &at, &contact)) {
        if (contact_in_group(&contact, group))
            return true;
    }
    return false;
}

static void
put(struct job *j, const struct sql_result *result)
{
    const uint64_t *max_lists = j->config;
    struct privacy_note note = { .conn = j->conn, .flags = PRIVACY_CONTENT };
    struct privacy_request r;
    struct privacy_list *list;
    enum stanza_error error;
    bool is_new = true;

    if (privacy_failed(j, result) || !request_of(j, &r))
        return;
    for (size_t i = 0; i < result->n_rows; i++)
        is_new = is_new && !str_eq(result->value[2 * i].s, r.name);
    if (is_new && result->n_rows >= *max_lists) {
        privacy_fail(j, STANZA_ERROR_RESOURCE_CONSTRAINT, "there are too many lists");
        return;
    }
    if (privacy_list_read(j->arena, r.list, has_group, j->account, &list, &error) < 0) {
        privacy_fail(j, error, NULL);
        return;
    }
    note.name = r.name;
    note.after = privacy_list_bytes(list);
    if (str_eq(r.name, default_name(j))) {
        note.flags |= PRIVACY_IS_DEFAULT;
        note.before = privacy_default_bytes(j);
    }
    privacy_put(j, PRIVACY_STEP_CHANGED, &note);
    privacy_list_free(&list);
}

static void
removed(struct job *j, const struct sql_result *result)
{
    struct privacy_note note = { .conn = j->conn, .flags = PRIVACY_REMOVED };
    struct privacy_request r;

    (void)result;
    if (!request_of(j, &r))
        return;
    if (j->answers) {
        privacy_fail(j, STANZA_ERROR_CONFLICT, NULL);
        return;
    }
    note.name = r.name;
    if (str_eq(r.name, default_name(j))) {
        note.flags |= PRIVACY_IS_DEFAULT | PRIVACY_NO_DEFAULT;
        note.before = privacy_default_bytes(j);
    }
    privacy_keep(j, &note);
    privacy_ask(j, PRIVACY_STEP_CHANGED, SQL_PRIVACY_DEL, r.name);
}

const job_fn privacy_steps[PRIVACY_STEPS] = {
    [PRIVACY_STEP_QUERY] = query,
    [PRIVACY_STEP_COMMAND] = command,
    [PRIVACY_STEP_NAMES] = names,
    [PRIVACY_STEP_LIST] = show,
    [PRIVACY_STEP_ACTIVATE] = activated,
    [PRIVACY_STEP_DEFAULT] = default_found,
    [PRIVACY_STEP_PUT] = put,
    [PRIVACY_STEP_REMOVE] = removed,
    [PRIVACY_STEP_BLOCKLIST] = privacy_blocklist,
    [PRIVACY_STEP_BLOCK] = privacy_block,
    [PRIVACY_STEP_BLOCK_IN] = privacy_block_in,
    [PRIVACY_STEP_BLOCK_DEFAULT] = privacy_block_default,
    [PRIVACY_STEP_CHANGED] = privacy_step_changed,
    [PRIVACY_STEP_SETTLED] = privacy_step_settled,
    [PRIVACY_STEP_REFRESH] = privacy_step_refresh,
    [PRIVACY_STEP_REFRESHED] = privacy_step_refreshed,
    [PRIVACY_STEP_RESYNC] = privacy_step_resync,
};
