/*
 * holder.c -- a holder in this process, told and asked by masters
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "master/estate.h"
#include "master/hello.h"
#include "master/holder.h"
#include "master/unixsock.h"

enum {
    MANY = 300
};

static const ipc_addr own = PROC_HOLDER << 10, master = PROC_MASTER << 10;

static struct {
    struct proc p;
    struct status_page page, *master_page;
    int master_page_fd;
    int control[2]; /* [0] the master's end */
    struct mailbox_reader holder_reader, master_reader;
    struct post *master_post;
    int lifeline[2], listen_fd;
    char dir[32], path[48];
    struct estate got;
    unsigned n_holding, n_end;
    uint64_t holding;
} t;

static void
on_begin(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)ctx, (void)from, (void)fd;
    estate_begin(&t.got, ((const struct ipc_u64 *)msg)->value);
}

static void
on_hold(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)ctx, (void)from;
    assert_int_equal(estate_put(&t.got, msg, take_fd(fd)), 0);
}

static void
on_end(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)ctx, (void)from, (void)fd;
    assert_int_equal(estate_end(&t.got, msg), 0);
    t.n_end++;
}

static void
on_holding(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    (void)ctx, (void)from, (void)fd;
    t.holding = ((const struct ipc_u64 *)msg)->value;
    t.n_holding++;
}

static const ipc_handler_fn master_handlers[IPC_TYPES] = {
    [IPC_HOLD_BEGIN] = on_begin,
    [IPC_HOLD] = on_hold,
    [IPC_HOLD_END] = on_end,
    [IPC_HOLDING] = on_holding,
};

static int
set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    snprintf(t.dir, sizeof t.dir, "/tmp/stanzad-hold-XXXXXX");
    assert_non_null(mkdtemp(t.dir));
    snprintf(t.path, sizeof t.path, "%s/s", t.dir);
    t.listen_fd = unixsock_listen_at(SOCK_SEQPACKET, t.path);
    assert_true(t.listen_fd >= 0);
    t.master_page_fd = memfd_create("page", MFD_CLOEXEC);
    assert_int_equal(ftruncate(t.master_page_fd, sizeof *t.master_page), 0);
    assert_int_equal(zone_map(&t.p.status_zone, t.master_page_fd, sizeof *t.master_page,
                             0, true),
            0);
    t.master_page = t.p.status_zone.base;
    assert_int_equal(mailbox_open(t.control), 0);
    assert_int_equal(pipe(t.lifeline), 0);
    estate_init(&t.got);
    t.p.ops = &holder_ops;
    t.p.role = PROC_HOLDER;
    t.p.addr = own;
    t.p.status = &t.page;
    t.p.loop = loop_new();
    t.p.post = post_new(t.p.loop, own);
    t.master_post = post_new(t.p.loop, master);
    post_add_peer(t.p.post, master, fcntl(t.control[1], F_DUPFD_CLOEXEC, 0));
    post_add_peer(t.master_post, own, fcntl(t.control[0], F_DUPFD_CLOEXEC, 0));
    mailbox_reader_init(
            &t.holder_reader, own, P_MASTER | P_ADMIN, holder_ops.handlers, &t.p);
    mailbox_reader_init(&t.master_reader, master, P_HOLDER, master_handlers, NULL);
    assert_int_equal(holder_ops.prepare(&t.p), 0);
    assert_int_equal(holder_ops.start(&t.p), 0);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    holder_ops.finish(&t.p);
    post_free(&t.p.post);
    post_free(&t.master_post);
    mailbox_reader_fini(&t.holder_reader);
    mailbox_reader_fini(&t.master_reader);
    loop_free(&t.p.loop);
    estate_fini(&t.got);
    zone_unmap(&t.p.status_zone);
    close_fd(&t.master_page_fd);
    close_fd(&t.listen_fd);
    for (int i = 0; i < 2; i++) {
        close_fd(&t.control[i]);
        close_fd(&t.lifeline[i]);
    }
    unlink(t.path);
    return rmdir(t.dir);
}

static void
exchange(void)
{
    for (int i = 0; i < 30; i++) {
        loop_turn_once(t.p.loop, 0);
        while (mailbox_read(&t.holder_reader, t.control[1]) == 1)
            ;
        loop_turn_once(t.p.loop, 0);
        while (mailbox_read(&t.master_reader, t.control[0]) == 1)
            ;
    }
}

static void
lifeline(int pid)
{
    struct ipc_u64 m = { .value = (uint64_t)pid };

    post_send_fd(t.master_post, own, IPC_LIFELINE, &m, dup(t.lifeline[0]));
}

static void
hold(enum estate_kind kind, ipc_addr addr, uint32_t index, uint64_t value, int fd)
{
    struct ipc_hold m = { .kind = (uint8_t)kind,
        .addr = addr,
        .index = index,
        .value = value,
        .text = STR("some text") };

    post_send_fd(t.master_post, own, IPC_HOLD, &m, dup(fd));
}

static void
begin(uint64_t number)
{
    post_send(t.master_post, own, IPC_HOLD_BEGIN, &(struct ipc_u64){ .value = number });
}

static void
end(uint64_t number, uint32_t n)
{
    struct ipc_hold_end m = { .number = number, .n = n };

    post_send(t.master_post, own, IPC_HOLD_END, &m);
}

/* What it needs itself, and some more. */
static void
tell(uint64_t number, uint32_t n_more)
{
    begin(number);
    hold(ESTATE_SERVICE, 0, 0, 0, t.listen_fd);
    hold(ESTATE_STATUS_RW, master, 0, 0, t.master_page_fd);
    hold(ESTATE_CONTROL, own, 0, 0, t.control[0]);
    for (uint32_t i = 0; i < n_more; i++)
        hold(ESTATE_LISTENER, 7, i, number + i, t.lifeline[0]);
    end(number, 3 + n_more);
}

static void
ask(uint64_t number)
{
    post_send(t.master_post, own, IPC_GIVE, &(struct ipc_u64){ .value = number });
    exchange();
}

static bool
is_same(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
           x.st_dev == y.st_dev;
}

static void
it_gives_what_it_was_told(void **state)
{
    const struct thing *thing;

    (void)state;
    lifeline(1);
    tell(1000, MANY);
    exchange();
    assert_int_equal(t.n_holding, 1);
    assert_int_equal(t.holding, 1000);
    assert_int_equal(t.page.counter[COUNTER_KEPT], 3 + MANY);
    for (unsigned i = 1; i <= 2; i++) {
        ask(i);
        assert_int_equal(t.n_end, i);
        assert_int_equal(t.got.n, 3 + MANY);
    }
    thing = estate_find(&t.got, ESTATE_LISTENER, 7, MANY - 1);
    assert_non_null(thing);
    assert_int_equal(thing->value, 1000 + MANY - 1);
    assert_string_equal(thing->text, "some text");
    assert_true(is_same(thing->fd, t.lifeline[0]));
    assert_true(is_same(estate_find(&t.got, ESTATE_CONTROL, own, 0)->fd, t.control[0]));
}

static void
a_set_is_replaced_as_a_whole_and_a_thing_alone(void **state)
{
    (void)state;
    lifeline(1);
    tell(1, 5);
    tell(2, 2);
    hold(ESTATE_LISTENER, 7, 1, 99, t.master_page_fd);
    begin(3); /* the master dies in the middle */
    hold(ESTATE_LISTENER, 7, 1, 4711, t.lifeline[0]);
    exchange();
    assert_int_equal(t.n_holding, 2);
    ask(1);
    assert_int_equal(t.got.n, 3 + 2);
    assert_int_equal(estate_find(&t.got, ESTATE_LISTENER, 7, 1)->value, 99);
    /* The next master's single things do not get into the set that was cut off. */
    lifeline(2);
    hold(ESTATE_LISTENER, 7, 0, 100, t.lifeline[0]);
    exchange();
    ask(2);
    assert_int_equal(t.got.n, 3 + 2);
    assert_int_equal(estate_find(&t.got, ESTATE_LISTENER, 7, 0)->value, 100);
    assert_int_equal(estate_find(&t.got, ESTATE_LISTENER, 7, 1)->value, 99);
}

static void
it_notices_that_the_master_dies(void **state)
{
    const struct {
        int32_t in_page, after;
    } cases[] = {
        { 42, 0 }, { 43, 43 }, /* another master was quicker */
    };

    (void)state;
    tell(1, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        t.master_page->pid = cases[i].in_page;
        lifeline(42);
        exchange();
        assert_int_equal(t.master_page->pid, cases[i].in_page);
        close_fd(&t.lifeline[1]);
        exchange();
        if (t.master_page->pid != cases[i].after || t.p.stopping)
            fail_msg("case %zu: %d", i, t.master_page->pid);
        close_fd(&t.lifeline[0]);
        assert_int_equal(pipe(t.lifeline), 0);
    }
}

static void
it_lets_go_when_it_is_of_no_use(void **state)
{
    (void)state;
    lifeline(1);
    begin(1);
    hold(ESTATE_SERVICE, 0, 0, 0, t.listen_fd);
    exchange();
    assert_false(t.p.stopping);
    close_fd(&t.lifeline[1]); /* before it was told everything */
    exchange();
    assert_true(t.p.stopping);
}

static void
a_set_that_is_not_whole_is_not_held(void **state)
{
    (void)state;
    lifeline(1);
    tell(1, 0);
    begin(2);
    hold(ESTATE_SERVICE, 0, 0, 0, t.listen_fd);
    end(2, 2);
    exchange();
    assert_int_equal(t.holding, 1);
    assert_true(t.p.stopping);
}

static void
abandon(struct post *from)
{
    post_send(from, own, IPC_ABANDON, &(struct ipc_nothing){ 0 });
    exchange();
}

static void
it_lets_go_when_it_is_told_to(void **state)
{
    struct post *admin = post_new(t.p.loop, ipc_addr_of(PROC_ADMIN, 0));

    (void)state;
    post_add_peer(admin, own, fcntl(t.control[0], F_DUPFD_CLOEXEC, 0));
    lifeline(1);
    tell(1, 0);
    abandon(admin); /* there is a master: that is for it to say */
    assert_false(t.p.stopping);
    close_fd(&t.lifeline[1]);
    exchange();
    assert_false(t.p.stopping);
    abandon(admin);
    assert_true(t.p.stopping);
    post_free(&admin);
}

static void
a_service_that_stops_is_not_kept(void **state)
{
    (void)state;
    lifeline(1);
    tell(1, 0);
    abandon(t.master_post);
    assert_false(t.p.stopping);
    close_fd(&t.lifeline[1]);
    exchange();
    assert_true(t.p.stopping);
}

static void
whoever_comes_gets_its_control_channel(void **state)
{
    struct hello hello = { .control_fd = -1 };
    int sock = unixsock_dial(SOCK_SEQPACKET, t.path);

    (void)state;
    assert_true(sock >= 0);
    lifeline(1);
    exchange();
    assert_int_equal(hello_receive(sock, &hello), -EAGAIN); /* not complete yet */
    tell(1, 0);
    exchange();
    assert_int_equal(hello_receive(sock, &hello), -EPIPE); /* there is a master */
    close_fd(&sock);
    close_fd(&t.lifeline[1]);
    exchange();
    sock = unixsock_dial(SOCK_SEQPACKET, t.path);
    exchange();
    assert_int_equal(hello_receive(sock, &hello), 0);
    assert_int_equal(hello.signature, hello_signature());
    assert_string_equal(hello.version, STANZAD_VERSION);
    assert_true(is_same(hello.control_fd, t.control[0]));
    assert_int_equal(hello_receive(sock, &hello), -EPIPE);
    close_fd(&hello.control_fd);
    close_fd(&sock);
}

static void
bad_greetings_are_not_understood(void **state)
{
    static const char *const cases[] = { "", "x", "stanzad", "stanzad 12",
        "ejabberd 12 1" };
    struct hello hello = { .control_fd = -1 };
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    for (size_t i = 1; i < ARRAY_LEN(cases); i++) {
        assert_true(send(fds[0], cases[i], strlen(cases[i]), 0) >= 0);
        if (hello_receive(fds[1], &hello) != -EPROTO)
            fail_msg("%s", cases[i]);
    }
    /* In words that are right, but without a descriptor. */
    assert_true(send(fds[0], "stanzad 1 1\n", 12, 0) >= 0);
    assert_int_equal(hello_receive(fds[1], &hello), -EPROTO);
    close(fds[0]);
    close(fds[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(it_gives_what_it_was_told),
        TEST(a_set_is_replaced_as_a_whole_and_a_thing_alone),
        TEST(it_notices_that_the_master_dies),
        TEST(it_lets_go_when_it_is_of_no_use),
        TEST(a_set_that_is_not_whole_is_not_held),
        TEST(it_lets_go_when_it_is_told_to),
        TEST(a_service_that_stops_is_not_kept),
        TEST(whoever_comes_gets_its_control_channel),
        TEST(bad_greetings_are_not_understood),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
