#ifndef WORKER_MODULE_CAPS_H
#define WORKER_MODULE_CAPS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/*
 * What clients can do (XEP-0115).
 */
struct worker;
struct conn;

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

#endif
