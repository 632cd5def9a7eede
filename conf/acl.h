#ifndef CONF_ACL_H
#define CONF_ACL_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "conf/table.h"

struct conf_binder;

/* How one condition looks at a subject. The _RE and _GLOB kinds keep this order. */
enum conf_cond_kind {
    CONF_COND_ACL, /* names an access control list */
    CONF_COND_USER,
    CONF_COND_SERVER,
    CONF_COND_RESOURCE,
    CONF_COND_USER_RE,
    CONF_COND_SERVER_RE,
    CONF_COND_RESOURCE_RE,
    CONF_COND_NODE_RE,
    CONF_COND_USER_GLOB,
    CONF_COND_SERVER_GLOB,
    CONF_COND_RESOURCE_GLOB,
    CONF_COND_NODE_GLOB,
    CONF_COND_SHARED_GROUP, /* never matches yet */
    CONF_COND_IP
};

struct conf_cond {
    enum conf_cond_kind kind;
    struct str text;         /* name, user, server, resource, pattern */
    struct str server;       /* USER*: the server, or its pattern; unset: any of ours */
    regex_t *re, *server_re; /* *_RE; NULL: matches everything */
    struct conf_net net;
    struct conf_pos pos;
};

/* True when any of them is. */
struct conf_any {
    struct conf_cond *cond;
    size_t n;
};

struct conf_acl {
    struct str name;
    struct conf_any any;
};

enum conf_verdict {
    CONF_VERDICT_DENY,
    CONF_VERDICT_ALLOW,
    CONF_VERDICT_UNLIMITED,
    CONF_VERDICT_NUMBER,
    CONF_VERDICT_SHAPER
};

/* The verdict, if all of the conditions hold. */
struct conf_entry {
    enum conf_verdict verdict;
    uint64_t number;
    struct str shaper;
    struct conf_pos pos;
    struct conf_any *all;
    size_t n;
};

/* The first entry that holds decides. */
struct conf_rule {
    struct str name;
    struct conf_entry *entry;
    size_t n;
};

struct conf_rules {
    struct conf_acl *acl;
    struct conf_rule *access, *shaper;
    size_t n_acls, n_access, n_shapers;
};

/*
 * Compiles what the three options say (NULL: nothing). 0 or -EINVAL (reported); *ret is
 * set in any case.
 */
int conf_rules_new(struct conf_binder *b, const struct conf_node *acl,
        const struct conf_node *access, const struct conf_node *shaper,
        struct conf_rules **ret);

/* A rule written in the place of its name; type is ACCESS or SHAPER_ACCESS. */
int conf_rule_inline(struct conf_binder *b, enum conf_type type, const char *where,
        const char *option, const struct conf_node *node, const struct conf_rule **ret);

const struct conf_acl *conf_rules_acl(const struct conf_rules *rules, struct str name);
const struct conf_rule *conf_rules_access(
        const struct conf_rules *rules, struct str name);
const struct conf_rule *conf_rules_shaper(
        const struct conf_rules *rules, struct str name);

#endif
