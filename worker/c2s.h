#ifndef WORKER_C2S_H
#define WORKER_C2S_H

#include "worker/worker.h"

/*
 * The stream of a client up to the bound resource (RFC 6120): header, features,
 * STARTTLS, SASL, resource binding, and its end. All functions run within a
 * transaction.
 */

/* A new connection goes into its first state: PROXY header, TLS or stream header. */
void c2s_accepted(struct worker *w, struct conn *c);
void c2s_begin(struct worker *w, struct conn *c); /* behind the PROXY header */

enum {
    STREAM_CLOSING_MS = 5000 /* a client has to close its side, too */
};

/* The only place where a state changes: asserts that stream.def has the move. */
void stream_enter(struct worker *w, struct conn *c, enum stream_state state);
const char *stream_state_name(enum stream_state state);

/* What in_text.c found. */
void c2s_on_header(struct worker *w, struct conn *c, const struct xml_header *header);
void c2s_on_element(struct worker *w, struct conn *c, struct xml_el *el);
void c2s_on_stream_end(struct worker *w, struct conn *c);
void c2s_on_eof(struct worker *w, struct conn *c);
void c2s_on_tls(struct worker *w, struct conn *c);
void c2s_fail_xml(struct worker *w, struct conn *c, enum xml_error e);

/* Handlers of stream.def. */
void c2s_on_choice(struct worker *w, struct conn *c, struct xml_el *el);
void c2s_on_sasl(struct worker *w, struct conn *c, struct xml_el *el);
void c2s_on_bind(struct worker *w, struct conn *c, struct xml_el *el); /* c2s_bind.c */

/*
 * Ends the stream with an error: the header if none was sent, the error, the end tag;
 * what comes from the client is then ignored. text may be NULL.
 */
void stream_fail(
        struct worker *w, struct conn *c, enum stream_error e, const char *text);

/* Ends the stream without error. */
void stream_end(struct worker *w, struct conn *c);

/* <stream:features/> for where the stream is; worker/features.c */
void features_send(struct worker *w, struct conn *c);

/* The mechanisms that were offered, as an ipc list in *out (empty at first). */
struct ipc_list features_mechanisms(struct worker *w, struct conn *c, struct buf *out);
bool features_may_start_tls(const struct worker *w, const struct conn *c);

/* worker/sasl.c */
void sasl_on_element(struct worker *w, struct conn *c, struct xml_el *el);
void sasl_on_result(
        struct worker *w, struct conn *c, const struct ipc_auth_result *result);
void sasl_on_timeout(struct worker *w, struct conn *c);
/* There is another auth process: it knows nothing of what was under way. */
void sasl_on_restarted(struct worker *w);

/* The account of the client was loaded, or could not be. */
void c2s_on_account(struct worker *w, struct conn *c);

/*
 * worker/c2s_bind.c: the account of one that binds is there, or cannot be; the router's
 * answer to the request; and the request once more.
 */
void c2s_bind_on_account(struct worker *w, struct conn *c);
void c2s_on_bound(
        struct worker *w, struct conn *c, const struct ipc_route_bound *bound);
void c2s_bind_again(struct worker *w, struct conn *c);

#endif
