/*
 * admin_client.c -- the control socket, with both its ends and a master in one process
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "base/mem.h"
#include "sql/client.h"

enum {
    MASTER = PROC_MASTER << 10,
    ADMIN = PROC_ADMIN << 10,
    TURNS_MAX = 2000
};

struct ends {
    struct proc p;
    struct admin admin;
    char dir[32];
    int master_fd; /* what the admin process sends to the master comes here */
    struct mailbox_reader master;
    bool master_answers;
    unsigned n_calls;
    char last_call[64];
};

static void
on_master_call(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct ends *e = ctx;
    const struct ipc_call *m = msg;
    struct ipc_list args = m->args;
    struct ipc_reply reply = { .id = m->id };
    struct str arg = STR("");

    (void)fd;
    assert_int_equal(from, ADMIN);
    e->n_calls++;
    ipc_list_next(&args, &arg);
    snprintf(e->last_call, sizeof e->last_call, "%.*s %.*s", STR_ARG(m->name),
            STR_ARG(arg));
    if (e->master_answers)
        call_on_reply(&e->admin, MASTER, &reply);
}

static const ipc_handler_fn master_handlers[IPC_TYPES] = {
    [IPC_MASTER_CALL] = on_master_call,
};

static int
listen_in(const char *dir, char *ret_path, size_t size)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(sun.sun_path, sizeof sun.sun_path, "%s/stanzad.sock", dir);
    assert_true((size_t)snprintf(ret_path, size, "%s", sun.sun_path) < size);
    assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof sun), 0);
    assert_int_equal(listen(fd, 128), 0);
    return fd;
}

static void
ends_open(struct ends *e)
{
    int pair[2];
    char path[64];

    memset(e, 0, sizeof *e);
    snprintf(e->dir, sizeof e->dir, "/tmp/stanzad-unit-XXXXXX");
    assert_non_null(mkdtemp(e->dir));
    e->p.role = PROC_ADMIN;
    e->p.addr = ADMIN;
    e->p.loop = loop_new();
    e->p.post = post_new(e->p.loop, ADMIN);
    e->p.self = &e->admin;
    assert_int_equal(mailbox_open(pair), 0);
    e->master_fd = pair[0];
    post_add_peer(e->p.post, MASTER, pair[1]);
    mailbox_reader_init(&e->master, MASTER, P_ADMIN, master_handlers, e);
    e->admin.p = &e->p;
    e->admin.next_call_id = 7;
    list_init(&e->admin.calls);
    snprintf(e->admin.node, sizeof e->admin.node, "stanzad@test");
    assert_int_equal(clients_start(&e->admin.clients, &e->admin, &e->p,
                             listen_in(e->dir, path, sizeof path)),
            0);
    e->master_answers = true;
}

static void
ends_close(struct ends *e)
{
    char path[64];

    clients_fini(&e->admin.clients);
    post_free(&e->p.post);
    loop_free(&e->p.loop);
    mailbox_reader_fini(&e->master);
    close(e->master_fd);
    snprintf(path, sizeof path, "%s/stanzad.sock", e->dir);
    unlink(path);
    rmdir(e->dir);
}

static int
dial(const struct ends *e)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(sun.sun_path, sizeof sun.sun_path, "%s/stanzad.sock", e->dir);
    assert_int_equal(connect(fd, (const struct sockaddr *)&sun, sizeof sun), 0);
    return fd;
}

static void
send_request(int fd, bool json, uint32_t timeout_ms, const char *const *argv)
{
    struct control_request rq = {
        .json = json, .api_version = 3, .timeout_ms = timeout_ms
    };
    struct buf bytes = { 0 };

    for (; argv[rq.n_args]; rq.n_args++)
        rq.arg[rq.n_args] = str_from(argv[rq.n_args]);
    assert_int_equal(control_put_request(&bytes, &rq), 0);
    assert_int_equal(send(fd, bytes.p, bytes.n, MSG_NOSIGNAL), bytes.n);
    buf_fini(&bytes);
}

static void
turn(struct ends *e)
{
    loop_turn_once(e->p.loop, 5);
    while (mailbox_read(&e->master, e->master_fd) == 1)
        ;
}

/* Turns until the server has closed; returns the exit status, -1 when none came. */
static int
answer(struct ends *e, int fd, struct buf *out)
{
    struct buf in = { 0 };
    struct control_frame frame;
    struct str rest;
    int status = -1;
    ssize_t n = -1;

    for (int i = 0; i < TURNS_MAX && n != 0; i++) {
        turn(e);
        n = recv(fd, buf_reserve(&in, 65536), 65536, 0);
        if (n > 0)
            buf_added(&in, (size_t)n);
        if (n < 0 && errno != EAGAIN)
            break;
    }
    rest = buf_str(&in);
    while (control_take(&rest, &frame) == 1) {
        if (frame.kind == CONTROL_EXIT)
            status = frame.body.p[0];
        else
            buf_add_str(out, frame.body);
    }
    assert_int_equal(rest.n, 0);
    buf_fini(&in);
    close(fd);
    return status;
}

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
commands_are_answered(void **state)
{
    static const struct {
        const char *argv[5], *out;
        int status;
        const char *call; /* that the master got; NULL: none */
    } cases[] = {
        { { "stop" }, "", 0, "stop " },
        { { "reload-config" }, "", 0, "reload_config " },
        { { "set_loglevel", "4" }, "", 0, "set_loglevel info" },
        { { "set_loglevel", "shout" }, "Error: \"Invalid log level\"\n", 1, NULL },
        { { "get_loglevel" }, "info\n", 0, NULL },
        { { "version" }, STANZAD_VERSION "\n", 0, NULL },
        { { "foo" }, "Error: unknown command 'foo'. Did you mean 'stop'?\n", 1, NULL },
        { { "stats", "people" },
                "Error: unknown number 'people'; there are: registeredusers "
                "onlineusers "
                "onlineusersnode uptimeseconds processes\n",
                1, NULL },
        { { "counters", "porter" },
                "Error: unknown role 'porter'; there are: master holder keeper worker "
                "router auth sql admin\n",
                1, NULL },
    };

    (void)state;
    log_set_level(LOG_LEVEL_INFO);
    log_set_fd(-1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = { 0 };
        struct ends e;
        int fd;

        print_message("case: %s\n", cases[i].argv[0]);
        ends_open(&e);
        fd = dial(&e);
        send_request(fd, false, 5000, cases[i].argv);
        assert_int_equal(answer(&e, fd, &out), cases[i].status);
        assert_string_equal(buf_c(&out), cases[i].out);
        assert_string_equal(e.last_call, cases[i].call ? cases[i].call : "");
        buf_fini(&out);
        ends_close(&e);
    }
}

static void
wrong_arguments_bring_the_help_and_2(void **state)
{
    struct buf out = { 0 };
    struct ends e;
    int fd;

    (void)state;
    ends_open(&e);
    fd = dial(&e);
    send_request(fd, false, 5000, ARGV("register"));
    assert_int_equal(answer(&e, fd, &out), 2);
    assert_non_null(strstr(buf_c(&out), "Command Name: register"));
    assert_non_null(strstr(buf_c(&out),
            "\nError: the command 'register' requires 3 more argument.\n"));
    buf_fini(&out);
    ends_close(&e);
}

static void
a_silent_process_ends_in_an_error(void **state)
{
    struct buf out = { 0 };
    struct ends e;
    int fd;

    (void)state;
    ends_open(&e);
    e.master_answers = false;
    fd = dial(&e);
    send_request(fd, false, 50, ARGV("stop"));
    assert_int_equal(answer(&e, fd, &out), 1);
    assert_string_equal(buf_c(&out),
            "Error: unavailable: master 0 did not answer within 0 seconds\n");
    buf_fini(&out);
    ends_close(&e);
}

/* The master's answer finds nobody, and nothing is left of the request. */
static void
a_client_that_goes_takes_its_request_with_it(void **state)
{
    struct ends e;
    int fd;

    (void)state;
    ends_open(&e);
    e.master_answers = false;
    fd = dial(&e);
    send_request(fd, false, 5000, ARGV("stop"));
    for (int i = 0; i < TURNS_MAX && e.n_calls == 0; i++)
        turn(&e);
    assert_int_equal(e.n_calls, 1);
    close(fd);
    for (int i = 0; i < TURNS_MAX && e.admin.clients.n > 0; i++)
        turn(&e);
    assert_int_equal(e.admin.clients.n, 0);
    assert_true(list_empty(&e.admin.calls));
    call_on_reply(&e.admin, MASTER, &(struct ipc_reply){ .id = 7 });
    ends_close(&e);
}

static void
more_clients_than_places_wait_their_turn(void **state)
{
    int fd[CLIENTS_MAX + 20];
    struct ends e;

    (void)state;
    ends_open(&e);
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        fd[i] = dial(&e);
    turn(&e);
    assert_int_equal(e.admin.clients.n, CLIENTS_MAX);
    for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
        struct buf out = { 0 };

        send_request(fd[i], true, 5000, ARGV("version"));
        assert_int_equal(answer(&e, fd[i], &out), 0);
        assert_string_equal(buf_c(&out), "\"" STANZAD_VERSION "\"\n");
        buf_fini(&out);
    }
    assert_int_equal(e.admin.clients.n, 0);
    ends_close(&e);
}

static void
nonsense_is_refused(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t n;
    } cases[] = {
        { "another protocol", "GET / HTTP/1.0\r\n\r\n", 18 },
        { "too long", "\xff\xff\xff\x7fQ", 5 },
        { "no arguments",
                "\x0c\0\0\0Q"
                "\1\0\3\0"
                "\0\0\0\0"
                "\0\0\0\0",
                17 },
        { "an argument beyond the end",
                "\x10\0\0\0Q"
                "\1\0\3\0"
                "\0\0\0\0"
                "\1\0\0\0"
                "\x40\0\0\0",
                21 },
        { "bytes behind the arguments",
                "\x11\0\0\0Q"
                "\1\0\3\0"
                "\0\0\0\0"
                "\1\0\0\0"
                "\0\0\0\0"
                "x",
                22 },
        { "an answer", "\0\0\0\0O", 5 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = { 0 };
        struct ends e;
        int fd;

        print_message("case: %s\n", cases[i].what);
        ends_open(&e);
        fd = dial(&e);
        assert_int_equal(send(fd, cases[i].bytes, cases[i].n, 0), cases[i].n);
        assert_int_equal(answer(&e, fd, &out), 1);
        assert_non_null(strstr(buf_c(&out), "Error: the request was not understood"));
        buf_fini(&out);
        ends_close(&e);
    }
}

static void
on_idle(void *arg)
{
    *(bool *)arg = true;
}

static void
who_waits_is_told_when_the_service_stops(void **state)
{
    struct buf out = { 0 };
    bool idle = false;
    struct ends e;
    int fd;

    (void)state;
    ends_open(&e);
    e.master_answers = false;
    fd = dial(&e);
    send_request(fd, false, 60000, ARGV("status"));
    for (int i = 0; i < TURNS_MAX && e.n_calls == 0; i++)
        turn(&e);
    clients_end(&e.admin.clients, on_idle, &idle);
    assert_int_equal(answer(&e, fd, &out), 1);
    assert_string_equal(buf_c(&out), "Error: unavailable: the service is stopping\n");
    for (int i = 0; i < TURNS_MAX && !idle; i++)
        turn(&e);
    assert_true(idle);
    buf_fini(&out);
    ends_close(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_answered),
        cmocka_unit_test(wrong_arguments_bring_the_help_and_2),
        cmocka_unit_test(a_silent_process_ends_in_an_error),
        cmocka_unit_test(a_client_that_goes_takes_its_request_with_it),
        cmocka_unit_test(more_clients_than_places_wait_their_turn),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(who_waits_is_told_when_the_service_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
