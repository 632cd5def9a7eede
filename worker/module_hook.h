#ifndef WORKER_MODULE_HOOK_H
#define WORKER_MODULE_HOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "xmpp/error.h"
#include "xmpp/jid.h"

/*
 * Hooks: where the worker asks its modules, on a stanza's way and at events. They are
 * lists per host; a module names those it wants in module.hooks.
 */
struct worker;
struct conn;
struct account;
struct module;
struct job;
struct stanza;
struct contact;
struct conf_host;
struct arena;
struct buf;
struct xml_el;
struct route_snapshot;

enum hook_result {
    HOOK_PASS, /* the next one may look at it */
    HOOK_DONE  /* it is settled */
};

enum hook {
    /* A session's life. c, account. OPEN: the resource is bound; CLOSE: once, at its
     * end. */
    HOOK_SESSION_OPEN,
    HOOK_SESSION_CLOSE,
    /*
     * It goes on with another connection, perhaps in another worker (XEP-0198): c,
     * account (NULL: not yet). What was kept is there; notifications that came
     * meanwhile may have missed it.
     */
    HOOK_SESSION_MOVED,
    /*
     * The session's own broadcast presence was committed by the router: c, account;
     * was_available and was_priority are as of the last call for this session (false
     * and 0 at first), c's presence tells what it is now. Not called at CLOSE.
     */
    HOOK_PRESENCE,
    /*
     * A session is about to become available with a priority that is not negative: the
     * router is told so in this transaction. c, account.
     */
    HOOK_COMING,
    /*
     * A stanza of a session before anything else is done with it: c, account, s (with
     * el, which may be changed; not yet serialised: bytes are empty; `to` may be the
     * server or another domain). DONE: it is answered or dropped.
     */
    HOOK_USER_SEND,
    /*
     * A session's broadcast presence, available or not, before it is kept: c, account,
     * s (with el, which may be changed; type).
     */
    HOOK_PRESENCE_OUT,
    /* A message of a session was routed on: c, account, s (el and bytes). */
    HOOK_USER_SENT,
    /*
     * An element of a session that is no stanza: c, account (NULL: not loaded now), el.
     * DONE: it was known; by nobody: the stream ends with unsupported-stanza-type.
     */
    HOOK_NONZA,
    /*
     * A message for an account of ours, before its resources are chosen: s, entries
     * (its sessions), and account if this is the account's home. s->bytes may be
     * replaced. Called once for each message. DONE: it is settled.
     */
    HOOK_USER_RECEIVE,
    /*
     * The same message after some resources got it, or none because HOOK_OFFLINE takes
     * care of it: s, entries, got[] says which. Not called where the only resource got
     * it, nor when it is delivered again because a session had gone.
     */
    HOOK_USER_RECEIVED,
    /*
     * At the account's home only, if one of its sessions carries ROUTE_FILTER, or it
     * has none: s (any stanza; its flags may be changed), account (loaded). DONE: the
     * hook has answered or dropped it.
     */
    HOOK_FILTER,
    /*
     * A stanza is about to be given to a session that carries ROUTE_OWN_LIST: c,
     * account (loaded), s (bytes; el may be NULL). DONE: it must not have it; error, if
     * set, is the answer.
     */
    HOOK_FILTER_SESSION,
    /*
     * Where an account of ours carries ROUTE_FILTER, or its session ROUTE_OWN_LIST:
     * account, s (its presence to one contact, s->to), c; or NULL if the session is not
     * in this worker and has no list of its own, or has ended: then own_list. DONE: the
     * contact must not see it.
     */
    HOOK_FILTER_OUT,
    /*
     * A message that no resource may have: s (bytes are what HOOK_USER_RECEIVE has made
     * of el), account (loaded), job: in the account's home; after job_take() it may go
     * on. DONE: it is, or will be, stored or answered.
     */
    HOOK_OFFLINE,
    /*
     * A stanza is about to be given to a session that has said that it is inactive: c,
     * s (bytes; no el), account (NULL: not loaded now). DONE: it is held back
     * (session_hold), or was added after all.
     */
    HOOK_TO_INACTIVE,
    /*
     * A message that a session has not acknowledged (XEP-0198) goes back to its
     * account: c, account (NULL: not loaded now), s (el). DONE: it need not.
     */
    HOOK_GIVE_BACK,
    /* A stanza was answered with an error: s (the one that failed), error. */
    HOOK_BOUNCED,
    /* A subscription stanza of a session to `to`: c, account, s (el). DONE: handled. */
    HOOK_SUBSCRIPTION_OUT,
    /*
     * The same for an account of ours: in its home, account (loaded), s (el), job:
     * after job_take() it may go on.
     */
    HOOK_SUBSCRIPTION_IN,
    /*
     * A contact of an account in this worker is another one, or gone (no bits), and the
     * roster's tables have nothing to do with it: account, contact. Who shows rosters
     * to clients tells them.
     */
    HOOK_CONTACT_CHANGED,
    /* A roster item was changed: at home, account, contact (new) or contact->jid only.
     */
    HOOK_ROSTER_CHANGED,
    /* The vCard of an account was stored: at home, account, el. */
    HOOK_VCARD_SET,
    /* An account is removed: at home, account (loaded); before its rows go. */
    HOOK_USER_REMOVED,
    /*
     * Service discovery: disco_to is the server (no local part) or an account; query is
     * the answer under construction (disco_feature() and others below add to it), node
     * is the node asked for (n == 0: none). disco_from asks; without a domain: nobody,
     * it is what everybody is told. Of an account: in its home, account (loaded), and
     * disco_allowed: disco_from may see its presence. DONE: the node is known (only
     * needed with a node).
     */
    HOOK_DISCO_INFO,
    HOOK_DISCO_ITEMS,
    /*
     * What the client of a session can do is known now, or is something else: c,
     * account (NULL: not loaded now); session_caps() tells. After HOOK_PRESENCE.
     */
    HOOK_CAPS,
    /* Stream features after authentication: c, out (append elements). */
    HOOK_STREAM_FEATURES,
    /* Those before authentication: c (its stream), out. Not where TLS is yet to come.
     */
    HOOK_EARLY_FEATURES,
    /*
     * An account's rows have been read, those of at least one part, and nobody has it
     * yet: account. DONE: it has to wait for something else, until accounts_go_on().
     */
    HOOK_ACCOUNT_LOADING,
    /*
     * An account was loaded: account; parts are filled in. Called again after a reload
     * of the configuration.
     */
    HOOK_ACCOUNT_LOADED,
    HOOKS
};

struct event {
    struct worker *w;
    const struct conf_host *host; /* of the account, session or server it is about */
    const struct module *module;  /* whose hook is called */
    struct arena *arena;          /* until the end of the turn: for what a hook makes */
    void *config;                 /* what its configure() made for this host */
    void *part;                   /* its own of account, if there is one */
    struct conn *c;
    struct account *account;
    struct stanza *s;
    struct xml_el *el;
    struct job *job;
    const struct route_snapshot *entries;
    const bool *got; /* one per entry */
    enum stanza_error error;
    bool was_available;
    int8_t was_priority;
    const struct contact *contact;
    struct jid disco_from, disco_to;
    bool disco_allowed;
    struct str node;
    struct xml_el *query;
    struct buf *out;
    struct str own_list; /* what SESSION_OWN_LIST was */
    uint32_t answer;     /* of module.notify, for job_notify() */
};

typedef enum hook_result (*hook_fn)(struct event *e);

/*
 * Calls the hooks of e->host in their order until one is DONE: HOOK_DONE then. A module
 * calls those that are said to be about what it does.
 */
enum hook_result hook_run(struct worker *w, enum hook hook, struct event *e);

struct module_hook {
    enum hook on;
    int order; /* lower is earlier; 50 is usual */
    hook_fn call;
};

#endif
