#ifndef MODULES_REGISTER_H
#define MODULES_REGISTER_H

#include "worker/module.h"

/*
 * mod_register: requests (mod_register.c), new accounts (register_new.c), and what
 * those who have one may do with it (register_own.c).
 */
enum {
    REGISTER_STEP_REQUEST,
    REGISTER_STEP_MADE,
    REGISTER_STEP_CHANGE,
    REGISTER_STEP_CHANGED,
    REGISTER_STEPS
};

struct register_config {
    struct conf_access access, access_from, access_remove, ip_access;
    const struct conf_node *watchers;
    struct str redirect_url, subject, body; /* p == NULL or n == 0: none */
    uint64_t strength;
    bool closed;      /* other modules only make accounts */
    bool unencrypted; /* also without TLS */
};

/* What a request says. */
struct register_fields {
    struct str user, password; /* p == NULL: not given; user as it came */
};

/* Who asks; views. source: the address, or who is logged in; text: room for it. */
struct register_asker {
    struct conf_subject who; /* of which access_from and access_remove are asked */
    struct sockaddr_storage ip;
    struct str source;
    char text[64];
    bool encrypted;
};
void register_asker(struct job *j, struct register_asker *ret);

/* May somebody from there make an account at all? false: *ret_error, and *ret_text. */
bool register_is_open(const struct register_config *config,
        const struct conf_host *host, const struct sockaddr *ip, bool encrypted,
        enum stanza_error *ret_error, const char **ret_text);

/* modules/register_password.c: is it as strong as password_strength wants (bits)? */
bool register_is_strong(struct str password, uint64_t bits);

/* modules/register_new.c */
void register_new(struct job *j, const struct register_fields *fields,
        const struct register_asker *asker);
void register_made(struct job *j, const struct sql_result *result);

/* modules/register_own.c */
void register_change(
        struct job *j, struct str password, const struct register_asker *asker);
void register_remove(struct job *j, const struct register_asker *asker);
void register_change_home(struct job *j, const struct sql_result *result);
void register_changed(struct job *j, const struct sql_result *result);

#endif
