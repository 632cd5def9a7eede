#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/mech.h"
#include "auth/store.h"
#include "base/str.h"
#include "xmpp/error.h"

/*
 * The server's side of one SASL dialogue, without any I/O: bytes in, bytes out, and one
 * question in between, "what is stored of this user", that the caller answers.
 */
struct sasl; /* opaque */

enum {
    SASL_SECRET_SIZE = 32,
    SASL_CB_DATA_MAX = 64,
    SASL_OFFERED_MAX = 32, /* mechanisms in the stream features */
    SASL_DATA_MAX = 4096   /* one message of the client */
};

struct sasl_start {
    const uint8_t
            *secret; /* SASL_SECRET_SIZE bytes of the service; outlives the dialogue */
    const struct auth_policy *policy; /* of host; copied */
    struct str host;                  /* prepared */
    struct str mechanism;
    unsigned tls;                 /* 0: none, 12 or 13 */
    struct str cb_data[AUTH_CBS]; /* n == 0: that type was not offered */
    const struct str *offered;    /* all mechanisms of the stream features */
    size_t n_offered;
};

enum sasl_status {
    SASL_CHALLENGE,  /* send sasl_data(); the next message goes to sasl_step() */
    SASL_WANT_CREDS, /* look sasl_user() up and call sasl_set_creds() */
    SASL_SUCCESS,    /* sasl_user() is in; sasl_data() goes with <success/> */
    SASL_FAILURE     /* sasl_failure() */
};

/* Never fails: what is wrong with start comes out at the first step. */
struct sasl *sasl_new(const struct sasl_start *start);

/* Wipes and frees *sasl. */
void sasl_free(struct sasl **sasl);

/* One message of the client; has_data is false for <auth/> without initial response. */
enum sasl_status sasl_step(struct sasl *s, bool has_data, struct str data);

/*
 * After SASL_WANT_CREDS: empty creds when there is no such user, NULL when that cannot
 * be known now. Copied as far as needed.
 */
enum sasl_status sasl_set_creds(struct sasl *s, const struct creds *creds);

/* Does sasl_set_creds() run a PBKDF2 (a millisecond or more)? Put it into a queue. */
bool sasl_is_costly(const struct sasl *s);

/* Is the password (or the proof of it) verified by the call that comes next? */
bool sasl_is_deciding(const struct sasl *s);

/* Was it verified, and wrong? To be counted as an attempt to guess. */
bool sasl_was_guess(const struct sasl *s);

struct str sasl_data(const struct sasl *s); /* valid until the next call */
struct str sasl_user(const struct sasl *s); /* prepared local part; n == 0: none yet */
enum sasl_error sasl_failure(const struct sasl *s);
const char *sasl_reason(const struct sasl *s); /* for the log only: it tells too much */
enum mech sasl_mech(const struct sasl *s);

#endif
