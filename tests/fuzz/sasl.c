/*
 * sasl.c -- fuzzes whole SASL dialogues
 *
 * Input: three bytes of choices, then messages, each behind two bytes of length. In a
 * message the byte 1 stands for the server's nonce and 2 for the right proof, so that
 * the fuzzer gets past what it cannot guess.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/sasl.h"
#include "auth/scram.h"
#include "base/arena.h"
#include "base/b64.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[SASL_SECRET_SIZE] = "0123456789abcdef0123456789abcde";

struct dialogue {
    struct sasl *sasl;
    struct creds creds;
    struct buf first_bare, server_first, nonce;
    bool known;
};

/* The proof of a client that knows the password, for what has been said so far. */
static void
add_proof(struct dialogue *d, struct buf *msg)
{
    enum digest digest = mech_digest(sasl_mech(d->sasl));
    const struct cred *k = &d->creds.scram[digest];
    uint8_t salted[DIGEST_SIZE_MAX], client[DIGEST_SIZE_MAX], sign[DIGEST_SIZE_MAX];
    size_t n = digest_size(digest);
    struct buf auth = { 0 };

    if (!k->set || !str_ends(buf_str(msg), STR(",p=")))
        return;
    digest_pbkdf2(digest, STR("pencil"),
            (struct str){ (const char *)k->salt, k->n_salt }, k->iterations, salted);
    digest_hmac(digest, (struct str){ (const char *)salted, n }, &STR("Client Key"), 1,
            client);
    buf_add_str(&auth, buf_str(&d->first_bare));
    buf_add_char(&auth, ',');
    buf_add_str(&auth, buf_str(&d->server_first));
    buf_add_char(&auth, ',');
    buf_add(&auth, msg->p, msg->n - 3);
    digest_hmac(digest, (struct str){ (const char *)k->keys.stored, n },
            &(struct str){ auth.p, auth.n }, 1, sign);
    for (size_t i = 0; i < n; i++)
        client[i] ^= sign[i];
    b64_encode(msg, (struct str){ (const char *)client, n });
    buf_fini(&auth);
}

static void
expand(struct dialogue *d, struct str in, struct buf *msg)
{
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == 1)
            buf_add_str(msg, buf_str(&d->nonce));
        else if (in.p[i] == 2)
            add_proof(d, msg);
        else
            buf_add_char(msg, in.p[i]);
    }
    if (!msg->p)
        buf_add(msg, "", 0);
}

static void
remember(struct dialogue *d, struct str client_first)
{
    struct scram_first f;
    struct str rest, nonce;

    if (d->server_first.n || sasl_data(d->sasl).n == 0)
        return;
    if (scram_parse_first(client_first, &f) < 0)
        return;
    buf_add_str(&d->first_bare, f.bare);
    buf_add_str(&d->server_first, sasl_data(d->sasl));
    rest = buf_str(&d->server_first);
    if (str_cut(&rest, ',', &nonce))
        buf_add(&d->nonce, nonce.p + 2, nonce.n - 2);
}

static void
run(struct dialogue *d, const uint8_t *data, size_t size, bool initial)
{
    enum sasl_status status = SASL_CHALLENGE;

    if (!initial)
        status = sasl_step(d->sasl, false, STR_NULL);
    while (status == SASL_CHALLENGE && size >= 2) {
        size_t n = (size_t)data[0] << 8 | data[1];
        struct buf msg = { 0 };

        data += 2;
        size -= 2;
        n = n > size ? size : n;
        expand(d, (struct str){ (const char *)data, n }, &msg);
        status = sasl_step(d->sasl, true, buf_str(&msg));
        if (status == SASL_WANT_CREDS)
            status = sasl_set_creds(d->sasl, &d->creds);
        if (status == SASL_CHALLENGE)
            remember(d, buf_str(&msg));
        buf_fini(&msg);
        data += n;
        size -= n;
    }
    assert(status != SASL_WANT_CREDS);
    if (status == SASL_SUCCESS) {
        assert(d->known && sasl_user(d->sasl).n > 0 && !sasl_was_guess(d->sasl));
        assert(d->creds.state == CREDS_ACTIVE);
    } else if (status == SASL_FAILURE) {
        assert(sasl_data(d->sasl).n == 0 && sasl_reason(d->sasl)[0]);
    }
}

/* One choice of stored rows per value; made once, because it is slow. */
static void
make_creds(unsigned which, const struct auth_policy *policy, struct creds *ret)
{
    static struct creds made[4];
    static bool ready;

    if (!ready) {
        const unsigned stored[4] = { 0, CRED_BIT(CRED_PLAIN), CRED_BIT(CRED_SCRAM_SHA1),
            CRED_BIT(CRED_SCRAM_SHA256) | CRED_BIT(CRED_SCRAM_SHA512) };

        if (digest_init() < 0)
            abort();
        for (unsigned i = 1; i < 4; i++) {
            struct cred_row rows[CRED_ROWS_MAX];
            struct auth_policy p = *policy;
            struct arena a;
            size_t n;

            arena_init(&a, 1024);
            p.stored = stored[i];
            if (creds_make(&a, &p, STR("pencil"), rows, &n) < 0)
                abort();
            for (size_t j = 0; j < n; j++)
                (void)creds_add_row(&made[i], &rows[j]);
            arena_fini(&a);
        }
        ready = true;
    }
    *ret = made[which];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned tls[4] = { 0, 12, 13, 13 };
    struct str offered[MECHS + 1];
    struct auth_policy policy;
    struct sasl_start start = { .secret = secret,
        .policy = &policy,
        .host = STR("example.net"),
        .offered = offered };
    struct dialogue d = { 0 };

    if (size < 3)
        return 0;
    auth_policy_init(&policy);
    policy.iterations = 2;
    policy.stored = data[1] & 1
                            ? CRED_BIT(CRED_PLAIN)
                            : CRED_BIT(CRED_SCRAM_SHA1) | CRED_BIT(CRED_SCRAM_SHA256) |
                                      CRED_BIT(CRED_SCRAM_SHA512);
    policy.downgrade_protection = (data[1] & 2) == 0;
    make_creds(data[1] >> 2 & 3, &policy, &d.creds);
    d.creds.state = data[1] >> 4 & 3 ? CREDS_ACTIVE : CREDS_DISABLED;
    d.known = !creds_empty(&d.creds);
    start.tls = tls[data[2] & 3];
    for (int i = 0; i < AUTH_CBS && data[2] & 4; i++)
        start.cb_data[i] = STR("cb");
    for (int m = 0; m < MECHS; m++) {
        if (!(data[2] & 8) || !mech_is_plus((enum mech)m))
            offered[start.n_offered++] = str_from(mech_name((enum mech)m));
    }
    start.mechanism =
            data[0] < MECHS ? str_from(mech_name((enum mech)data[0])) : STR("X");
    d.sasl = sasl_new(&start);
    run(&d, data + 3, size - 3, (data[2] & 16) == 0);
    sasl_free(&d.sasl);
    buf_fini(&d.first_bare);
    buf_fini(&d.server_first);
    buf_fini(&d.nonce);
    return 0;
}
