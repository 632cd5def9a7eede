/*
 * sasl.c -- the SASL dialogue on the stream (RFC 6120, 6.4); the auth process decides
 */
#include "base/b64.h"
#include "base/killpoint.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/in.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/shaper.h"
#include "worker/tls.h"
#include "xmpp/ns.h"

enum {
    FAILURES_MAX = 3,
    ANSWER_MS = 20000,
    RESTARTED_S = 2, /* as whole seconds are counted: one at the least */
    DATA_MAX = 16384
};

static void
fail(struct worker *w, struct conn *c, enum sasl_error e, struct str text)
{
    buf_reset(&w->text, SIZE_MAX);
    sasl_error_write(&w->text, e, text);
    out_add(w, c, buf_str(&w->text));
    if (c->state != STREAM_FEATURES)
        stream_enter(w, c, STREAM_FEATURES);
    proc_count(w->proc, COUNTER_AUTH_FAILED, 1);
    SET(w, c->n_auth_failures, (uint8_t)(c->n_auth_failures + 1));
    if (c->n_auth_failures >= FAILURES_MAX)
        stream_fail(
                w, c, STREAM_ERROR_POLICY_VIOLATION, "too many failed authentications");
}

/*
 * The bytes of <auth/> or <response/>: "=" stands for data that are empty (RFC 6120,
 * 6.4.2); *ret_has: there were some. false: not base64.
 */
static bool
data_of(struct xml_el *el, struct buf *out, bool *ret_has)
{
    struct str text = str_trim(xml_text(el));

    *ret_has = text.n > 0;
    if (text.n == 0 || str_eq(text, STR("=")))
        return true;
    return text.n <= DATA_MAX && b64_decode(out, text) == 0;
}

static void
abort_dialogue(struct worker *w, struct conn *c)
{
    struct ipc_conn msg = { .conn = conn_id(w, c) };

    outbox_send(w, ipc_addr_of(PROC_AUTH, 0), IPC_AUTH_ABORT, &msg);
}

static void
step_send(struct worker *w, struct conn *c, struct xml_el *el, bool initial)
{
    struct buf data = { 0 }, offered = { 0 };
    char remote[CONN_REMOTE_SIZE];
    struct tls_bindings cb = { 0 };
    struct ipc_auth_step step = { .conn = conn_id(w, c),
        .initial = initial,
        .host = conn_domain(c),
        .remote = str_from(conn_address(c, remote)),
        .mechanism = xml_attr(el, "mechanism"),
        .tls = c->tls };
    bool has_data;

    if (!data_of(el, &data, &has_data)) {
        if (!initial)
            abort_dialogue(w, c);
        fail(w, c, SASL_ERROR_INCORRECT_ENCODING, STR_NULL);
    } else {
        step.has_data = has_data;
        step.data = buf_str(&data);
        if (initial) {
            tls_get_bindings(w, c, &cb);
            step.cb_exporter = (struct str){ cb.exporter, cb.exporter_n };
            step.cb_endpoint = (struct str){ cb.endpoint, cb.endpoint_n };
            step.cb_unique = (struct str){ cb.unique, cb.unique_n };
            step.offered = features_mechanisms(w, c, &offered);
        }
        stream_enter(w, c, STREAM_SASL_WAIT);
        outbox_send(w, ipc_addr_of(PROC_AUTH, 0), IPC_AUTH_STEP, &step);
        killpoint(SASL_ASKED);
        live_of(w, c)->answer_s = w->now_s + ANSWER_MS / 1000;
    }
    buf_fini(&data);
    buf_fini(&offered);
}

void
sasl_on_element(struct worker *w, struct conn *c, struct xml_el *el)
{
    bool in_dialogue = c->state == STREAM_SASL;

    if (xml_is(el, "auth", NS_SASL)) {
        if (in_dialogue) {
            abort_dialogue(w, c);
            fail(w, c, SASL_ERROR_MALFORMED_REQUEST, STR("a dialogue is under way"));
            return;
        }
        step_send(w, c, el, true);
    } else if (xml_is(el, "response", NS_SASL) && in_dialogue) {
        step_send(w, c, el, false);
    } else if (xml_is(el, "abort", NS_SASL)) {
        if (in_dialogue)
            abort_dialogue(w, c);
        fail(w, c, SASL_ERROR_ABORTED, STR_NULL);
    } else {
        fail(w, c, SASL_ERROR_MALFORMED_REQUEST, STR("not expected now"));
    }
}

static void
send_data(struct worker *w, struct conn *c, const char *name, struct str data, bool has)
{
    struct buf *out = &w->text;

    buf_reset(out, SIZE_MAX);
    buf_addf(out, "<%s xmlns='" NS_SASL "'>", name);
    if (has)
        b64_encode(out, data);
    buf_addf(out, "</%s>", name);
    out_add(w, c, buf_str(out));
}

static void
succeed(struct worker *w, struct conn *c, const struct ipc_auth_result *result)
{
    struct live *l = live_of(w, c);
    struct sockaddr_storage ip;
    struct jid jid = { .local = result->user, .domain = conn_domain(c) };
    struct conf_subject who = { jid.local, jid.domain, STR_NULL,
        (struct sockaddr *)&ip };

    conn_sockaddr(c, &ip);
    if (!conf_access_allows(l->host, &conn_listener(w, c)->access, &who)) {
        log_info(conn_ctx(w, c), "%.*s is refused by the listener's access rule",
                STR_ARG(jid.local));
        fail(w, c, SASL_ERROR_NOT_AUTHORIZED,
                STR("access is denied by the configuration"));
        return;
    }
    conn_set_jid(w, c, &jid);
    slot_free(w, c->bindings);
    SET(w, c->bindings, NULL);
    SET(w, c->flags, (c->flags | CONN_AUTHED) & ~(unsigned)CONN_HEADER_SENT);
    send_data(w, c, "success", result->data, result->data.n > 0);
    stream_enter(w, c, STREAM_HEADER);
    proc_count(w->proc, COUNTER_AUTH_OK, 1);
    shaper_choose(w, c);
    log_info(conn_ctx(w, c), "authenticated");
}

void
sasl_on_result(struct worker *w, struct conn *c, const struct ipc_auth_result *result)
{
    struct live *l = live_of(w, c);

    if (c->state != STREAM_SASL_WAIT)
        return;
    l->answer_s = 0;
    if (result->status == IPC_AUTH_CHALLENGE) {
        send_data(w, c, "challenge", result->data, true);
        stream_enter(w, c, STREAM_SASL);
    } else if (result->status == IPC_AUTH_SUCCESS && result->user.n > 0) {
        succeed(w, c, result);
    } else {
        enum sasl_error e = result->failure < SASL_ERRORS
                                    ? (enum sasl_error)result->failure
                                    : SASL_ERROR_NOT_AUTHORIZED;

        log_info(conn_ctx(w, c), "authentication failed: %s", sasl_error_name(e));
        fail(w, c, e, result->text);
    }
}

/* What the new one finds in its mailbox it answers within this time. */
void
sasl_on_restarted(struct worker *w)
{
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];

        if (c->state == STREAM_SASL_WAIT &&
                live_of(w, c)->answer_s > w->now_s + RESTARTED_S)
            live_of(w, c)->answer_s = w->now_s + RESTARTED_S;
    }
}

void
sasl_on_timeout(struct worker *w, struct conn *c)
{
    log_warning(conn_ctx(w, c), "no answer from the auth process");
    abort_dialogue(w, c);
    fail(w, c, SASL_ERROR_TEMPORARY_AUTH_FAILURE, STR_NULL);
}
