/*
 * sasl.c -- the server's side of a SASL dialogue
 *
 *     START ──> FIRST ──> CREDS ──> FINAL ──> DONE
 *       └───────────────────^  └──── PLAIN ─────^
 *
 * What an attacker must not learn is which accounts exist. So a user that is not there,
 * or has no key for the mechanism, gets a salt of its own all the same (an HMAC of the
 * name under the service's secret, so that asking twice gives the same), the iteration
 * count of new accounts, and keys that no password has; the exchange goes to its end
 * and fails in the one place where a wrong password fails, after the same computations.
 * An account kept in plain text is given the very same salt, because a salt that
 * changes or does not exist would give it away.
 *
 * How many PBKDF2 there are depends on the policy of the host and on what the client
 * sent, not on the account. The exception is an account in plain text on a host that
 * now stores keys only: there SCRAM takes one where the others take none, until the
 * password is changed.
 */
#include "auth/sasl.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "auth/scram.h"
#include "base/arena.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "xmpp/jid.h"

enum sasl_state {
    SASL_START,
    SASL_FIRST,
    SASL_CREDS,
    SASL_FINAL,
    SASL_DONE
};

enum {
    SASL_MAGIC = 0x7361736c,
    FAKE_SALT_SIZE = 16
};

struct sasl_cb {
    uint8_t n, data[SASL_CB_DATA_MAX];
};

struct sasl {
    uint32_t magic;
    enum sasl_state state;
    enum mech mech;
    bool refused; /* before it began: failure says why */
    bool offers_plus;
    bool was_guess;
    enum sasl_error failure;
    const char *reason;
    const uint8_t *secret;
    struct auth_policy policy;
    struct sasl_cb cb[AUTH_CBS];
    struct buf host, user, out;
    struct buf password; /* PLAIN: between FIRST and CREDS */

    /* SCRAM */
    struct buf ssdp;    /* base64 hash of XEP-0474, or empty */
    struct buf channel; /* what c= has to be, in base64 */
    struct buf nonce;   /* the client's, then both */
    struct buf message; /* AuthMessage as far as it is known */
    struct scram_keys keys;
    bool known; /* keys belong to a password */
    enum creds_state account;
};

static struct str
bytes_of(const uint8_t *p, size_t n)
{
    return (struct str){ (const char *)p, n };
}

static enum sasl_status
sasl_fail(struct sasl *s, enum sasl_error failure, const char *reason)
{
    s->state = SASL_DONE;
    s->failure = failure;
    s->reason = reason;
    buf_reset(&s->out, 0);
    return SASL_FAILURE;
}

static bool
is_offered(const struct sasl_start *start, struct str name)
{
    for (size_t i = 0; i < start->n_offered; i++) {
        if (str_eq(start->offered[i], name))
            return true;
    }
    return false;
}

static bool
has_cb(const struct sasl *s)
{
    bool any = false;

    for (int i = 0; i < AUTH_CBS; i++)
        any |= s->cb[i].n > 0;
    return any;
}

/* XEP-0474: a hash over everything that was offered, in an order of its own. */
static void
sasl_make_ssdp(struct sasl *s, const struct sasl_start *start)
{
    struct str mechs[SASL_OFFERED_MAX], types[AUTH_CBS];
    enum digest d = mech_digest(s->mech);
    uint8_t hash[DIGEST_SIZE_MAX];
    struct buf text = { 0 };
    size_t n_types = 0;

    for (size_t i = 0; i < start->n_offered; i++)
        mechs[i] = start->offered[i];
    for (int i = 0; i < AUTH_CBS; i++) {
        if (s->cb[i].n)
            types[n_types++] = str_from(auth_cb_name((enum auth_cb)i));
    }
    scram_write_ssdp(&text, mechs, start->n_offered, types, n_types);
    digest_hash(d, buf_str(&text), hash);
    b64_encode(&s->ssdp, bytes_of(hash, digest_size(d)));
    buf_fini(&text);
}

/* 0, or why this dialogue must not begin. */
static void
sasl_check_start(struct sasl *s, const struct sasl_start *start)
{
    unsigned allowed;

    s->refused = true;
    s->failure = SASL_ERROR_INVALID_MECHANISM;
    s->reason = "no such mechanism";
    if (mech_from(start->mechanism, &s->mech) < 0)
        return;
    s->reason = "mechanism is disabled";
    if (s->policy.disabled & 1u << s->mech)
        return;
    if (s->mech > s->policy.weakest) {
        s->failure = SASL_ERROR_MECHANISM_TOO_WEAK;
        s->reason = "mechanism is below the host's minimum";
        return;
    }
    if (s->mech == MECH_PLAIN && !start->tls && !s->policy.plain_without_tls) {
        s->failure = SASL_ERROR_ENCRYPTION_REQUIRED;
        s->reason = "PLAIN without TLS";
        return;
    }
    allowed = auth_mechanisms(&s->policy, start->tls != 0, has_cb(s), true);
    s->reason = "mechanism was not offered";
    if (!(allowed & 1u << s->mech) || !is_offered(start, start->mechanism))
        return;
    s->refused = false;
    s->reason = NULL;
}

struct sasl *
sasl_new(const struct sasl_start *start)
{
    struct sasl *s = mem_zalloc(sizeof *s);

    s->magic = SASL_MAGIC;
    s->mech = MECH_PLAIN;
    s->secret = start->secret;
    s->policy = *start->policy;
    buf_add_str(&s->host, start->host);
    if (start->n_offered > SASL_OFFERED_MAX) {
        s->refused = true;
        s->failure = SASL_ERROR_TEMPORARY_AUTH_FAILURE;
        s->reason = "too many mechanisms in the list of the worker";
        return s;
    }
    for (int i = 0; i < AUTH_CBS; i++) {
        struct str data = start->cb_data[i];

        if (data.n > SASL_CB_DATA_MAX || (i == AUTH_CB_UNIQUE && start->tls > 12))
            continue;
        if (data.n)
            memcpy(s->cb[i].data, data.p, data.n);
        s->cb[i].n = (uint8_t)data.n;
    }
    for (size_t i = 0; i < start->n_offered; i++)
        s->offers_plus |= str_ends(start->offered[i], STR("-PLUS"));
    sasl_check_start(s, start);
    if (!s->refused && mech_kind(s->mech) == MECH_KIND_SCRAM &&
            s->policy.downgrade_protection)
        sasl_make_ssdp(s, start);
    return s;
}

static void
secret_fini(struct buf *b)
{
    if (b->p)
        mem_wipe(b->p, b->size);
    buf_fini(b);
}

void
sasl_free(struct sasl **sasl)
{
    struct sasl *s = *sasl;

    if (!s)
        return;
    assert(s->magic == SASL_MAGIC);
    secret_fini(&s->password);
    buf_fini(&s->host);
    buf_fini(&s->user);
    buf_fini(&s->out);
    buf_fini(&s->ssdp);
    buf_fini(&s->channel);
    buf_fini(&s->nonce);
    buf_fini(&s->message);
    mem_wipe(s, sizeof *s);
    mem_free(sasl);
}

/*
 * Takes the user's name and whom the client wants to be. Not here: whether there is
 * such a user. A name that nodeprep refuses belongs to nobody, which is no secret.
 */
static enum sasl_status
sasl_identify(struct sasl *s, struct str name, struct str authzid)
{
    struct arena a;
    struct str user;
    struct jid jid;
    enum sasl_status status = SASL_WANT_CREDS;

    arena_init(&a, 1024);
    if (jid_prep_local(&a, name, &user) < 0) {
        status = sasl_fail(s, SASL_ERROR_NOT_AUTHORIZED, "impossible user name");
        goto out;
    }
    if (authzid.n) {
        if (jid_parse(&a, authzid, &jid) < 0 || !jid_is_bare(&jid) ||
                !str_eq(jid.local, user) || !str_eq(jid.domain, buf_str(&s->host))) {
            status = sasl_fail(s, SASL_ERROR_INVALID_AUTHZID, "wants to be another");
            goto out;
        }
    }
    buf_add_str(&s->user, user);
    s->state = SASL_CREDS;
out:
    arena_fini(&a);
    return status;
}

/* RFC 4616: [authzid] NUL authcid NUL passwd */
static enum sasl_status
plain_on_first(struct sasl *s, struct str data)
{
    struct str rest = data, authzid, name, password;

    if (!str_cut(&rest, '\0', &authzid) || !str_cut(&rest, '\0', &name) ||
            !str_cut(&rest, '\0', &password) || rest.p)
        return sasl_fail(s, SASL_ERROR_MALFORMED_REQUEST, "not a PLAIN message");
    if (name.n == 0 || password.n == 0 || password.n > CRED_PASSWORD_MAX ||
            !str_is_utf8(data))
        return sasl_fail(s, SASL_ERROR_MALFORMED_REQUEST, "not a PLAIN message");
    buf_add_str(&s->password, password);
    return sasl_identify(s, name, authzid);
}

static int
cb_from(struct str name, enum auth_cb *ret_cb)
{
    for (int i = 0; i < AUTH_CBS; i++) {
        if (str_eq_c(name, auth_cb_name((enum auth_cb)i))) {
            *ret_cb = (enum auth_cb)i;
            return 0;
        }
    }
    return -ENOENT;
}

/* RFC 5802, section 6: does the header fit the mechanism and what was offered? */
static enum sasl_status
scram_on_header(struct sasl *s, const struct scram_first *f)
{
    struct buf channel = { 0 };
    enum auth_cb cb;

    if (mech_is_plus(s->mech) != (f->flag == SCRAM_CB_USED))
        return sasl_fail(
                s, SASL_ERROR_MALFORMED_REQUEST, "flag does not fit the mechanism");
    if (f->flag == SCRAM_CB_UNSEEN && s->offers_plus)
        return sasl_fail(s, SASL_ERROR_NOT_AUTHORIZED,
                "somebody removed the -PLUS mechanisms on the way to the client");
    buf_add_str(&channel, f->header);
    if (f->flag == SCRAM_CB_USED) {
        if (cb_from(f->cb_name, &cb) < 0 || s->cb[cb].n == 0) {
            buf_fini(&channel);
            return sasl_fail(
                    s, SASL_ERROR_NOT_AUTHORIZED, "channel binding not offered");
        }
        buf_add(&channel, s->cb[cb].data, s->cb[cb].n);
    }
    b64_encode(&s->channel, buf_str(&channel));
    buf_fini(&channel);
    return SASL_CHALLENGE;
}

static enum sasl_status
scram_on_first(struct sasl *s, struct str data)
{
    struct buf name = { 0 }, authzid = { 0 };
    struct scram_first f;
    enum sasl_status status;

    if (scram_parse_first(data, &f) < 0)
        return sasl_fail(s, SASL_ERROR_MALFORMED_REQUEST, "not a SCRAM message");
    status = scram_on_header(s, &f);
    if (status != SASL_CHALLENGE)
        return status;
    if (scram_unescape(f.username, &name) < 0 ||
            (f.authzid.p && scram_unescape(f.authzid, &authzid) < 0)) {
        status = sasl_fail(s, SASL_ERROR_MALFORMED_REQUEST, "bad escape in a name");
        goto out;
    }
    buf_add_str(&s->nonce, f.nonce);
    buf_add_str(&s->message, f.bare);
    status = sasl_identify(s, buf_str(&name), buf_str(&authzid));
out:
    buf_fini(&name);
    buf_fini(&authzid);
    return status;
}

static enum sasl_status
sasl_on_first(struct sasl *s, struct str data)
{
    if (data.n > SASL_DATA_MAX)
        return sasl_fail(s, SASL_ERROR_MALFORMED_REQUEST, "message is too long");
    if (mech_kind(s->mech) == MECH_KIND_PLAIN)
        return plain_on_first(s, data);
    return scram_on_first(s, data);
}

/* What somebody who has no key is given instead: the same each time he comes. */
static void
sasl_fake(const struct sasl *s, enum digest d, uint8_t ret_bytes[DIGEST_SIZE_MAX])
{
    const struct str parts[] = { STR("salt"), { "", 1 }, str_from(digest_name(d)),
        { "", 1 }, buf_str(&s->host), { "", 1 }, buf_str(&s->user) };

    digest_hmac(DIGEST_SHA512, bytes_of(s->secret, SASL_SECRET_SIZE), parts,
            ARRAY_LEN(parts), ret_bytes);
}

static enum sasl_status
plain_on_creds(struct sasl *s, const struct creds *creds)
{
    uint8_t salt[DIGEST_SIZE_MAX];
    struct arena a;
    bool is;

    arena_init(&a, 1024);
    sasl_fake(s, s->policy.digest, salt);
    is = creds_verify(creds, &s->policy, &a, buf_str(&s->password),
            bytes_of(salt, FAKE_SALT_SIZE));
    arena_fini(&a);
    secret_fini(&s->password);
    s->account = creds->state;
    s->known = !creds_empty(creds);
    s->was_guess = !is;
    if (!is)
        return sasl_fail(s, SASL_ERROR_NOT_AUTHORIZED,
                s->known ? "wrong password" : "no such user");
    return SASL_SUCCESS;
}

/* Keys from a password in plain text, or the same work for nothing. */
static void
scram_derive(struct sasl *s, const struct creds *creds, struct str salt, bool use)
{
    enum digest d = mech_digest(s->mech);
    struct str password = { creds->plain, creds->n_plain };
    struct scram_keys keys;
    struct arena a;

    arena_init(&a, 1024);
    if (creds->has_plain)
        (void)password_prep(&a, password, &password); /* or as it is */
    else
        password = STR("no password");
    scram_keys_derive(d, password, salt, s->policy.iterations, &keys);
    if (use)
        s->keys = keys;
    mem_wipe(&keys, sizeof keys);
    arena_fini(&a);
}

static enum sasl_status
scram_on_creds(struct sasl *s, const struct creds *creds)
{
    enum digest d = mech_digest(s->mech);
    const struct cred *k = &creds->scram[d];
    uint8_t fake[DIGEST_SIZE_MAX];
    struct str salt = bytes_of(fake, FAKE_SALT_SIZE);
    uint32_t iterations = s->policy.iterations;
    bool from_plain = !k->set && creds->has_plain;
    char ours[SCRAM_NONCE_ADD + 1];

    /* Behind the salt is what nobody will ever see: a key whose proof nobody has. */
    sasl_fake(s, d, fake);
    s->keys = (struct scram_keys){ 0 };
    memcpy(s->keys.stored, fake + FAKE_SALT_SIZE, sizeof fake - FAKE_SALT_SIZE);
    if (from_plain || s->policy.stored & CRED_BIT(CRED_PLAIN))
        scram_derive(s, creds, salt, from_plain);
    if (k->set) {
        s->keys = k->keys;
        salt = bytes_of(k->salt, k->n_salt);
        iterations = k->iterations;
    }
    s->known = k->set || from_plain;
    s->account = creds->state;

    rand_text(ours, SCRAM_NONCE_ADD);
    buf_add(&s->nonce, ours, SCRAM_NONCE_ADD);
    buf_reset(&s->out, 0);
    scram_write_first(&s->out, buf_str(&s->nonce), salt, iterations, buf_str(&s->ssdp));
    buf_add_char(&s->message, ',');
    buf_add_str(&s->message, buf_str(&s->out));
    s->state = SASL_FINAL;
    return SASL_CHALLENGE;
}

static enum sasl_status
sasl_succeed(struct sasl *s)
{
    switch (s->account) {
    case CREDS_DISABLED:
        return sasl_fail(s, SASL_ERROR_ACCOUNT_DISABLED, "account is disabled");
    case CREDS_EXPIRED:
        return sasl_fail(s, SASL_ERROR_CREDENTIALS_EXPIRED, "password has expired");
    case CREDS_ACTIVE:
        break;
    }
    s->state = SASL_DONE;
    return SASL_SUCCESS;
}

enum sasl_status
sasl_set_creds(struct sasl *s, const struct creds *creds)
{
    enum sasl_status status;

    assert(s->magic == SASL_MAGIC && s->state == SASL_CREDS);
    if (!creds)
        return sasl_fail(
                s, SASL_ERROR_TEMPORARY_AUTH_FAILURE, "the credentials cannot be read");
    if (mech_kind(s->mech) == MECH_KIND_SCRAM)
        return scram_on_creds(s, creds);
    status = plain_on_creds(s, creds);
    return status == SASL_SUCCESS ? sasl_succeed(s) : status;
}

/* All of it is computed before anything is decided. */
static enum sasl_status
scram_on_final(struct sasl *s, struct str data)
{
    enum digest d = mech_digest(s->mech);
    struct scram_final f;
    bool channel_is, nonce_is, proof_is;

    if (scram_parse_final(data, &f) < 0)
        return sasl_fail(s, SASL_ERROR_MALFORMED_REQUEST, "not a SCRAM message");
    buf_add_char(&s->message, ',');
    buf_add_str(&s->message, f.without_proof);
    channel_is = str_eq_secret(f.channel, buf_str(&s->channel));
    nonce_is = str_eq_secret(f.nonce, buf_str(&s->nonce));
    proof_is = scram_proof_is(d, &s->keys, buf_str(&s->message), f.proof);
    buf_reset(&s->out, 0);
    scram_write_final(&s->out, d, &s->keys, buf_str(&s->message));
    if (!channel_is || !nonce_is)
        return sasl_fail(s, SASL_ERROR_NOT_AUTHORIZED,
                nonce_is ? "another channel: somebody is in between" : "another nonce");
    s->was_guess = !proof_is || !s->known;
    if (s->was_guess)
        return sasl_fail(s, SASL_ERROR_NOT_AUTHORIZED,
                s->known ? "wrong password" : "no such user, or no key of this kind");
    return sasl_succeed(s);
}

enum sasl_status
sasl_step(struct sasl *s, bool has_data, struct str data)
{
    assert(s->magic == SASL_MAGIC);
    switch (s->state) {
    case SASL_START:
        if (s->refused)
            return sasl_fail(s, s->failure, s->reason);
        if (has_data)
            return sasl_on_first(s, data);
        s->state = SASL_FIRST;
        buf_reset(&s->out, 0);
        return SASL_CHALLENGE; /* an empty one: RFC 6120, 6.4.2 */
    case SASL_FIRST:
        return sasl_on_first(s, data);
    case SASL_FINAL:
        return scram_on_final(s, data);
    case SASL_CREDS:
        return sasl_fail(s, SASL_ERROR_MALFORMED_REQUEST, "message out of turn");
    case SASL_DONE:
        break;
    }
    return sasl_fail(s, SASL_ERROR_MALFORMED_REQUEST, "message after the end");
}

bool
sasl_is_costly(const struct sasl *s)
{
    return mech_kind(s->mech) == MECH_KIND_PLAIN ||
           (s->policy.stored & CRED_BIT(CRED_PLAIN)) != 0;
}

bool
sasl_is_deciding(const struct sasl *s)
{
    return s->state == SASL_FINAL ||
           (s->state == SASL_CREDS && mech_kind(s->mech) == MECH_KIND_PLAIN);
}

bool
sasl_was_guess(const struct sasl *s)
{
    return s->was_guess;
}

struct str
sasl_data(const struct sasl *s)
{
    return buf_str(&s->out);
}

struct str
sasl_user(const struct sasl *s)
{
    return buf_str(&s->user);
}

enum sasl_error
sasl_failure(const struct sasl *s)
{
    return s->failure;
}

const char *
sasl_reason(const struct sasl *s)
{
    return s->reason ? s->reason : "";
}

enum mech
sasl_mech(const struct sasl *s)
{
    return s->mech;
}
