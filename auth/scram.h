#ifndef AUTH_SCRAM_H
#define AUTH_SCRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/digest.h"
#include "auth/store.h"
#include "base/buf.h"
#include "base/str.h"

/* The messages of SCRAM (RFC 5802, section 7): no state, nothing is copied. */
enum {
    SCRAM_FIRST_MAX = 4096, /* client-first-message, in bytes */
    SCRAM_FINAL_MAX = 4096,
    SCRAM_NONCE_MAX = 256, /* the client's */
    SCRAM_NONCE_ADD = 32   /* ours: 160 bits in 32 characters */
};

enum scram_flag {
    SCRAM_CB_NO,     /* 'n': the client cannot bind to the channel */
    SCRAM_CB_UNSEEN, /* 'y': it could, but believes that the server cannot */
    SCRAM_CB_USED    /* 'p' */
};

struct scram_first {
    enum scram_flag flag;
    struct str cb_name;  /* with 'p' */
    struct str header;   /* gs2-header: up to and with the second comma */
    struct str authzid;  /* still escaped; p == NULL when absent */
    struct str bare;     /* client-first-message-bare */
    struct str username; /* still escaped */
    struct str nonce;
};

/* 0; -EBADMSG: malformed; -EOPNOTSUPP: a mandatory extension ("m=") that we lack. */
int scram_parse_first(struct str msg, struct scram_first *ret_first);

struct scram_final {
    struct str channel; /* the base64 text of c= */
    struct str nonce;
    struct str without_proof;
    struct str proof; /* base64 text */
};
int scram_parse_final(struct str msg, struct scram_final *ret_final);

/*
 * Undoes "=2C" and "=3D" into out: 0, -EBADMSG: another "=", a NUL, not UTF-8, empty.
 */
int scram_unescape(struct str name, struct buf *out);

/*
 * Adds the server-first-message to out: nonce is the whole one; ssdp (base64) becomes
 * the attribute of XEP-0474 unless it is empty.
 */
void scram_write_first(struct buf *out, struct str nonce, struct str salt,
        uint32_t iterations, struct str ssdp);

/*
 * Adds the XEP-0474 text over which the hash is made: both lists sorted by bytes,
 * joined by RS, and US between them when there are channel-binding types.
 */
void scram_write_ssdp(struct buf *out, struct str *mechanisms, size_t n_mechanisms,
        struct str *cb_types, size_t n_cb_types);

/*
 * Does the proof (base64 text) belong to these keys and this AuthMessage? Takes the
 * same time for any proof of the right length.
 */
bool scram_proof_is(enum digest d, const struct scram_keys *keys,
        struct str auth_message, struct str proof);

/* Adds the server-final-message, "v=…". */
void scram_write_final(struct buf *out, enum digest d, const struct scram_keys *keys,
        struct str auth_message);

#endif
