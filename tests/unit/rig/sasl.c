/*
 * sasl.c -- a host that offers SASL, and whole dialogues with it
 */
#include "tests/unit/rig/sasl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

const uint8_t secret[SASL_SECRET_SIZE] = "the secret of one service, 32 by";
const unsigned all_scram = CRED_BIT(CRED_SCRAM_SHA1) | CRED_BIT(CRED_SCRAM_SHA256) |
                           CRED_BIT(CRED_SCRAM_SHA512);

static struct arena arena;

const struct str cb_data[AUTH_CBS] = {
    [AUTH_CB_EXPORTER] = { "exporter-exporter-exporter-expor", 32 },
    [AUTH_CB_UNIQUE] = { "unique-uniqu", 12 },
    [AUTH_CB_ENDPOINT] = { "endpoint-endpoint-endpoint-endpo", 32 },
};

void
bench_init(struct bench *b, unsigned stored, unsigned tls, bool cb)
{
    unsigned offer;

    *b = (struct bench){ 0 };
    auth_policy_init(&b->policy);
    b->policy.stored = stored;
    b->policy.iterations = 50;
    b->start = (struct sasl_start){ .secret = secret,
        .policy = &b->policy,
        .host = STR("example.net"),
        .tls = tls,
        .offered = b->offered };
    for (int i = 0; i < AUTH_CBS && cb; i++)
        b->start.cb_data[i] = i == AUTH_CB_UNIQUE && tls > 12 ? STR_NULL : cb_data[i];
    offer = auth_mechanisms(&b->policy, tls != 0, cb, false);
    for (int m = 0; m < MECHS; m++) {
        if (offer & 1u << m)
            b->offered[b->start.n_offered++] = str_from(mech_name((enum mech)m));
    }
}

void
bench_set_password(struct bench *b, const char *password)
{
    struct cred_row rows[CRED_ROWS_MAX];
    size_t n = 0;

    assert_int_equal(creds_make(&arena, &b->policy, str_from(password), rows, &n), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(creds_add_row(&b->creds, &rows[i]), 0);
}

static const EVP_MD *
md_of(enum digest d)
{
    const EVP_MD *const md[DIGESTS] = { EVP_sha1(), EVP_sha256(), EVP_sha512() };

    return md[d];
}

enum sasl_status
run_scram(struct bench *b, enum mech m, struct scram_client *c, unsigned how,
        struct sasl **ret_sasl)
{
    static const struct creds nobody;
    struct str data;
    enum sasl_status status;
    struct sasl *s;

    b->start.mechanism = str_from(mech_name(m));
    *ret_sasl = s = sasl_new(&b->start);
    if (!c->md)
        c->md = md_of(mech_digest(m));
    if (!c->nonce)
        c->nonce = "fyko+d2lbbFgONRv9qkxdawL";
    if (how & NO_INITIAL) {
        assert_int_equal(sasl_step(s, false, STR_NULL), SASL_CHALLENGE);
        assert_int_equal(sasl_data(s).n, 0);
    }
    status = sasl_step(s, true, str_from(client_first(c)));
    if (status != SASL_WANT_CREDS)
        return status;
    status = sasl_set_creds(s, how & UNKNOWN_USER ? &nobody : &b->creds);
    if (status != SASL_CHALLENGE)
        return status;
    assert_true(sasl_is_deciding(s));
    data = sasl_data(s);
    assert_non_null(client_final(c, data.p, data.n));
    return sasl_step(s, true, str_from(c->final));
}

enum sasl_status
run_plain(struct bench *b, const struct creds *creds, struct str msg,
        struct sasl **ret_sasl)
{
    enum sasl_status status;

    b->start.mechanism = STR("PLAIN");
    *ret_sasl = sasl_new(&b->start);
    status = sasl_step(*ret_sasl, true, msg);
    if (status != SASL_WANT_CREDS)
        return status;
    assert_true(sasl_is_deciding(*ret_sasl) && sasl_is_costly(*ret_sasl));
    return sasl_set_creds(*ret_sasl, creds);
}

int
sasl_setup(void **state)
{
    (void)state;
    arena_init(&arena, 4096);
    return digest_init();
}

int
sasl_teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    digest_fini();
    return 0;
}
