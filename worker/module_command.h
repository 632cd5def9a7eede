#ifndef WORKER_MODULE_COMMAND_H
#define WORKER_MODULE_COMMAND_H

#include <stdbool.h>

#include "base/str.h"

/*
 * Ad-hoc commands (XEP-0050): a module says what it has in module.commands, mod_adhoc
 * lists and calls them.
 */
struct worker;
struct conf_host;
struct jid;
struct job;
struct module;
struct xml_el;

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

#endif
