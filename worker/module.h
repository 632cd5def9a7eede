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
struct worker;
struct conn;    /* a session: one client with its bound resource */
struct account; /* what this worker knows of an account, while somebody needs it */
struct module;

enum {
    MODULE_ABI = 1
};

/* --- Hooks --- */

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
 * a good value. changed() below and module.notify keep it true afterwards.
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

/* --- Ad-hoc commands (XEP-0050): mod_adhoc lists and calls them --- */

/* What a user may do at a stage of a command; cancelling is always possible. */
enum command_action {
    COMMAND_NEXT = 1 << 0,
    COMMAND_PREV = 1 << 1,
    COMMAND_COMPLETE = 1 << 2
};

/*
 * One command of the server (IQ_SERVER) or of its accounts (IQ_OWN, IQ_OTHERS: the step
 * runs in the account's home, with the account loaded). Who may not use it, does not
 * see it either: that is asked in one place, before each step.
 */
struct module_command {
    const char *node, *name;
    unsigned where; /* enum iq_where */
    unsigned step;  /* of the module's steps: command_call() tells what is wanted */
    /* NULL: everybody may. */
    bool (*may)(struct worker *w, const struct conf_host *host, void *config,
            const struct module_command *command, const struct jid *who);
};

/* --- Services with a domain of their own --- */

struct module_service {
    /* The domains for this host, by its configuration; text in the arena, 0: none. */
    size_t (*domains)(struct arena *arena, const struct conf_host *host, void *config,
            struct str *ret, size_t max);
    unsigned step; /* called for each stanza to such a domain: j->el, j->from, j->to */
};

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

/* --- Sessions --- */

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

/* --- Accounts --- */

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

/* --- Sending --- */

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
 * Does the account's block list let it in (HOOK_FILTER)? false: it was answered, or
 * dropped. At home.
 */
bool account_lets_in(
        struct worker *w, struct account *a, struct job *job, struct stanza *s);

/*
 * Counts sessions of the whole service, about `most` of them a call: start with *at,
 * *ret_host and *ret_all at 0; true when all have been counted. host: of one domain.
 */
bool route_count_sessions(struct worker *w, uint64_t *at, size_t most, struct str host,
        uint64_t *ret_host, uint64_t *ret_all);

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

/* --- Timers --- */

/* The worker's clock (monotonic), the same in all workers. */
uint32_t worker_now_s(const struct worker *w);
uint64_t worker_now_ms(const struct worker *w);
/* How long the service has been running, whatever became of this process. */
uint64_t worker_uptime_s(const struct worker *w);

/*
 * The time of the day in µs as an id: never the same twice, in no two workers, also
 * after a kill or when the clock goes back. Each worker has the numbers that leave its
 * slot's number when divided by the number of workers, and takes them in rising order;
 * the last one is in its slot. Under more than a million a second they run ahead of the
 * clock.
 */
uint64_t worker_stamp_us(struct worker *w);

/* --- Configuration of others --- */

const struct conf_host *host_of(const struct worker *w, struct str domain);
const struct conf *worker_conf(const struct worker *w);
bool host_has_module(
        const struct worker *w, const struct conf_host *host, const char *name);
/* A module of the host, for home_call() to one of its steps; NULL: not loaded there. */
const struct module *module_find(
        const struct worker *w, const struct conf_host *host, const char *name);
/* The config of a module for a host; NULL: not loaded there. */
void *module_config(
        const struct worker *w, const struct conf_host *host, const struct module *m);

/*
 * The domains of a service by its options `hosts` (a list) and `host`, @HOST@ replaced
 * and prepared: how many.
 */
size_t module_domains(struct arena *arena, const struct conf_host *host,
        const struct conf_module *options, struct str *ret, size_t max);

/* Features of the server or of its accounts, by all modules of the host. */
void module_features(struct worker *w, const struct conf_host *host, bool account,
        void (*each)(void *arg, const char *feature), void *arg);

/* What the option `vcard` of a service says (XEP-0054); NULL: nothing. */
struct xml_el *module_vcard(struct arena *arena, const struct conf_module *options);

/* The domains of the host's services, sorted: how many; the array is in the arena. */
size_t module_services(struct worker *w, const struct conf_host *host,
        struct arena *arena, const struct str **ret);

/* --- What clients can do (XEP-0115) --- */

/*
 * The features of a client, one object for all that have the same (key: what they
 * announce). Views are valid as long as it is. mod_caps finds them out, HOOK_CAPS
 * tells.
 */
struct client_caps;
struct client_caps *client_caps_new(
        struct str key, const struct str *feature, size_t n);
struct client_caps *client_caps_ref(struct client_caps *caps);
void client_caps_unref(struct client_caps **caps);
struct str client_caps_key(const struct client_caps *caps);
bool client_caps_has(const struct client_caps *caps, struct str feature);
/* Walks, in order, each once: start with *at = 0; false at the end. */
bool client_caps_next(
        const struct client_caps *caps, size_t *at, struct str *ret_feature);

enum session_caps {
    SESSION_CAPS_NONE,    /* it says nothing, or is not available */
    SESSION_CAPS_PENDING, /* not yet known: HOOK_CAPS will tell */
    SESSION_CAPS_KNOWN
};
/* ret: NULL for none; as long as it is pending, only the key is true. */
enum session_caps session_caps(
        const struct worker *w, const struct conn *c, const struct client_caps **ret);
void session_set_caps(struct worker *w, struct conn *c, enum session_caps state,
        struct client_caps *caps);

/* --- Answers to service discovery (XEP-0030) --- */

/* What is there already is not added again. name, node with n == 0: none. */
void disco_identity(
        struct xml_el *query, const char *category, const char *type, struct str name);
void disco_feature(struct xml_el *query, const char *feature);
void disco_item(
        struct xml_el *query, const struct jid *jid, struct str node, struct str name);

/*
 * The addresses of contact (XEP-0157) that the option server_info of mod_disco gives
 * for this module.
 */
void disco_server_info(
        struct xml_el *query, const struct conf_host *host, const char *module);

/* --- Ad-hoc commands (XEP-0050) --- */

/* Those that this address may use: of the server, or of an account (disco_to). */
void module_commands(struct worker *w, const struct conf_host *host, unsigned where,
        const struct jid *who,
        void (*each)(void *arg, const struct module_command *command), void *arg);

/* One of them by its node. NULL with *ret_exists: it is not for this address. */
const struct module_command *module_command_find(struct worker *w,
        const struct conf_host *host, unsigned where, const struct jid *who,
        struct str node, const struct module **ret_module, bool *ret_exists);

/*
 * What a step of a command is asked for. A command keeps nothing between its stages:
 * the session's id, which only the service can make, says which stage it is, and the
 * form has what the user said at this one; what he said before is in hidden fields of
 * it.
 */
struct command_call {
    struct str node;
    unsigned stage;             /* 0: it begins */
    enum command_action action; /* not at its beginning without a form */
    struct xml_el *form;        /* what was submitted; NULL: nothing */
};

enum command_error {
    COMMAND_OK,
    COMMAND_MALFORMED_ACTION, /* no such action */
    COMMAND_BAD_ACTION,       /* not now */
    COMMAND_BAD_LOCALE,
    COMMAND_BAD_PAYLOAD,
    COMMAND_BAD_SESSIONID,
    COMMAND_SESSION_EXPIRED
};

/* canceled: that is what is wanted (then action is nothing). */
enum command_error command_read(
        const struct job *j, struct command_call *ret, bool *ret_canceled);
/* The same for a step, which mod_adhoc calls only when there is nothing wrong. */
struct command_call command_call(const struct job *j);

/*
 * Answers: a <command/>, to which a form or notes are added before job_send_result().
 * A stage is not 0; actions: enum command_action, usual: the one that is meant when the
 * client says `execute`.
 */
struct xml_el *command_executing(
        struct job *j, unsigned stage, unsigned actions, enum command_action usual);
struct xml_el *command_ended(struct job *j, bool canceled);
void command_note(struct xml_el *command, const char *type, struct str text);
void command_fail(struct job *j, enum command_error e);

/* Stanzas parsed again from bytes of ours (default namespace jabber:client); or NULL.
 */
struct xml_el *stanza_parse(struct worker *w, struct arena *arena, struct str bytes);

/* Counts in the process's status page. */
void worker_count(struct worker *w, enum counter c, uint64_t n);

#endif
