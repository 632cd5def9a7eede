#ifndef TESTS_UNIT_RIG_SASL_H
#define TESTS_UNIT_RIG_SASL_H

#include "auth/sasl.h"
#include "tests/unit/rig/sasl_client.h"

/* What a test may change before a dialogue begins. */
struct bench {
    struct auth_policy policy;
    struct sasl_start start;
    struct str offered[MECHS + 1];
    struct creds creds;
};

extern const uint8_t secret[SASL_SECRET_SIZE];
extern const struct str cb_data[AUTH_CBS]; /* channel bindings of the server's side */
extern const unsigned all_scram;           /* CRED_BIT() of them */

int sasl_setup(void **state);
int sasl_teardown(void **state);

/* A host that offers everything that auth_mechanisms() gives, over TLS. */
void bench_init(struct bench *b, unsigned stored, unsigned tls, bool cb);
void bench_set_password(struct bench *b, const char *password);

enum {
    UNKNOWN_USER = 1,
    NO_INITIAL = 2
};

/* Runs a dialogue to its end; the dialogue stays with the caller. */
enum sasl_status run_scram(struct bench *b, enum mech m, struct scram_client *c,
        unsigned how, struct sasl **ret_sasl);
enum sasl_status run_plain(struct bench *b, const struct creds *creds, struct str msg,
        struct sasl **ret_sasl);

#endif
