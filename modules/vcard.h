#ifndef MODULES_VCARD_H
#define MODULES_VCARD_H

#include "worker/module.h"
#include "xmpp/vcard.h"

/* What the parts of mod_vcard share. */

enum {
    VCARD_STEP_GET,
    VCARD_STEP_GOT,
    VCARD_STEP_SET,
    VCARD_STEP_STORED,
    VCARD_STEP_FORBIDDEN,
    VCARD_STEP_SERVER,
    VCARD_STEP_SERVICE,
    VCARD_STEP_FOUND,
    VCARD_STEP_SEARCH,
    VCARD_STEP_COMMAND_GET,
    VCARD_STEP_COMMAND_GET_MULTI,
    VCARD_STEP_COMMAND_GOT,
    VCARD_STEP_COMMAND_GOT_MULTI,
    VCARD_STEP_COMMAND_SET,
    VCARD_STEP_COMMAND_SET_MULTI,
    VCARD_STEP_COMMAND_SET_NICKNAME,
    VCARD_STEP_COMMAND_TO_CHANGE,
    VCARD_STEP_COMMAND_CHANGED,
    VCARD_STEPS
};

struct vcard_config {
    const struct conf_host *host;
    const struct conf_module *options;
    uint64_t size_max, matches;
    bool search, all_hosts, allow_return_all;
    struct arena arena;
    struct xml_el *of_server; /* in it */
};

/* Asks for the vCard of an account of the job's host; and the tree of what was found:
 * NULL: there is none, or it is damaged. */
void vcard_ask(struct job *j, unsigned step, struct str user);
struct xml_el *vcard_of(struct job *j, const struct sql_result *result);

/* Stores it, with the row that is searched; and tells others that it is stored. */
void vcard_store(
        struct job *j, unsigned step, struct str user, const struct xml_el *vcard);
void vcard_tell(struct job *j, struct xml_el *vcard);

/* Is this too large? Its bytes count as they are stored. */
bool vcard_is_large(struct job *j, const struct xml_el *vcard);

/* vcard_search.c: the service that finds users. */
extern const struct module_service vcard_service;
void vcard_service_step(struct job *j, const struct sql_result *result);
void vcard_search_found(struct job *j, const struct sql_result *result);
void vcard_search_step(struct job *j, const struct sql_result *result);

/* vcard_command.c: what administrators ask. */
extern const struct module_call vcard_calls[];
void vcard_command_get(struct job *j, const struct sql_result *result);
void vcard_command_get_multi(struct job *j, const struct sql_result *result);
void vcard_command_got(struct job *j, const struct sql_result *result);
void vcard_command_got_multi(struct job *j, const struct sql_result *result);
void vcard_command_set(struct job *j, const struct sql_result *result);
void vcard_command_set_multi(struct job *j, const struct sql_result *result);
void vcard_command_set_nickname(struct job *j, const struct sql_result *result);
void vcard_command_to_change(struct job *j, const struct sql_result *result);
void vcard_command_changed(struct job *j, const struct sql_result *result);

#endif
