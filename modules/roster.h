#ifndef MODULES_ROSTER_H
#define MODULES_ROSTER_H

#include "worker/module.h"
#include "xmpp/subscription.h"

/*
 * mod_roster in its parts.
 *
 * A contact is in the database, in the memory of each worker that holds the account,
 * and in the clients. All changes are made in the account's home, one after the other:
 * it works out what changes (roster_set.c, roster_subscription.c, roster_call.c),
 * writes it (roster_change.c), and tells all workers (roster_note.c), which change
 * their memory, push the item to their sessions and show or hide these sessions'
 * presence, all in one transaction. A client's request for its roster is answered from
 * the memory of its worker (roster_get.c), so it finds there what it has got by pushes,
 * and no less.
 */
enum {
    ROSTER_EPOCH = 10,
    ROSTER_NAME_MAX = 1023,
    ROSTER_GROUP_MAX = 1023,
    ROSTER_GROUPS_MAX = 60,  /* so that all together fit into a contact */
    ROSTER_ASK_MAX = 4096,   /* of a request that waits; else only its words are kept */
    ROSTER_STATUS_MAX = 1023 /* of these */
};

/* Numbers of steps survive updates: none may be used again for something else. */
enum roster_step {
    ROSTER_STEP_REQUEST,
    ROSTER_STEP_DIFFERENCES,
    ROSTER_STEP_SET,
    ROSTER_STEP_OUT,
    ROSTER_STEP_IN,
    ROSTER_STEP_CHANGED,
    ROSTER_STEP_CALL_GET,
    ROSTER_STEP_CALL_COUNT,
    ROSTER_STEP_CALL_ADD,
    ROSTER_STEP_CALL_DELETE,
    ROSTER_STEPS
};

/* Of one host. */
struct roster_config {
    const struct conf_host *host;
    struct conf_access access;
    bool versioning, stored; /* store_current_id */
    uint64_t max_items, max_requests;
};

/* What an account has beside its contacts: where its versions stand (RFC 6121, 2.6). */
struct roster {
    uint64_t n;
    bool known; /* the version in the database is of these contacts, and of our making
                 */
    bool log;   /* the database knows what has changed */
    char epoch[ROSTER_EPOCH + 1];
};

/* --- roster_part.c: contacts as the database has them --- */

void *roster_load(struct account *a, void *config, const struct sql_result *rows);
void roster_free(void *part);

struct subscription roster_subscription(const struct contact *c);
/* The contact's bits for this subscription; those that are not about it stay. */
uint8_t roster_bits(struct subscription s, uint8_t before);

/* Is it an item of the roster, as clients see it? */
bool roster_is_shown(const struct contact *c);
size_t roster_count(const struct contacts *cs, uint8_t bit);

/* Of all contacts (or one) that are in the database, in whatever order. */
uint64_t roster_hash(const struct contacts *cs);
uint64_t roster_hash_one(const struct contact *c);

/* --- roster_version.c --- */

/* As clients are told; as it is stored, with the hash of what it is the version of. */
void roster_version_write(struct buf *out, const char *epoch, uint64_t n);
void roster_version_store(
        struct buf *out, const char *epoch, uint64_t n, uint64_t hash);

struct roster_version {
    struct str epoch;
    uint64_t n, hash;
    bool has_hash;
};
bool roster_version_parse(struct str text, struct roster_version *ret);

/* Can an older version be told from it by what the database knows? */
bool roster_has_log(struct account *a, const struct roster_config *config);

/* The one that is in force in this worker. */
void roster_version_now(
        struct buf *out, struct account *a, const struct roster_config *config);

/* --- roster_item.c: items as XML --- */

/* <item …>…</item>; gone: with subscription='remove'. */
void roster_item_write(struct buf *out, const struct contact *c, bool gone);

/* A push for one session (2.1.6). version.p NULL: without. */
void roster_push_write(struct buf *out, struct str full, struct str version,
        const struct contact *c, bool gone);

/*
 * The item of a roster set (2.1.5, 2.3.3), its groups in the buffer: 0; 1: it is to be
 * removed; or -1 with the error to be answered.
 */
int roster_item_read(struct arena *arena, const struct xml_el *query, struct jid own,
        struct buf *groups, struct contact *ret, enum stanza_error *ret_error);

/* --- roster_change.c: a change on its way --- */

enum roster_origin {
    ROSTER_BY_SET,
    ROSTER_BY_OUT,
    ROSTER_BY_IN,
    ROSTER_BY_CALL
};

enum roster_flag {
    ROSTER_WRITE = 1 << 0, /* the contact differs from before */
    ROSTER_GONE = 1 << 1,  /* there is no such contact any more */
    ROSTER_PUSH = 1 << 2,
    ROSTER_TO_AVAILABLE = 1 << 3,  /* the stanza is for available sessions, */
    ROSTER_TO_INTERESTED = 1 << 4, /* for those that get pushes */
    ROSTER_SHOW = 1 << 5,          /* the contact sees us from now on */
    ROSTER_SHOW_ALL = 1 << 6,      /* the same, and it does not look by itself */
    ROSTER_HIDE = 1 << 7,          /* it does not see us any more */
    ROSTER_PROBE = 1 << 8,         /* we see the contact from now on */
    ROSTER_REMOVED = 1 << 9,       /* the item is no more; the contact may be */
    ROSTER_FORGET = 1 << 10        /* the contact does not let us see it any more */
};

/* Of one contact: kept by the job that writes it, then told to all workers. */
struct roster_change {
    uint64_t n;
    uint64_t began_ms, when_ms; /* the home heard of it; it was written */
    uint32_t acts;  /* enum subscription_act: what is sent in the user's name */
    uint16_t flags; /* enum roster_flag */
    uint8_t origin, tries;
    struct contact contact;
    struct str epoch;
    struct str stanza;
};
void roster_change_pack(struct buf *out, const struct roster_change *ch);
bool roster_change_unpack(struct str data, struct roster_change *ret);

/* The flags for what the tables of subscriptions say is to be done. */
void roster_change_take(struct roster_change *ch, const struct subscription_result *r,
        const struct conf_host *host);

/* Writes it if need be; then all that follows. The job ends with it. */
void roster_change_begin(struct job *j, struct roster_change *ch);
void roster_changed(struct job *j, const struct sql_result *result);

/* A subscription stanza in the account's name. false: nobody there. */
bool roster_send(struct worker *w, struct str from, const struct jid *to,
        enum presence_type type);

/* --- roster_note.c: what each worker does --- */

void roster_note(struct event *e, unsigned what, struct str data);
/* A contact that is not ours to write: pushed all the same. */
enum hook_result roster_on_contact(struct event *e);

/* --- roster_get.c, roster_set.c, roster_subscription.c, roster_call.c --- */

void roster_request(struct job *j, const struct sql_result *result);
void roster_differences(struct job *j, const struct sql_result *result);

/* In the worker of the session: what can be said before the home is asked. */
void roster_set_begin(struct job *j);
void roster_set(struct job *j, const struct sql_result *result);
/* The item is to be removed, with all that this means for its contact. */
void roster_remove(struct job *j, const struct contact *before, uint8_t origin);

bool roster_may_change(const struct roster_config *config, struct jid who);
enum hook_result roster_on_out(struct event *e);
enum hook_result roster_on_in(struct event *e);
void roster_out(struct job *j, const struct sql_result *result);
void roster_in(struct job *j, const struct sql_result *result);
/* The requests that wait are delivered again (3.1.3). */
enum hook_result roster_on_presence(struct event *e);
enum hook_result roster_on_user_removed(struct event *e);

extern const struct module_call roster_calls[];
void roster_call_get(struct job *j, const struct sql_result *result);
void roster_call_count(struct job *j, const struct sql_result *result);
void roster_call_add(struct job *j, const struct sql_result *result);
void roster_call_delete(struct job *j, const struct sql_result *result);

#endif
