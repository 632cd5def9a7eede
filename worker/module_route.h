#ifndef WORKER_MODULE_ROUTE_H
#define WORKER_MODULE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "xmpp/error.h"

/*
 * Stanzas that modules send, and whom they could be sent to: the sessions in the route
 * table.
 */
struct worker;
struct stanza;
struct arena;
struct xml_el;
struct route_entry;
struct route_snapshot;

/* Stanzas parsed again from bytes of ours (default namespace jabber:client); or NULL.
 */
struct xml_el *stanza_parse(struct worker *w, struct arena *arena, struct str bytes);

/*
 * Routes a stanza of the server, of a service, or in an account's name, by its `to`: to
 * sessions, offline rules, services, or nowhere. el is not changed. Errors come back to
 * `from` only if that is a session. false: its domain is nobody that we know.
 */
bool route_el(struct worker *w, const struct xml_el *el);

/* To one session of ours, wherever it is; gone: to the account, by the delivery rules.
 */
void route_to_conn(struct worker *w, uint64_t conn, const struct xml_el *el);

/* Serialised already: by its `to` (an account); to one session, or else to its account.
 */
void route_stanza(struct worker *w, struct stanza *s);
void route_bytes_to_conn(struct worker *w, uint64_t conn, const struct stanza *s);

/* Answers a stanza with an error, to its sender; text may be NULL. */
void route_error(struct worker *w, const struct stanza *s, enum stanza_error e,
        const char *text);

/* To every session in the snapshot for which fits() is true, `to` its full JID. */
void route_to_sessions(struct worker *w, struct str bare, const struct xml_el *el,
        bool (*fits)(const struct route_entry *entry, void *arg), void *arg);

/* All sessions of a bare JID: how many; valid until the next call of anything here. */
size_t route_sessions(struct worker *w, struct str bare, unsigned want,
        const struct route_snapshot **ret);

/*
 * A part of all sessions of the service: start with *at = 0; false at the end. Those of
 * one bare JID come together. Valid as that of route_sessions().
 */
bool route_part(struct worker *w, uint64_t *at, const struct route_snapshot **ret);

/*
 * Counts sessions of the whole service, about `most` of them a call: start with *at,
 * *ret_host and *ret_all at 0; true when all have been counted. host: of one domain.
 */
bool route_count_sessions(struct worker *w, uint64_t *at, size_t most, struct str host,
        uint64_t *ret_host, uint64_t *ret_all);

#endif
