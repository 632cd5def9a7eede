/*
 * gate.c -- what a session must not have, and what it need not have now
 *
 * deliver.c asks here only about sessions whose flags say that there is something to
 * ask: a block list, of the account or of its own (XEP-0016), or a client that has said
 * that nobody looks at it (XEP-0352).
 */
#include "worker/gate.h"

#include "worker/deliver.h"
#include "worker/modules.h"

/* A client that nobody looks at may have to wait (XEP-0352). */
bool
gate_holds_back(struct worker *w, struct conn *c, const struct stanza *s)
{
    struct stanza copy = *s;
    struct event e = { .w = w, .c = c, .s = &copy };

    e.host = conf_host_find(w->proc->conf, conn_domain(c));
    if (!e.host || !hook_exists(w, e.host, HOOK_TO_INACTIVE)) {
        session_release(
                w, c, NULL, NULL); /* who has held it was taken away by a reload */
        return false;
    }
    e.account = session_account(w, c);
    copy.el = NULL;
    return hook_run(w, HOOK_TO_INACTIVE, &e) == HOOK_DONE;
}

/*
 * Whoever has found the session did not know yet that a list has come, or the session
 * has one of its own.
 */
bool
gate_filters(struct worker *w, struct conn *c, const struct stanza *s)
{
    struct stanza copy = *s;
    struct event e = { .w = w,
        .c = c,
        .s = &copy,
        .host = conf_host_find(w->proc->conf, conn_domain(c)),
        .account = session_account(w, c),
        .error = STANZA_ERRORS };

    if (!(s->flags & STANZA_FILTERED) &&
            (c->account_flags | c->route_flags) & ROUTE_FILTER) {
        core_to_session(w, s, c, true);
        return true;
    }
    if (!(c->route_flags & ROUTE_OWN_LIST) || s->flags & STANZA_OURS)
        return false;
    if (!e.account) { /* after a death */
        core_to_session(w, s, c, false);
        return true;
    }
    if (!e.host || hook_run(w, HOOK_FILTER_SESSION, &e) != HOOK_DONE)
        return false;
    if (e.error != STANZA_ERRORS && s->hops < DELIVER_FIRST)
        core_refuse(w, s, e.error);
    return true;
}
