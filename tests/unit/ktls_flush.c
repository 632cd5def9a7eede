/*
 * ktls_flush.c -- what goes to a kernel that makes the records, and in which order
 *
 * The kernel is played here: the functions of worker/ktls.h below write down what they
 * are told, behind what has come through the socket up to then.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/rig/tls_alone.h"
#include "worker/jobs.h"
#include "worker/ktls.h"
#include "worker/out.h"

static struct {
    int peer;
    int refuse; /* the error of the next keys */
    struct buf seen;
} kernel;

static void
note_sent(void)
{
    char piece[4096];
    ssize_t n;

    while ((n = recv(kernel.peer, piece, sizeof piece, MSG_DONTWAIT)) > 0)
        buf_add(&kernel.seen, piece, (size_t)n);
}

int
ktls_attach(int fd)
{
    (void)fd;
    return 0;
}

int
ktls_send_keys(int fd, const struct tls_state *st)
{
    int r = kernel.refuse;

    (void)fd;
    note_sent();
    kernel.refuse = 0;
    buf_addf(&kernel.seen, r ? "[refused]" : "[keys %llu]",
            (unsigned long long)st->wr.sequence);
    return r;
}

int
ktls_send_record(int fd, enum record_type type, const void *p, size_t n)
{
    const uint8_t *byte = p;

    (void)fd;
    note_sent();
    buf_addf(&kernel.seen, "[%d:", type);
    for (size_t i = 0; i < n; i++)
        buf_addf(&kernel.seen, " %u", byte[i]);
    buf_add_c(&kernel.seen, "]");
    return 0;
}

size_t
ktls_keys(const struct tls_state *st, void *ret_keys)
{
    (void)st, (void)ret_keys;
    return 0;
}

static void
begin(void)
{
    static struct status_page page;
    static struct conf_listener listener;
    static struct slot *slot;
    struct worker *w = &alone.w;
    int fd[2];

    if (!slot)
        slot = calloc(1, sizeof *slot);
    assert_non_null(slot);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    alone_begin(RECORD_AES_128_GCM);
    listener.send_timeout_ms = 15000;
    alone.conf.listeners = &listener;
    alone.conf.n_listeners = 1;
    alone.proc.status = &page;
    w->slot = slot;
    w->loop = loop_new();
    w->jobs = jobs_new();
    alone.conn.flags = CONN_KTLS;
    *w->live[0] = (struct live){ .fd = fd[0], .flags = LIVE_WRITABLE };
    kernel.peer = fd[1];
    buf_reset(&kernel.seen, SIZE_MAX);
}

static void
end(void)
{
    close(alone.w.live[0]->fd);
    close(kernel.peer);
    jobs_free(&alone.w);
    loop_free(&alone.w.loop);
    buf_fini(&kernel.seen);
    alone_end();
}

static void
say(struct str text)
{
    worker_begin(&alone.w, NULL);
    out_add(&alone.w, &alone.conn, text);
    worker_commit(&alone.w);
    out_flush_all(&alone.w);
    note_sent();
}

static void
expect(const char *want)
{
    buf_add_char(&kernel.seen, '\0');
    assert_string_equal(kernel.seen.p, want);
    buf_reset(&kernel.seen, SIZE_MAX);
}

/* What was sealed before, the session tickets, is not sealed again. */
static void
keys_come_between_tickets_and_text(void **state)
{
    (void)state;
    begin();
    worker_begin(&alone.w, NULL);
    out_add_wire(&alone.w, &alone.conn, STR("tickets "));
    worker_commit(&alone.w);
    alone.conn.tls_state->wr.sequence = 1;
    say(STR("text "));
    expect("tickets [keys 1]text ");
    say(STR("more"));
    expect("more");
    assert_int_equal(alone.conn.tx_total, 8 + 5 + 4);
    end();
}

static void
a_refusal_leaves_the_records_to_us(void **state)
{
    uint8_t type;
    char plain[100];

    (void)state;
    begin();
    kernel.refuse = -ENOENT;
    say(STR("text"));
    assert_false(alone.conn.flags & CONN_KTLS);
    assert_memory_equal(kernel.seen.p, "[refused]", 9);
    assert_int_equal(kernel.seen.n, 9 + 4 + RECORD_OVERHEAD);
    assert_int_equal(record_open(&alone.client, &alone.client.rd,
                             (struct str){ kernel.seen.p + 9, 4 + RECORD_OVERHEAD },
                             plain, &type),
            4);
    assert_memory_equal(plain, "text", 4);
    end();
}

static void
the_end_is_said_behind_the_text(void **state)
{
    (void)state;
    begin();
    say(STR("text"));
    expect("[keys 0]text");
    worker_begin(&alone.w, NULL);
    out_add(&alone.w, &alone.conn, STR("</stream:stream>"));
    alone.conn.flags |= CONN_CLOSE_SENT;
    worker_commit(&alone.w);
    out_flush_all(&alone.w);
    note_sent();
    expect("</stream:stream>[21: 1 0]");
    end();
}

static void
keys_are_renewed(void **state)
{
    static const uint8_t asked[5] = { 24, 0, 0, 1, 1 };
    uint8_t record[64];
    char plain[64];

    (void)state;
    begin();
    say(STR("text"));
    expect("[keys 0]text");
    alone_receive(record, alone_seal(RECORD_HANDSHAKE, asked, 5, record));
    worker_begin(&alone.w, NULL);
    assert_int_equal(tls_own_open(&alone.w, &alone.conn, plain, sizeof plain), 0);
    worker_commit(&alone.w);
    expect("[22: 24 0 0 1 0][keys 0]");
    alone.conn.tls_state->wr.sequence = RECORDS_PER_KEY - 1;
    say(STR("worn out"));
    expect("worn out[22: 24 0 0 1 0][keys 0]");
    end();
}

/* A client that does not read: the text waits, and nothing is said before it. */
static void
a_full_socket_keeps_the_order(void **state)
{
    static char text[1 << 20];
    size_t n = 0;

    (void)state;
    memset(text, 'x', sizeof text);
    begin();
    say(STR("a"));
    expect("[keys 0]a");
    worker_begin(&alone.w, NULL);
    out_add(&alone.w, &alone.conn, (struct str){ text, sizeof text });
    alone.conn.flags |= CONN_CLOSE_SENT;
    worker_commit(&alone.w);
    while (n < sizeof text) {
        buf_reset(&kernel.seen, SIZE_MAX);
        alone.w.live[0]->flags |= LIVE_WRITABLE;
        out_dirty(&alone.w, &alone.conn);
        out_flush_all(&alone.w);
        note_sent();
        assert_true(kernel.seen.n > 0);
        n += kernel.seen.n;
    }
    assert_int_equal(n, sizeof text + strlen("[21: 1 0]"));
    assert_string_equal(
            (buf_add_char(&kernel.seen, '\0'), kernel.seen.p + kernel.seen.n - 10),
            "[21: 1 0]");
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_between_tickets_and_text),
        cmocka_unit_test(a_refusal_leaves_the_records_to_us),
        cmocka_unit_test(the_end_is_said_behind_the_text),
        cmocka_unit_test(keys_are_renewed),
        cmocka_unit_test(a_full_socket_keeps_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
