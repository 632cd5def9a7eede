/*
 * mod_carboncopy.c -- message carbons (XEP-0280)
 *
 * A session that wants copies carries ROUTE_CARBONS in the route table, so whoever
 * delivers a message sees it. Copies of what is received are made by the worker that
 * delivers, from the entries it has looked up anyway; copies of what is sent by the
 * sender's worker, which knows without a look-up that there is nobody to copy for.
 *
 * What a user sends to himself is one message, not two: who gets no original gets one
 * copy, as of a message sent.
 */
#include "worker/module.h"
#include "xmpp/forward.h"
#include "xmpp/traits.h"

enum {
    STEP_REQUEST,
    STEP_ANSWER
};

/* --- On and off --- */

static void
request(struct job *j, const struct sql_result *result)
{
    struct conn *c = conn_find(j->w, j->conn);

    (void)result;
    if (!c)
        return;
    if (xml_is(j->payload, "enable", NS_CARBONS)) {
        session_set_flags(j->w, c, ROUTE_CARBONS, 0);
    } else if (xml_is(j->payload, "disable", NS_CARBONS)) {
        session_set_flags(j->w, c, 0, ROUTE_CARBONS);
    } else {
        job_error(j, STANZA_ERROR_BAD_REQUEST, "enable or disable");
        return;
    }
    job_route(j, STEP_ANSWER);
}

/* Others see it now: nothing that is sent from here on is missed. */
static void
answer(struct job *j, const struct sql_result *result)
{
    (void)result;
    job_reply(j, NULL);
}

/* --- Copies --- */

struct copy {
    enum carbon_kind kind;
    struct jid account;
    struct str bare;
    struct str message; /* its bytes */
    uint8_t type;
    struct stanza stanza;
};

/*
 * Whoever holds the copy back while a client sleeps judges it by what is inside, and by
 * who said that; nobody answers it with an error (XEP-0280, 9).
 */
static void
copy_init(struct copy *copy, enum carbon_kind kind, const struct stanza *s,
        const struct jid *account, struct arena *arena)
{
    *copy = (struct copy){
        .kind = kind, .account = jid_bare(account), .message = s->bytes, .type = s->type
    };
    copy->bare = jid_bare_text(arena, account);
    copy->stanza = (struct stanza){
        .kind = STANZA_MESSAGE,
        .type = s->type,
        .hops = DELIVER_ONCE,
        .flags = STANZA_FILTERED | STANZA_STORED | STANZA_COPY,
        .traits = s->traits |
                  (kind == CARBON_SENT ? TRAIT(CARBON_SENT) : TRAIT(CARBON_RECEIVED)),
        .from = kind == CARBON_SENT ? copy->account : s->from,
        .to = copy->account,
    };
}

static void
copy_send(struct worker *w, struct copy *copy, const struct route_entry *to)
{
    struct buf bytes = { 0 }, full = { 0 };

    copy->stanza.to.resource = to->resource;
    jid_write(&full, &copy->stanza.to);
    if (carbon_write(&bytes, copy->kind, copy->bare, buf_str(&full),
                (enum message_type)copy->type, copy->message) == 0) {
        copy->stanza.bytes = buf_str(&bytes);
        route_bytes_to_conn(w, to->conn, &copy->stanza);
    }
    buf_fini(&bytes);
    buf_fini(&full);
}

static enum hook_result
on_sent(struct event *e)
{
    struct jid own = conn_jid(e->c);
    uint64_t conn = conn_id(e->w, e->c);
    const struct route_snapshot *snap;
    struct copy copy;
    size_t n;

    if (!traits_copyable(
                e->s->traits, (enum message_type)e->s->type, TRAITS_SENT, &e->s->to) ||
            jid_eq_bare(&e->s->to, &own) ||
            (e->account &&
                    !account_flag_elsewhere(e->w, e->account, e->c, ROUTE_CARBONS)))
        return HOOK_PASS;
    copy_init(&copy, CARBON_SENT, e->s, &own, e->s->el->arena);
    n = route_sessions(e->w, conn_bare(e->c), 0, &snap);
    for (size_t i = 0; i < n; i++) {
        if (snap->entry[i].flags & ROUTE_CARBONS && snap->entry[i].conn != conn)
            copy_send(e->w, &copy, &snap->entry[i]);
    }
    return HOOK_PASS;
}

static enum hook_result
on_received(struct event *e)
{
    const struct stanza *s = e->s;
    bool own = s->type != MESSAGE_ERROR && jid_eq_bare(&s->from, &s->to);
    struct arena arena;
    struct copy copy;

    if (!traits_copyable(s->traits, (enum message_type)s->type,
                own ? TRAITS_SENT : TRAITS_RECEIVED, &s->from))
        return HOOK_PASS;
    arena_init(&arena, 512);
    copy_init(&copy, own ? CARBON_SENT : CARBON_RECEIVED, s, &s->to, &arena);
    for (size_t i = 0; i < e->entries->n; i++) {
        const struct route_entry *to = &e->entries->entry[i];

        if (to->flags & ROUTE_CARBONS && !e->got[i] && !(own && to->conn == s->conn))
            copy_send(e->w, &copy, to);
    }
    arena_fini(&arena);
    return HOOK_PASS;
}

static const job_fn steps[] = { [STEP_REQUEST] = request, [STEP_ANSWER] = answer };

static const struct module_iq iqs[] = {
    { NS_CARBONS, NULL, IQ_OWN, IQ_SETS, IQ_PARALLEL, STEP_REQUEST },
    { 0 },
};

/* After an archive has put its IDs into what is copied. */
static const struct module_hook hooks[] = {
    { HOOK_USER_SENT, 60, on_sent },
    { HOOK_USER_RECEIVED, 60, on_received },
    { 0 },
};

static const char *const features[] = { NS_CARBONS, NS_CARBONS_RULES, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_carboncopy",
    .doc = "Message carbons (XEP-0280)",
    .features = features,
    .account_features = features,
    .hooks = hooks,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
};
