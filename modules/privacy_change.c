/*
 * privacy_change.c -- how a change of a list comes true
 *
 * It is written to the database, then every worker with sessions is told, and when all
 * act by it (and the route table sends everything for the account to its home) the
 * client is answered: nothing that is denied comes in any more then. The list as it was
 * is kept in the job with the list as it will be, so that presence follows also if this
 * process dies in between.
 */
#include "modules/privacy.h"

enum {
    SETTLE_MS = 2,
    SETTLE_TRIES = 500
};

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

void
privacy_ask(struct job *j, unsigned step, enum sql_op op, struct str name)
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

struct str
privacy_default_bytes(const struct job *j)
{
    const struct privacy_part *part = account_part(j->account, &module);

    return privacy_list_bytes(part ? part->list : NULL);
}

/* --- Notes --- */

void
privacy_tell(
        struct job *j, enum privacy_note_kind kind, const struct privacy_note *note)
{
    struct buf data = { 0 };

    privacy_note_write(&data, note);
    sessions_notify(j->w, &module, account_bare(j->account), kind, buf_str(&data));
    buf_fini(&data);
}

void
privacy_tell_all(struct job *j, unsigned step, enum privacy_note_kind kind,
        const struct privacy_note *note)
{
    struct buf data = { 0 };

    privacy_note_write(&data, note);
    job_notify(j, step, kind, buf_str(&data));
    buf_fini(&data);
}

/* --- It is done --- */

void
privacy_step_changed(struct job *j, const struct sql_result *result)
{
    struct privacy_note note;

    if (!privacy_note_read(j->data, &note))
        return;
    if (result->status == SQL_NOT_FOUND) {
        privacy_fail(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    if (privacy_failed(j, result)) {
        job_release(j); /* what the database says, when it answers again, is true */
        privacy_ask(j, PRIVACY_STEP_RESYNC, SQL_PRIVACY_DEFAULT_GET, STR_NULL);
        return;
    }
    privacy_changed(j, &note);
}

void
privacy_changed(struct job *j, const struct privacy_note *note)
{
    privacy_tell_all(j, PRIVACY_STEP_SETTLED, PRIVACY_NOTE_CHANGE, note);
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

void
privacy_step_settled(struct job *j, const struct sql_result *result)
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

void
privacy_step_resync(struct job *j, const struct sql_result *result)
{
    struct privacy_note note = { .flags = PRIVACY_IS_DEFAULT | PRIVACY_NO_DEFAULT,
        .before = privacy_default_bytes(j) };
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
    privacy_tell(j, PRIVACY_NOTE_CHANGE, &note);
    privacy_tell(j, PRIVACY_NOTE_REFRESH, &(struct privacy_note){ 0 });
    privacy_list_free(&list);
}

/* --- A session's own list, as it is now --- */

void
privacy_step_refresh(struct job *j, const struct sql_result *result)
{
    (void)result;
    privacy_ask(j, PRIVACY_STEP_REFRESHED, SQL_PRIVACY_GET, j->data);
}

void
privacy_step_refreshed(struct job *j, const struct sql_result *result)
{
    struct privacy_note note = { .conn = j->conn, .name = j->data };
    struct privacy_list *list = NULL;

    if (result->status == SQL_UNAVAILABLE) {
        job_release(j);
        job_retry(j, PRIVACY_STEP_REFRESHED);
        return;
    }
    if (result->status != SQL_OK)
        return;
    note.flags = privacy_rows(result, 0, &list) ? PRIVACY_CONTENT : PRIVACY_REMOVED;
    note.after = privacy_list_bytes(list);
    privacy_tell(j, PRIVACY_NOTE_SESSION, &note);
    privacy_list_free(&list);
}
