/*
 * features.c -- what a stream offers next (RFC 6120, 4.3.2)
 */
#include <stdio.h>

#include "auth/mech.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/sm.h"
#include "worker/tls.h"
#include "xml/writer.h"
#include "xmpp/ns.h"

bool
features_may_start_tls(const struct worker *w, const struct conn *c)
{
    return conn_listener(w, c)->starttls && c->tls == CONN_PLAIN && tls_available(w);
}

struct ipc_list
features_mechanisms(struct worker *w, struct conn *c, struct buf *out)
{
    struct auth_policy policy;
    struct tls_bindings cb;
    unsigned mechs;

    auth_policy_of(live_of(w, c)->host, &policy);
    tls_get_bindings(w, c, &cb);
    mechs = auth_mechanisms(&policy, c->tls != CONN_PLAIN,
            cb.exporter_n || cb.endpoint_n || cb.unique_n, false);
    for (enum mech m = 0; m < MECHS; m++) {
        if (mechs & 1u << m)
            ipc_list_add(out, str_from(mech_name(m)));
    }
    return ipc_list_of(out);
}

/* XEP-0440: the channel bindings, so that a client does not have to guess. */
static void
add_bindings(struct worker *w, struct conn *c, struct buf *out)
{
    struct tls_bindings cb;

    tls_get_bindings(w, c, &cb);
    if (!cb.exporter_n && !cb.endpoint_n && !cb.unique_n)
        return;
    buf_add_c(out, "<sasl-channel-binding xmlns='" NS_SASL_CB "'>");
    if (cb.exporter_n)
        buf_add_c(out, "<channel-binding type='tls-exporter'/>");
    if (cb.unique_n)
        buf_add_c(out, "<channel-binding type='tls-unique'/>");
    if (cb.endpoint_n)
        buf_add_c(out, "<channel-binding type='tls-server-end-point'/>");
    buf_add_c(out, "</sasl-channel-binding>");
}

static void
add_mechanisms(struct worker *w, struct conn *c, struct buf *out)
{
    struct buf packed = { 0 };
    struct ipc_list list = features_mechanisms(w, c, &packed);
    struct str name;

    if (list.n > 0) {
        buf_add_c(out, "<mechanisms xmlns='" NS_SASL "'>");
        while (ipc_list_next(&list, &name))
            xml_leaf(out, "mechanism", name);
        buf_add_c(out, "</mechanisms>");
        add_bindings(w, c, out);
    }
    buf_fini(&packed);
}

/* XEP-0478 */
static void
add_limits(struct worker *w, struct conn *c, struct buf *out)
{
    const struct conf_listener *ln = conn_listener(w, c);
    bool authed = c->flags & CONN_AUTHED;
    uint64_t bytes = authed ? ln->max_stanza_size : ln->pre_auth_max_stanza_size;
    uint64_t idle_ms = w->proc->conf->c2s_idle_timeout_ms;

    if (bytes > CONF_STANZA_SIZE_MAX)
        bytes = CONF_STANZA_SIZE_MAX;
    buf_addf(out, "<limits xmlns='" NS_LIMITS "'><max-bytes>%llu</max-bytes>",
            (unsigned long long)bytes);
    if (authed && idle_ms != CONF_INFINITY)
        buf_addf(out, "<idle-seconds>%llu</idle-seconds>",
                (unsigned long long)idle_ms / 1000);
    buf_add_c(out, "</limits>");
}

void
features_send(struct worker *w, struct conn *c)
{
    struct buf *out = &w->text;
    bool required = conn_listener(w, c)->starttls_required;
    struct sm_policy sm;
    struct event e = { .w = w, .c = c, .out = out, .host = live_of(w, c)->host };

    buf_reset(out, SIZE_MAX);
    buf_add_c(out, "<stream:features>");
    if (c->flags & CONN_AUTHED) {
        buf_add_c(out, "<bind xmlns='" NS_BIND "'/>"
                       "<session xmlns='" NS_SESSION "'><optional/></session>");
        if (sm_policy_of(e.host, &sm))
            buf_add_c(out, "<sm xmlns='" NS_SM "'><optional/></sm>");
        if (e.host)
            hook_run(w, HOOK_STREAM_FEATURES, &e);
    } else {
        if (features_may_start_tls(w, c))
            buf_addf(out, "<starttls xmlns='" NS_TLS "'>%s</starttls>",
                    required ? "<required/>" : "");
        if (!required || c->tls != CONN_PLAIN) {
            add_mechanisms(w, c, out);
            if (e.host)
                hook_run(w, HOOK_EARLY_FEATURES, &e);
        }
    }
    add_limits(w, c, out);
    buf_add_c(out, "</stream:features>");
    out_add(w, c, buf_str(out));
}
