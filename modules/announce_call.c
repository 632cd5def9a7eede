/*
 * announce_call.c -- announcements by stanzactl: host, subject, body
 *
 * As in ejabberd the answer says that it has begun.
 */
#include "modules/announce.h"

static void
call(struct job *j, enum announce_kind kind)
{
    const char *type = kind == ANNOUNCE_ALL ? NULL : "headline";

    announce_begin(j->w, j->module, j->host, false, kind,
            announce_message(j->arena, j->host, type, job_arg(j, 1), job_arg(j, 2)));
    job_call_reply(j, IPC_OK, STR(""));
}

void
announce_call_all(struct job *j, const struct sql_result *result)
{
    (void)result;
    call(j, ANNOUNCE_ALL);
}

void
announce_call_online(struct job *j, const struct sql_result *result)
{
    (void)result;
    call(j, ANNOUNCE_ONLINE);
}

void
announce_call_motd(struct job *j, const struct sql_result *result)
{
    (void)result;
    call(j, ANNOUNCE_MOTD);
}

void
announce_call_update(struct job *j, const struct sql_result *result)
{
    (void)result;
    call(j, ANNOUNCE_MOTD_UPDATE);
}

void
announce_call_delete(struct job *j, const struct sql_result *result)
{
    (void)result;
    call(j, ANNOUNCE_MOTD_DELETE);
}

void
announce_call_get(struct job *j, const struct sql_result *result)
{
    (void)result;
    job_sql(j, ANNOUNCE_STEP_CALL_GOT, SQL_MOTD_GET, NULL, 0);
}

static struct str
text_of(const struct xml_el *message, const char *name)
{
    struct str text = xml_child_text(message, name, NULL);

    return text.p ? text : STR("");
}

void
announce_call_got(struct job *j, const struct sql_result *result)
{
    struct xml_el *message = NULL;
    struct str cell[2];

    if (result->status != SQL_OK) {
        job_call_reply(j, IPC_UNAVAILABLE, STR("the database does not answer"));
        return;
    }
    if (result->n_rows > 0 && result->value[0].kind == SQL_TEXT)
        message = stanza_parse(j->w, j->arena, result->value[0].s);
    cell[0] = text_of(message, "subject");
    cell[1] = text_of(message, "body");
    job_call_reply_list(j, cell, 2);
}

const struct module_call announce_calls[] = {
    { "announce_send_all", false, ANNOUNCE_STEP_CALL_ALL },
    { "announce_send_online", false, ANNOUNCE_STEP_CALL_ONLINE },
    { "announce_motd_set_online", false, ANNOUNCE_STEP_CALL_MOTD },
    { "announce_motd_update", false, ANNOUNCE_STEP_CALL_UPDATE },
    { "announce_motd_delete", false, ANNOUNCE_STEP_CALL_DELETE },
    { "announce_motd_get", false, ANNOUNCE_STEP_CALL_GET },
    { 0 },
};
