/*
 * tls_own.c -- the record layer of a connection: key updates, their limits, and a kill
 * in the middle of each record
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/rig/tls_alone.h"

static uint8_t record[RECORD_PLAIN_MAX + 64];
static char plain[RECORD_CIPHER_MAX + 64];

static const uint8_t key_update[5] = { 24, 0, 0, 1, 0 },
                     key_update_asked[5] = { 24, 0, 0, 1, 1 };

static int
server_opens(void)
{
    int r;

    tx_begin(alone.w.tx);
    r = tls_own_open(&alone.w, &alone.conn, plain, sizeof plain);
    alone_commit();
    return r;
}

static void
expect(uint8_t type, const void *content, size_t n)
{
    uint8_t out[RECORD_CIPHER_MAX], got = 0;

    assert_int_equal(alone_read(out, &got), n);
    assert_int_equal(got, type);
    assert_memory_equal(out, content, n);
}

/* A kill before the commit leaves everything as if the record had not been looked at.
 */
static void
an_undone_record_opens_again(void **state)
{
    (void)state;
    for (enum record_cipher c = 0; c < RECORD_CIPHERS; c++) {
        const struct {
            uint8_t type;
            const void *p;
            size_t n;
            int want;
        } cases[] = {
            { RECORD_DATA, "text", 4, 4 },
            { RECORD_DATA, "", 0, 0 },
            { RECORD_HANDSHAKE, key_update, 5, 0 },
            { RECORD_HANDSHAKE, key_update_asked, 5, 0 },
            { RECORD_DATA, "more", 4, 4 },
        };

        alone_begin(c);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct tls_state before = *alone.conn.tls_state;

            print_message("cipher %d case %zu\n", c, i);
            alone_receive(
                    record, alone_seal(cases[i].type, cases[i].p, cases[i].n, record));
            for (int kill = 0; kill < 3; kill++) {
                tx_begin(alone.w.tx);
                assert_int_equal(
                        tls_own_open(&alone.w, &alone.conn, plain, sizeof plain),
                        cases[i].want);
                alone_undo();
                assert_memory_equal(&before, alone.conn.tls_state, sizeof before);
                assert_int_equal(alone.conn.in_done, 0);
                assert_int_equal(alone.conn.wire.bytes, 0);
            }
            assert_int_equal(server_opens(), cases[i].want);
            assert_memory_equal(plain, cases[i].p, (size_t)cases[i].want);
            if (cases[i].type == RECORD_HANDSHAKE)
                record_half_update(&alone.client, &alone.client.wr);
            if (cases[i].p == key_update_asked) {
                expect(RECORD_HANDSHAKE, key_update, 5);
                record_half_update(&alone.client, &alone.client.rd);
            }
        }
        alone_end();
    }
}

/* RFC 8446, 5.5 */
static void
a_key_is_replaced_before_it_is_worn_out(void **state)
{
    (void)state;
    alone_begin(RECORD_AES_128_GCM);
    alone.conn.tls_state->wr.sequence = alone.client.rd.sequence = RECORDS_PER_KEY - 1;
    for (int i = 0; i < 3; i++) {
        tx_begin(alone.w.tx);
        assert_int_equal(tls_own_seal(&alone.w, &alone.conn, STR("text")), 0);
        alone_commit();
        if (i == 1) {
            assert_int_equal(alone.client.rd.sequence, RECORDS_PER_KEY);
            expect(RECORD_HANDSHAKE, key_update, 5);
            record_half_update(&alone.client, &alone.client.rd);
        }
        expect(RECORD_DATA, "text", 4);
    }
    assert_int_equal(alone.client.rd.sequence, 2);
    assert_int_equal(alone.conn.tls_state->wr.sequence, 2);
    alone_end();
}

/* RFC 6066, 4 */
static void
records_are_as_short_as_negotiated(void **state)
{
    static char text[40000];
    static const size_t sizes[] = { 16384, 512, 1024, 2048, 4096 };

    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t f = 0; f < ARRAY_LEN(sizes); f++) {
        alone_begin(RECORD_CHACHA20);
        alone.conn.tls_state->fragment = (uint8_t)f;
        tx_begin(alone.w.tx);
        assert_int_equal(
                tls_own_seal(&alone.w, &alone.conn, (struct str){ text, sizeof text }),
                0);
        alone_commit();
        for (size_t left = sizeof text; left > 0;) {
            size_t n = left < sizes[f] ? left : sizes[f];

            expect(RECORD_DATA, text, n);
            left -= n;
        }
        assert_int_equal(alone.conn.wire.bytes, 0);
        alone_end();
    }
}

static int
update(void)
{
    int r;

    alone_receive(record, alone_seal(RECORD_HANDSHAKE, key_update, 5, record));
    r = server_opens();
    record_half_update(&alone.client, &alone.client.wr);
    if (r < 0)
        return r;
    alone_receive(record, alone_seal(RECORD_DATA, " ", 1, record));
    return server_opens() == 1 ? 0 : -1;
}

static void
key_updates_are_limited_in_time(void **state)
{
    static const uint8_t unexpected_message[2] = { 2, 10 };

    (void)state;
    alone_begin(RECORD_AES_256_GCM);
    for (int i = 0; i < 32; i++)
        assert_int_equal(update(), 0);
    for (int i = 0; i < 100; i++) {
        alone.w.now_s++;
        assert_int_equal(update(), 0);
    }
    assert_int_equal(update(), -EPROTO);
    expect(RECORD_ALERT, unexpected_message, 2);
    alone_end();

    alone_begin(RECORD_AES_256_GCM);
    alone.w.now_s = UINT32_MAX - 5; /* the clock wraps around */
    for (int i = 0; i < 20; i++)
        assert_int_equal(update(), 0);
    alone.w.now_s += 3600;
    for (int i = 0; i < 32; i++)
        assert_int_equal(update(), 0);
    assert_int_equal(update(), -EPROTO);
    alone_end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_undone_record_opens_again),
        cmocka_unit_test(a_key_is_replaced_before_it_is_worn_out),
        cmocka_unit_test(records_are_as_short_as_negotiated),
        cmocka_unit_test(key_updates_are_limited_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
