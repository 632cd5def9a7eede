/*
 * announce_motd.c -- the message of the day
 *
 * Each user gets it once, when one of his sessions first becomes available, whatever
 * its priority. That he has got it is written before it is sent, and only for the text
 * that was read: of two sessions that come at the same time one succeeds, and who comes
 * while the text is changed looks again.
 *
 * Most of the time there is none. A worker remembers that until it is told otherwise,
 * for a while: another server may write into the same database.
 */
#include "modules/announce.h"

enum {
    NONE_MAX_MS = 10 * 60 * 1000,
    TRIES_MAX = 3
};

void
announce_forget(struct announce *cf)
{
    static uint64_t serial;

    cf->serial = ++serial; /* what is being read now may be no longer true */
    cf->none_ms = 0;
}

/* --- Another one, or none --- */

void
announce_motd(struct job *j, enum announce_kind kind)
{
    struct buf xml = { 0 };
    struct sql_value param;

    if (kind == ANNOUNCE_MOTD_DELETE) {
        job_sql(j, ANNOUNCE_STEP_CHANGED, SQL_MOTD_DEL, NULL, 0);
        return;
    }
    xml_write(&xml, j->el, STR_NULL);
    param = sql_text(buf_str(&xml));
    job_sql(j, ANNOUNCE_STEP_CHANGED, SQL_MOTD_SET, &param, 1);
    buf_fini(&xml);
}

void
announce_changed(struct job *j, const struct sql_result *result)
{
    struct buf message = { 0 };

    if (!j->el || j->data.n != 1)
        return;
    if (result->status == SQL_UNAVAILABLE) {
        job_retry(j, ANNOUNCE_STEP_CHANGED);
        return;
    }
    if (result->status != SQL_OK) {
        log_error(NULL, "the message of the day of %.*s is not changed: %s",
                STR_ARG(j->host->name), sql_status_name(result->status));
        return;
    }
    if (j->data.p[0] != ANNOUNCE_MOTD) {
        workers_notify(j->w, j->module, j->host, ANNOUNCE_NOTE_MOTD, STR_NULL);
        return;
    }
    xml_set(j->el, "from", j->host->name);
    xml_write(&message, j->el, STR(NS_CLIENT));
    workers_notify(
            j->w, j->module, j->host, ANNOUNCE_NOTE_MOTD_ONLINE, buf_str(&message));
    buf_fini(&message);
}

/* --- Somebody comes --- */

struct look {
    uint64_t serial;
    uint32_t tries;
};

enum hook_result
announce_on_presence(struct event *e)
{
    struct announce *cf = e->config;
    struct look look = { .serial = cf->serial };
    struct job_start start = { .module = e->module,
        .host = e->host,
        .step = ANNOUNCE_STEP_LOOK,
        .data = { (const char *)&look, sizeof look } };

    if (e->was_available || !session_is_available(e->c) ||
            worker_now_ms(e->w) < cf->none_ms)
        return HOOK_PASS;
    start.conn = conn_id(e->w, e->c);
    start.to = conn_jid(e->c);
    job_begin(e->w, &start);
    return HOOK_PASS;
}

void
announce_look(struct job *j, const struct sql_result *result)
{
    struct sql_value user = sql_text(j->to.local);

    (void)result;
    job_sql(j, ANNOUNCE_STEP_FOUND, SQL_MOTD_FOR, &user, 1);
}

static bool
read_look(const struct job *j, struct look *ret, struct str *ret_xml)
{
    if (j->data.n < sizeof *ret)
        return false;
    memcpy(ret, j->data.p, sizeof *ret);
    *ret_xml = (struct str){ j->data.p + sizeof *ret, j->data.n - sizeof *ret };
    return true;
}

static void
keep_look(struct job *j, const struct look *look, struct str xml)
{
    struct buf data = { 0 };

    buf_add(&data, look, sizeof *look);
    buf_add_str(&data, xml);
    job_keep(j, buf_str(&data));
    buf_fini(&data);
}

void
announce_found(struct job *j, const struct sql_result *result)
{
    struct announce *cf = j->config;
    struct sql_value param[2] = { sql_text(j->to.local) };
    struct look look;
    struct str xml;

    if (!read_look(j, &look, &xml))
        return;
    if (result->status == SQL_UNAVAILABLE) {
        job_retry(j, ANNOUNCE_STEP_FOUND);
    } else if (result->status == SQL_OK && result->n_rows == 0) {
        if (look.serial == cf->serial)
            cf->none_ms = worker_now_ms(j->w) + NONE_MAX_MS;
    } else if (result->status == SQL_OK && result->value[0].kind == SQL_TEXT &&
               !result->value[1].i) {
        param[1] = result->value[0];
        keep_look(j, &look, param[1].s);
        job_sql(j, ANNOUNCE_STEP_SEEN, SQL_MOTD_SEE, param, ARRAY_LEN(param));
    }
}

void
announce_seen(struct job *j, const struct sql_result *result)
{
    struct jid bare = jid_bare(&j->to);
    struct look look;
    struct str xml;
    struct xml_el *message;

    if (!read_look(j, &look, &xml))
        return;
    if (result->status == SQL_UNAVAILABLE) {
        job_retry(j, ANNOUNCE_STEP_SEEN);
        return;
    }
    if (result->status == SQL_CONFLICT && ++look.tries < TRIES_MAX) {
        keep_look(j, &look, STR_NULL);
        job_again(j, ANNOUNCE_STEP_LOOK);
        return;
    }
    message = result->status == SQL_OK ? stanza_parse(j->w, j->arena, xml) : NULL;
    if (message && stanza_kind(message) == STANZA_MESSAGE)
        announce_send(
                j, message, j->host->name, conn_find(j->w, j->conn) ? &j->to : &bare);
}
