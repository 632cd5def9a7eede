/*
 * privacy_query.c -- requests about privacy lists (XEP-0016, 2.3 to 2.8)
 *
 * They are done in the account's home, one after the other. A change: what it needs to
 * know is read, then it is written to the database, then every worker with sessions is
 * told, and when all act by it (and the route table sends everything for the account to
 * its home) the client is answered: nothing that is denied comes in any more then. The
 * list as it was is kept in the job with the list as it will be, so that presence
 * follows also if this process dies in between.
 */
#include "modules/privacy.h"

#include "xmpp/blocking.h"

enum {
    NAME_MAX_BYTES = 1023,
    SETTLE_MS = 2,
    SETTLE_TRIES = 500
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

/* --- Answers --- */

void
privacy_done(struct job *j)
{
    if (job_n_args(j) > 0)
        job_call_reply(j, IPC_OK, STR_NULL);
    else
        job_reply(j, NULL);
}

void
privacy_fail(struct job *j, enum stanza_error e, const char *text)
{
    if (job_n_args(j) > 0)
        job_call_reply(j,
                e == STANZA_ERROR_ITEM_NOT_FOUND ? IPC_NOT_FOUND : IPC_INVALID,
                text ? str_from(text) : str_from(stanza_error_name(e)));
    else
        job_error(j, e, text);
}

bool
privacy_failed(struct job *j, const struct sql_result *result)
{
    if (job_n_args(j) == 0)
        return job_failed(j, result);
    if (result->status == SQL_OK)
        return false;
    job_call_reply(j, IPC_UNAVAILABLE, STR("the database did not do it"));
    return true;
}

/* --- Questions to the database --- */

void
privacy_keep(struct job *j, const struct privacy_note *note)
{
    struct buf data = { 0 };

    privacy_note_write(&data, note);
    job_keep(j, buf_str(&data));
    buf_fini(&data);
}

static void
ask(struct job *j, unsigned step, enum sql_op op, struct str name)
{
    struct sql_value param[] = { sql_text(account_jid(j->account).local),
        sql_text(name) };

    job_sql(j, step, op, param, name.p ? 2 : 1);
}

void
privacy_put(struct job *j, unsigned step, const struct privacy_note *note)
{
    enum {
        FIXED = 2,
        EACH = 9
    };
    struct privacy_list *list = NULL;
    struct sql_value *param, *v;
    struct privacy_item item;
    size_t at = 0;

    privacy_list_from_bytes(note->after, &list);
    param = arena_alloc(
            j->arena, (FIXED + privacy_list_count(list) * EACH) * sizeof *param);
    v = param;
    *v++ = sql_text(account_jid(j->account).local);
    *v++ = sql_text(note->name);
    while (privacy_next(list, &at, &item)) {
        struct privacy_row row;

        privacy_item_to_row(j->arena, &item, &row);
        *v++ = sql_text(str_dup(j->arena, (struct str){ &row.t, 1 }));
        *v++ = sql_text(row.value);
        *v++ = sql_text(str_dup(j->arena, (struct str){ &row.action, 1 }));
        *v++ = sql_int((int64_t)row.ord);
        *v++ = sql_int(row.match_all);
        *v++ = sql_int(row.match_iq);
        *v++ = sql_int(row.match_message);
        *v++ = sql_int(row.match_presence_in);
        *v++ = sql_int(row.match_presence_out);
    }
    privacy_keep(j, note);
    job_sql(j, step, SQL_PRIVACY_PUT, param, (size_t)(v - param));
    privacy_list_free(&list);
}

/* --- Notes --- */

static void
tell(struct job *j, enum privacy_note_kind kind, const struct privacy_note *note)
{
    struct buf data = { 0 };

    privacy_note_write(&data, note);
    sessions_notify(j->w, &module, account_bare(j->account), kind, buf_str(&data));
    buf_fini(&data);
}

/* Goes on when all act by it. */
static void
tell_all(struct job *j, unsigned step, enum privacy_note_kind kind,
        const struct privacy_note *note)
{
    struct buf data = { 0 };

    privacy_note_write(&data, note);
    job_notify(j, step, kind, buf_str(&data));
    buf_fini(&data);
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

static struct str
default_bytes(const struct job *j)
{
    const struct privacy_part *part = account_part(j->account, &module);

    return privacy_list_bytes(part ? part->list : NULL);
}

/* --- Requests --- */

static void
set_list(struct job *j, const struct privacy_request *r)
{
    if (r->name.n > NAME_MAX_BYTES)
        privacy_fail(j, STANZA_ERROR_NOT_ACCEPTABLE, "the name is too long");
    else
        ask(j, PRIVACY_STEP_PUT, SQL_PRIVACY_LISTS, STR_NULL);
}

static void
set_default(struct job *j, const struct privacy_request *r)
{
    struct privacy_note note = { .conn = j->conn,
        .flags = PRIVACY_IS_DEFAULT | PRIVACY_NO_DEFAULT,
        .before = default_bytes(j) };

    if (!r->name.p == !default_name(j).p && str_eq(r->name, default_name(j))) {
        privacy_done(j); /* it is so already */
    } else if (others_use_default(j)) {
        privacy_fail(j, STANZA_ERROR_CONFLICT, NULL);
    } else if (r->name.p) {
        ask(j, PRIVACY_STEP_DEFAULT, SQL_PRIVACY_GET, r->name);
    } else {
        privacy_keep(j, &note);
        ask(j, PRIVACY_STEP_CHANGED, SQL_PRIVACY_DEFAULT_UNSET, STR_NULL);
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
    tell_all(j, PRIVACY_STEP_SETTLED, PRIVACY_NOTE_SESSION, &note);
}

static void
set_active(struct job *j, const struct privacy_request *r)
{
    if (j->conn == 0)
        privacy_fail(j, STANZA_ERROR_BAD_REQUEST, "only a session has an active list");
    else if (r->name.p)
        ask(j, PRIVACY_STEP_ACTIVATE, SQL_PRIVACY_GET, r->name);
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
        tell_all(j, PRIVACY_STEP_REMOVE, PRIVACY_NOTE_IN_USE, &note);
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
        ask(j, PRIVACY_STEP_NAMES, SQL_PRIVACY_LISTS, STR_NULL);
        break;
    case PRIVACY_GET_LIST:
        ask(j, PRIVACY_STEP_LIST, SQL_PRIVACY_GET, r.name);
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
    tell(j, PRIVACY_NOTE_NAMES, &note);
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
        .conn = j->conn, .flags = PRIVACY_IS_DEFAULT, .before = default_bytes(j)
    };

    if (!list_of(j, result, &r, &list))
        return;
    note.name = r.name;
    note.after = privacy_list_bytes(list);
    privacy_keep(j, &note);
    ask(j, PRIVACY_STEP_CHANGED, SQL_PRIVACY_DEFAULT_SET, r.name);
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
        note.before = default_bytes(j);
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
        note.before = default_bytes(j);
    }
    privacy_keep(j, &note);
    ask(j, PRIVACY_STEP_CHANGED, SQL_PRIVACY_DEL, r.name);
}

/* --- It is done --- */

/* Nobody knows: what the database says, when it answers again, is true. */
static void
resync_ask(struct job *j)
{
    ask(j, PRIVACY_STEP_RESYNC, SQL_PRIVACY_DEFAULT_GET, STR_NULL);
}

static void
changed(struct job *j, const struct sql_result *result)
{
    struct privacy_note note;

    if (!privacy_note_read(j->data, &note))
        return;
    if (result->status == SQL_NOT_FOUND) {
        privacy_fail(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    if (privacy_failed(j, result)) {
        job_release(j);
        resync_ask(j);
        return;
    }
    privacy_changed(j, &note);
}

void
privacy_changed(struct job *j, const struct privacy_note *note)
{
    tell_all(j, PRIVACY_STEP_SETTLED, PRIVACY_NOTE_CHANGE, note);
    if (note->flags & (PRIVACY_CONTENT | PRIVACY_REMOVED))
        privacy_push_list(j, note->name);
    if (note->flags & PRIVACY_IS_DEFAULT || xml_is(j->payload, NULL, NS_BLOCKING))
        privacy_push_blocks(j, note);
    privacy_report(j);
    job_release(j);
}

/* Does the route table show to others what we have changed? */
static bool
is_settled(struct job *j, const struct privacy_note *note)
{
    const struct privacy_part *part = account_part(j->account, &module);
    const struct route_snapshot *snap;
    size_t n = route_sessions(j->w, account_bare(j->account), 0, &snap);
    bool active = note->flags == 0 && note->name.n;

    for (size_t i = 0; i < n; i++) {
        const struct route_entry *e = &snap->entry[i];

        if ((part && part->list && !(e->flags & ROUTE_FILTER)) ||
                (active && e->conn == note->conn && !(e->flags & ROUTE_OWN_LIST)))
            return false;
    }
    return true;
}

static void
settled(struct job *j, const struct sql_result *result)
{
    struct privacy_note note;

    (void)result;
    if (!privacy_note_read(j->data, &note))
        return;
    if (!is_settled(j, &note) && note.tries++ < SETTLE_TRIES) {
        job_sleep(j, PRIVACY_STEP_SETTLED, SETTLE_MS);
        privacy_keep(j, &note);
    } else if (j->el || job_n_args(j) > 0) {
        privacy_done(j);
    }
}

static void
resync(struct job *j, const struct sql_result *result)
{
    struct privacy_note note = { .flags = PRIVACY_IS_DEFAULT | PRIVACY_NO_DEFAULT,
        .before = default_bytes(j) };
    struct privacy_list *list = NULL;

    if (result->status == SQL_UNAVAILABLE) {
        job_retry(j, PRIVACY_STEP_RESYNC);
        return;
    }
    if (result->status != SQL_OK)
        return;
    if (result->n_rows > 0) {
        note.flags = PRIVACY_IS_DEFAULT;
        note.name = result->value[0].s;
        privacy_rows(result, 1, &list);
        note.after = privacy_list_bytes(list);
    }
    tell(j, PRIVACY_NOTE_CHANGE, &note);
    tell(j, PRIVACY_NOTE_REFRESH, &(struct privacy_note){ 0 });
    privacy_list_free(&list);
}

/* --- A session's own list, as it is now --- */

static void
refresh(struct job *j, const struct sql_result *result)
{
    (void)result;
    ask(j, PRIVACY_STEP_REFRESHED, SQL_PRIVACY_GET, j->data);
}

static void
refreshed(struct job *j, const struct sql_result *result)
{
    struct privacy_note note = { .conn = j->conn };
    struct privacy_list *list = NULL;

    if (result->status == SQL_UNAVAILABLE) {
        job_release(j);
        job_retry(j, PRIVACY_STEP_REFRESHED);
        return;
    }
    if (result->status != SQL_OK)
        return;
    if (privacy_rows(result, 0, &list))
        note.name = j->data;
    note.after = privacy_list_bytes(list);
    tell(j, PRIVACY_NOTE_SESSION, &note);
    privacy_list_free(&list);
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
    [PRIVACY_STEP_CHANGED] = changed,
    [PRIVACY_STEP_SETTLED] = settled,
    [PRIVACY_STEP_REFRESH] = refresh,
    [PRIVACY_STEP_REFRESHED] = refreshed,
    [PRIVACY_STEP_RESYNC] = resync,
};
