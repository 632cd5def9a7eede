#ifndef WORKER_RECORD_H
#define WORKER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/*
 * The TLS 1.3 record layer (RFC 8446, 5), after a handshake that OpenSSL has done. Its
 * whole state is plain data without pointers, so that it can live in the slot.
 */
enum record_cipher {
    RECORD_AES_128_GCM,
    RECORD_AES_256_GCM,
    RECORD_CHACHA20,
    RECORD_CIPHERS
};

enum {
    RECORD_HEADER = 5,
    RECORD_TAG = 16,
    RECORD_OVERHEAD = RECORD_HEADER + 1 + RECORD_TAG,
    RECORD_PLAIN_MAX = 16384,
    RECORD_CIPHER_MAX =
            RECORD_PLAIN_MAX + 256, /* of a received record, without header */
    RECORD_SECRET_MAX = 48,
    RECORDS_PER_KEY = 1 << 23, /* then comes another key; AES-GCM: RFC 8446, 5.5 */
    RECORD_BUSY = 1024 /* directions whose key's schedule is kept, about 1 kB each */
};

enum record_type {
    RECORD_ALERT = 21,
    RECORD_HANDSHAKE = 22,
    RECORD_DATA = 23
};

/* One direction. */
struct record_half {
    uint64_t sequence;
    uint8_t secret[RECORD_SECRET_MAX];
    uint8_t key[32], iv[12];
};

struct tls_state {
    uint8_t cipher;      /* enum record_cipher */
    uint8_t secret_size; /* 32 (SHA-256) or 48 (SHA-384) */
    uint8_t fragment;    /* negotiated max_fragment_length (RFC 6066, 4); 0: none */
    uint8_t n_empty;     /* records in a row that brought no text */
    uint32_t updates_s;  /* the client's key updates are paid for until then */
    struct record_half rd, wr;
};

/* From a name such as "TLS_AES_128_GCM_SHA256": 0, or -ENOTSUP for others. */
int record_cipher_from(
        const char *name, enum record_cipher *ret_cipher, uint8_t *ret_secret_size);

const char *record_cipher_name(enum record_cipher cipher);

/* How much text a record to the client may hold. */
size_t record_plain_max(const struct tls_state *st);

/* Keys of a direction from its traffic secret; the sequence starts at `sequence`. */
int record_half_init(const struct tls_state *st, struct record_half *h,
        const uint8_t *secret, uint64_t sequence);

/* The next generation of keys (7.2). */
int record_half_update(const struct tls_state *st, struct record_half *h);

/*
 * Seals n (up to RECORD_PLAIN_MAX) bytes under h->sequence, which the caller then moves
 * on. ret_record has room for n + RECORD_OVERHEAD bytes. How many it is, or -EIO.
 */
int record_seal(const struct tls_state *st, const struct record_half *h,
        enum record_type type, const void *plain, size_t n, void *ret_record);

/*
 * The length of the record at the start of `in`, with its header: 0 when not even the
 * header is there, -EPROTO when it is none of TLS 1.3's protected ones, -EMSGSIZE when
 * it is too long.
 */
int record_length(struct str in);

/*
 * Opens a whole record under h->sequence. ret_plain has room for its length; *ret_type
 * is the inner type. The length of the content, or -EBADMSG; -EPROTO: it has no type;
 * -EMSGSIZE: its content is too long.
 */
int record_open(const struct tls_state *st, const struct record_half *h,
        struct str record, void *ret_plain, uint8_t *ret_type);

/*
 * Forgets the keys of connections that sealed or opened no record since the last call,
 * as far as they are kept outside of their tls_state. How many it were.
 */
size_t record_trim(void);

#endif
