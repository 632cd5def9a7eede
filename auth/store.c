/*
 * store.c -- stored credentials: rows of ejabberd's table `users`, and keys
 *
 * A row of type 1 holds a password, types 2 to 4 a SCRAM key each. Rows of type 0 come
 * from versions that kept one row per account: a password when the other columns are
 * empty, otherwise a SCRAM key that names its hash by a prefix (none: SHA-1).
 *
 * SCRAM clients prepare the password themselves. ejabberd hashes what an administrator
 * typed without preparing it, so for a password of which SASLprep makes another one,
 * PLAIN tries both forms; that depends on the password alone and tells nothing about
 * the account.
 */
#include "auth/store.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "xmpp/jid.h"

enum {
    NEW_SALT_SIZE = 16
};

static const struct str digest_prefix[DIGESTS] = {
#define DIGEST(ID, ossl, size, name, prefix) \
    [DIGEST_##ID] = { prefix, sizeof prefix - 1 },
#include "auth/digest.def"
#undef DIGEST
};

static struct str
bytes_of(const uint8_t *p, size_t n)
{
    return (struct str){ (const char *)p, n };
}

/* Exactly `size` bytes, or up to it when `size_min` is smaller. */
static int
decode(struct str text, size_t size_min, size_t size, uint8_t *ret_bytes, size_t *ret_n)
{
    struct buf b = { 0 };
    int r = text.n > size * 2 + 4 ? -EINVAL : b64_decode(&b, text);

    if (r == 0 && (b.n < size_min || b.n > size))
        r = -EINVAL;
    if (r == 0) {
        memcpy(ret_bytes, b.p, b.n);
        *ret_n = b.n;
    }
    if (b.p)
        mem_wipe(b.p, b.n);
    buf_fini(&b);
    return r;
}

static int
creds_add_plain(struct creds *c, struct str password)
{
    if (password.n == 0 || password.n > sizeof c->plain)
        return -EINVAL;
    memcpy(c->plain, password.p, password.n);
    c->n_plain = (uint16_t)password.n;
    c->has_plain = true;
    return 0;
}

static int
creds_add_scram(struct creds *c, enum digest d, const struct cred_row *row)
{
    struct cred k = { .set = true, .iterations = row->iterations };
    struct str prefix = digest_prefix[d], stored = row->password;
    size_t size = digest_size(d), n = 0, n_salt = 0;
    int r = -EINVAL;

    if (prefix.n && str_starts(stored, prefix))
        stored = (struct str){ stored.p + prefix.n, stored.n - prefix.n };
    if (row->iterations == 0 || row->iterations > CRED_ITERATIONS_MAX)
        goto out;
    if (decode(stored, size, size, k.keys.stored, &n) < 0 ||
            decode(row->serverkey, size, size, k.keys.server, &n) < 0 ||
            decode(row->salt, 1, CRED_SALT_MAX, k.salt, &n_salt) < 0)
        goto out;
    k.n_salt = (uint8_t)n_salt;
    c->scram[d] = k;
    r = 0;
out:
    mem_wipe(&k, sizeof k);
    return r;
}

int
creds_add_row(struct creds *c, const struct cred_row *row)
{
    enum digest d = DIGEST_SHA1;

    switch (row->type) {
    case CRED_UNTYPED:
        if (row->serverkey.n == 0 && row->salt.n == 0 && row->iterations == 0)
            return creds_add_plain(c, row->password);
        for (int i = 0; i < DIGESTS; i++) {
            if (digest_prefix[i].n && str_starts(row->password, digest_prefix[i]))
                d = (enum digest)i;
        }
        return creds_add_scram(c, d, row);
    case CRED_PLAIN:
        return creds_add_plain(c, row->password);
    case CRED_SCRAM_SHA1:
    case CRED_SCRAM_SHA256:
    case CRED_SCRAM_SHA512:
        return creds_add_scram(c, (enum digest)(row->type - CRED_SCRAM_SHA1), row);
    default: /* a number from outside, not one of our values */
        return -EINVAL;
    }
}

bool
creds_empty(const struct creds *c)
{
    bool any = c->has_plain;

    for (int d = 0; d < DIGESTS; d++)
        any |= c->scram[d].set;
    return !any;
}

void
creds_wipe(struct creds *c)
{
    mem_wipe(c, sizeof *c);
}

void
scram_keys_derive(enum digest d, struct str password, struct str salt,
        uint32_t iterations, struct scram_keys *ret_keys)
{
    uint8_t salted[DIGEST_SIZE_MAX], client[DIGEST_SIZE_MAX];
    struct str key = bytes_of(salted, digest_size(d));

    digest_pbkdf2(d, password, salt, iterations, salted);
    digest_hmac(d, key, &STR("Client Key"), 1, client);
    digest_hash(d, bytes_of(client, digest_size(d)), ret_keys->stored);
    digest_hmac(d, key, &STR("Server Key"), 1, ret_keys->server);
    mem_wipe(salted, sizeof salted);
    mem_wipe(client, sizeof client);
}

int
password_prep(struct arena *arena, struct str password, struct str *ret_prepared)
{
    struct str prepared;
    int r;

    if (password.n == 0 || password.n > CRED_PASSWORD_MAX)
        return -EINVAL;
    r = jid_saslprep(arena, password, JID_QUERY, &prepared);
    if (r < 0)
        return r;
    if (prepared.n == 0 || prepared.n > CRED_PASSWORD_MAX)
        return -EINVAL;
    *ret_prepared = prepared;
    return 0;
}

static struct str
encode(struct arena *arena, struct str bytes)
{
    struct buf b = { 0 };
    struct str text;

    b64_encode(&b, bytes);
    text = str_dup(arena, buf_str(&b));
    buf_fini(&b);
    return text;
}

static struct cred_row
cred_row_make(
        struct arena *arena, enum digest d, uint32_t iterations, struct str password)
{
    uint8_t salt[NEW_SALT_SIZE];
    struct scram_keys keys;
    struct cred_row row = { .type = cred_type_of(d), .iterations = iterations };
    size_t size = digest_size(d);

    rand_bytes(salt, sizeof salt);
    scram_keys_derive(d, password, bytes_of(salt, sizeof salt), iterations, &keys);
    row.password = encode(arena, bytes_of(keys.stored, size));
    row.serverkey = encode(arena, bytes_of(keys.server, size));
    row.salt = encode(arena, bytes_of(salt, sizeof salt));
    mem_wipe(&keys, sizeof keys);
    return row;
}

int
creds_make(struct arena *arena, const struct auth_policy *policy, struct str password,
        struct cred_row ret_rows[CRED_ROWS_MAX], size_t *ret_n)
{
    struct str prepared;
    size_t n = 0;
    int r = password_prep(arena, password, &prepared);

    if (r < 0)
        return r;
    if (policy->stored & CRED_BIT(CRED_PLAIN))
        ret_rows[n++] = (struct cred_row){ .type = CRED_PLAIN,
            .password = str_dup(arena, prepared),
            .serverkey = STR(""),
            .salt = STR("") };
    for (int i = 0; i < DIGESTS; i++) {
        enum digest d = (enum digest)i;

        if (policy->stored & CRED_BIT(cred_type_of(d)))
            ret_rows[n++] = cred_row_make(arena, d, policy->iterations, prepared);
    }
    *ret_n = n;
    return n ? 0 : -EINVAL;
}

/* The key to compare with: of the configured hash, or else the strongest. */
static const struct cred *
creds_pick(const struct creds *c, enum digest wanted, enum digest *ret_digest)
{
    *ret_digest = wanted;
    if (c->scram[wanted].set)
        return &c->scram[wanted];
    for (int d = DIGESTS - 1; d >= 0; d--) {
        if (c->scram[d].set) {
            *ret_digest = (enum digest)d;
            return &c->scram[d];
        }
    }
    return NULL;
}

static bool
creds_verify_form(const struct creds *c, const struct auth_policy *policy,
        struct str password, struct str salt_if_none)
{
    enum digest d;
    const struct cred *k = creds_pick(c, policy->digest, &d);
    struct str salt = k ? bytes_of(k->salt, k->n_salt) : salt_if_none;
    struct scram_keys keys;
    bool is;

    scram_keys_derive(d, password, salt, k ? k->iterations : policy->iterations, &keys);
    if (k)
        is = str_eq_secret(bytes_of(keys.stored, digest_size(d)),
                bytes_of(k->keys.stored, digest_size(d)));
    else
        is = c->has_plain &&
             str_eq_secret(password, (struct str){ c->plain, c->n_plain });
    mem_wipe(&keys, sizeof keys);
    return is;
}

bool
creds_verify(const struct creds *c, const struct auth_policy *policy,
        struct arena *scratch_arena, struct str password, struct str salt_if_none)
{
    struct str prepared = STR_NULL;
    bool is;

    if (password.n == 0 || password.n > CRED_PASSWORD_MAX)
        return false;
    is = creds_verify_form(c, policy, password, salt_if_none);
    if (password_prep(scratch_arena, password, &prepared) == 0 &&
            !str_eq(prepared, password))
        is |= creds_verify_form(c, policy, prepared, salt_if_none);
    return is;
}
