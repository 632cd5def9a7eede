/*
 * register_own.c -- one's own account: another password, or its end
 * (XEP-0077, 3.2, 3.3)
 *
 * Both are done in the account's home, after what was asked for it before: a password
 * that is asked for again because a process died does not undo a later one.
 */
#include "modules/register.h"

static struct str
bare_of(struct job *j)
{
    return jid_bare_text(j->arena, &j->from);
}

void
register_change(struct job *j, struct str password, const struct register_asker *asker)
{
    const struct register_config *config = j->config;
    struct home_call call = { .module = j->module,
        .step = REGISTER_STEP_CHANGE,
        .bare = bare_of(j),
        .conn = j->conn,
        .from = j->from,
        .to = j->to,
        .el = j->el,
        .data = password };
    struct xml_el *child;

    if (!asker->encrypted && !config->unencrypted) {
        job_error(j, STANZA_ERROR_NOT_AUTHORIZED, "not without TLS");
    } else if (password.n == 0) {
        job_error(j, STANZA_ERROR_BAD_REQUEST, "a new password is needed");
    } else if (!register_is_strong(password, config->strength)) {
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE, "the password is too weak");
    } else {
        while ((child = j->payload->first))
            xml_unlink(child);
        home_call(j->w, &call);
    }
}

void
register_change_home(struct job *j, const struct sql_result *result)
{
    struct jid jid = account_jid(j->account);
    struct str arg[] = { jid.local, jid.domain, j->data };

    (void)result;
    job_auth(j, REGISTER_STEP_CHANGED, "change_password", arg, ARRAY_LEN(arg));
    job_keep(j, STR_NULL);
}

void
register_changed(struct job *j, const struct sql_result *result)
{
    switch ((enum ipc_status)result->value[0].i) {
    case IPC_OK:
        log_info(NULL, "the password of %.*s is another one",
                STR_ARG(account_bare(j->account)));
        job_reply(j, NULL);
        break;
    case IPC_NOT_FOUND: /* removed meanwhile */
        job_error(j, STANZA_ERROR_UNEXPECTED_REQUEST, NULL);
        break;
    case IPC_INVALID:
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE, "that password is not possible");
        break;
    case IPC_UNAVAILABLE:
        job_error(j, STANZA_ERROR_RESOURCE_CONSTRAINT, "not possible now");
        break;
    case IPC_CONFLICT:
    case IPC_DENIED:
    case IPC_FAILED:
        job_error(j, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
        break;
    }
}

void
register_remove(struct job *j, const struct register_asker *asker)
{
    const struct register_config *config = j->config;

    if (!conf_access_allows(j->host, &config->access_remove, &asker->who))
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
    else
        account_remove_itself(j->w, bare_of(j), j->conn, j->el);
}
