/*
 * removal.c -- the end of an account
 *
 *     modules         say good-bye in its name (subscriptions), from what they know
 *     auth            takes its credentials: nobody can log in any more
 *     all workers     end its sessions, and forget it
 *     databases       forget what modules have kept for it, each database once
 *
 * A job in the account's home, so that it goes on after a death, and whatever else was
 * asked of the account comes before it or finds it gone. If auth does not do it the
 * account is still there, without contacts; removing it again completes it.
 */
#include "worker/removal.h"

#include "worker/account.h"
#include "worker/jobs.h"
#include "worker/modules.h"

void
removal_begin(struct job *j, const struct sql_result *result)
{
    struct event e = { .w = j->w, .host = j->host, .account = j->account };
    struct jid jid = account_jid(j->account);
    const struct str arg[] = { jid.local, jid.domain };

    (void)result;
    hook_run(j->w, HOOK_USER_REMOVED, &e);
    job_auth(j, CORE_STEP_REMOVAL_ASKED, "remove", arg, ARRAY_LEN(arg));
}

/* The databases that modules of the host use, as bits of enum sql_which. */
static uint8_t
databases(struct job *j)
{
    const struct host_run *run = host_run_of(j->w, j->host);
    uint8_t bits = 0;

    for (size_t i = 0; i < run->n_modules; i++)
        bits |= (uint8_t)(1u << run->module[i].which);
    return bits;
}

/* The next of those that are left. */
static void
forget(struct job *j, uint8_t left)
{
    const struct sql_value user = sql_text(account_jid(j->account).local);
    unsigned which = 0;

    if (!left) {
        job_call_reply(j, IPC_OK, STR(""));
        return;
    }
    while (!(left & 1u << which))
        which++;
    left &= (uint8_t) ~(1u << which);
    job_sql_at(j, CORE_STEP_REMOVAL_FORGOT, (enum sql_which)which, SQL_USER_FORGET,
            &user, 1);
    job_keep(j, (struct str){ (const char *)&left, sizeof left });
}

void
removal_asked(struct job *j, const struct sql_result *result)
{
    struct str bare = account_bare(j->account);

    switch (result->status) {
    case SQL_OK:
    case SQL_NOT_FOUND:
        job_reply(j, NULL); /* first: then its stream ends */
        core_account_removed(j->w, bare, j->el != NULL);
        forget(j, databases(j));
        break;
    case SQL_UNAVAILABLE:
        job_error(j, STANZA_ERROR_RESOURCE_CONSTRAINT, "the database is away");
        job_call_reply(j, IPC_UNAVAILABLE, STR("the database does not answer"));
        break;
    case SQL_CONFLICT:
    case SQL_ERROR:
        log_error(NULL, "cannot remove the account %.*s: %s", STR_ARG(bare),
                sql_status_name(result->status));
        job_error(j, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
        job_call_reply(j, IPC_FAILED, STR("the account could not be removed"));
        break;
    }
}

void
removal_forgot(struct job *j, const struct sql_result *result)
{
    uint8_t left = 0;

    if (result->status == SQL_UNAVAILABLE) {
        job_retry(j, CORE_STEP_REMOVAL_FORGOT);
        return;
    }
    if (result->status != SQL_OK)
        log_error(NULL, "what was kept for %.*s is not removed: %s",
                STR_ARG(account_bare(j->account)), sql_status_name(result->status));
    if (j->data.n == sizeof left)
        memcpy(&left, j->data.p, sizeof left);
    forget(j, left);
}

/*
 * Its sessions say their last words to those who were its contacts. XEP-0077, 3.2:
 * not-authorized, for who has asked for it; others are told as ejabberd does.
 */
void
removal_told(struct worker *w, struct account *a, bool by_itself)
{
    struct conn *c, *next;
    uint32_t at = 0;

    account_removed(w, a);
    for (c = session_next(w, a, &at); c; c = next) {
        next = session_next(w, a, &at);
        session_kill(w, c,
                by_itself ? STREAM_ERROR_NOT_AUTHORIZED : STREAM_ERROR_CONFLICT,
                "User removed");
    }
}
