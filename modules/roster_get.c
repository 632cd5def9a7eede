/*
 * roster_get.c -- a client asks for its roster (RFC 6121, 2.1.3, 2.2, 2.6)
 *
 * Answered from the memory of the session's worker, in the transaction that makes the
 * session an interested one: from then on it gets each change as a push, and up to then
 * it has it in the answer.
 *
 * Who has an older version gets what has changed since, if the database still knows;
 * it is asked for the addresses only, the items are those in memory. Changes that it
 * knows of and memory does not yet will come as pushes; if it is the other way round it
 * is asked again.
 */
#include "modules/roster.h"

enum {
    LOOK_AGAIN_MS = 100, /* the account is being read */
    ASK_AGAIN_MAX = 3
};

static void
result_begin(struct job *j, struct buf *out, struct str version)
{
    struct xml_el *query;
    struct xml_el *iq = iq_result_with(j->arena, j->el, "query", NS_ROSTER, &query);

    xml_set(query, "ver", version);
    xml_write_start(out, iq, STR(NS_CLIENT));
    xml_write_start(out, query, STR(NS_CLIENT));
}

/* The whole roster; version.p NULL: the client knows nothing of versions. */
static void
full(struct job *j, struct conn *c, struct account *a, struct str version)
{
    struct contacts *cs = account_contacts(a);
    struct buf out = { 0 };
    struct contact contact;
    size_t at = 0;

    result_begin(j, &out, version);
    while (contacts_next(cs, &at, &contact)) {
        if (roster_is_shown(&contact))
            roster_item_write(&out, &contact, false);
    }
    buf_add_c(&out, "</query></iq>");
    session_set_flags(j->w, c, ROUTE_ROSTER, 0);
    session_send_bytes(j->w, c, buf_str(&out));
    buf_fini(&out);
}

static void
unchanged(struct job *j, struct conn *c)
{
    session_set_flags(j->w, c, ROUTE_ROSTER, 0);
    session_send(j->w, c, iq_result(j->arena, j->el));
}

static void
ask_for_changes(struct job *j, uint64_t after)
{
    const struct sql_value param[] = { sql_text(j->from.local),
        sql_int((int64_t)after) };

    job_sql(j, ROSTER_STEP_DIFFERENCES, SQL_ROSTER_CHANGES, param, ARRAY_LEN(param));
}

/* Is the client's version one that we can start from? */
static bool
is_ours(const struct roster *r, struct str text, struct roster_version *ret)
{
    return r->known && roster_version_parse(text, ret) &&
           str_eq_c(ret->epoch, r->epoch) && ret->n <= r->n;
}

static void
get(struct job *j, struct conn *c, struct account *a)
{
    const struct roster_config *config = j->config;
    const struct roster *r = account_part(a, &module);
    struct str asked = xml_attr(j->payload, "ver");
    struct roster_version v;
    struct buf now = { 0 };

    if (!config->versioning || !asked.p) {
        full(j, c, a, STR_NULL);
        return;
    }
    roster_version_now(&now, a, config);
    if (str_eq(asked, buf_str(&now)))
        unchanged(j, c);
    else if (r->log && is_ours(r, asked, &v) && v.n < r->n && roster_has_log(a, config))
        ask_for_changes(j, v.n);
    else
        full(j, c, a, buf_str(&now));
    buf_fini(&now);
}

void
roster_request(struct job *j, const struct sql_result *result)
{
    struct conn *c = conn_find(j->w, j->conn);
    struct account *a = c ? session_account(j->w, c) : NULL;

    (void)result;
    if (!jid_eq_bare(&j->from, &j->to))
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
    else if (j->type == IQ_SET)
        roster_set_begin(j);
    else if (xml_child(j->payload, NULL, NULL))
        job_error(j, STANZA_ERROR_BAD_REQUEST, NULL);
    else if (a)
        get(j, c, a);
}

/* --- Differences --- */

/* Rows of jid and n, oldest first; an empty jid: all before that number is forgotten.
 */
static uint64_t
row_n(const struct sql_result *rows, size_t i)
{
    return (uint64_t)rows->value[i * rows->n_cols + 1].i;
}

static struct str
row_jid(const struct sql_result *rows, size_t i)
{
    return rows->value[i * rows->n_cols].s;
}

static bool
is_forgotten(const struct sql_result *rows, uint64_t after)
{
    for (size_t i = 0; i < rows->n_rows; i++) {
        if (row_jid(rows, i).n == 0 && row_n(rows, i) > after)
            return true;
    }
    return false;
}

static void
difference(struct job *j, struct conn *c, struct account *a, struct str jid, uint64_t n)
{
    const struct roster *r = account_part(a, &module);
    struct contact contact = { .jid = jid };
    struct buf version = { 0 }, bytes = { 0 };
    bool found = contacts_find(account_contacts(a), jid, &contact);

    roster_version_write(&version, r->epoch, n);
    roster_push_write(&bytes, conn_full(c), buf_str(&version), &contact,
            !found || !roster_is_shown(&contact));
    session_send_bytes(j->w, c, buf_str(&bytes));
    buf_fini(&version);
    buf_fini(&bytes);
}

static void
differences(
        struct job *j, struct conn *c, struct account *a, const struct sql_result *rows)
{
    const struct roster *r = account_part(a, &module);

    unchanged(j, c);
    for (size_t i = 0; i < rows->n_rows; i++) {
        if (row_jid(rows, i).n > 0 && row_n(rows, i) <= r->n)
            difference(j, c, a, row_jid(rows, i), row_n(rows, i));
    }
}

void
roster_differences(struct job *j, const struct sql_result *result)
{
    const struct roster_config *config = j->config;
    struct conn *c = conn_find(j->w, j->conn);
    struct account *a = c ? session_account(j->w, c) : NULL;
    const struct roster *r = a ? account_part(a, &module) : NULL;
    struct roster_version v;
    struct buf now = { 0 };
    size_t tries = j->data.n;

    if (!c || !j->payload)
        return;
    if (!r) {
        job_sleep(j, ROSTER_STEP_DIFFERENCES, LOOK_AGAIN_MS);
        return;
    }
    roster_version_now(&now, a, config);
    if (!result || result->status != SQL_OK || result->n_rows == 0 ||
            !is_ours(r, xml_attr(j->payload, "ver"), &v) || is_forgotten(result, v.n) ||
            result->n_rows > account_contacts(a)->count + 10u) {
        full(j, c, a, buf_str(&now));
    } else if (row_n(result, result->n_rows - 1) >= r->n) {
        differences(j, c, a, result);
    } else if (tries < ASK_AGAIN_MAX) {
        job_keep(j, (struct str){ "...", tries + 1 });
        ask_for_changes(j, v.n);
    } else {
        full(j, c, a, buf_str(&now));
    }
    buf_fini(&now);
}
