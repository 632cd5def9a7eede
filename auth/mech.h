#ifndef AUTH_MECH_H
#define AUTH_MECH_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/digest.h"
#include "base/str.h"

/*
 * Which SASL mechanisms there are, and which of them a host offers. Both the worker
 * (for the stream features) and the auth process (which does not take the worker's word
 * for it) ask here; nothing in this file needs a secret.
 */
enum mech {
#define MECH(ID, name, kind, digest, plus) MECH_##ID,
#include "auth/mech.def"
#undef MECH
    MECHS
};

enum mech_kind {
    MECH_KIND_SCRAM,
    MECH_KIND_PLAIN
};

const char *mech_name(enum mech m);
int mech_from(struct str name, enum mech *ret_mech); /* exact; 0 or -ENOENT */
enum mech_kind mech_kind(enum mech m);
enum digest mech_digest(enum mech m); /* of SCRAM */
bool mech_is_plus(enum mech m);

/* Channel binding types, the strongest first (tls-unique is not for TLS 1.3). */
enum auth_cb {
    AUTH_CB_EXPORTER,
    AUTH_CB_UNIQUE,
    AUTH_CB_ENDPOINT,
    AUTH_CBS
};
const char *auth_cb_name(enum auth_cb cb); /* as in XEP-0440: "tls-exporter" */

/*
 * How a password may be kept; the values are those of users.type in ejabberd's schema.
 */
enum cred_type {
    CRED_UNTYPED, /* written before 25.03: the row itself says */
    CRED_PLAIN,
    CRED_SCRAM_SHA1,
    CRED_SCRAM_SHA256,
    CRED_SCRAM_SHA512,
    CRED_TYPES
};
#define CRED_BIT(type) (1u << (type))
enum cred_type cred_type_of(enum digest d);

enum {
    AUTH_ITERATIONS = 4096
}; /* for new SCRAM keys, as ejabberd */

struct conf_host;

/* What the configuration of a host says about credentials; a value, copied freely. */
struct auth_policy {
    unsigned stored;          /* CRED_BITs of new passwords */
    unsigned hidden_in_sasl1; /* CRED_BITs */
    unsigned disabled;        /* 1 << enum mech */
    enum mech weakest;        /* nothing below it in mech.def */
    enum digest digest;       /* auth_scram_hash: to verify PLAIN with */
    uint32_t iterations;
    bool plain_without_tls;
    bool downgrade_protection; /* XEP-0474 */
};

/* ejabberd's defaults, except that passwords are kept as SCRAM keys. */
void auth_policy_init(struct auth_policy *policy);

void auth_policy_of(const struct conf_host *host, struct auth_policy *ret_policy);

/*
 * What to offer on a stream: bits 1 << enum mech. has_cb: channel binding data of at
 * least one type is at hand; sasl2: for XEP-0388 rather than RFC 6120.
 *
 * The list is a matter of the host, never of a user: it is out before there is one, and
 * later it must not tell which accounts exist.
 */
unsigned auth_mechanisms(
        const struct auth_policy *policy, bool tls, bool has_cb, bool sasl2);

#endif
