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
#include "worker/ktls.h"
#include "worker/out.h"

/*
 * What costs us work and brings no text is limited, for a client could else keep the
 * worker busy for nothing: empty records (and everything else without text) in a row,
 * and key updates, each of which derives six values and may ask us for an answer. A
 * client that renews its keys for good reasons does so once an hour, or per gigabyte.
 */
enum {
    EMPTY_MAX = 32,
    UPDATES_MAX = 32,   /* at once, */
    UPDATE_EVERY_S = 1, /* and then one in so long */
    UPDATES_PAID_S = UPDATES_MAX * UPDATE_EVERY_S
};

enum alert {
    ALERT_CLOSE_NOTIFY = 0,
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_BAD_RECORD_MAC = 20,
    ALERT_RECORD_OVERFLOW = 22,
    ALERT_ILLEGAL_PARAMETER = 47,
    ALERT_DECODE_ERROR = 50,
    ALERT_USER_CANCELED = 90
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
tls_own_take_over(struct worker *w, struct conn *c, unsigned tickets, bool kernel)
{
    struct live *l = live_of(w, c);
    struct tls *t = l->tls;
    enum record_cipher cipher;
    struct tls_state *st;
    uint8_t secret_size;

    if (SSL_version(t->ssl) != TLS1_3_VERSION ||
            record_cipher_from(SSL_get_cipher(t->ssl), &cipher, &secret_size) < 0 ||
            t->secrets.client_n != secret_size || t->secrets.server_n != secret_size ||
            SSL_pending(t->ssl) > 0)
        return;
    st = slot_alloc(w, sizeof *st);
    memset(st, 0, sizeof *st);
    st->cipher = (uint8_t)cipher;
    st->secret_size = secret_size;
    st->fragment = SSL_SESSION_get_max_fragment_length(SSL_get_session(t->ssl));
    if (record_half_init(st, &st->rd, t->secrets.client, 0) < 0 ||
            record_half_init(st, &st->wr, t->secrets.server, tickets) < 0) {
        slab_free(w->slab, st);
        return;
    }
    take_back_input(w, c, t);
    SET(w, c->bindings, slot_alloc(w, sizeof *c->bindings));
    tls_read_bindings(t, c->bindings);
    SET(w, c->tls_state, st);
    if (kernel && !st->fragment)
        SET(w, c->flags, c->flags | CONN_KTLS);
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

/* Why there is no next record though its header is there. */
static int
header_error(const struct conn *c)
{
    return record_length(
            (struct str){ c->in->data + c->in_done, c->in->len - c->in_done });
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
    char *at;
    int len;

    if (live_of(w, c)->flags & LIVE_KTLS)
        return ktls_send_record(live_of(w, c)->fd, type, p, n) < 0 ? -EPROTO : 0;
    at = out_wire_room(w, c, n + RECORD_OVERHEAD);
    len = record_seal(st, &st->wr, type, p, n, at);
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

    if (r == 0)
        r = update_keys(w, c, false);
    if (r == 0 && live_of(w, c)->flags & LIVE_KTLS)
        r = ktls_send_keys(live_of(w, c)->fd, c->tls_state);
    return r < 0 ? -EPROTO : 0;
}

/* Once per connection: it ends with this. */
static int
fatal(struct worker *w, struct conn *c, enum alert description, const char *why)
{
    uint8_t alert[2] = { 2, (uint8_t)description };

    log_info(conn_ctx(w, c), "TLS: the connection is ended: %s", why);
    seal(w, c, RECORD_ALERT, alert, sizeof alert);
    return -EPROTO;
}

/* A record that brought no text: 0, or the end. */
static int
on_empty(struct worker *w, struct conn *c)
{
    struct tls_state *st = c->tls_state;

    if (st->n_empty >= EMPTY_MAX)
        return fatal(w, c, ALERT_UNEXPECTED_MESSAGE, "too many records without text");
    SET(w, st->n_empty, (uint8_t)(st->n_empty + 1));
    return 0;
}

/* Each update is paid for with a second: updates_s runs ahead of the clock by them. */
bool
tls_own_pay_update(uint32_t updates_s, uint32_t now_s, uint32_t *ret_updates_s)
{
    if ((int32_t)(updates_s - now_s) < 0)
        updates_s = now_s;
    if (updates_s - now_s > UPDATES_PAID_S - UPDATE_EVERY_S)
        return false;
    *ret_updates_s = updates_s + UPDATE_EVERY_S;
    return true;
}

/* 4.6.3: the only handshake message a client may send now, alone in its record. */
static int
on_key_update(struct worker *w, struct conn *c, const uint8_t *p, size_t n)
{
    uint32_t paid;
    int r;

    if (n != 5 || p[0] != 24 || p[1] || p[2] || p[3] != 1)
        return fatal(w, c, ALERT_UNEXPECTED_MESSAGE, "an unexpected handshake message");
    if (p[4] > 1)
        return fatal(w, c, ALERT_ILLEGAL_PARAMETER, "a bad key update");
    if (!tls_own_pay_update(c->tls_state->updates_s, w->now_s, &paid))
        return fatal(w, c, ALERT_UNEXPECTED_MESSAGE, "too many key updates");
    SET(w, c->tls_state->updates_s, paid);
    r = update_keys(w, c, true);
    if (r == 0 && p[4] == 1)
        r = send_key_update(w, c);
    return r;
}

/* 6: but for these two each means the end, whatever level it claims. */
static int
on_alert(struct worker *w, struct conn *c, const uint8_t *p, size_t n)
{
    if (n != 2)
        return fatal(w, c, ALERT_DECODE_ERROR, "a bad alert");
    if (p[1] == ALERT_CLOSE_NOTIFY)
        return -EPIPE;
    if (p[1] == ALERT_USER_CANCELED)
        return 0;
    log_info(conn_ctx(w, c), "TLS: the client ends the connection: alert %u", p[1]);
    return -EPROTO;
}

static int
on_bad_record(struct worker *w, struct conn *c, int error)
{
    switch (error) {
    case -EMSGSIZE:
        return fatal(w, c, ALERT_RECORD_OVERFLOW, "a record is too long");
    case -EPROTO:
        return fatal(w, c, ALERT_UNEXPECTED_MESSAGE, "not a record of TLS 1.3");
    default:
        return fatal(w, c, ALERT_BAD_RECORD_MAC, "a record is broken");
    }
}

int
tls_own_open(struct worker *w, struct conn *c, char *ret_bytes, size_t n)
{
    struct tls_state *st = c->tls_state;
    struct str record = next_record(c);
    uint8_t type = 0;
    int len, r;

    if (!record.p)
        return 0;
    if (record.n == 0)
        return on_bad_record(w, c, header_error(c));
    assert(n >= record.n);
    len = record_open(st, &st->rd, record, ret_bytes, &type);
    if (len < 0)
        return on_bad_record(w, c, len);
    SET(w, st->rd.sequence, st->rd.sequence + 1);
    SET(w, c->in_done, c->in_done + (uint32_t)record.n);
    if (type == RECORD_DATA && len > 0) {
        if (st->n_empty)
            SET(w, st->n_empty, 0);
        return len;
    }
    switch (type) {
    case RECORD_DATA:
        return on_empty(w, c);
    case RECORD_HANDSHAKE:
        r = on_key_update(w, c, (uint8_t *)ret_bytes, (size_t)len);
        break;
    case RECORD_ALERT:
        r = on_alert(w, c, (uint8_t *)ret_bytes, (size_t)len);
        break;
    default:
        return fatal(w, c, ALERT_UNEXPECTED_MESSAGE, "a record of an unknown kind");
    }
    return r < 0 ? r : on_empty(w, c);
}

int
tls_own_seal(struct worker *w, struct conn *c, struct str bytes)
{
    int r = 0;

    while (bytes.n > 0 && r == 0) {
        size_t most = record_plain_max(c->tls_state),
               n = bytes.n < most ? bytes.n : most;

        if (c->tls_state->wr.sequence >= RECORDS_PER_KEY) /* 5.5 */
            r = send_key_update(w, c);
        if (r == 0)
            r = seal(w, c, RECORD_DATA, bytes.p, n);
        bytes.p += n;
        bytes.n -= n;
    }
    return r;
}

int
tls_own_sent(struct worker *w, struct conn *c, size_t n)
{
    struct tls_state *st = c->tls_state;

    SET(w, st->wr.sequence, st->wr.sequence + 1 + n / RECORD_PLAIN_MAX);
    return st->wr.sequence >= RECORDS_PER_KEY ? send_key_update(w, c) : 0;
}

void
tls_own_close(struct worker *w, struct conn *c)
{
    static const uint8_t close_notify[2] = { 1, ALERT_CLOSE_NOTIFY };

    seal(w, c, RECORD_ALERT, close_notify, sizeof close_notify);
}
