/*
 * mam_page.c -- a page of an archive, and what there is in it at all
 *
 * A page is a job that reads a portion of rows, sends them, and goes on when the client
 * has taken most of it: neither the slot nor the database's answer ever holds more than
 * a portion, however large the messages are. Each portion is a transaction with the
 * place where the next one begins, so that after a kill no message comes twice.
 *
 * The database is asked in the order in which messages are sent. When the page is found
 * from the other end (<before/> without <flip-page/>, or the other way round), the
 * first question finds out where it begins; usually its answer is the whole page.
 *
 * The pages of one session are given one after the other.
 */
#include "modules/mam.h"

#include <stdlib.h>

#include "base/clock.h"
#include "xmpp/datetime.h"
#include "xmpp/rsm.h"
#include "xmpp/traits.h"

enum {
    PORTION_BYTES = 128 << 10,
    PORTION_IDS = 5,        /* rows asked for by name come without a limit of bytes */
    COUNT_MOST = 10 * 1000, /* more are not counted for each page */
    COUNT_ALONE_MOST = 100 * 1000,
    WAITING_MOST = 16,
    AGAIN_MS = 100,
    AGAIN_TIMES = 30,
    AGAIN_AGE_US = 60 * 1000 * 1000,
    ID_SIZE = 21
};

/* Kept between steps; behind it the ids that are still to be sent, if it goes by ids.
 */
struct page {
    int64_t first, last;     /* what is still to be looked at, both included */
    int64_t lowest, highest; /* of what was sent */
    uint64_t count;
    uint32_t left; /* messages that may still be sent */
    uint32_t n;    /* that were */
    uint32_t n_ids;
    uint32_t tries;
    bool by_id;
    bool sized; /* first, last and left are those of the page and no more */
    bool complete, has_count;
};

/* What a step works with. */
struct work {
    struct job *j;
    struct mam_query q;
    struct page p;
    int64_t *ids;
    struct buf out;
};

/* --- Between steps --- */

static bool
work_load(struct work *k, struct job *j)
{
    enum stanza_error error;
    const char *text;

    *k = (struct work){ .j = j };
    if (!conn_find(j->w, j->conn) || j->data.n < sizeof k->p ||
            mam_query_read(j->arena, j->payload, &k->q, &error, &text) < 0)
        return false;
    memcpy(&k->p, j->data.p, sizeof k->p);
    k->ids = arena_alloc(j->arena, (k->p.n_ids + 1) * sizeof *k->ids);
    if (k->p.n_ids)
        memcpy(k->ids, j->data.p + sizeof k->p, k->p.n_ids * sizeof *k->ids);
    return true;
}

static void
work_keep(struct work *k)
{
    struct buf data = { 0 };

    buf_add(&data, &k->p, sizeof k->p);
    if (k->p.n_ids)
        buf_add(&data, k->ids, k->p.n_ids * sizeof *k->ids);
    job_keep(k->j, buf_str(&data));
    buf_fini(&data);
}

/* --- The end --- */

static struct str
id_text(struct arena *arena, int64_t id)
{
    char text[ID_SIZE];
    int n = snprintf(text, sizeof text, "%lld", (long long)id);

    return str_dup(arena, (struct str){ text, (size_t)n });
}

static void
send_fin(struct work *k)
{
    struct job *j = k->j;
    struct page *p = &k->p;
    struct rsm_page page = { .has_count = p->has_count, .count = p->count };
    struct xml_el *fin = job_result(j, "fin", NS_MAM);

    if (p->n > 0) {
        page.first = id_text(j->arena, p->lowest);
        page.last = id_text(j->arena, p->highest);
    }
    if (p->complete)
        xml_set_c(fin, "complete", "true");
    rsm_add(fin, &page);
    job_send_result(j, fin);
}

static enum sql_op
op_of(const struct mam_query *q, enum sql_op all, enum sql_op bare, enum sql_op full)
{
    if (!q->with.p)
        return all;
    return q->with_full ? full : bare;
}

static void
ask_count(struct work *k)
{
    const struct mam_query *q = &k->q;
    struct sql_value param[] = { sql_text(k->j->to.local), sql_int(q->start),
        sql_int(q->end), sql_text(q->with.p ? q->with : STR("")), sql_text(STR("")),
        sql_text(STR("")), sql_int(q->max ? COUNT_MOST + 1 : COUNT_ALONE_MOST) };

    work_keep(k);
    job_sql(k->j, MAM_STEP_PAGE_COUNT,
            op_of(q, SQL_ARCHIVE_COUNT, SQL_ARCHIVE_COUNT_BARE, SQL_ARCHIVE_COUNT_FULL),
            param, ARRAY_LEN(param));
}

/* All were sent. A page that is the whole answer has counted it. */
static void
finish(struct work *k)
{
    struct page *p = &k->p;

    if (!p->has_count && !k->q.paged && p->complete) {
        p->has_count = true;
        p->count = p->n;
    }
    if (p->has_count)
        send_fin(k);
    else
        ask_count(k);
}

void
mam_step_page_count(struct job *j, const struct sql_result *result)
{
    struct work k;

    if (!work_load(&k, j) || job_failed(j, result))
        return;
    k.p.count = result->n_rows ? (uint64_t)result->value[0].i : 0;
    /* Alone a number that is too small is better than none (XEP-0059, 2.7). */
    k.p.has_count = k.q.max == 0 || k.p.count <= COUNT_MOST;
    if (k.q.max == 0)
        k.p.complete = k.p.count == 0;
    send_fin(&k);
}

/* --- Sending --- */

static void
send_row(struct work *k, const struct sql_value *v)
{
    struct job *j = k->j;
    struct page *p = &k->p;
    struct mam_row row = { .id = v[0].i, .peer = v[1].s, .xml = v[4].s };
    struct stanza s = { .kind = STANZA_MESSAGE,
        .type = MESSAGE_NORMAL,
        .hops = DELIVER_ONCE,
        .flags = STANZA_FILTERED | STANZA_STORED | STANZA_COPY,
        .traits = TRAIT(MAM_RESULT),
        .from = jid_bare(&j->to),
        .to = j->from };

    buf_reset(&k->out, SIZE_MAX);
    mam_result_write(&k->out, j, &k->q, &row);
    s.bytes = buf_str(&k->out);
    route_bytes_to_conn(j->w, j->conn, &s);
    if (p->n == 0 || row.id < p->lowest)
        p->lowest = row.id;
    if (p->n == 0 || row.id > p->highest)
        p->highest = row.id;
    p->n++;
    p->left--;
}

/* A portion was sent. */
static void
go_on(struct work *k)
{
    buf_fini(&k->out);
    if (k->p.left == 0) {
        finish(k);
        return;
    }
    work_keep(k);
    job_output(k->j, MAM_STEP_PAGE_MORE);
}

/* --- Pages by range --- */

static void
ask_rows(struct work *k)
{
    const struct mam_query *q = &k->q;
    const struct page *p = &k->p;
    bool down = p->sized ? q->flip : q->backwards;
    struct sql_value param[] = { sql_text(k->j->to.local), sql_int(p->first),
        sql_int(p->last), sql_text(q->with.p ? q->with : STR("")), sql_text(STR("")),
        sql_text(STR("")), sql_int(p->left + !p->sized), sql_int(PORTION_BYTES) };

    work_keep(k);
    job_sql(k->j, MAM_STEP_PAGE_ROWS,
            down ? op_of(q, SQL_ARCHIVE_PAGE_DESC, SQL_ARCHIVE_PAGE_BARE_DESC,
                           SQL_ARCHIVE_PAGE_FULL_DESC)
                 : op_of(q, SQL_ARCHIVE_PAGE, SQL_ARCHIVE_PAGE_BARE,
                           SQL_ARCHIVE_PAGE_FULL),
            param, ARRAY_LEN(param));
}

/* Where the page begins and ends; n of the rows are in it, in the order of the search.
 */
static void
take_size(struct work *k, const struct sql_result *rows, size_t n)
{
    struct page *p = &k->p;
    int64_t one = rows->value[0].i, other = rows->value[(n - 1) * rows->n_cols].i;

    p->first = one < other ? one : other;
    p->last = one < other ? other : one;
    p->left = (uint32_t)n;
    p->sized = true;
}

static bool
is_there(const struct sql_result *rows, size_t i)
{
    return rows->value[i * rows->n_cols + 4].kind == SQL_TEXT;
}

static void
send_rows(struct work *k, const struct sql_result *rows, size_t n, bool reversed)
{
    struct page *p = &k->p;

    for (size_t i = 0; i < n; i++) {
        size_t at = reversed ? n - 1 - i : i;

        if (!is_there(rows, at))
            break;
        send_row(k, rows->value + at * rows->n_cols);
        if (k->q.flip)
            p->last = rows->value[at * rows->n_cols].i - 1;
        else
            p->first = rows->value[at * rows->n_cols].i + 1;
    }
    go_on(k);
}

/* --- Pages by ids --- */

static bool
fits(const struct work *k, int64_t id, struct str peer)
{
    const struct mam_query *q = &k->q;
    struct jid jid;

    if (id < q->start || id > q->end)
        return false;
    if (!q->with.p)
        return true;
    if (q->with_full)
        return str_eq(peer, q->with);
    return jid_parse(k->j->arena, peer, &jid) == 0 &&
           str_eq(jid_bare_text(k->j->arena, &jid), q->with);
}

static const struct sql_value *
row_of(const struct sql_result *rows, int64_t id)
{
    for (size_t i = 0; i < rows->n_rows; i++) {
        if (rows->value[i * rows->n_cols].i == id)
            return rows->value + i * rows->n_cols;
    }
    return NULL;
}

static void
ask_ids(struct work *k)
{
    struct sql_value param[1 + PORTION_IDS] = { sql_text(k->j->to.local) };
    size_t n = k->p.n_ids < PORTION_IDS ? k->p.n_ids : PORTION_IDS;

    for (size_t i = 0; i < n; i++)
        param[1 + i] = sql_int(k->ids[i]);
    k->p.n_ids -= (uint32_t)n;
    k->p.left = k->p.n_ids;
    k->ids += n;
    work_keep(k);
    job_sql(k->j, MAM_STEP_PAGE_ROWS, SQL_ARCHIVE_IDS, param, 1 + n);
}

/* Which of them are on the page, in the order in which they are sent. */
static void
choose_ids(struct work *k, const struct sql_result *rows)
{
    const struct mam_query *q = &k->q;
    struct page *p = &k->p;
    int64_t *ids = arena_alloc(k->j->arena, (q->n_ids + 1) * sizeof *ids);
    size_t n = 0, from = 0;

    for (size_t i = 0; i < q->n_ids; i++) {
        if (!fits(k, q->ids[i], row_of(rows, q->ids[i])[1].s))
            continue;
        p->count++;
        if (q->ids[i] >= q->first && q->ids[i] <= q->last)
            ids[n++] = q->ids[i];
    }
    p->has_count = p->by_id = true;
    p->complete = n <= q->max;
    if (n > q->max) {
        from = q->backwards ? n - q->max : 0;
        n = q->max;
    }
    for (size_t i = 0; q->flip && i < n / 2; i++) {
        int64_t id = ids[from + i];

        ids[from + i] = ids[from + n - 1 - i];
        ids[from + n - 1 - i] = id;
    }
    k->ids = ids + from;
    p->n_ids = (uint32_t)n;
}

static void
send_ids(struct work *k, const struct sql_result *rows)
{
    k->p.left += (uint32_t)rows->n_rows;
    for (size_t i = 0; i < rows->n_rows; i++)
        send_row(k, rows->value + i * rows->n_cols);
    go_on(k);
}

void
mam_step_page_rows(struct job *j, const struct sql_result *result)
{
    struct work k;
    size_t n = result->n_rows;
    bool turned;

    if (!work_load(&k, j) || job_failed(j, result))
        return;
    if (k.p.by_id) {
        send_ids(&k, result);
        return;
    }
    turned = !k.p.sized && k.q.flip != k.q.backwards;
    if (!k.p.sized) {
        k.p.complete = n <= k.p.left;
        if (n > k.p.left)
            n = k.p.left;
        if (n > 0)
            take_size(&k, result, n);
    }
    if (n == 0) { /* of a page that was found, somebody has deleted the rest */
        finish(&k);
    } else if (turned && !is_there(result, n - 1)) {
        work_keep(&k);
        ask_rows(&k);
    } else {
        send_rows(&k, result, n, turned);
    }
}

/* --- Beginning --- */

/*
 * A client may name an id before its row is there: it was told with the message, and
 * the row was on its way to the database. 0: all are there; -1: one is not, -2: nor
 * will be.
 */
static int
missing(const struct work *k, const struct sql_result *rows)
{
    const struct mam_query *q = &k->q;
    int64_t now = (int64_t)clock_wall_us();
    int r = 0;

    for (size_t i = 0; i < q->n_known + q->n_ids; i++) {
        int64_t id = i < q->n_known ? q->known[i] : q->ids[i - q->n_known];

        if (row_of(rows, id))
            continue;
        if (id < now - AGAIN_AGE_US || id > now + AGAIN_AGE_US ||
                k->p.tries >= AGAIN_TIMES)
            return -2;
        r = -1;
    }
    return r;
}

void
mam_step_page_ids(struct job *j, const struct sql_result *result)
{
    struct work k;
    int r;

    if (!work_load(&k, j) || job_failed(j, result))
        return;
    r = missing(&k, result);
    if (r == -2) {
        job_error(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    } else if (r == -1) {
        k.p.tries++;
        work_keep(&k);
        job_sleep(j, MAM_STEP_PAGE, AGAIN_MS);
    } else if (!k.q.ids) {
        if (k.q.max)
            ask_rows(&k);
        else
            ask_count(&k);
    } else {
        choose_ids(&k, result);
        if (k.p.n_ids)
            ask_ids(&k);
        else
            finish(&k);
    }
}

void
mam_step_page(struct job *j, const struct sql_result *result)
{
    struct sql_value param[1 + 4 + MAM_IDS_MAX];
    struct work k;
    size_t n = 0;

    (void)result;
    if (!work_load(&k, j))
        return;
    param[n++] = sql_text(j->to.local);
    for (size_t i = 0; i < k.q.n_known; i++)
        param[n++] = sql_int(k.q.known[i]);
    for (size_t i = 0; i < k.q.n_ids; i++)
        param[n++] = sql_int(k.q.ids[i]);
    if (n > 1)
        job_sql(j, MAM_STEP_PAGE_IDS, SQL_ARCHIVE_HAS, param, n);
    else if (k.q.max)
        ask_rows(&k);
    else
        ask_count(&k);
}

void
mam_step_page_more(struct job *j, const struct sql_result *result)
{
    struct work k;

    (void)result;
    if (!work_load(&k, j))
        return;
    if (k.p.by_id)
        ask_ids(&k);
    else
        ask_rows(&k);
}

/* --- Requests --- */

static void
answer_form(struct job *j)
{
    struct xml_el *query = job_result(j, "query", NS_MAM);

    mam_query_form(query);
    job_send_result(j, query);
}

static void
begin(struct job *j, const struct mam_query *q)
{
    struct page p = { .first = q->first, .last = q->last, .left = q->max };
    struct buf key = { 0 }, stanza = { 0 };
    struct job_start start = { .module = j->module,
        .host = j->host,
        .step = MAM_STEP_PAGE,
        .conn = j->conn,
        .from = j->from,
        .to = j->to,
        .data = { (const char *)&p, sizeof p } };

    buf_addf(&key, "mod_mam page %llx", (unsigned long long)j->conn);
    start.key = buf_str(&key);
    xml_write(&stanza, j->el, STR(NS_CLIENT));
    start.stanza = buf_str(&stanza);
    if (jobs_queued(j->w, start.key) >= WAITING_MOST)
        job_error(j, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many queries at a time");
    else
        job_begin(j->w, &start);
    buf_fini(&key);
    buf_fini(&stanza);
}

void
mam_step_query(struct job *j, const struct sql_result *result)
{
    struct conn *c = conn_find(j->w, j->conn);
    struct account *a = c ? session_account(j->w, c) : NULL;
    enum stanza_error error;
    struct mam_query q;
    const char *text;

    (void)result;
    if (!jid_eq_bare(&j->from, &j->to)) {
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL); /* XEP-0313, 9.1 */
    } else if (j->type == IQ_GET) {
        answer_form(j);
    } else if (mam_query_read(j->arena, j->payload, &q, &error, &text) < 0) {
        job_error(j, error, text);
    } else {
        if (a)
            mam_prefs_activate(j, a);
        begin(j, &q);
    }
}

void
mam_step_metadata(struct job *j, const struct sql_result *result)
{
    struct sql_value user = sql_text(j->to.local);

    (void)result;
    if (!jid_eq_bare(&j->from, &j->to))
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
    else
        job_sql(j, MAM_STEP_METADATA_EDGES, SQL_ARCHIVE_EDGES, &user, 1);
}

static void
add_edge(struct xml_el *metadata, const char *name, int64_t id)
{
    struct xml_el *el = xml_add(metadata, name, NULL);

    xml_set(el, "id", id_text(el->arena, id));
    xml_set(el, "timestamp", datetime_text(el->arena, id, DATETIME_EXACT));
}

void
mam_step_metadata_edges(struct job *j, const struct sql_result *result)
{
    struct xml_el *metadata;

    if (job_failed(j, result))
        return;
    metadata = job_result(j, "metadata", NS_MAM);
    if (result->n_rows) {
        add_edge(metadata, "start", result->value[0].i);
        add_edge(metadata, "end", result->value[1].i);
    }
    job_send_result(j, metadata);
}
