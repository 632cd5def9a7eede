#ifndef WORKER_MODULE_H
#define WORKER_MODULE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "proc/status.h"
#include "router/route.h"
#include "sql/sql.h"
#include "worker/contacts.h"
#include "worker/job.h"
#include "worker/module_account.h"
#include "worker/module_caps.h"
#include "worker/module_command.h"
#include "worker/module_disco.h"
#include "worker/module_home.h"
#include "worker/module_hook.h"
#include "worker/module_presence.h"
#include "worker/module_purge.h"
#include "worker/module_route.h"
#include "worker/module_session.h"
#include "worker/module_worker.h"
#include "worker/stanza.h"
#include "xml/el.h"
#include "xml/writer.h"
#include "xmpp/error.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

/*
 * What a module is, and what it may do: doc/MODULES.md tells how to write one.
 *
 * A module is a shared object MODULEDIR/NAME.so that defines `const struct module
 * module`. It runs in every worker process, for the hosts whose `modules:` name it. It
 * keeps nothing in variables of its own that matters after a kill -9: what has to
 * outlive the process is in jobs (worker/job.h), in a session's slot (session_*), or in
 * the database.
 *
 * Everything here happens within the transaction of the stanza, frame or timer that
 * caused it: its effects come true together, or not at all.
 */
struct module;

enum {
    MODULE_ABI = 1
};

/* --- Requests --- */

enum iq_where {
    IQ_SERVER = 1 << 0, /* to the server's own address */
    IQ_OWN = 1 << 1,    /* to the asker's own bare address, or without `to` */
    IQ_OTHERS = 1 << 2, /* to the bare address of another account of ours */
    /*
     * Of a client before authentication, to its server: j->from is empty, j->conn its
     * stream. At once, whatever the discipline; nothing more is read from the client
     * until the step, or one that follows, has answered.
     */
    IQ_EARLY = 1 << 3
};
enum iq_types {
    IQ_GETS = 1 << 0,
    IQ_SETS = 1 << 1,
    IQ_BOTH = IQ_GETS | IQ_SETS
};

/*
 * How requests of one handler wait for each other. The step is called with no result.
 */
enum iq_discipline {
    IQ_NO_QUEUE,  /* at once, and the step answers at once */
    IQ_PARALLEL,  /* at once; the step may go on as a job */
    IQ_ONE_QUEUE, /* in this worker one at a time per module and host */
    IQ_HOME /* in the home of the account asked for (`to`), one at a time per account,
               with the account loaded */
};

/* The first row that fits the request in all of ns, name, where and types. */
struct module_iq {
    const char *ns;   /* of the payload */
    const char *name; /* NULL: any */
    unsigned where;   /* enum iq_where; no row for a place: service-unavailable */
    unsigned types;   /* enum iq_types; no row for a type: bad-request, not-allowed */
    enum iq_discipline discipline;
    unsigned step; /* of the module's steps */
};

/* One whose payload has this node: it is found before those that name none. */
struct module_node_iq {
    const char *node;
    struct module_iq iq;
};

/* --- What belongs to an account --- */

/*
 * Loaded from the rows of SQL_ACCOUNT_GET before the account's first session is bound,
 * and in its home when needed. load gets all rows and takes those of its kinds: NULL is
 * a good value. module.notify keeps it true afterwards.
 */
struct module_part {
    void *(*load)(struct account *a, void *config, const struct sql_result *rows);
    void (*free)(void *part);
    /* In place of load: what gets the rows of an operation of the part's own. */
    void *(*take)(struct worker *w, struct account *a, void *config,
            const struct sql_result *rows);
    enum sql_op op; /* its only parameter is the user */
};

/* --- Commands of administrators that need the module --- */

/*
 * admin calls by name with text arguments. The first argument is the user, the second
 * the host when `account` is set: the step then runs in the account's home, as a job
 * whose arguments are job_arg(j, i). It ends with job_call_reply(). Otherwise the first
 * one is a host; these run one after the other per module and host.
 */
struct module_call {
    const char *name;
    bool account;
    unsigned step;
};

/* --- Services with a domain of their own --- */

struct module_service {
    /* The domains for this host, by its configuration; text in the arena, 0: none. */
    size_t (*domains)(struct arena *arena, const struct conf_host *host, void *config,
            struct str *ret, size_t max);
    unsigned step; /* called for each stanza to such a domain: j->el, j->from, j->to */
};

/* --- What it offers, all in all --- */

struct module {
    uint32_t abi;
    const char *name;  /* "mod_ping" */
    const char *doc;   /* one sentence */
    const char *db_of; /* the module whose database is this one's, too; NULL: its own */

    const char *const *features;         /* of the server (XEP-0030), NULL-terminated */
    const char *const *account_features; /* of its accounts */

    /* Per host and configuration: NULL is a good value. */
    void *(*configure)(const struct conf_host *host, const struct conf_module *options);
    void (*unconfigure)(void *config);

    const struct module_hook *hooks;       /* ends with .call == NULL */
    const struct module_iq *iqs;           /* ends with .ns == NULL */
    const struct module_node_iq *node_iqs; /* ends with .node == NULL */
    const job_fn *steps; /* functions of jobs; numbers must not be reused */
    unsigned n_steps;
    const struct module_call *calls;       /* ends with .name == NULL */
    const struct module_command *commands; /* ends with .node == NULL */
    const struct module_part *part;
    const struct module_service *service;

    /*
     * sessions_notify() of any worker: once in each worker that has sessions of the
     * account, and in its home. account is loaded, and may have been so after what it
     * is told of; its sessions here are those of session_next(). For workers_notify(),
     * in each worker: account is NULL. answer may be set.
     */
    void (*notify)(struct event *e, unsigned what, struct str data);
};

#ifdef STANZAD_MODULE
extern const struct module module; /* what each shared object defines */
#endif

#endif
