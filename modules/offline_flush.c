/*
 * offline_flush.c -- a user comes, and gets what was stored
 *
 * A page of rows is read; its messages are put into the session's output, or into
 * frames for the worker that has the session, and the deletion of just these rows is
 * asked for: all that is one transaction. A process that dies before its commit has
 * given nothing; one that dies after it leaves a job that asks for the deletion again,
 * under the same id, and does nothing else. So a row is given once, and is gone once.
 * The next page is read when this one has been deleted.
 *
 * Only as much is given at a time as the client takes: what waits in a session's output
 * is lost with its connection, what waits in the database is not. Therefore the job
 * ends after a page and asks the worker of the session for the next one (FLUSH_NEXT).
 *
 * Live messages to the session wait until nothing is stored any more (FLUSH_DONE), and
 * nothing waits here to be stored: each page is asked for behind what was in the
 * account's queue before.
 *
 * Rows are named one by one, as one with a lower number may have been stored meanwhile
 * by somebody else's transaction.
 */
#include "modules/offline.h"

/* What a flush knows of itself (data). */
#define GONE  "gone"  /* j->conn has ended */
#define AGAIN "again" /* nothing was stored when it looked before */

enum {
    DELETE_TRIES = 100,
    DELETE_AGAIN_MS = 30 * 1000,
    AWAY_AGAIN_MS = 1000,
    PATIENCE = 4 /* refusals by the database (7 s): then live messages wait no more */
};

/* What is kept while rows are deleted; their numbers follow. */
struct deleting {
    uint64_t conn; /* who has got them */
    uint32_t n, tries;
};

void
offline_flush_begin(struct worker *w, const struct module *m, const struct jid *account,
        uint64_t conn)
{
    struct arena arena;
    struct home_call call = {
        .module = m, .step = STEP_FLUSH, .conn = conn, .to = jid_bare(account)
    };
    const struct route_snapshot *snap;
    bool somebody = conn != 0;
    size_t n;

    arena_init(&arena, 256);
    call.bare = jid_bare_text(&arena, account);
    if (!somebody) {
        n = route_sessions(w, call.bare, 0, &snap);
        for (size_t i = 0; i < n; i++)
            somebody = somebody ||
                       (snap->entry[i].available && snap->entry[i].priority >= 0);
    }
    if (somebody)
        home_call(w, &call);
    arena_fini(&arena);
}

enum hook_result
offline_on_coming(struct event *e)
{
    if (!(session_flags(e->c) & ROUTE_FLEX_OFFLINE))
        session_older_begin(e->w, e->c);
    return HOOK_PASS;
}

enum hook_result
offline_on_presence(struct event *e)
{
    struct jid account = account_jid(e->account);
    bool now = session_is_available(e->c) && session_priority(e->c) >= 0;
    bool before = e->was_available && e->was_priority >= 0;

    if (now && !before && !(session_flags(e->c) & ROUTE_FLEX_OFFLINE))
        offline_flush_begin(e->w, e->module, &account, conn_id(e->w, e->c));
    else
        session_older_end(e->w, e->c);
    return HOOK_PASS;
}

/*
 * Who waited for a session without its client has not outlived the service's stop; nor
 * has a flush for one that was just there.
 */
enum hook_result
offline_on_moved(struct event *e)
{
    struct jid jid = conn_jid(e->c), account = jid_bare(&jid);

    if (session_is_restored(e->c) && session_is_available(e->c) &&
            session_priority(e->c) >= 0 &&
            !(session_flags(e->c) & ROUTE_FLEX_OFFLINE)) {
        session_older_begin(e->w, e->c);
        offline_flush_begin(e->w, e->module, &account, conn_id(e->w, e->c));
    }
    return HOOK_PASS;
}

/*
 * Who gets it: the session that has come, else another one, with its client if there is
 * such a one, and of the highest priority. Nobody while one of them reads by itself
 * (XEP-0013, 2.2). One that is known to have gone may still be in the route table: what
 * is given to it would come back, behind what is stored.
 */
struct taker {
    uint64_t conn; /* 0: nobody now */
    bool waits;    /* for its client (XEP-0198) */
};

static int
rank(const struct route_entry *e)
{
    return e->flags & ROUTE_DETACHED ? 0 : e->priority + 1;
}

static struct taker
taker_find(struct job *j)
{
    const struct route_snapshot *snap;
    size_t n = route_sessions(j->w, account_bare(j->account), 0, &snap);
    bool has_gone = str_eq(j->data, STR(GONE));
    const struct route_entry *best = NULL;

    for (size_t i = 0; i < n; i++) {
        if (snap->entry[i].flags & ROUTE_FLEX_OFFLINE)
            return (struct taker){ 0 };
    }
    for (size_t i = 0; i < n; i++) {
        const struct route_entry *e = &snap->entry[i];

        if (!e->available || e->priority < 0 || (has_gone && e->conn == j->conn))
            continue;
        if (!best || e->conn == j->conn ||
                (best->conn != j->conn && rank(e) > rank(best)))
            best = e;
    }
    if (!best)
        return (struct taker){ 0 };
    return (struct taker){ best->conn, best->flags & ROUTE_DETACHED };
}

static void
call_session(struct job *j, unsigned step, uint64_t conn)
{
    struct home_call call = { .module = j->module,
        .step = step,
        .conn = conn,
        .bare = account_bare(j->account),
        .to = account_jid(j->account) };

    if (conn)
        session_call(j->w, &call);
}

/* Nothing more comes for the session that has come. */
static void
finish(struct job *j)
{
    call_session(j, STEP_FLUSH_DONE, j->conn);
}

/*
 * Whom to give to now; 0: nobody. One that waits for its client gets nothing before
 * that is back; then we are called again.
 */
static uint64_t
taker(struct job *j)
{
    struct taker taker = taker_find(j);

    if (taker.conn != j->conn)
        finish(j);
    if (!taker.waits)
        return taker.conn;
    call_session(j, STEP_FLUSH_NEXT, taker.conn);
    return 0;
}

void
offline_flush(struct job *j, const struct sql_result *result)
{
    struct sql_value param[3];

    (void)result;
    if (!taker(j))
        return;
    param[0] = offline_user(j);
    param[1] = sql_int(0);
    param[2] = sql_int(OFFLINE_PAGE);
    job_sql(j, STEP_FLUSH_ROWS, SQL_SPOOL_GET, param, 3);
}

/* The account's block list may have changed since; its sender is not told now. */
static bool
lets_in(struct job *j, struct xml_el *el)
{
    struct stanza s = { .kind = STANZA_MESSAGE,
        .type = MESSAGE_ERROR, /* which nobody answers */
        .traits = traits_of(el),
        .to = account_jid(j->account),
        .el = el };

    jid_parse(j->arena, xml_attr(el, "from"), &s.from);
    return account_lets_in(j->w, j->account, j, &s);
}

static void
ask_to_delete(struct job *j, const int64_t *seq, size_t n)
{
    struct sql_value *param = arena_alloc(j->arena, (n + 1) * sizeof *param);

    param[0] = offline_user(j);
    for (size_t i = 0; i < n; i++)
        param[i + 1] = sql_int(seq[i]);
    job_sql(j, STEP_FLUSH_DELETED, SQL_SPOOL_DEL, param, n + 1);
}

/* Nothing is stored. If a message waits to be, we look again behind it. */
static void
end(struct job *j)
{
    struct home_call again = { .module = j->module,
        .step = STEP_FLUSH,
        .conn = j->conn,
        .bare = account_bare(j->account),
        .to = account_jid(j->account),
        .data = STR(AGAIN) };

    if (j->conn && !str_eq(j->data, STR(AGAIN)) &&
            jobs_have_message(j->w, account_bare(j->account)))
        home_call(j->w, &again);
    else
        finish(j);
}

void
offline_flush_rows(struct job *j, const struct sql_result *result)
{
    struct deleting d = { 0 };
    struct buf kept = { 0 };
    int64_t seq[OFFLINE_PAGE];
    struct offline_row row;
    size_t bytes = 0;

    if (offline_retries(j, STEP_FLUSH_ROWS, result)) {
        if (job_tries(j) == PATIENCE)
            finish(j);
        return;
    }
    d.conn = taker(j);
    if (!d.conn)
        return;
    if (result->status != SQL_OK)
        log_error(NULL, "the stored messages of %.*s cannot be read",
                STR_ARG(account_bare(j->account)));
    for (; d.n < result->n_rows && d.n < OFFLINE_PAGE && bytes < OFFLINE_PAGE_BYTES;
            d.n++) {
        offline_row(j, result, d.n, &row);
        seq[d.n] = row.seq;
        if (row.el && !row.expired && lets_in(j, row.el))
            bytes += offline_give(j, d.conn, row.el, false);
    }
    if (d.n == 0) {
        end(j);
        return;
    }
    buf_add(&kept, &d, sizeof d);
    buf_add(&kept, seq, d.n * sizeof *seq);
    job_keep(j, buf_str(&kept));
    buf_fini(&kept);
    ask_to_delete(j, seq, d.n);
}

static bool
kept(const struct job *j, struct deleting *ret, int64_t seq[OFFLINE_PAGE])
{
    if (j->data.n < sizeof *ret)
        return false;
    memcpy(ret, j->data.p, sizeof *ret);
    if (ret->n > OFFLINE_PAGE || j->data.n != sizeof *ret + ret->n * sizeof *seq)
        return false;
    memcpy(seq, j->data.p + sizeof *ret, ret->n * sizeof *seq);
    return true;
}

/* Under a new id: the old one has become too old for the database to know it. */
void
offline_flush_delete(struct job *j, const struct sql_result *result)
{
    struct deleting d;
    int64_t seq[OFFLINE_PAGE];

    (void)result;
    if (kept(j, &d, seq))
        ask_to_delete(j, seq, d.n);
}

static void
delete_again(struct job *j, struct deleting *d, const int64_t *seq)
{
    struct buf out = { 0 };

    if (++d->tries > DELETE_TRIES) {
        log_error(NULL, "messages that %.*s has got cannot be deleted",
                STR_ARG(account_bare(j->account)));
        finish(j);
        return;
    }
    buf_add(&out, d, sizeof *d);
    buf_add(&out, seq, d->n * sizeof *seq);
    job_keep(j, buf_str(&out));
    buf_fini(&out);
    job_sleep(j, STEP_FLUSH_DELETE, DELETE_AGAIN_MS);
}

void
offline_flush_deleted(struct job *j, const struct sql_result *result)
{
    struct deleting d;
    int64_t seq[OFFLINE_PAGE];

    if (offline_retries(j, STEP_FLUSH_DELETED, result) || !kept(j, &d, seq))
        return;
    if (result->status != SQL_OK) {
        delete_again(j, &d, seq);
        return;
    }
    call_session(j, STEP_FLUSH_NEXT, d.conn);
}

/* In the session's worker. */
void
offline_flush_next(struct job *j, const struct sql_result *result)
{
    (void)result;
    job_output(j, STEP_FLUSH_GO_ON);
}

/* The client has taken most of what it got, or it is gone. */
void
offline_flush_go_on(struct job *j, const struct sql_result *result)
{
    struct home_call call = { .module = j->module,
        .step = STEP_FLUSH,
        .conn = j->conn,
        .bare = jid_bare_text(j->arena, &j->to),
        .to = j->to };
    struct conn *c = conn_find(j->w, j->conn);

    (void)result;
    if (c && session_place(c) == SESSION_WAITS) {
        if (worker_stops(j->w))
            return; /* what is stored stays there: offline_on_moved() */
        job_sleep(j, STEP_FLUSH_GO_ON, AWAY_AGAIN_MS);
        return;
    }
    if (c && session_place(c) == SESSION_MOVED && !j->data.n) {
        /* The router may not show yet where it is now. */
        job_keep(j, STR(GONE));
        job_sleep(j, STEP_FLUSH_GO_ON, AWAY_AGAIN_MS);
        return;
    }
    if (!c || session_place(c) == SESSION_MOVED)
        call.data = STR(GONE);
    home_call(j->w, &call);
}

/* In the session's worker, behind the last of what was given. */
void
offline_flush_done(struct job *j, const struct sql_result *result)
{
    struct conn *c = conn_find(j->w, j->conn);

    (void)result;
    if (c)
        session_older_end(j->w, c);
}
