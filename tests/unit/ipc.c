/*
 * ipc.c -- frames between two ends in one process
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/mailbox.h"
#include "ipc/post.h"

struct seen {
    unsigned n_calls, n_fds;
    size_t last_size;
    struct buf name, arg;
};

static void
on_call(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct seen *seen = ctx;
    const struct ipc_call *m = msg;
    struct ipc_list args = m->args;
    struct str arg;

    assert_int_equal(ipc_addr_role(from), PROC_ADMIN);
    assert_int_equal(*fd, -1);
    seen->n_calls++;
    buf_reset(&seen->name, 0);
    buf_add_str(&seen->name, m->name);
    buf_reset(&seen->arg, 0);
    while (ipc_list_next(&args, &arg))
        buf_addf(&seen->arg, arg.p ? "[%.*s]" : "NULL", STR_ARG(arg));
    seen->last_size = m->args.packed.n;
}

static void
on_keep(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct seen *seen = ctx;

    (void)from, (void)msg;
    assert_true(*fd >= 0);
    seen->n_fds++;
}

static const ipc_handler_fn handlers[IPC_TYPES] = {
    [IPC_PROC_CALL] = on_call,
    [IPC_KEEP] = on_keep,
};

struct ends {
    int fd[2];
    struct loop *loop;
    struct post *post;
    struct mailbox_reader reader;
    struct seen seen;
};

static void
ends_open(struct ends *e, ipc_addr from, ipc_addr to)
{
    memset(e, 0, sizeof *e);
    assert_int_equal(mailbox_open(e->fd), 0);
    e->loop = loop_new();
    e->post = post_new(e->loop, from);
    post_add_peer(e->post, to, e->fd[1]);
    mailbox_reader_init(&e->reader, to, P_ANY, handlers, &e->seen);
}

static void
ends_close(struct ends *e)
{
    post_free(&e->post);
    loop_free(&e->loop);
    mailbox_reader_fini(&e->reader);
    buf_fini(&e->seen.name);
    buf_fini(&e->seen.arg);
    close(e->fd[0]);
}

static void
send_call(struct ends *e, ipc_addr to, struct str name, struct str arg)
{
    struct buf args = { 0 };
    struct ipc_call call = { .id = 7, .name = name };

    ipc_list_add(&args, arg);
    ipc_list_add(&args, STR_NULL);
    call.args = ipc_list_of(&args);
    post_send(e->post, to, IPC_PROC_CALL, &call);
    buf_fini(&args);
}

static void
a_batch_arrives_in_order(void **state)
{
    ipc_addr to = ipc_addr_of(PROC_SQL, 0);
    struct ends e;

    (void)state;
    ends_open(&e, ipc_addr_of(PROC_ADMIN, 0), to);
    for (int i = 0; i < 10; i++)
        send_call(&e, to, STR("ping"), STR("x"));
    send_call(&e, to, STR("last"), STR("argument"));
    post_flush(e.post);
    assert_int_equal(mailbox_read(&e.reader, e.fd[0]), 1);
    assert_int_equal(e.seen.n_calls, 11);
    assert_string_equal(buf_c(&e.seen.name), "last");
    assert_string_equal(buf_c(&e.seen.arg), "[argument]NULL");
    assert_int_equal(mailbox_read(&e.reader, e.fd[0]), 0);
    ends_close(&e);
}

static void
databases_are_told_first(void **state)
{
    ipc_addr sql = ipc_addr_of(PROC_SQL, 0), worker = ipc_addr_of(PROC_WORKER, 1);
    struct ends e;

    (void)state;
    ends_open(&e, ipc_addr_of(PROC_ADMIN, 0), sql);
    post_add_peer(e.post, worker, dup(e.fd[1])); /* both in the same mailbox */
    send_call(&e, worker, STR("told"), STR("x"));
    send_call(&e, sql, STR("stored"), STR("x"));
    post_flush(e.post);
    assert_int_equal(mailbox_read(&e.reader, e.fd[0]), 1);
    assert_string_equal(buf_c(&e.seen.name), "stored");
    assert_int_equal(mailbox_read(&e.reader, e.fd[0]), 1);
    assert_string_equal(buf_c(&e.seen.name), "told");
    ends_close(&e);
}

static void
a_huge_payload_travels_as_memory(void **state)
{
    ipc_addr to = ipc_addr_of(PROC_SQL, 0);
    size_t size = 3 << 20;
    char *big = malloc(size);
    struct ends e;

    (void)state;
    memset(big, 'a', size);
    ends_open(&e, ipc_addr_of(PROC_ADMIN, 0), to);
    send_call(&e, to, STR("big"), (struct str){ big, size });
    post_flush(e.post);
    assert_int_equal(mailbox_read(&e.reader, e.fd[0]), 1);
    assert_int_equal(e.seen.n_calls, 1);
    assert_int_equal(e.seen.last_size, size + 8);
    ends_close(&e);
    free(big);
}

static void
a_full_mailbox_keeps_the_rest_for_later(void **state)
{
    ipc_addr to = ipc_addr_of(PROC_SQL, 0);
    static char part[20000];
    struct ends e;
    unsigned sent = 300;

    (void)state;
    memset(part, 'b', sizeof part);
    ends_open(&e, ipc_addr_of(PROC_ADMIN, 0), to);
    for (unsigned i = 0; i < sent; i++)
        send_call(&e, to, STR("part"), (struct str){ part, sizeof part });
    post_flush(e.post);
    assert_true(post_backlog(e.post) > 0);
    while (e.seen.n_calls < sent) {
        if (mailbox_read(&e.reader, e.fd[0]) == 0)
            loop_turn_once(e.loop, 1000);
    }
    assert_int_equal(post_backlog(e.post), 0);
    ends_close(&e);
}

/* Everyone holds everyone's mailbox: what its reader takes must not wake them all. */
static void
a_reader_wakes_no_sender_that_has_room(void **state)
{
    ipc_addr to = ipc_addr_of(PROC_SQL, 0);
    struct ends e;
    uint64_t began;

    (void)state;
    ends_open(&e, ipc_addr_of(PROC_ADMIN, 0), to);
    loop_turn_once(e.loop, 0); /* what a new descriptor has to say */
    send_call(&e, to, STR("ping"), STR("x"));
    post_flush(e.post);
    assert_int_equal(mailbox_read(&e.reader, e.fd[0]), 1);
    began = clock_us();
    loop_turn_once(e.loop, 20);
    assert_true(clock_us() - began >= 20000);
    ends_close(&e);
}

static void
descriptors_come_with_their_frames(void **state)
{
    ipc_addr to = ipc_addr_of(PROC_KEEPER, 3);
    struct ends e;
    unsigned n = 100;

    (void)state;
    ends_open(&e, ipc_addr_of(PROC_WORKER, 3), to);
    for (unsigned i = 0; i < n; i++)
        post_send_fd(e.post, to, IPC_KEEP, &(struct ipc_conn){ .conn = i + 1 }, dup(0));
    while (e.seen.n_fds < n) {
        post_flush(e.post);
        assert_true(mailbox_read(&e.reader, e.fd[0]) >= 0);
    }
    ends_close(&e);
}

/*
 * The reader died before it had handled a packet: what is behind a payload that was in
 * a descriptor is handled all the same.
 */
static void
a_lost_descriptor_takes_no_other_frame_along(void **state)
{
    ipc_addr to = ipc_addr_of(PROC_SQL, 0);
    size_t size = 1 << 20;
    char *big = calloc(1, size);
    struct mailbox_inbox *left = calloc(1, sizeof *left);
    struct iovec iov = { left->packet, sizeof left->packet };
    struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
    struct ends e;

    (void)state;
    ends_open(&e, ipc_addr_of(PROC_ADMIN, 0), to);
    send_call(&e, to, STR("before"), STR("x"));
    send_call(&e, to, STR("big"), (struct str){ big, size });
    send_call(&e, to, STR("behind"), STR("y"));
    post_flush(e.post);
    assert_true(recvmsg(e.fd[0], &mh, MSG_DONTWAIT) > 0);
    e.reader.inbox = left;
    assert_int_equal(mailbox_resume(&e.reader), 3);
    assert_int_equal(e.seen.n_calls, 2);
    assert_true(str_eq(buf_str(&e.seen.name), STR("behind")));
    assert_int_equal(left->handled, 0); /* nobody notes it in this test */
    ends_close(&e);
    free(left);
    free(big);
}

/* Whoever sends it says that the other end is closed, but what comes behind is read. */
static void
a_packet_without_content_is_not_the_end(void **state)
{
    ipc_addr to = ipc_addr_of(PROC_ROUTER, 0);
    struct ends e;

    (void)state;
    ends_open(&e, ipc_addr_of(PROC_WORKER, 0), to);
    assert_int_equal(send(e.fd[1], "", 0, MSG_DONTWAIT), 0);
    post_send(e.post, to, IPC_ROUTE_UNBIND, &(struct ipc_route_conn){ .conn = 1 });
    post_flush(e.post);
    assert_int_equal(mailbox_read(&e.reader, e.fd[0]), -EPIPE);
    assert_int_equal(mailbox_read(&e.reader, e.fd[0]), 1);
    assert_int_equal(e.reader.n_frames, 1);
    ends_close(&e);
}

/* They are promised by a transaction that may not be committed yet. */
static void
frames_with_numbers_wait_for_the_flush(void **state)
{
    ipc_addr to = ipc_addr_of(PROC_ROUTER, 0);
    struct ends e;
    char payload[12] = { 1 }; /* a conn; an empty bare JID */

    (void)state;
    ends_open(&e, ipc_addr_of(PROC_WORKER, 0), to);
    for (uint64_t i = 0; i < 3 * MAILBOX_BATCH / sizeof payload; i++)
        post_send_packed(e.post, to, IPC_ROUTE_UNBIND,
                (struct str){ payload, sizeof payload }, i + 1);
    assert_int_equal(mailbox_read(&e.reader, e.fd[0]), 0);
    post_flush(e.post);
    while (mailbox_read(&e.reader, e.fd[0]) == 1)
        ;
    assert_int_equal(e.reader.n_frames, 3 * MAILBOX_BATCH / sizeof payload);
    ends_close(&e);
}

/* What a process that was taken over could send: nothing of it reaches a handler. */
static void
malformed_packets_are_dropped(void **state)
{
    ipc_addr to = ipc_addr_of(PROC_SQL, 0);
    static const struct {
        const char *what;
        uint32_t magic;
        ipc_addr from;
        uint16_t n_frames, type, flags;
        uint32_t len;
        size_t sent;
    } cases[] = {
        { "wrong magic", 1, PROC_ADMIN << 10, 1, IPC_PROC_CALL, 0, 8, 32 },
        { "unknown role", MAILBOX_MAGIC, 63 << 10, 1, IPC_PROC_CALL, 0, 8, 32 },
        { "the master", MAILBOX_MAGIC, PROC_MASTER << 10, 1, IPC_STOP, 0, 0, 24 },
        { "not its sender", MAILBOX_MAGIC, PROC_WORKER << 10, 1, IPC_PROC_CALL, 0, 8,
                32 },
        { "not our frame", MAILBOX_MAGIC, PROC_WORKER << 10, 1, IPC_DELIVER, 0, 8, 32 },
        { "unknown type", MAILBOX_MAGIC, PROC_ADMIN << 10, 1, 60000, 0, 8, 32 },
        { "too long", MAILBOX_MAGIC, PROC_ADMIN << 10, 1, IPC_PROC_CALL, 0, 9000, 32 },
        { "short payload", MAILBOX_MAGIC, PROC_ADMIN << 10, 1, IPC_PROC_CALL, 0, 8,
                32 },
        { "fd that is not there", MAILBOX_MAGIC, PROC_ADMIN << 10, 1, IPC_PROC_CALL, 1,
                8, 32 },
        { "blob that is not there", MAILBOX_MAGIC, PROC_ADMIN << 10, 1, IPC_PROC_CALL,
                2, 8, 32 },
        { "header only", MAILBOX_MAGIC, PROC_ADMIN << 10, 3, 0, 0, 0, 16 },
        { "half a header", MAILBOX_MAGIC, PROC_ADMIN << 10, 1, 0, 0, 0, 7 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char packet[64] = { 0 };
        struct ends e;
        uint64_t before;

        print_message("case: %s\n", cases[i].what);
        ends_open(&e, ipc_addr_of(PROC_ADMIN, 0), to);
        before = e.reader.n_bad;
        memcpy(packet, &cases[i].magic, 4);
        memcpy(packet + 4, &cases[i].from, 2);
        memcpy(packet + 6, &cases[i].n_frames, 2);
        memcpy(packet + 16, &cases[i].type, 2);
        memcpy(packet + 18, &cases[i].flags, 2);
        memcpy(packet + 20, &cases[i].len, 4);
        assert_int_equal(send(e.fd[1], packet, cases[i].sent, 0), cases[i].sent);
        assert_int_equal(mailbox_read(&e.reader, e.fd[0]), 1);
        assert_int_equal(e.seen.n_calls, 0);
        assert_int_equal(e.reader.n_bad, before + 1);
        ends_close(&e);
    }
}

static void
a_closed_sender_is_noticed(void **state)
{
    struct ends e;

    (void)state;
    ends_open(&e, ipc_addr_of(PROC_ADMIN, 0), ipc_addr_of(PROC_SQL, 0));
    post_free(&e.post);
    assert_int_equal(mailbox_read(&e.reader, e.fd[0]), -EPIPE);
    ends_close(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_arrives_in_order),
        cmocka_unit_test(databases_are_told_first),
        cmocka_unit_test(a_huge_payload_travels_as_memory),
        cmocka_unit_test(a_full_mailbox_keeps_the_rest_for_later),
        cmocka_unit_test(a_reader_wakes_no_sender_that_has_room),
        cmocka_unit_test(descriptors_come_with_their_frames),
        cmocka_unit_test(a_lost_descriptor_takes_no_other_frame_along),
        cmocka_unit_test(a_packet_without_content_is_not_the_end),
        cmocka_unit_test(frames_with_numbers_wait_for_the_flush),
        cmocka_unit_test(malformed_packets_are_dropped),
        cmocka_unit_test(a_closed_sender_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
