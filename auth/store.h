#ifndef AUTH_STORE_H
#define AUTH_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/digest.h"
#include "auth/mech.h"
#include "base/str.h"

struct arena;

/*
 * What is stored of one account, as rows of ejabberd's table `users` and as keys to
 * check with. Passwords in plain text exist here, so whoever has a struct creds on the
 * stack calls creds_wipe() before it goes.
 */
enum {
    CRED_SALT_MAX = 128,
    CRED_PASSWORD_MAX = 1024, /* bytes of UTF-8 */
    CRED_ITERATIONS_MAX =
            1000000, /* a row that asks for more is damaged, or an attack */
    CRED_ROWS_MAX = 8
};

/* The columns as they are; texts are base64 but for a plain password. */
struct cred_row {
    unsigned type; /* enum cred_type; 0 when the schema has no such column */
    struct str password, serverkey, salt;
    uint32_t iterations;
};

/* RFC 5802: what is enough to verify, but not to log in. */
struct scram_keys {
    uint8_t stored[DIGEST_SIZE_MAX], server[DIGEST_SIZE_MAX];
};

struct cred {
    bool set;
    uint8_t n_salt, salt[CRED_SALT_MAX];
    uint32_t iterations;
    struct scram_keys keys;
};

/* An account may be closed; its owner learns that after proving to be the owner. */
enum creds_state {
    CREDS_ACTIVE,
    CREDS_DISABLED,
    CREDS_EXPIRED
};

struct creds {
    enum creds_state state;
    struct cred scram[DIGESTS];
    bool has_plain;
    uint16_t n_plain;
    char plain[CRED_PASSWORD_MAX];
};

/*
 * Adds what a row holds. All variants are understood: types 1 to 4, and 0 with its
 * `sha256:` and `sha512:` prefixes. -EINVAL: the row is damaged, and was left out.
 */
int creds_add_row(struct creds *c, const struct cred_row *row);

bool creds_empty(const struct creds *c);
void creds_wipe(struct creds *c);

/* One PBKDF2. The password is taken as it is (see password_prep). */
void scram_keys_derive(enum digest d, struct str password, struct str salt,
        uint32_t iterations, struct scram_keys *ret_keys);

/*
 * A password as it goes into PBKDF2 (SASLprep; unassigned code points are let through,
 * or nobody had emoji). 0 or -EINVAL: empty, too long, not UTF-8, forbidden characters.
 */
int password_prep(struct arena *arena, struct str password, struct str *ret_prepared);

/*
 * The rows to store for a new password, by policy->stored: 0 with *ret_n rows whose
 * text is in the arena, -EINVAL when the password cannot be one. One PBKDF2 per SCRAM
 * row.
 */
int creds_make(struct arena *arena, const struct auth_policy *policy,
        struct str password, struct cred_row ret_rows[CRED_ROWS_MAX], size_t *ret_n);

/*
 * Is this the password? Always one PBKDF2 for each form of it (as given, and SASLprep'd
 * when that differs), whatever is stored: also against creds that are empty, with the
 * salt given for such.
 */
bool creds_verify(const struct creds *c, const struct auth_policy *policy,
        struct arena *scratch_arena, struct str password, struct str salt_if_none);

#endif
