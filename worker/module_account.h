#ifndef WORKER_MODULE_ACCOUNT_H
#define WORKER_MODULE_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "xmpp/jid.h"

/*
 * An account as modules see it: what this worker knows of it, while somebody needs it.
 */
struct worker;
struct conn;
struct account;
struct module;
struct job;
struct stanza;
struct contacts;
struct conf_host;
struct xml_el;

struct str account_bare(const struct account *a);
struct jid account_jid(const struct account *a);
const struct conf_host *account_host(const struct account *a);
bool account_exists(const struct account *a);
struct contacts *account_contacts(struct account *a);
/* May this address see its presence: is it the account's own, or a contact that is
 * subscribed? No such account: nobody. */
bool account_shows(struct account *a, const struct jid *to);
void *account_part(const struct account *a, const struct module *m);
/* Replaces (and frees) the part. */
void account_set_part(struct account *a, const struct module *m, void *part);
/* Each account that is loaded in this worker: start with *at = 0; none may come or go
 * meanwhile. */
struct account *account_walk(struct worker *w, size_t *at);
/* Those that HOOK_ACCOUNT_LOADING holds up are asked again; ok false: they fail. */
void accounts_go_on(struct worker *w, bool ok);
/* It is read from the database again, in all workers: somebody else has written. */
void account_reread(struct worker *w, struct str bare);
/* It is removed with all that is kept for it, and its sessions end. */
void account_remove(struct worker *w, struct str bare);
/* The same at the request of one of its sessions, which is answered. */
void account_remove_itself(
        struct worker *w, struct str bare, uint64_t conn, const struct xml_el *iq);
/* Account-wide route flags (ROUTE_FILTER, ROUTE_ARCHIVE) that this module asks for. */
void account_set_flags(
        struct worker *w, struct account *a, const struct module *m, uint16_t flags);
/* The account of a session; NULL only at HOOK_SESSION_CLOSE, when it was not loaded. */
struct account *session_account(const struct worker *w, const struct conn *c);
/*
 * Does another session of the account than c carry one of these route flags? As long as
 * the route table does not change there, this costs next to nothing.
 */
bool account_flag_elsewhere(
        struct worker *w, struct account *a, const struct conn *c, uint16_t flags);
/* Those that are loaded here; NULL: not now. */
struct account *account_find(const struct worker *w, struct str bare);

/*
 * Does the account's block list let it in (HOOK_FILTER)? false: it was answered, or
 * dropped. At home.
 */
bool account_lets_in(
        struct worker *w, struct account *a, struct job *job, struct stanza *s);

#endif
