/*
 * auth.c -- how many logins one auth process can verify
 *
 * CPU time of SASL dialogues without processes around them: SCRAM from stored keys (two
 * steps each, the client's work not counted), and PLAIN against stored keys.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "auth/sasl.h"
#include "auth/scram.h"
#include "base/arena.h"
#include "base/mem.h"

static const uint8_t secret[SASL_SECRET_SIZE];

static double
cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
creds_for(struct creds *c, const struct auth_policy *policy)
{
    struct cred_row rows[CRED_ROWS_MAX];
    struct arena a;
    size_t n;

    arena_init(&a, 4096);
    if (creds_make(&a, policy, STR("pencil"), rows, &n) < 0)
        abort();
    for (size_t i = 0; i < n; i++)
        (void)creds_add_row(c, &rows[i]);
    arena_fini(&a);
}

/* A wrong proof of the right length costs the server what the right one does. */
static double
scram_us(enum mech m, unsigned n)
{
    static const char proof[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                "AAA==";
    size_t size = digest_size(mech_digest(m)), n_proof = (size + 2) / 3 * 4;
    struct auth_policy policy;
    struct str offered[] = { str_from(mech_name(m)) };
    struct sasl_start start = { .secret = secret,
        .policy = &policy,
        .host = STR("example.net"),
        .mechanism = offered[0],
        .tls = 13,
        .offered = offered,
        .n_offered = 1 };
    struct creds creds = { 0 };
    struct buf msg = { 0 };
    double t0;

    auth_policy_init(&policy);
    policy.stored = CRED_BIT(cred_type_of(mech_digest(m)));
    creds_for(&creds, &policy);
    t0 = cpu_us();
    for (unsigned i = 0; i < n; i++) {
        struct sasl *s = sasl_new(&start);
        struct str first, nonce;

        if (sasl_step(s, true, STR("n,,n=romeo,r=fyko+d2lbbFgONRv9qkxdawL")) !=
                        SASL_WANT_CREDS ||
                sasl_set_creds(s, &creds) != SASL_CHALLENGE)
            abort();
        first = sasl_data(s);
        str_cut(&first, ',', &nonce);
        buf_reset(&msg, 4096);
        buf_add_c(&msg, "c=biws,");
        buf_add_str(&msg, nonce);
        buf_add_c(&msg, ",p=");
        buf_add(&msg, proof + (sizeof proof - 1 - n_proof), n_proof);
        if (sasl_step(s, true, buf_str(&msg)) != SASL_FAILURE || !sasl_was_guess(s))
            abort();
        sasl_free(&s);
    }
    buf_fini(&msg);
    return (cpu_us() - t0) / n;
}

static double
plain_us(enum digest d, unsigned n)
{
    struct auth_policy policy;
    struct str offered[] = { STR("PLAIN") };
    struct sasl_start start = { .secret = secret,
        .policy = &policy,
        .host = STR("example.net"),
        .mechanism = offered[0],
        .tls = 13,
        .offered = offered,
        .n_offered = 1 };
    struct creds creds = { 0 };
    double t0;

    auth_policy_init(&policy);
    policy.digest = d;
    policy.stored = CRED_BIT(cred_type_of(d));
    creds_for(&creds, &policy);
    t0 = cpu_us();
    for (unsigned i = 0; i < n; i++) {
        struct sasl *s = sasl_new(&start);

        if (sasl_step(s, true, STR("\0romeo\0pencil")) != SASL_WANT_CREDS ||
                sasl_set_creds(s, &creds) != SASL_SUCCESS)
            abort();
        sasl_free(&s);
    }
    return (cpu_us() - t0) / n;
}

int
main(void)
{
    static const enum mech mechs[] = { MECH_SCRAM_SHA_1, MECH_SCRAM_SHA_256,
        MECH_SCRAM_SHA_512 };

    if (digest_init() < 0)
        return 1;
    for (size_t i = 0; i < ARRAY_LEN(mechs); i++) {
        double us = scram_us(mechs[i], 50000);

        printf("%-14s from keys: %6.2f us a login, %8.0f steps/s\n",
                mech_name(mechs[i]), us, 2e6 / us);
    }
    for (int d = 0; d < DIGESTS; d++) {
        double us = plain_us((enum digest)d, 500);

        printf("PLAIN, %-6s, %d iterations: %7.1f us a login, %5.0f/s\n",
                digest_name((enum digest)d), AUTH_ITERATIONS, us, 1e6 / us);
    }
    digest_fini();
    return 0;
}
