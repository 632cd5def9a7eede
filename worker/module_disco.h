#ifndef WORKER_MODULE_DISCO_H
#define WORKER_MODULE_DISCO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/*
 * Answers to service discovery (XEP-0030), and what they are made of.
 */
struct worker;
struct arena;
struct conf_host;
struct conf_module;
struct jid;
struct xml_el;

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

/* Features of the server or of its accounts, by all modules of the host. */
void module_features(struct worker *w, const struct conf_host *host, bool account,
        void (*each)(void *arg, const char *feature), void *arg);

/* What the option `vcard` of a service says (XEP-0054); NULL: nothing. */
struct xml_el *module_vcard(struct arena *arena, const struct conf_module *options);

/* The domains of the host's services, sorted: how many; the array is in the arena. */
size_t module_services(struct worker *w, const struct conf_host *host,
        struct arena *arena, const struct str **ret);

#endif
