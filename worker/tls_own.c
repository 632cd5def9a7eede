/*
 * tls_own.c -- TLS 1.3 after the handshake, without OpenSSL's connection
 *
 * The keys and sequence numbers are in the slot (c->tls_state), and each record is one
 * transaction with what it brings: so a successor goes on behind it. Only records whose
 * sequence number is committed are ever sent, so that no nonce is seen with two texts.
 */
#include "worker/tls_inside.h"

#include <assert.h>
#include <errno.h>

#include "worker/conn.h"
#include "worker/out.h"

enum {
    RECORDS_PER_KEY = 1 << 23 /* AES-GCM: RFC 8446, 5.5 */
};

/* What the client sent behind its Finished, unread by OpenSSL, is ours to open. */
static void
take_back_input(struct worker *w, struct conn *c, struct tls *t)
{
    char *p;
    long n = BIO_get_mem_data(t->in, &p);
    struct chunk *k;

    if (n <= 0)
        return;
    k = slot_alloc(w, sizeof *k + (size_t)n);
    k->next = NULL;
    k->size = (uint32_t)(slab_size(w->slab, k) - sizeof *k);
    k->len = (uint32_t)n;
    memcpy(k->data, p, (size_t)n);
    SET(w, c->in, k);
    SET(w, c->in_done, 0);
}

/*
 * Takes the record layer over. The records that OpenSSL wrote after the client's
 * Finished are session tickets: they were the first ones under the server's traffic
 * keys.
 */
void
tls_own_take_over(struct worker *w, struct conn *c, unsigned tickets)
{
    struct live *l = live_of(w, c);
    struct tls *t = l->tls;
    enum record_cipher cipher;
    struct tls_state *st;
    uint8_t secret_size;

    if (!w->proc->conf->tls_takeover || SSL_version(t->ssl) != TLS1_3_VERSION ||
            record_cipher_from(SSL_get_cipher(t->ssl), &cipher, &secret_size) < 0 ||
            t->client_secret_n != secret_size || t->server_secret_n != secret_size ||
            SSL_pending(t->ssl) > 0)
        return;
    st = slot_alloc(w, sizeof *st);
    memset(st, 0, sizeof *st);
    st->cipher = (uint8_t)cipher;
    st->secret_size = secret_size;
    if (record_half_init(st, &st->rd, t->client_secret, 0) < 0 ||
            record_half_init(st, &st->wr, t->server_secret, tickets) < 0) {
        slab_free(w->slab, st);
        return;
    }
    take_back_input(w, c, t);
    SET(w, c->bindings, slot_alloc(w, sizeof *c->bindings));
    tls_read_bindings(t->ssl, c->bindings);
    SET(w, c->tls_state, st);
    tls_free(&l->tls);
}

static struct str
next_record(const struct conn *c)
{
    struct str in = STR_NULL;
    int n;

    if (c->in)
        in = (struct str){ c->in->data + c->in_done, c->in->len - c->in_done };
    n = record_length(in);
    if (n == 0 || (n > 0 && (size_t)n > in.n))
        return STR_NULL;
    return (struct str){ in.p, n < 0 ? 0 : (size_t)n };
}

size_t
tls_own_next_size(const struct conn *c)
{
    struct str record = next_record(c);

    return record.p ? record.n + 1
                    : 0; /* broken ones too: tls_own_open() will say so */
}

static int
seal(struct worker *w, struct conn *c, enum record_type type, const void *p, size_t n)
{
    struct tls_state *st = c->tls_state;
    char *at = out_wire_room(w, c, n + RECORD_OVERHEAD);
    int len = record_seal(st, &st->wr, type, p, n, at);

    if (len < 0)
        return -EPROTO;
    SET(w, st->wr.sequence, st->wr.sequence + 1);
    out_wire_added(w, c, (size_t)len);
    return 0;
}

/*
 * The keys of a direction are replaced as a whole: by another state of the record
 * layer.
 */
static int
update_keys(struct worker *w, struct conn *c, bool reading)
{
    struct tls_state *st = slot_alloc(w, sizeof *st), *old = c->tls_state;

    *st = *old;
    if (record_half_update(st, reading ? &st->rd : &st->wr) < 0) {
        slab_free(w->slab, st);
        return -EPROTO;
    }
    SET(w, c->tls_state, st);
    slot_free(w, old);
    return 0;
}

static int
send_key_update(struct worker *w, struct conn *c)
{
    static const uint8_t message[5] = { 24, 0, 0, 1, 0 };
    int r = seal(w, c, RECORD_HANDSHAKE, message, sizeof message);

    return r < 0 ? r : update_keys(w, c, false);
}

static int
fatal(struct worker *w, struct conn *c, uint8_t description)
{
    uint8_t alert[2] = { 2, description };

    seal(w, c, RECORD_ALERT, alert, sizeof alert);
    return -EPROTO;
}

/* 4.6.3: the only handshake message a client may send now, alone in its record. */
static int
on_key_update(struct worker *w, struct conn *c, const uint8_t *p, size_t n)
{
    int r;

    if (n != 5 || p[0] != 24 || p[1] || p[2] || p[3] != 1)
        return fatal(w, c, 10 /* unexpected_message */);
    if (p[4] > 1)
        return fatal(w, c, 47 /* illegal_parameter */);
    r = update_keys(w, c, true);
    if (r == 0 && p[4] == 1)
        r = send_key_update(w, c);
    return r;
}

static int
on_alert(const uint8_t *p, size_t n)
{
    enum {
        CLOSE_NOTIFY = 0,
        USER_CANCELED = 90
    };

    if (n != 2)
        return -EPROTO;
    return p[1] == CLOSE_NOTIFY ? -EPIPE : p[1] == USER_CANCELED ? 0 : -EPROTO;
}

int
tls_own_open(struct worker *w, struct conn *c, char *ret_bytes, size_t n)
{
    struct tls_state *st = c->tls_state;
    struct str record = next_record(c);
    uint8_t type = 0;
    int len;

    if (!record.p)
        return 0;
    if (record.n == 0)
        return fatal(w, c, 10);
    assert(n >= record.n);
    len = record_open(st, &st->rd, record, ret_bytes, &type);
    if (len < 0)
        return fatal(w, c, 20 /* bad_record_mac */);
    SET(w, st->rd.sequence, st->rd.sequence + 1);
    SET(w, c->in_done, c->in_done + (uint32_t)record.n);
    switch (type) {
    case RECORD_DATA:
        return len;
    case RECORD_HANDSHAKE:
        return on_key_update(w, c, (uint8_t *)ret_bytes, (size_t)len);
    case RECORD_ALERT:
        return on_alert((uint8_t *)ret_bytes, (size_t)len);
    default:
        return fatal(w, c, 10);
    }
}

int
tls_own_seal(struct worker *w, struct conn *c, struct str bytes)
{
    int r = 0;

    while (bytes.n > 0 && r == 0) {
        size_t n = bytes.n < RECORD_PLAIN_MAX ? bytes.n : RECORD_PLAIN_MAX;

        if (c->tls_state->wr.sequence >= RECORDS_PER_KEY) /* 5.5 */
            r = send_key_update(w, c);
        if (r == 0)
            r = seal(w, c, RECORD_DATA, bytes.p, n);
        bytes.p += n;
        bytes.n -= n;
    }
    return r;
}

void
tls_own_close(struct worker *w, struct conn *c)
{
    static const uint8_t close_notify[2] = { 1, 0 };

    seal(w, c, RECORD_ALERT, close_notify, sizeof close_notify);
}
