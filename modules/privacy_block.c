/*
 * privacy_block.c -- the block list, a view of the default list (XEP-0191)
 *
 * Who blocks somebody and has no default list gets one of the usual name. If there is a
 * list of that name already, which was the default once, it is edited and becomes the
 * default again: two changes of the database, one after the other.
 */
#include "modules/privacy.h"
#include "xmpp/blocking.h"

static const struct privacy_list *
default_list(const struct job *j)
{
    const struct privacy_part *part = account_part(j->account, &module);

    return part ? part->list : NULL;
}

void
privacy_blocklist(struct job *j, const struct sql_result *result)
{
    struct xml_el *payload = job_result(j, "blocklist", NS_BLOCKING);

    (void)result;
    blocking_write(default_list(j), payload);
    job_send_result(j, payload);
}

/* It is so already; those who asked for the list are told all the same. */
static void
unchanged(struct job *j)
{
    privacy_push_blocks(j, NULL);
    privacy_report(j);
    privacy_done(j);
}

/* 1: being written; 0: nothing to write; negative: answered. */
static int
edit(struct job *j, unsigned step, const struct privacy_list *list,
        struct privacy_note *note)
{
    struct privacy_list *edited = NULL;
    struct blocking_request request;
    enum stanza_error error;
    int r;

    if (blocking_request(
                j->arena, j->payload, (enum iq_type)j->type, &request, &error) < 0) {
        job_error(j, error, NULL);
        return -1;
    }
    r = blocking_edit(list, &request, &edited);
    if (r < 0) {
        job_error(j, STANZA_ERROR_RESOURCE_CONSTRAINT, "the list would be too large");
    } else if (r > 0) {
        note->after = privacy_list_bytes(edited);
        privacy_put(j, step, note);
        privacy_list_free(&edited);
    }
    return r;
}

void
privacy_block(struct job *j, const struct sql_result *result)
{
    const struct privacy_part *part = account_part(j->account, &module);
    struct privacy_note note = { .conn = j->conn,
        .flags = PRIVACY_IS_DEFAULT | PRIVACY_CONTENT,
        .name = privacy_part_name(part),
        .before = privacy_list_bytes(default_list(j)) };
    struct sql_value param[] = { sql_text(account_jid(j->account).local),
        sql_text(STR(BLOCKING_LIST_NAME)) };
    struct blocking_request request;
    enum stanza_error error;

    (void)result;
    if (part) {
        if (edit(j, PRIVACY_STEP_CHANGED, part->list, &note) == 0)
            unchanged(j);
    } else if (blocking_request(j->arena, j->payload, (enum iq_type)j->type, &request,
                       &error) < 0) {
        job_error(j, error, NULL);
    } else if (request.op == BLOCKING_BLOCK) {
        job_sql(j, PRIVACY_STEP_BLOCK_IN, SQL_PRIVACY_GET, param, ARRAY_LEN(param));
    } else {
        unchanged(j); /* nothing is blocked */
    }
}

static void
make_default(struct job *j)
{
    struct sql_value param[] = { sql_text(account_jid(j->account).local),
        sql_text(STR(BLOCKING_LIST_NAME)) };

    job_sql(j, PRIVACY_STEP_CHANGED, SQL_PRIVACY_DEFAULT_SET, param, ARRAY_LEN(param));
}

void
privacy_block_in(struct job *j, const struct sql_result *result)
{
    struct privacy_note note = { .conn = j->conn,
        .flags = PRIVACY_IS_DEFAULT | PRIVACY_CONTENT,
        .name = STR(BLOCKING_LIST_NAME) };
    struct privacy_list *list = NULL;

    if (privacy_failed(j, result))
        return;
    privacy_rows(result, 0, &list);
    if (edit(j, PRIVACY_STEP_BLOCK_DEFAULT, list, &note) == 0) {
        note.flags = PRIVACY_IS_DEFAULT;
        note.after = privacy_list_bytes(list);
        privacy_keep(j, &note);
        make_default(j);
    }
    privacy_list_free(&list);
}

void
privacy_block_default(struct job *j, const struct sql_result *result)
{
    if (!privacy_failed(j, result))
        make_default(j);
}
