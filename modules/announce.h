#ifndef MODULES_ANNOUNCE_H
#define MODULES_ANNOUNCE_H

#include "worker/module.h"

/*
 * mod_announce in its parts: announcements to everybody who has an account or is
 * online, and the message of the day.
 *
 * Everything that is announced is a job which goes through the accounts, or in each
 * worker through its sessions, in portions: what was sent and how far the job is come
 * true in one transaction.
 */
enum announce_kind {
    ANNOUNCE_ALL,
    ANNOUNCE_ONLINE,
    ANNOUNCE_MOTD,
    ANNOUNCE_MOTD_UPDATE,
    ANNOUNCE_MOTD_DELETE
};

/* Numbers of steps survive updates: none may be used again for something else. */
enum announce_step {
    ANNOUNCE_STEP_BEGIN,
    ANNOUNCE_STEP_ACCOUNTS, /* announce_send.c */
    ANNOUNCE_STEP_PAGE,
    ANNOUNCE_STEP_SESSIONS,
    ANNOUNCE_STEP_MARKED,
    ANNOUNCE_STEP_CHANGED, /* announce_motd.c */
    ANNOUNCE_STEP_LOOK,
    ANNOUNCE_STEP_FOUND,
    ANNOUNCE_STEP_SEEN,
    ANNOUNCE_STEP_COMMAND, /* announce_command.c */
    ANNOUNCE_STEP_COMMAND_FORM,
    ANNOUNCE_STEP_CALL_ALL, /* announce_call.c */
    ANNOUNCE_STEP_CALL_ONLINE,
    ANNOUNCE_STEP_CALL_MOTD,
    ANNOUNCE_STEP_CALL_UPDATE,
    ANNOUNCE_STEP_CALL_DELETE,
    ANNOUNCE_STEP_CALL_GET,
    ANNOUNCE_STEP_CALL_GOT,
    ANNOUNCE_STEPS
};

/* Of one host. */
struct announce {
    struct conf_access access;
    uint64_t serial;  /* of what is said of the message of the day */
    uint64_t none_ms; /* there is none, until then (worker_now_ms()) */
};

/* What notify() is told. */
enum announce_note {
    ANNOUNCE_NOTE_ONLINE,
    ANNOUNCE_NOTE_MOTD_ONLINE, /* a new one, for those who are online */
    ANNOUNCE_NOTE_MOTD         /* there is a new one, or none any more */
};

/* May this address announce something here, or everywhere? */
bool announce_is_allowed(struct worker *w, const struct module *m,
        const struct conf_host *host, bool all_hosts, const struct jid *who);

/*
 * Begins to do it, on the host or on all that have the module; from: the host that was
 * addressed. The message stays as it is.
 */
void announce_begin(struct worker *w, const struct module *m,
        const struct conf_host *from, bool all_hosts, enum announce_kind kind,
        const struct xml_el *message);

/* A message of our own making; type NULL: normal. */
struct xml_el *announce_message(struct arena *arena, const struct conf_host *host,
        const char *type, struct str subject, struct str body);

/* announce_send.c */
void announce_accounts(struct job *j, const struct sql_result *result);
void announce_page(struct job *j, const struct sql_result *result);
void announce_sessions(struct job *j, const struct sql_result *result);
void announce_marked(struct job *j, const struct sql_result *result);
void announce_to_accounts(struct job *j);
void announce_to_sessions(struct event *e, struct str message, bool motd);
/* From the domain to one address. */
void announce_send(
        struct job *j, struct xml_el *message, struct str domain, const struct jid *to);

/* announce_motd.c */
void announce_motd(struct job *j, enum announce_kind kind);
void announce_changed(struct job *j, const struct sql_result *result);
enum hook_result announce_on_presence(struct event *e);
void announce_look(struct job *j, const struct sql_result *result);
void announce_found(struct job *j, const struct sql_result *result);
void announce_seen(struct job *j, const struct sql_result *result);
void announce_forget(struct announce *cf);

/* announce_command.c */
extern const struct module_command announce_commands[];
enum hook_result announce_on_disco_info(struct event *e);
enum hook_result announce_on_disco_items(struct event *e);
void announce_command(struct job *j, const struct sql_result *result);
void announce_command_form(struct job *j, const struct sql_result *result);

/* announce_call.c */
extern const struct module_call announce_calls[];
void announce_call_all(struct job *j, const struct sql_result *result);
void announce_call_online(struct job *j, const struct sql_result *result);
void announce_call_motd(struct job *j, const struct sql_result *result);
void announce_call_update(struct job *j, const struct sql_result *result);
void announce_call_delete(struct job *j, const struct sql_result *result);
void announce_call_get(struct job *j, const struct sql_result *result);
void announce_call_got(struct job *j, const struct sql_result *result);

#endif
