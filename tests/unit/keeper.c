/*
 * keeper.c -- a keeper in this process, with a worker's two mailboxes around it
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "master/held.h"
#include "master/keeper.h"

enum {
    CONNS = 300,
    SLOT = 3
};

static struct {
    struct proc p;
    struct status_page page;
    struct mailbox_reader keeper_reader, worker_reader;
    int keeper_box[2], worker_box[2];
    struct post *worker_post;
    int kept_fd[CONNS];
    unsigned n_kept, n_all, n_empty;
    uint64_t all, question;
} t;

static uint64_t
conn_of(uint32_t index)
{
    return conn_id_of(SLOT, index, 7 + index);
}

static void
on_kept(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_conn *m = msg;

    (void)ctx, (void)from;
    assert_true(conn_id_index(m->conn) < CONNS);
    close_fd(&t.kept_fd[conn_id_index(m->conn)]);
    t.kept_fd[conn_id_index(m->conn)] = take_fd(fd);
    t.n_kept++;
}

static void
on_kept_all(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)ctx, (void)from, (void)fd;
    t.all = ((const struct ipc_kept_all *)msg)->n;
    t.question = ((const struct ipc_kept_all *)msg)->question;
    t.n_all++;
}

static void
on_keeper_empty(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)ctx, (void)from, (void)msg, (void)fd;
    t.n_empty++;
}

static const ipc_handler_fn worker_handlers[IPC_TYPES] = {
    [IPC_KEPT] = on_kept,
    [IPC_KEPT_ALL] = on_kept_all,
    [IPC_KEEPER_EMPTY] = on_keeper_empty,
};

static void
keeper_begin(uint32_t starts)
{
    ipc_addr worker = ipc_addr_of(PROC_WORKER, SLOT),
             keeper = ipc_addr_of(PROC_KEEPER, SLOT);

    t.p.ops = &keeper_ops;
    t.p.role = PROC_KEEPER;
    t.p.slot = SLOT;
    t.p.addr = keeper;
    t.p.starts = starts;
    t.p.status = &t.page;
    t.p.post = post_new(t.p.loop, keeper);
    post_add_peer(t.p.post, worker, fcntl(t.worker_box[1], F_DUPFD_CLOEXEC, 0));
    mailbox_reader_init(&t.keeper_reader, keeper, P_ANY, keeper_ops.handlers, &t.p);
    assert_int_equal(keeper_ops.start(&t.p), 0);
}

static void
keeper_end(void)
{
    post_free(&t.p.post);
    keeper_ops.finish(&t.p);
    mailbox_reader_fini(&t.keeper_reader);
}

static int
set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    for (size_t i = 0; i < CONNS; i++)
        t.kept_fd[i] = -1;
    assert_int_equal(mailbox_open(t.keeper_box), 0);
    assert_int_equal(mailbox_open(t.worker_box), 0);
    t.p.loop = loop_new();
    t.worker_post = post_new(t.p.loop, ipc_addr_of(PROC_WORKER, SLOT));
    post_add_peer(t.worker_post, ipc_addr_of(PROC_KEEPER, SLOT),
            fcntl(t.keeper_box[1], F_DUPFD_CLOEXEC, 0));
    mailbox_reader_init(&t.worker_reader, ipc_addr_of(PROC_WORKER, SLOT), P_KEEPER,
            worker_handlers, NULL);
    keeper_begin(0);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    keeper_end();
    post_free(&t.worker_post);
    mailbox_reader_fini(&t.worker_reader);
    loop_free(&t.p.loop);
    for (size_t i = 0; i < CONNS; i++)
        close_fd(&t.kept_fd[i]);
    for (int i = 0; i < 2; i++) {
        close_fd(&t.keeper_box[i]);
        close_fd(&t.worker_box[i]);
    }
    return 0;
}

static void
exchange(void)
{
    for (int i = 0; i < 20; i++) {
        loop_turn_once(t.p.loop, 0);
        while (mailbox_read(&t.keeper_reader, t.keeper_box[0]) == 1)
            ;
        loop_turn_once(t.p.loop, 0);
        while (mailbox_read(&t.worker_reader, t.worker_box[0]) == 1)
            ;
    }
}

static void
keep(uint64_t conn, int fd)
{
    struct ipc_conn m = { .conn = conn };

    post_send_fd(t.worker_post, ipc_addr_of(PROC_KEEPER, SLOT), IPC_KEEP, &m, fd);
}

static void
release(uint64_t conn)
{
    struct ipc_conn m = { .conn = conn };

    post_send(t.worker_post, ipc_addr_of(PROC_KEEPER, SLOT), IPC_RELEASE, &m);
}

static void
ask(uint64_t question)
{
    post_send(t.worker_post, ipc_addr_of(PROC_KEEPER, SLOT), IPC_KEEP_GIVE,
            &(struct ipc_u64){ .value = question });
}

/* A socket pair of which the keeper holds the only copy of one end; gives the other. */
static int
keep_one(uint64_t conn)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    keep(conn, fds[0]);
    return fds[1];
}

static bool
is_closed(int fd)
{
    char c;

    return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static void
a_successor_gets_every_socket(void **state)
{
    int client[CONNS];
    char c;

    (void)state;
    for (uint32_t i = 0; i < CONNS; i++)
        client[i] = keep_one(conn_of(i));
    exchange();
    assert_int_equal(t.page.counter[COUNTER_KEPT], CONNS);
    ask(41);
    exchange();
    assert_int_equal(t.question, 41);
    assert_int_equal(t.n_all, 1);
    assert_int_equal(t.all, CONNS);
    assert_int_equal(t.n_kept, CONNS);
    for (uint32_t i = 0; i < CONNS; i++) {
        assert_int_equal(send(t.kept_fd[i], "x", 1, 0), 1);
        assert_int_equal(recv(client[i], &c, 1, MSG_DONTWAIT), 1);
    }
    /* The next successor gets them, too. */
    ask(42);
    exchange();
    assert_int_equal(t.question, 42);
    assert_int_equal(t.n_kept, 2 * CONNS);
    assert_int_equal(t.n_all, 2);
    for (uint32_t i = 0; i < CONNS; i++)
        close(client[i]);
}

static void
only_the_right_connection_is_released(void **state)
{
    const struct {
        uint64_t conn;
        bool closes;
    } cases[] = {
        { conn_id_of(SLOT, 5, 1), false },       /* an older one at this place */
        { conn_id_of(SLOT + 1, 5, 12), false },  /* another slot's */
        { conn_id_of(SLOT, 6, 12), false },      /* another place */
        { conn_id_of(SLOT, 100000, 12), false }, /* never used */
        { conn_id_of(SLOT, 5, 12), true },
        { conn_id_of(SLOT, 5, 12), true }, /* twice is harmless */
    };
    int client = keep_one(conn_id_of(SLOT, 5, 12));

    (void)state;
    exchange();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        release(cases[i].conn);
        exchange();
        if (is_closed(client) != cases[i].closes)
            fail_msg("case %zu", i);
        assert_int_equal(t.page.counter[COUNTER_KEPT], cases[i].closes ? 0 : 1);
    }
    close(client);
}

static void
a_later_connection_takes_the_place(void **state)
{
    int before = keep_one(conn_id_of(SLOT, 9, 1)), after;

    (void)state;
    exchange();
    after = keep_one(conn_id_of(SLOT, 9, 2));
    exchange();
    assert_true(is_closed(before));
    assert_false(is_closed(after));
    assert_int_equal(t.page.counter[COUNTER_KEPT], 1);
    close(before);
    close(after);
}

static void
another_slots_connections_are_refused(void **state)
{
    int client = keep_one(conn_id_of(SLOT + 1, 9, 1));

    (void)state;
    exchange();
    assert_true(is_closed(client));
    assert_int_equal(t.page.counter[COUNTER_KEPT], 0);
    close(client);
}

static void
a_restarted_keeper_says_that_it_is_empty(void **state)
{
    int held = keep_one(conn_of(1)), waiting;

    (void)state;
    exchange();
    assert_int_equal(t.n_empty, 0);
    waiting = keep_one(conn_of(2));
    post_flush(t.worker_post); /* in the mailbox when the keeper dies */
    keeper_end();
    assert_true(is_closed(held));
    t.page.ready = 0; /* as the master does */
    keeper_begin(1);
    exchange();
    assert_int_equal(t.n_empty, 1);
    assert_false(is_closed(waiting));
    assert_int_equal(t.page.counter[COUNTER_KEPT], 1);
    assert_false(t.page.ready); /* not before it has all */
    post_send(t.worker_post, ipc_addr_of(PROC_KEEPER, SLOT), IPC_KEEPER_FULL,
            &(struct ipc_nothing){ 0 });
    exchange();
    assert_true(t.page.ready);
    close(held);
    close(waiting);
}

static void
places_far_apart_are_walked(void **state)
{
    static const uint32_t places[] = { 0, 1, 4095, 4096, 70000, CONN_INDEX_MAX };
    struct held *held = held_new(SLOT);
    uint32_t at = 0;
    uint64_t conn;
    size_t n = 0;
    int fd;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        assert_int_equal(held_put(held, conn_id_of(SLOT, places[i], 1), dup(0)), 0);
    assert_int_equal(held_put(held, conn_id_of(SLOT, 3, 0), dup(0)), -EINVAL);
    for (; held_next(held, &at, &conn, &fd); n++)
        assert_int_equal(conn_id_index(conn), places[n]);
    assert_int_equal(n, ARRAY_LEN(places));
    held_free(&held);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(a_successor_gets_every_socket),
        TEST(only_the_right_connection_is_released),
        TEST(a_later_connection_takes_the_place),
        TEST(another_slots_connections_are_refused),
        TEST(a_restarted_keeper_says_that_it_is_empty),
        TEST(places_far_apart_are_walked),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
