#ifndef WORKER_MODULE_HOME_H
#define WORKER_MODULE_HOME_H

#include <stdint.h>

#include "base/str.h"
#include "xmpp/jid.h"

/*
 * What is asked of, or told to, other workers: the home of an account, those that have
 * its sessions, the one that has a client.
 */
struct worker;
struct conn;
struct module;
struct conf_host;
struct xml_el;

/* Runs notify(what, data) where the account has sessions, and in its home. */
void sessions_notify(struct worker *w, const struct module *m, struct str bare,
        unsigned what, struct str data);

/* The same about a host, in every worker: notify() without an account. */
void workers_notify(struct worker *w, const struct module *m,
        const struct conf_host *host, unsigned what, struct str data);

/* Runs a step as a job in the account's home, after what was asked for it before. */
struct home_call {
    const struct module *module;
    unsigned step;
    struct str bare;         /* the account: prepared, of one of our hosts */
    uint64_t conn;           /* the session it is for; 0: none */
    struct jid from, to;     /* of the stanza, where there is one */
    const struct xml_el *el; /* or: */
    struct str stanza;       /* serialised */
    struct str data;         /* j->data */
};
void home_call(struct worker *w, const struct home_call *call);

/*
 * Runs a step as a job in the worker of call->conn, which may have gone when it runs
 * (conn_find); bare is the account of that session.
 */
void session_call(struct worker *w, const struct home_call *call);

/*
 * Asks a client of this worker (<iq type='get' or 'set'/>; id, from and to are set
 * here); the step gets the answer as j->el, an iq of type result or error; after
 * timeout_ms an error remote-server-timeout of our own making.
 */
void session_ask(struct worker *w, const struct module *m, struct conn *c,
        struct xml_el *iq, unsigned step, struct str data, uint32_t timeout_ms);

#endif
