/*
 * iq.c -- requests to the server and to accounts
 *
 * A table by namespace and name; whatever is not in it gets service-unavailable
 * (RFC 6120, 8.4), the same for accounts that exist and those that do not.
 */
#include "worker/session.h"

#include <stdio.h>

#include "worker/conn.h"
#include "worker/out.h"
#include "xml/writer.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

enum target {
    TO_SERVER = 1,
    TO_OWN_ACCOUNT = 2
};

struct request {
    const char *name, *ns;
    unsigned targets; /* enum target */
    void (*handle)(
            struct worker *w, struct conn *c, struct xml_el *iq, enum iq_type type);
};

/* XEP-0199 */
static void
on_ping(struct worker *w, struct conn *c, struct xml_el *iq, enum iq_type type)
{
    if (type == IQ_GET)
        session_send(w, c, iq_result(iq->arena, iq));
    else
        session_bounce(w, c, iq, STANZA_ERROR_BAD_REQUEST);
}

/*
 * RFC 3921's session establishment does nothing any more, but old clients ask for it.
 */
static void
on_session(struct worker *w, struct conn *c, struct xml_el *iq, enum iq_type type)
{
    if (type == IQ_SET)
        session_send(w, c, iq_result(iq->arena, iq));
    else
        session_bounce(w, c, iq, STANZA_ERROR_BAD_REQUEST);
}

/* One resource a stream (RFC 6120, 7.1). */
static void
on_bind_again(struct worker *w, struct conn *c, struct xml_el *iq, enum iq_type type)
{
    (void)type;
    session_bounce(w, c, iq, STANZA_ERROR_NOT_ALLOWED);
}

/*
 * No account has contacts before there is storage for them: a roster is empty, and
 * cannot be changed. Clients wait for this answer before they send presence.
 */
static void
on_roster(struct worker *w, struct conn *c, struct xml_el *iq, enum iq_type type)
{
    struct xml_el *query;

    if (type == IQ_GET)
        session_send(w, c, iq_result_with(iq->arena, iq, "query", NS_ROSTER, &query));
    else
        session_bounce(w, c, iq, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED);
}

static const struct request requests[] = {
    { "ping", NS_PING, TO_SERVER | TO_OWN_ACCOUNT, on_ping },
    { "session", NS_SESSION, TO_SERVER | TO_OWN_ACCOUNT, on_session },
    { "bind", NS_BIND, TO_SERVER | TO_OWN_ACCOUNT, on_bind_again },
    { "query", NS_ROSTER, TO_OWN_ACCOUNT, on_roster },
};

void
iq_on_request(struct worker *w, struct conn *c, struct xml_el *el, const struct jid *to)
{
    struct xml_el *payload = iq_payload(el);
    struct jid own = conn_jid(c);
    enum iq_type type;
    unsigned target = to->local.n == 0        ? TO_SERVER
                      : jid_eq_bare(to, &own) ? TO_OWN_ACCOUNT
                                              : 0;

    if (iq_type(el, &type) < 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        const struct request *r = &requests[i];

        if (r->targets & target && xml_is(payload, r->name, r->ns)) {
            r->handle(w, c, el, type);
            return;
        }
    }
    session_bounce(w, c, el, STANZA_ERROR_SERVICE_UNAVAILABLE);
}

void
iq_ping(struct worker *w, struct conn *c)
{
    char id[32];
    struct buf *out = &w->text;

    snprintf(id, sizeof id, "ping-%u", ++w->ping_number);
    buf_reset(out, SIZE_MAX);
    xml_open(out, "iq");
    xml_put(out, "from", conn_domain(c));
    xml_put(out, "to", conn_full(c));
    xml_put(out, "type", STR("get"));
    xml_put(out, "id", str_from(id));
    buf_add_c(out, "><ping xmlns='" NS_PING "'/></iq>");
    out_add_stanza(w, c, buf_str(out));
}
