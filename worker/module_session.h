#ifndef WORKER_MODULE_SESSION_H
#define WORKER_MODULE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "xmpp/error.h"
#include "xmpp/jid.h"

/*
 * A session as modules see it: one client with its bound resource, on a connection of
 * this worker.
 */
struct worker;
struct conn;
struct account;
struct conf_host;
struct log_ctx;
struct sockaddr_storage;
struct xml_el;

struct jid conn_jid(const struct conn *c);
struct str conn_bare(const struct conn *c);
struct str conn_full(const struct conn *c);
struct str conn_domain(const struct conn *c);
uint64_t conn_id(const struct worker *w, const struct conn *c);
struct conn *conn_find(const struct worker *w, uint64_t id); /* NULL: gone, elsewhere */
const struct log_ctx *conn_ctx(const struct worker *w, const struct conn *c);

/*
 * Where it is (XEP-0198): with its client; its client is lost, and may come back; or it
 * goes on with another connection, and this one only passes on what comes for it.
 */
enum session_place {
    SESSION_HERE,
    SESSION_WAITS,
    SESSION_MOVED
};
enum session_place session_place(const struct conn *c);

/* In HOOK_SESSION_MOVED: has its client come back after a restart of the service? */
bool session_is_restored(const struct conn *c);

bool session_is_available(const struct conn *c);
int8_t session_priority(const struct conn *c);
struct str session_presence(
        const struct conn *c); /* the last broadcast one; may be empty */
struct str session_address(
        const struct conn *c, char ret_text[64]); /* network address */
/* For rules (struct conf_subject); and whether its stream is under TLS. */
void conn_sockaddr(const struct conn *c, struct sockaddr_storage *ret_addr);
bool conn_is_encrypted(const struct conn *c);
uint64_t session_since_us(const struct conn *c);

/* The client's own flags in the route table (carbons, interested …); see job_route().
 */
uint16_t session_flags(const struct conn *c);
void session_set_flags(struct worker *w, struct conn *c, uint16_t set, uint16_t clear);

/*
 * Bytes that a module keeps with a session, in the slot, under its number 0 or 1: 1 is
 * for the list of a session that carries ROUTE_OWN_LIST.
 */
enum {
    SESSION_OWN_LIST = 1
};
void session_keep(struct worker *w, struct conn *c, unsigned number, struct str bytes);
struct str session_kept(const struct conn *c, unsigned number);

/* To this client, as it is; and serialised already. */
void session_send(struct worker *w, struct conn *c, const struct xml_el *el);
void session_send_bytes(struct worker *w, struct conn *c, struct str bytes);

/*
 * Stanzas that are kept back (HOOK_TO_INACTIVE), in the slot, in their order. instead:
 * one with the same key (65535 bytes at most) gives way. They go out when the session
 * is resumed by another connection (XEP-0198); what is left at its end is dropped.
 */
void session_hold(struct worker *w, struct conn *c, struct str key, bool instead,
        struct str bytes);
/* How many there are; ret_bytes may be NULL. */
size_t session_held(const struct conn *c, size_t *ret_bytes);
/* Those that fit (fits NULL: all) go out, each with the time when it came (XEP-0203).
 */
void session_release(struct worker *w, struct conn *c,
        bool (*fits)(struct str key, const void *arg), const void *arg);

/* Broadcasts this presence (without `to`) in place of what the session said last. */
void session_say(struct worker *w, struct conn *c, struct xml_el *presence);

/*
 * Older messages (STANZA_OLDER) will come for the session: from now on live ones wait
 * for them, until the end is told. Not for ever.
 */
void session_older_begin(struct worker *w, struct conn *c);
void session_older_end(struct worker *w, struct conn *c);

/* Bytes that the client has not taken yet, as far as this worker knows. */
size_t session_backlog(const struct conn *c);

/* Ends the client's stream; text may be NULL. */
void session_kill(
        struct worker *w, struct conn *c, enum stream_error e, const char *text);

/*
 * Each session of a bare JID in this worker: start with *at = 0; NULL at the end.
 */
struct conn *session_next(struct worker *w, struct account *a, uint32_t *at);

/* Each session of a host (NULL: of any) in this worker, in the same order: start with
 * *at = 0. */
struct conn *session_walk(struct worker *w, const struct conf_host *host, uint32_t *at);

#endif
