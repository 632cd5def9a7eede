/*
 * bounce.c -- the error that answers a stanza which cannot be delivered
 *
 * Nothing answers an error, or there would be no end of it (RFC 6120, 8.3.1); nor a
 * result, which nobody waits for an answer to.
 */
#include "worker/deliver.h"
#include "xmpp/traits.h"

static bool
is_error(const struct stanza *s)
{
    switch (s->kind) {
    case STANZA_MESSAGE:
        return s->type == MESSAGE_ERROR;
    case STANZA_PRESENCE:
        return s->type == PRESENCE_ERROR;
    case STANZA_IQ:
        return s->type == IQ_ERROR;
    case STANZA_OTHER:
        return true;
    }
    return true;
}

static void
tell_bounced(struct worker *w, const struct stanza *s, enum stanza_error error)
{
    struct stanza copy = *s;
    struct event e = { .w = w, .s = &copy, .error = error };

    e.host = conf_host_find(w->proc->conf, s->from.domain);
    if (e.host)
        hook_run(w, HOOK_BOUNCED, &e);
}

void
deliver_error(
        struct worker *w, const struct stanza *s, enum stanza_error e, const char *text)
{
    const struct xml_el *el = s->el;
    struct xml_el *reply;
    struct stanza bounce = { .kind = s->kind, .from = s->to, .to = s->from };
    struct buf bytes = { 0 };

    if (is_error(s) || (s->kind == STANZA_IQ && s->type == IQ_RESULT))
        return;
    if (!el)
        el = stanza_parse(w, &w->scratch, s->bytes);
    reply = el ? stanza_reply_error(&w->scratch, el, e, ERROR_TYPE_DEFAULT, text)
               : NULL;
    if (!reply)
        return;
    proc_count(w->proc, COUNTER_STANZAS_BOUNCED, 1);
    tell_bounced(w, s, e);
    xml_write(&bytes, reply, STR(NS_CLIENT));
    bounce.type = s->kind == STANZA_MESSAGE    ? MESSAGE_ERROR
                  : s->kind == STANZA_PRESENCE ? PRESENCE_ERROR
                                               : IQ_ERROR;
    bounce.bytes = buf_str(&bytes);
    bounce.el = reply;
    bounce.flags = STANZA_FILTERED | STANZA_OURS;
    if (s->kind == STANZA_MESSAGE)
        bounce.traits = s->traits | TRAIT(ERROR); /* it is judged by what it answers */
    if (s->kind != STANZA_MESSAGE && s->conn && deliver_to_conn(w, s->conn, &bounce))
        ;
    else if (conf_host_find(w->proc->conf, bounce.to.domain) && bounce.to.local.n)
        deliver(w, &bounce);
    buf_fini(&bytes);
}
