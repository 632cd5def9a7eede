/*
 * announce_send.c -- one message to many, in portions
 *
 * The job keeps where it is: the name of the last account, or the number of the next
 * connection of its worker. A portion is sent in the transaction that moves this on, so
 * that a successor neither repeats nor leaves out anybody. Who is not there gets it by
 * the usual rules, which may mean a write to the database: when too much waits, as seen
 * by the jobs of this worker, the next portion waits, too.
 */
#include "modules/announce.h"
#include "xmpp/traits.h"

enum {
    PORTION = 100,
    WAITING_MAX = 2000, /* jobs */
    WAIT_MS = 50
};

void
announce_send(
        struct job *j, struct xml_el *message, struct str domain, const struct jid *to)
{
    struct buf bytes = { 0 };
    struct stanza s = { .kind = STANZA_MESSAGE,
        .type = (uint8_t)message_type(message),
        .traits = traits_of(message),
        .from = { .domain = domain },
        .to = *to };

    xml_set(message, "from", domain);
    xml_set(message, "to", jid_text(j->arena, to));
    xml_write(&bytes, message, STR(NS_CLIENT));
    s.bytes = buf_str(&bytes);
    route_stanza(j->w, &s);
    buf_fini(&bytes);
}

/* --- To all accounts --- */

/* Which auth_method, then the last name. */
static size_t
method_of(const struct job *j)
{
    return j->data.n ? (unsigned char)j->data.p[0] : 0;
}

static void
keep_name(struct job *j, size_t method, struct str name)
{
    struct buf data = { 0 };

    buf_add_char(&data, (char)method);
    buf_add_str(&data, name);
    job_keep(j, buf_str(&data));
    buf_fini(&data);
}

void
announce_to_accounts(struct job *j)
{
    keep_name(j, 0, STR(""));
    job_again(j, ANNOUNCE_STEP_ACCOUNTS);
}

void
announce_accounts(struct job *j, const struct sql_result *result)
{
    size_t method = method_of(j);
    struct sql_value param[] = { sql_text((struct str){ j->data.p + 1, j->data.n - 1 }),
        sql_int(PORTION) };

    (void)result;
    if (!j->el || j->data.n == 0)
        return;
    if (jobs_waiting(j->w) > WAITING_MAX) {
        job_sleep(j, ANNOUNCE_STEP_ACCOUNTS, WAIT_MS);
        return;
    }
    if (method < j->host->n_auth_methods)
        job_sql_accounts(j, ANNOUNCE_STEP_PAGE, j->host->auth_method[method],
                SQL_USER_LIST, param, ARRAY_LEN(param));
}

/* So that it is stored for who is away, whatever it holds (XEP-0334). */
static void
add_store_hint(struct xml_el *message)
{
    if (!xml_child(message, "store", NS_HINTS))
        xml_add(message, "store", NS_HINTS);
}

void
announce_page(struct job *j, const struct sql_result *result)
{
    size_t method = method_of(j);
    struct jid to = { .domain = j->host->name };

    if (!j->el || j->data.n == 0)
        return;
    if (result->status == SQL_UNAVAILABLE) {
        job_retry(j, ANNOUNCE_STEP_PAGE);
        return;
    }
    add_store_hint(j->el);
    for (size_t i = 0; i < result->n_rows; i++) {
        to.local = result->value[i * result->n_cols].s;
        announce_send(j, j->el, j->from.domain, &to);
    }
    if (result->status == SQL_OK && result->n_rows == PORTION)
        keep_name(j, method, to.local);
    else if (method + 1 < j->host->n_auth_methods)
        keep_name(j, method + 1, STR(""));
    else
        return;
    job_again(j, ANNOUNCE_STEP_ACCOUNTS);
}

/* --- To all sessions of this worker --- */

/* The first connection to look at; then those that are about to get it. */
struct position {
    uint32_t at;
    bool motd;
};

static void
keep_position(struct job *j, struct position p, const struct buf *conns)
{
    struct buf data = { 0 };

    buf_add(&data, &p, sizeof p);
    buf_add_str(&data, buf_str(conns));
    job_keep(j, buf_str(&data));
    buf_fini(&data);
}

static bool
read_position(const struct job *j, struct position *ret, struct str *ret_conns)
{
    if (!j->el || j->data.n < sizeof *ret)
        return false;
    memcpy(ret, j->data.p, sizeof *ret);
    *ret_conns = (struct str){ j->data.p + sizeof *ret, j->data.n - sizeof *ret };
    return true;
}

void
announce_to_sessions(struct event *e, struct str message, bool motd)
{
    struct position p = { .motd = motd };
    struct job_start start = { .module = e->module,
        .host = e->host,
        .step = ANNOUNCE_STEP_SESSIONS,
        .stanza = message,
        .data = { (const char *)&p, sizeof p } };

    job_begin(e->w, &start);
}

static void
to_conns(struct job *j, struct str conns)
{
    struct str domain = str_dup(j->arena, xml_attr(j->el, "from"));
    uint64_t id;

    for (size_t at = 0; at + sizeof id <= conns.n; at += sizeof id) {
        struct conn *c;
        struct jid to;

        memcpy(&id, conns.p + at, sizeof id);
        c = conn_find(j->w, id);
        if (!c)
            continue;
        to = conn_jid(c);
        announce_send(j, j->el, domain, &to);
    }
}

/* A portion of them; of the message of the day those who see it are marked first. */
void
announce_sessions(struct job *j, const struct sql_result *result)
{
    struct sql_value user[PORTION];
    struct buf conns = { 0 };
    struct position p;
    struct str before;
    struct conn *c;
    size_t n = 0;

    (void)result;
    if (!read_position(j, &p, &before))
        return;
    while (n < PORTION && (c = session_walk(j->w, j->host, &p.at))) {
        uint64_t id = conn_id(j->w, c);

        buf_add(&conns, &id, sizeof id);
        user[n++] = sql_text(conn_jid(c).local);
    }
    if (n == 0)
        return;
    if (p.motd) {
        keep_position(j, p, &conns);
        job_sql(j, ANNOUNCE_STEP_MARKED, SQL_MOTD_SEEN, user, n);
    } else {
        to_conns(j, buf_str(&conns));
        keep_position(j, p, &(struct buf){ 0 });
        job_again(j, ANNOUNCE_STEP_SESSIONS);
    }
    buf_fini(&conns);
}

void
announce_marked(struct job *j, const struct sql_result *result)
{
    struct position p;
    struct str conns;

    if (!read_position(j, &p, &conns))
        return;
    if (result->status == SQL_UNAVAILABLE) {
        job_retry(j, ANNOUNCE_STEP_MARKED);
        return;
    }
    to_conns(j, conns);
    keep_position(j, p, &(struct buf){ 0 });
    job_again(j, ANNOUNCE_STEP_SESSIONS);
}
