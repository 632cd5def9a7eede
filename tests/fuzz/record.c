/*
 * record.c -- fuzzes the TLS 1.3 record layer of a connection
 *
 * Input: a byte that chooses the cipher, then records, each a byte of kind, one of
 * padding and two of length before its content. The kind 0 is no record: its content
 * comes as it is, as if the network had made it up. All others are sealed with the
 * client's keys, so that the fuzzer is never stopped by a tag that it cannot guess.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "tests/unit/rig/tls_alone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    KIND_RAW,
    PIECES_MAX = 200
};

static uint8_t content[RECORD_PLAIN_MAX], record[RECORD_CIPHER_MAX + 64];
static char plain[RECORD_CIPHER_MAX + 64];

/* Everything that came is opened; false: the connection is to end. */
static bool
open_all(const uint8_t *sent, size_t n_sent, bool known)
{
    struct conn *c = &alone.conn;
    bool on = true;

    while (on && tls_own_next_size(c) > 0) {
        size_t room = tls_own_next_size(c);
        uint32_t done = c->in_done;
        int n;

        assert(room <= sizeof plain);
        tx_begin(alone.w.tx);
        n = tls_own_open(&alone.w, c, plain, room);
        alone_commit();
        assert(n < 0 || ((size_t)n < room && c->in_done > done));
        assert(c->in_done <= c->in->len);
        assert(n <= 0 || !known || memcmp(plain, sent, (size_t)n) == 0);
        assert(n <= 0 || !known || (size_t)n <= n_sent);
        on = n >= 0;
    }
    return on;
}

/* What the server has sealed, the client opens. */
static void
client_reads(void)
{
    uint8_t type;
    int n;

    while (alone.conn.wire.bytes > 0) {
        n = alone_read(plain, &type);
        assert(n > 0);
        if (type == RECORD_HANDSHAKE &&
                record_half_update(&alone.client, &alone.client.rd) < 0)
            abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool on = true;

    if (size < 1)
        return 0;
    log_set_level(LOG_LEVEL_NONE);
    alone_begin((enum record_cipher)(data[0] % RECORD_CIPHERS));
    data++, size--;
    for (unsigned i = 0; on && size >= 4 && i < PIECES_MAX; i++) {
        uint8_t kind = data[0], padding = data[1];
        size_t n = (size_t)data[2] << 8 | data[3], len = n;

        data += 4, size -= 4;
        if (n > size)
            n = len = size;
        if (kind == KIND_RAW) {
            alone_receive(data, n);
            on = open_all(NULL, 0, false);
        } else if (n + 1 + padding <= RECORD_PLAIN_MAX) {
            uint64_t before = alone.client.wr.sequence;
            const uint8_t *key = alone.conn.tls_state->rd.key;
            uint8_t old[sizeof alone.client.wr.key];

            memcpy(old, key, sizeof old);
            /* The padding, and the type before it, as content: the last one is 0. */
            memset(content, 0, n + 1 + padding);
            memcpy(content, data, n);
            content[n] = kind;
            len = alone_seal(
                    padding ? 0 : kind, content, padding ? n + padding : n, record);
            alone_receive(record, len);
            on = open_all(data, n, true);
            assert(alone.client.wr.sequence == before + 1);
            if (on && memcmp(old, alone.conn.tls_state->rd.key, sizeof old) != 0 &&
                    record_half_update(&alone.client, &alone.client.wr) < 0)
                abort();
            assert(!on ||
                    alone.conn.tls_state->rd.sequence == alone.client.wr.sequence);
        }
        client_reads();
        data += n, size -= n;
    }
    alone_end();
    return 0;
}
