#ifndef MODULES_CAPS_H
#define MODULES_CAPS_H

#include "base/hash.h"
#include "base/list.h"
#include "worker/module.h"
#include "xmpp/caps.h"

/* What the parts of mod_caps share. */

enum {
    CAPS_STEP_FIND,
    CAPS_STEP_FOUND,
    CAPS_STEP_WAITED,
    CAPS_STEP_ANSWERED,
    CAPS_STEPS
};

enum {
    CAPS_FEATURES_MAX = 1000,
    CAPS_TEXT_MAX = 64 << 10 /* bytes of all features of a client */
};

/* Of one host. The rest is heap that can be rebuilt. */
struct caps_config {
    const struct conf_host *host;
    struct conf_cache settings;
    struct map known; /* by key */
    struct list used; /* those that were used longest ago first */
    size_t n;
    struct map asked; /* sessions with a question that is under way (caps_ask.c) */
    struct str own_ver;
    char own_ver_text[64];
};

/*
 * The cache of what was verified. A key is what a client announces: its hash, node and
 * ver, with newlines between.
 */
struct client_caps *caps_cache_get(
        struct caps_config *config, const struct worker *w, struct str key);
void caps_cache_put(
        struct caps_config *config, const struct worker *w, struct client_caps *caps);
void caps_cache_fini(struct caps_config *config);

/* Finding out what the client of a session can do: its presence is new. */
void caps_examine(struct event *e, struct conn *c);
void caps_asked_forget(struct caps_config *config, uint64_t conn);
void caps_ask_fini(struct caps_config *config);

extern const job_fn caps_steps[CAPS_STEPS];

#endif
