/*
 * mech.c -- SASL mechanisms and which of them a host offers
 */
#include "auth/mech.h"

#include <errno.h>

#include "conf/conf.h"

static const struct {
    struct str name;
    enum mech_kind kind;
    enum digest digest;
    bool plus;
} mechs[MECHS] = {
#define MECH(ID, name, kind, digest, plus)                                        \
    [MECH_##ID] = { { name, sizeof name - 1 }, MECH_KIND_##kind, DIGEST_##digest, \
        plus },
#include "auth/mech.def"
#undef MECH
};

const char *
mech_name(enum mech m)
{
    return mechs[m].name.p;
}

int
mech_from(struct str name, enum mech *ret_mech)
{
    for (int m = 0; m < MECHS; m++) {
        if (str_eq(mechs[m].name, name)) {
            *ret_mech = (enum mech)m;
            return 0;
        }
    }
    return -ENOENT;
}

enum mech_kind
mech_kind(enum mech m)
{
    return mechs[m].kind;
}

enum digest
mech_digest(enum mech m)
{
    return mechs[m].digest;
}

bool
mech_is_plus(enum mech m)
{
    return mechs[m].plus;
}

const char *
auth_cb_name(enum auth_cb cb)
{
    static const char *const names[AUTH_CBS] = {
        [AUTH_CB_EXPORTER] = "tls-exporter",         /* RFC 9266 */
        [AUTH_CB_UNIQUE] = "tls-unique",             /* RFC 5929, 3 */
        [AUTH_CB_ENDPOINT] = "tls-server-end-point", /* RFC 5929, 4 */
    };

    return names[cb];
}

enum cred_type
cred_type_of(enum digest d)
{
    return (enum cred_type)(CRED_SCRAM_SHA1 + (int)d);
}

void
auth_policy_init(struct auth_policy *policy)
{
    *policy = (struct auth_policy){
        .stored = CRED_BIT(CRED_SCRAM_SHA1),
        .weakest = MECH_PLAIN,
        .digest = DIGEST_SHA1,
        .iterations = AUTH_ITERATIONS,
        .downgrade_protection = true,
    };
}

/* SCRAM needs its own kind of key, or the password to make it from; PLAIN takes any. */
static bool
mech_has_keys(enum mech m, unsigned types)
{
    if (mechs[m].kind == MECH_KIND_PLAIN)
        return types != 0;
    return (types & (CRED_BIT(CRED_PLAIN) | CRED_BIT(cred_type_of(mechs[m].digest)))) !=
           0;
}

unsigned
auth_mechanisms(const struct auth_policy *policy, bool tls, bool has_cb, bool sasl2)
{
    unsigned types = sasl2 ? policy->stored : policy->stored & ~policy->hidden_in_sasl1;
    unsigned offer = 0;

    for (int m = 0; m <= (int)policy->weakest && m < MECHS; m++) {
        if (policy->disabled & 1u << m || !mech_has_keys((enum mech)m, types))
            continue;
        if (mechs[m].plus && !has_cb)
            continue;
        if (mechs[m].kind == MECH_KIND_PLAIN && !tls && !policy->plain_without_tls)
            continue; /* RFC 6120, 13.8.3 */
        offer |= 1u << m;
    }
    return offer;
}

static void
policy_set_disabled(struct auth_policy *policy, const struct conf_strs *names)
{
    for (size_t i = 0; i < names->n; i++) {
        for (int m = 0; m < MECHS; m++) {
            if (str_caseeq(names->at[i], mechs[m].name))
                policy->disabled |= 1u << m;
        }
    }
}

/* conf's bits and ours stand in the same order. */
static unsigned
policy_types(uint32_t conf_bits)
{
    return (unsigned)conf_bits * CRED_BIT(CRED_PLAIN) / CONF_STORE_PLAIN;
}

void
auth_policy_of(const struct conf_host *host, struct auth_policy *ret_policy)
{
    struct auth_policy p;

    auth_policy_init(&p);
    p.digest = (enum digest)host->auth_scram_hash;
    if (host->auth_stored_password_types)
        p.stored = policy_types(host->auth_stored_password_types);
    else if (host->auth_password_format == CONF_PASSWORD_PLAIN)
        p.stored = CRED_BIT(CRED_PLAIN);
    else
        p.stored = CRED_BIT(cred_type_of(p.digest));
    p.hidden_in_sasl1 = policy_types(host->auth_password_types_hidden_in_sasl1);
    p.downgrade_protection = !host->disable_sasl_scram_downgrade_protection;
    policy_set_disabled(&p, &host->disable_sasl_mechanisms);
    *ret_policy = p;
}

_Static_assert((int)CONF_SCRAM_SHA1 == (int)DIGEST_SHA1 &&
                       (int)CONF_SCRAM_SHA512 == (int)DIGEST_SHA512,
        "the hashes stand in the same order in conf/conf.h and auth/digest.def");
_Static_assert(CONF_STORE_SCRAM_SHA512 / CONF_STORE_PLAIN ==
                       (1 << CRED_SCRAM_SHA512) / (1 << CRED_PLAIN),
        "the types stand in the same order in conf/conf.h and auth/mech.h");
