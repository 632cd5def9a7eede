#ifndef WORKER_MODULE_PRESENCE_H
#define WORKER_MODULE_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Presence between an account's sessions and its contacts, when a module has changed
 * who may see whom.
 */
struct worker;
struct conn;
struct account;
struct jid;

/*
 * Presence of the account's sessions to one contact (bare), because it may see it from
 * now on, or no more (then unavailable). And the other way round: what the contact said
 * last, to the available sessions of the account in this worker.
 */
void presence_to_contact(
        struct worker *w, struct account *a, const struct jid *contact, bool available);
void presence_probe(struct worker *w, struct account *a, const struct jid *contact);

/*
 * The same of the account's sessions in this worker, for module.notify(): in step with
 * what these sessions say to all contacts, so that the contact ends up with what they
 * said last. since_ms: not of sessions that were silent since then (worker_now_ms());
 * 0: of all.
 */
void presence_show(struct worker *w, struct account *a, const struct jid *contact,
        bool available, uint64_t since_ms);
/*
 * Its sessions in this worker may not see a contact of ours any more: those that became
 * available since then are told so again.
 */
void presence_forget(struct worker *w, struct account *a, const struct jid *contact,
        uint64_t since_ms);

/*
 * The same of one session, as its lists have changed. And what the contact says: its
 * presence, or for one that is no longer seen that it is unavailable.
 */
void session_show(struct worker *w, struct account *a, struct conn *c,
        const struct jid *contact, bool available);
void session_see(
        struct worker *w, struct conn *c, const struct jid *contact, bool available);
/*
 * Those who got directed presence of the session, and for whom is_hidden() is true now,
 * are told that it is unavailable.
 */
void session_hide_directed(struct worker *w, struct conn *c,
        bool (*is_hidden)(void *arg, const struct jid *jid), void *arg);

#endif
