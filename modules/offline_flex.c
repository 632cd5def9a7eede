/*
 * offline_flex.c -- stored messages, one by one (XEP-0013)
 *
 * A session that has asked for its messages in this way carries ROUTE_FLEX_OFFLINE from
 * then on, so that neither it nor another session of the account is given all of them
 * when it becomes available. That is committed by the router before the account's home
 * is asked.
 *
 * The node of a message is its number in the table, with as many digits as the greatest
 * one has, so that clients may sort them as texts.
 */
#include <inttypes.h>
#include <stdio.h>

#include "modules/offline.h"
#include "xmpp/form.h"

enum {
    ITEMS_MAX = 100, /* of one request */
    HEADERS_BYTES_MAX = 4 << 20,
    NODE_SIZE = 24,
    AWAY_AGAIN_MS = 1000
};

/* --- Requests --- */

struct wanted {
    unsigned step; /* in the home */
    size_t n;
    int64_t seq[ITEMS_MAX];
};

static bool
add_item(struct wanted *wanted, const struct xml_el *item, const char *action)
{
    struct str node = xml_attr(item, "node");
    uint64_t seq;

    if (!str_eq_c(xml_attr(item, "action"), action) || node.n == 0)
        return false;
    if (str_to_u64(node, &seq) < 0 || seq > INT64_MAX)
        seq = 0; /* there is no such one */
    wanted->seq[wanted->n++] = (int64_t)seq;
    return true;
}

/* What the request wants; or which error it gets. */
static bool
wanted_of(
        const struct xml_el *el, uint8_t type, struct wanted *ret, enum stanza_error *e)
{
    const char *action = type == IQ_GET ? "view" : "remove";
    const struct xml_el *first = xml_child(el, NULL, NULL);

    *ret = (struct wanted){ 0 };
    *e = STANZA_ERROR_BAD_REQUEST;
    if (xml_is(el, NULL, NS_DISCO_INFO) || xml_is(el, NULL, NS_DISCO_ITEMS)) {
        ret->step =
                xml_is(el, NULL, NS_DISCO_INFO) ? STEP_FLEX_COUNT : STEP_FLEX_HEADERS;
        return true;
    }
    if (!first)
        return false;
    if (!xml_is(first, "item", NS_OFFLINE)) {
        ret->step = type == IQ_GET ? STEP_FLEX_READ : STEP_FLEX_PURGE;
        return !xml_next(first, NULL, NULL) &&
               xml_is(first, type == IQ_GET ? "fetch" : "purge", NS_OFFLINE);
    }
    ret->step = type == IQ_GET ? STEP_FLEX_READ : STEP_FLEX_REMOVE;
    xml_for(item, el, NULL, NULL)
    {
        if (!xml_is(item, "item", NS_OFFLINE))
            return false;
        if (ret->n == ITEMS_MAX) {
            *e = STANZA_ERROR_POLICY_VIOLATION;
            return false;
        }
        if (!add_item(ret, item, action))
            return false;
    }
    return true;
}

void
offline_flex(struct job *j, const struct sql_result *result)
{
    struct conn *c = conn_find(j->w, j->conn);
    struct wanted wanted;
    enum stanza_error e;

    (void)result;
    if (!c)
        return;
    if (!jid_eq_bare(&j->from, &j->to)) {
        job_error(j, STANZA_ERROR_FORBIDDEN, "these messages are somebody else's");
    } else if (!wanted_of(j->payload, j->type, &wanted, &e)) {
        job_error(j, e, NULL);
    } else {
        session_set_flags(j->w, c, ROUTE_FLEX_OFFLINE, 0);
        job_route(j, STEP_FLEX_HOME);
    }
}

void
offline_flex_home(struct job *j, const struct sql_result *result)
{
    struct home_call call = { .module = j->module,
        .bare = jid_bare_text(j->arena, &j->to),
        .conn = j->conn,
        .from = j->from,
        .to = j->to,
        .el = j->el };
    struct wanted wanted;
    enum stanza_error e;

    (void)result;
    if (!wanted_of(j->payload, j->type, &wanted, &e))
        return;
    call.step = wanted.step;
    home_call(j->w, &call);
}

/* --- How many, and from whom --- */

static struct str
node_text(struct arena *arena, int64_t seq)
{
    char text[NODE_SIZE];

    snprintf(text, sizeof text, "%019" PRId64, seq);
    return str_dup(arena, str_from(text));
}

void
offline_flex_count(struct job *j, const struct sql_result *result)
{
    struct sql_value user = offline_user(j);

    (void)result;
    job_sql(j, STEP_FLEX_COUNTED, SQL_SPOOL_COUNT, &user, 1);
}

void
offline_flex_counted(struct job *j, const struct sql_result *result)
{
    struct xml_el *query, *identity;
    char number[NODE_SIZE];

    if (job_failed(j, result))
        return;
    query = job_result(j, "query", NS_DISCO_INFO);
    xml_set_c(query, "node", NS_OFFLINE);
    identity = xml_add(query, "identity", NS_DISCO_INFO);
    xml_set_c(identity, "category", "automation");
    xml_set_c(identity, "type", "message-list");
    xml_set_c(xml_add(query, "feature", NS_DISCO_INFO), "var", NS_OFFLINE);
    snprintf(number, sizeof number, "%" PRId64, result->value[0].i);
    form_add_value(form_add(query, FORM_RESULT, NS_OFFLINE), "number_of_messages",
            str_from(number));
    job_send_result(j, query);
}

/* Kept from page to page: the last number, then of each message: number, from. */
struct header {
    int64_t seq;
    uint32_t from_n;
};

static void
ask_for_page(struct job *j, int64_t after, unsigned step)
{
    struct sql_value param[3];

    param[0] = offline_user(j);
    param[1] = sql_int(after);
    param[2] = sql_int(OFFLINE_PAGE);
    job_sql(j, step, SQL_SPOOL_GET, param, 3);
}

void
offline_flex_headers(struct job *j, const struct sql_result *result)
{
    int64_t after = 0;

    (void)result;
    if (j->data.n >= sizeof after)
        memcpy(&after, j->data.p, sizeof after);
    ask_for_page(j, after, STEP_FLEX_HEADER_ROWS);
}

static void
send_headers(struct job *j, struct str headers)
{
    struct xml_el *query = job_result(j, "query", NS_DISCO_ITEMS);
    struct header h;

    xml_set_c(query, "node", NS_OFFLINE);
    while (headers.n >= sizeof h) {
        struct xml_el *item = xml_add(query, "item", NS_DISCO_ITEMS);

        memcpy(&h, headers.p, sizeof h);
        xml_set(item, "jid", account_bare(j->account));
        xml_set(item, "node", node_text(j->arena, h.seq));
        xml_set(item, "name", (struct str){ headers.p + sizeof h, h.from_n });
        headers.p += sizeof h + h.from_n;
        headers.n -= sizeof h + h.from_n;
    }
    job_send_result(j, query);
}

void
offline_flex_header_rows(struct job *j, const struct sql_result *result)
{
    struct buf all = { 0 };
    struct offline_row row = { .seq = 0 };

    if (job_failed(j, result))
        return;
    buf_add(&all, &row.seq, sizeof row.seq);
    if (j->data.n > sizeof row.seq)
        buf_add(&all, j->data.p + sizeof row.seq, j->data.n - sizeof row.seq);
    for (size_t i = 0; i < result->n_rows; i++) {
        struct header h;
        struct str from;

        offline_row(j, result, i, &row);
        if (!row.el || row.expired)
            continue;
        from = xml_attr(row.el, "from");
        h = (struct header){ .seq = row.seq, .from_n = (uint32_t)from.n };
        buf_add(&all, &h, sizeof h);
        buf_add_str(&all, from);
    }
    memcpy(all.p, &row.seq, sizeof row.seq);
    if (all.n > HEADERS_BYTES_MAX) {
        job_error(j, STANZA_ERROR_RESOURCE_CONSTRAINT, "these are too many messages");
    } else if (result->n_rows < OFFLINE_PAGE) {
        send_headers(j, (struct str){ all.p + sizeof row.seq, all.n - sizeof row.seq });
    } else {
        job_keep(j, buf_str(&all));
        job_again(j, STEP_FLEX_HEADERS);
    }
    buf_fini(&all);
}

/* --- Reading --- */

/* How far it has come, between pages: a number, of the row or of the item. */
static int64_t
progress(const struct job *j)
{
    int64_t n = 0;

    if (j->data.n == sizeof n)
        memcpy(&n, j->data.p, sizeof n);
    return n;
}

/* Those items of the request that are still to be done. */
static void
ask_for_items(struct job *j, const struct wanted *wanted, int64_t from, unsigned step)
{
    struct sql_value param[ITEMS_MAX + 1] = { offline_user(j) };
    size_t n = 1;

    for (size_t i = (size_t)from; i < wanted->n; i++)
        param[n++] = sql_int(wanted->seq[i]);
    job_sql(j, step, SQL_SPOOL_READ, param, n);
}

void
offline_flex_read(struct job *j, const struct sql_result *result)
{
    struct wanted wanted;
    enum stanza_error e;

    (void)result;
    if (!wanted_of(j->payload, j->type, &wanted, &e))
        return;
    if (wanted.n == 0)
        ask_for_page(j, progress(j), STEP_FLEX_READ_ROWS);
    else
        ask_for_items(j, &wanted, progress(j), STEP_FLEX_READ_ROWS);
}

static size_t
give_row(struct job *j, const struct offline_row *row)
{
    struct xml_el *offline;

    if (!row->el || row->expired)
        return 0;
    offline = xml_add(row->el, "offline", NS_OFFLINE);
    xml_set(xml_add(offline, "item", NS_OFFLINE), "node",
            node_text(j->arena, row->seq));
    return offline_give(j, j->conn, row->el, true);
}

/* Every one of them must be there, before the first is given. */
static bool
are_all_there(const struct wanted *wanted, const struct sql_result *result)
{
    size_t found = 0;

    for (size_t i = 0; i < wanted->n && found < result->n_rows; i++)
        found += result->value[found * result->n_cols].i == wanted->seq[i];
    return found == wanted->n;
}

/* The item behind the one of this number; some may have gone between two pages. */
static int64_t
behind(const struct wanted *wanted, int64_t reached, int64_t seq)
{
    while (reached < (int64_t)wanted->n && wanted->seq[reached] != seq)
        reached++;
    return reached + 1;
}

static void
read_on(struct job *j, int64_t reached)
{
    struct home_call call = { .module = j->module,
        .step = STEP_FLEX_READ_NEXT,
        .bare = account_bare(j->account),
        .conn = j->conn,
        .from = j->from,
        .to = j->to,
        .el = j->el,
        .data = { (const char *)&reached, sizeof reached } };

    session_call(j->w, &call);
}

void
offline_flex_read_rows(struct job *j, const struct sql_result *result)
{
    int64_t reached = progress(j);
    struct offline_row row;
    struct wanted wanted;
    size_t bytes = 0, i;
    enum stanza_error e;

    if (job_failed(j, result) || !wanted_of(j->payload, j->type, &wanted, &e))
        return;
    if (wanted.n > 0 && reached == 0 && !are_all_there(&wanted, result)) {
        job_error(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    for (i = 0; i < result->n_rows && bytes < OFFLINE_PAGE_BYTES; i++) {
        offline_row(j, result, i, &row);
        bytes += give_row(j, &row);
        reached = wanted.n ? behind(&wanted, reached, row.seq) : row.seq;
    }
    if (i < result->n_rows || (wanted.n == 0 && result->n_rows == OFFLINE_PAGE))
        read_on(j, reached);
    else
        job_reply(j, NULL);
}

/* In the session's worker. */
void
offline_flex_read_next(struct job *j, const struct sql_result *result)
{
    (void)result;
    job_output(j, STEP_FLEX_READ_ON);
}

/* The client has taken most of what it got, or it is gone. */
void
offline_flex_read_on(struct job *j, const struct sql_result *result)
{
    struct home_call call = { .module = j->module,
        .step = STEP_FLEX_READ,
        .bare = jid_bare_text(j->arena, &j->to),
        .conn = j->conn,
        .from = j->from,
        .to = j->to,
        .el = j->el,
        .data = j->data };

    struct conn *c = conn_find(j->w, j->conn);

    (void)result;
    if (c && session_place(c) == SESSION_WAITS)
        job_sleep(j, STEP_FLEX_READ_ON, AWAY_AGAIN_MS);
    else if (c)
        home_call(j->w, &call);
}

/* --- Removing --- */

void
offline_flex_remove(struct job *j, const struct sql_result *result)
{
    struct wanted wanted;
    enum stanza_error e;

    (void)result;
    if (wanted_of(j->payload, j->type, &wanted, &e))
        ask_for_items(j, &wanted, 0, STEP_FLEX_REMOVE_ROWS);
}

void
offline_flex_remove_rows(struct job *j, const struct sql_result *result)
{
    struct sql_value param[ITEMS_MAX + 1] = { offline_user(j) };
    struct wanted wanted;
    enum stanza_error e;

    if (job_failed(j, result) || !wanted_of(j->payload, j->type, &wanted, &e))
        return;
    if (!are_all_there(&wanted, result)) {
        job_error(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    for (size_t i = 0; i < wanted.n; i++)
        param[i + 1] = sql_int(wanted.seq[i]);
    job_sql(j, STEP_FLEX_DONE, SQL_SPOOL_DEL, param, wanted.n + 1);
}

void
offline_flex_purge(struct job *j, const struct sql_result *result)
{
    struct sql_value user = offline_user(j);

    (void)result;
    job_sql(j, STEP_FLEX_DONE, SQL_SPOOL_DEL_ALL, &user, 1);
}

void
offline_flex_done(struct job *j, const struct sql_result *result)
{
    if (!job_failed(j, result))
        job_reply(j, NULL);
}
