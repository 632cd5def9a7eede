/*
 * The auth process between a worker, an admin process and a database played by the
 * test.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "auth/auth.h"
#include "auth/process.h"
#include "base/arena.h"
#include "base/mem.h"
#include "sql/client.h"
#include "tests/unit/rig/sasl_client.h"

enum {
    REQUESTS_MAX = 16
};

/* What the peers were sent. */
struct seen_request {
    struct ipc_sql_request m;
    struct buf params;
};

static struct rig {
    struct proc p;
    struct conf conf;
    struct conf_host host;
    struct auth *auth;
    int worker_fd, sql_fd, admin_fd;
    struct mailbox_reader worker, sql, admin;
    unsigned n_results, n_requests, n_replies;
    struct ipc_auth_result result; /* the last one; its views in the bufs */
    struct buf data, user, text;
    struct seen_request request[REQUESTS_MAX];
    struct ipc_reply reply;
    struct buf reply_text;
} rig;

static void
on_result(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_auth_result *m = msg;

    (void)ctx, (void)from, (void)fd;
    rig.n_results++;
    rig.result = *m;
    buf_reset(&rig.data, 0);
    buf_add_str(&rig.data, m->data);
    buf_reset(&rig.user, 0);
    buf_add_str(&rig.user, m->user);
    buf_reset(&rig.text, 0);
    buf_add_str(&rig.text, m->text);
}

static void
on_request(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_sql_request *m = msg;
    struct seen_request *r = &rig.request[rig.n_requests % REQUESTS_MAX];

    (void)ctx, (void)from, (void)fd;
    rig.n_requests++;
    r->m = *m;
    buf_reset(&r->params, 0);
    buf_add_str(&r->params, m->params.packed);
    r->m.params.packed = buf_str(&r->params);
}

static void
on_reply(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_reply *m = msg;

    (void)ctx, (void)from, (void)fd;
    rig.n_replies++;
    rig.reply = *m;
    buf_reset(&rig.reply_text, 0);
    buf_add_str(&rig.reply_text, m->text);
}

static const ipc_handler_fn handlers[IPC_TYPES] = {
    [IPC_AUTH_RESULT] = on_result,
    [IPC_SQL_REQUEST] = on_request,
    [IPC_ACCOUNT_REPLY] = on_reply,
};

static int
peer_open(enum proc_role role, struct mailbox_reader *reader)
{
    ipc_addr addr = ipc_addr_of(role, 0);
    int fds[2];

    assert_int_equal(mailbox_open(fds), 0);
    post_add_peer(rig.p.post, addr, fds[1]);
    mailbox_reader_init(reader, addr, P_AUTH, handlers, NULL);
    return fds[0];
}

static int
setup(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof rig);
    rig.host.name = STR("example.net");
    rig.host.auth_password_format = CONF_PASSWORD_SCRAM;
    rig.conf.hosts = &rig.host;
    rig.conf.n_hosts = 1;
    rig.conf.negotiation_timeout_ms = 60000;
    rig.conf.registration_timeout_ms = 600000;
    rig.p.role = PROC_AUTH;
    rig.p.addr = ipc_addr_of(PROC_AUTH, 0);
    rig.p.conf = &rig.conf;
    rig.p.status = mem_zalloc(sizeof *rig.p.status);
    memset(rig.p.secret, 's', sizeof rig.p.secret);
    rig.p.loop = loop_new();
    rig.p.post = post_new(rig.p.loop, rig.p.addr);
    rig.worker_fd = peer_open(PROC_WORKER, &rig.worker);
    rig.sql_fd = peer_open(PROC_SQL, &rig.sql);
    rig.admin_fd = peer_open(PROC_ADMIN, &rig.admin);
    assert_int_equal(auth_ops.prepare(&rig.p), 0);
    rig.auth = rig.p.self;
    rig.auth->host[0].policy.iterations = 20;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    auth_ops.finish(&rig.p);
    post_free(&rig.p.post);
    loop_free(&rig.p.loop);
    mailbox_reader_fini(&rig.worker);
    mailbox_reader_fini(&rig.sql);
    mailbox_reader_fini(&rig.admin);
    close(rig.worker_fd);
    close(rig.sql_fd);
    close(rig.admin_fd);
    mem_free(&rig.p.status);
    buf_fini(&rig.data);
    buf_fini(&rig.user);
    buf_fini(&rig.text);
    buf_fini(&rig.reply_text);
    for (int i = 0; i < REQUESTS_MAX; i++)
        buf_fini(&rig.request[i].params);
    return 0;
}

/* Turns the loop and reads what was sent. */
static void
turn(int n)
{
    while (n-- > 0) {
        loop_turn_once(rig.p.loop, 0);
        post_flush(rig.p.post);
        while (mailbox_read(&rig.worker, rig.worker_fd) == 1)
            ;
        while (mailbox_read(&rig.sql, rig.sql_fd) == 1)
            ;
        while (mailbox_read(&rig.admin, rig.admin_fd) == 1)
            ;
    }
}

/* Turns until *what is n, for at most ten seconds. */
static void
turn_until(const unsigned *what, unsigned n)
{
    for (int i = 0; i < 10000 && *what < n; i++) {
        turn(1);
        if (*what < n)
            usleep(1000);
    }
    assert_int_equal(*what, n);
}

static void
handle(enum ipc_type type, enum proc_role from, const void *msg)
{
    int fd = -1;

    auth_ops.handlers[type](&rig.p, ipc_addr_of(from, 0), msg, &fd);
    turn(1);
}

static void
send_step(uint64_t conn, const char *remote, const char *mechanism, struct str data)
{
    struct buf offered = { 0 };
    struct ipc_auth_step m = { .conn = conn,
        .initial = mechanism != NULL,
        .has_data = 1,
        .host = STR("example.net"),
        .remote = str_from(remote),
        .data = data,
        .tls = 13,
        .mechanism = str_from(mechanism),
        .cb_exporter = STR("exporter") };

    ipc_list_add(&offered, STR("SCRAM-SHA-1-PLUS"));
    ipc_list_add(&offered, STR("SCRAM-SHA-1"));
    ipc_list_add(&offered, STR("PLAIN"));
    m.offered = ipc_list_of(&offered);
    handle(IPC_AUTH_STEP, PROC_WORKER, &m);
    buf_fini(&offered);
}

/* "pencil" with salt and 20 iterations; the row as the database gives it. */
static void
answer_with_password(const struct seen_request *r, const char *password)
{
    struct ipc_sql_reply m = { .id = r->m.id, .status = IPC_OK, .columns = 5 };
    struct cred_row rows[CRED_ROWS_MAX];
    struct buf cells = { 0 };
    struct arena a;
    size_t n = 0;

    arena_init(&a, 1024);
    if (password)
        assert_int_equal(
                creds_make(&a, &rig.auth->host[0].policy, str_from(password), rows, &n),
                0);
    for (size_t i = 0; i < n; i++) {
        char type[16], iterations[16];

        snprintf(type, sizeof type, "%u", rows[i].type);
        snprintf(iterations, sizeof iterations, "%u", rows[i].iterations);
        ipc_list_add(&cells, str_from(type));
        ipc_list_add(&cells, rows[i].password);
        ipc_list_add(&cells, rows[i].serverkey);
        ipc_list_add(&cells, rows[i].salt);
        ipc_list_add(&cells, str_from(iterations));
    }
    m.cells = ipc_list_of(&cells);
    handle(IPC_SQL_REPLY, PROC_SQL, &m);
    buf_fini(&cells);
    arena_fini(&a);
}

static void
answer_with_status(const struct seen_request *r, enum ipc_status status)
{
    struct ipc_sql_reply m = { .id = r->m.id, .status = (uint8_t)status };

    handle(IPC_SQL_REPLY, PROC_SQL, &m);
}

static const struct seen_request *
last_request(void)
{
    return &rig.request[(rig.n_requests - 1) % REQUESTS_MAX];
}

/* What a PLAIN login ends in; `stored` NULL: no such account. */
static void
login(uint64_t conn, const char *remote, struct str message, const char *stored)
{
    unsigned n_requests = rig.n_requests, n_results = rig.n_results;

    send_step(conn, remote, "PLAIN", message);
    assert_int_equal(rig.n_requests, n_requests + 1);
    assert_int_equal(last_request()->m.op, SQL_USER_GET);
    answer_with_password(last_request(), stored);
    turn_until(&rig.n_results, n_results + 1);
    assert_int_equal(rig.result.conn, conn);
}

static void
expect_failure(enum sasl_error failure)
{
    assert_int_equal(rig.result.status, IPC_AUTH_FAILURE);
    assert_int_equal(rig.result.failure, failure);
}

static uint64_t
counted(enum counter c)
{
    return rig.p.status->counter[c];
}

static void
test_plain(void **state)
{
    (void)state;
    login(1, "192.0.2.1", STR("\0Romeo\0pencil"), "pencil");
    assert_int_equal(rig.result.status, IPC_AUTH_SUCCESS);
    assert_string_equal(buf_c(&rig.user), "romeo");
    login(2, "192.0.2.1", STR("\0romeo\0wrong"), "pencil");
    expect_failure(SASL_ERROR_NOT_AUTHORIZED);
    assert_string_equal(buf_c(&rig.text), "");
    login(3, "192.0.2.1", STR("\0nobody\0pencil"), NULL);
    expect_failure(SASL_ERROR_NOT_AUTHORIZED);
    assert_string_equal(buf_c(&rig.text), "");
    assert_int_equal(counted(COUNTER_AUTH_REFUSED) + counted(COUNTER_AUTH_DELAYED), 0);
    assert_int_equal(rig.auth->dialogues.n, 0);
}

static void
test_scram(void **state)
{
    struct scram_client c = { .header = "p=tls-exporter,,",
        .cb = "exporter",
        .n_cb = 8,
        .user = "romeo",
        .password = "pencil",
        .md = EVP_sha1(),
        .nonce = "abcdef" };
    struct ipc_list params;
    struct str param;

    (void)state;
    send_step(7, "::1", "SCRAM-SHA-1-PLUS", str_from(client_first(&c)));
    assert_int_equal(rig.n_requests, 1);
    params = rig.request[0].m.params;
    assert_true(ipc_list_next(&params, &param) && str_eq_c(param, "romeo"));
    assert_false(ipc_list_next(&params, &param));
    answer_with_password(&rig.request[0], "pencil");
    turn_until(&rig.n_results, 1);
    assert_int_equal(rig.result.status, IPC_AUTH_CHALLENGE);
    assert_non_null(client_final(&c, rig.data.p, rig.data.n));
    send_step(7, "::1", NULL, str_from(c.final));
    assert_int_equal(rig.n_results, 2);
    assert_int_equal(rig.result.status, IPC_AUTH_SUCCESS);
    assert_true(client_accepts(&c, rig.data.p, rig.data.n));
    assert_string_equal(buf_c(&rig.user), "romeo");
}

/*
 * Its successor is asked the same; if nobody ever answers, that is a temporary failure.
 */
static void
test_silent_database(void **state)
{
    struct ipc_nothing nothing = { 0 };

    (void)state;
    send_step(1, "::1", "PLAIN", STR("\0romeo\0pencil"));
    assert_int_equal(rig.n_requests, 1);
    handle(IPC_SQL_RESTARTED, PROC_SQL, &nothing);
    assert_int_equal(rig.n_requests, 2);
    assert_true(rig.request[0].m.id == rig.request[1].m.id);
    answer_with_password(&rig.request[1], "pencil");
    turn_until(&rig.n_results, 1);
    assert_int_equal(rig.result.status, IPC_AUTH_SUCCESS);
    answer_with_password(&rig.request[1], "pencil"); /* the second answer is nobody's */

    rig.auth->sql_timeout_ms = 5;
    send_step(2, "::1", "PLAIN", STR("\0romeo\0pencil"));
    turn_until(&rig.n_results, 2);
    expect_failure(SASL_ERROR_TEMPORARY_AUTH_FAILURE);
    assert_int_equal(sql_client_waiting(rig.auth->sql), 0);
}

static void
test_database_says_no(void **state)
{
    const enum ipc_status statuses[] = { IPC_UNAVAILABLE, IPC_FAILED, IPC_INVALID };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(statuses); i++) {
        send_step(i + 1, "::1", "PLAIN", STR("\0romeo\0pencil"));
        answer_with_status(last_request(), statuses[i]);
        turn_until(&rig.n_results, i + 1);
        expect_failure(SASL_ERROR_TEMPORARY_AUTH_FAILURE);
    }
}

/* Rows in several frames, one of them damaged, and a frame of another question. */
static void
test_pieces_of_an_answer(void **state)
{
    struct buf cells = { 0 };
    struct ipc_sql_reply m = { .status = IPC_OK, .columns = 5, .more = 1 };

    (void)state;
    send_step(1, "::1", "PLAIN", STR("\0romeo\0pencil"));
    m.id = last_request()->m.id + 1;
    handle(IPC_SQL_REPLY, PROC_SQL, &m);
    m.id--;
    ipc_list_add(&cells, STR("2"));
    for (int i = 0; i < 3; i++)
        ipc_list_add(&cells, i % 2 ? STR("?") : STR_NULL);
    ipc_list_add(&cells, STR("-1"));
    m.cells = ipc_list_of(&cells);
    handle(IPC_SQL_REPLY, PROC_SQL, &m);
    assert_int_equal(rig.n_results, 0);
    answer_with_password(last_request(), "pencil");
    turn_until(&rig.n_results, 1);
    assert_int_equal(rig.result.status, IPC_AUTH_SUCCESS);
    buf_fini(&cells);
}

static void
test_dialogues_that_are_not_there(void **state)
{
    struct ipc_conn conn = { .conn = 5 };
    int fd = -1;

    (void)state;
    send_step(9, "::1", NULL, STR("c=biws"));
    assert_int_equal(rig.n_results, 1);
    expect_failure(SASL_ERROR_TEMPORARY_AUTH_FAILURE);

    send_step(5, "::1", "PLAIN", STR("\0romeo\0pencil"));
    auth_ops.handlers[IPC_AUTH_ABORT](&rig.p, ipc_addr_of(PROC_WORKER, 1), &conn, &fd);
    assert_int_equal(rig.auth->dialogues.n, 1); /* not that worker's */
    handle(IPC_AUTH_ABORT, PROC_WORKER, &conn);
    assert_int_equal(rig.auth->dialogues.n, 0);
    answer_with_password(last_request(), "pencil");
    turn(3);
    assert_int_equal(rig.n_results, 1);

    /* A message while we are at the database. */
    send_step(6, "::1", "PLAIN", STR("\0romeo\0pencil"));
    send_step(6, "::1", NULL, STR("again"));
    assert_int_equal(rig.n_results, 2);
    expect_failure(SASL_ERROR_TEMPORARY_AUTH_FAILURE);

    /* A second <auth/> on the same connection ends the first. */
    send_step(8, "::1", "SCRAM-SHA-1", STR("n,,n=romeo,r=abc"));
    send_step(8, "::1", "PLAIN", STR("\0romeo\0pencil"));
    assert_int_equal(rig.auth->dialogues.n, 1);
    answer_with_password(last_request(), "pencil");
    turn_until(&rig.n_results, 3);
    assert_int_equal(rig.result.status, IPC_AUTH_SUCCESS);
}

static void
test_refused_at_once(void **state)
{
    struct ipc_auth_step m = {
        .conn = 1, .initial = 1, .host = STR("example.org"), .mechanism = STR("PLAIN")
    };

    (void)state;
    handle(IPC_AUTH_STEP, PROC_WORKER, &m);
    assert_int_equal(rig.n_results, 1);
    expect_failure(SASL_ERROR_TEMPORARY_AUTH_FAILURE);
    m.host = STR("example.net");
    handle(IPC_AUTH_STEP, PROC_WORKER, &m);
    assert_int_equal(rig.n_results, 2);
    expect_failure(SASL_ERROR_ENCRYPTION_REQUIRED);
    m.mechanism = STR("EXTERNAL");
    handle(IPC_AUTH_STEP, PROC_WORKER, &m);
    expect_failure(SASL_ERROR_INVALID_MECHANISM);
    assert_int_equal(rig.auth->dialogues.n, 0);
    assert_int_equal(rig.n_requests, 0);
}

static void
test_lifetime(void **state)
{
    (void)state;
    rig.auth->lifetime_ms = 5;
    send_step(1, "::1", "SCRAM-SHA-1", STR("n,,n=romeo,r=abc"));
    answer_with_password(last_request(), NULL);
    turn_until(&rig.n_results, 2);
    expect_failure(SASL_ERROR_TEMPORARY_AUTH_FAILURE);
    assert_int_equal(rig.auth->dialogues.n, 0);
}

static void
test_too_many_dialogues(void **state)
{
    (void)state;
    for (uint64_t conn = 1; conn <= AUTH_DIALOGUES_MAX; conn++)
        send_step(conn, "::1", "SCRAM-SHA-1", STR("n,,n=romeo,r=abc"));
    assert_int_equal(rig.n_results, 0);
    send_step(AUTH_DIALOGUES_MAX + 1, "::1", "SCRAM-SHA-1", STR("n,,n=romeo,r=abc"));
    assert_int_equal(rig.n_results, 1);
    assert_int_equal(rig.result.conn, 1); /* the oldest has to go */
    expect_failure(SASL_ERROR_TEMPORARY_AUTH_FAILURE);
    assert_int_equal(rig.auth->dialogues.n, AUTH_DIALOGUES_MAX);
    assert_int_equal(counted(COUNTER_AUTH_REFUSED), 1);
    auth_ops.stop(&rig.p); /* they may come to their end */
    turn(3);
    assert_int_equal(rig.n_results, 1);
    assert_int_equal(rig.auth->dialogues.n, AUTH_DIALOGUES_MAX);
    rig.auth->stop_until_ms = 0; /* but nobody waits for them for ever */
    while (rig.auth->dialogues.n > 0)
        turn(1);
    turn(3);
    assert_int_equal(rig.n_results, 1 + AUTH_DIALOGUES_MAX);
    assert_int_equal(rig.auth->dialogues.n, 0);
}

static void
test_too_much_work(void **state)
{
    (void)state;
    rig.auth->work.n_max = 0;
    send_step(1, "::1", "PLAIN", STR("\0romeo\0pencil"));
    answer_with_password(last_request(), "pencil");
    assert_int_equal(rig.n_results, 1);
    expect_failure(SASL_ERROR_TEMPORARY_AUTH_FAILURE);
    /* SCRAM from stored keys does not queue. */
    send_step(2, "::1", "SCRAM-SHA-1", STR("n,,n=romeo,r=abc"));
    answer_with_password(last_request(), "pencil");
    assert_int_equal(rig.n_results, 2);
    assert_int_equal(rig.result.status, IPC_AUTH_CHALLENGE);
}

static void
set_limits(uint32_t address_burst, uint32_t account_burst)
{
    const struct limit_params addresses = {
        .burst = address_burst, .interval_ms = 20, .delay_max_ms = 50, .n_max = 10
    };
    const struct limit_params accounts = {
        .burst = account_burst, .interval_ms = 20, .delay_max_ms = 50, .n_max = 10
    };

    limit_free(&rig.auth->addresses);
    limit_free(&rig.auth->accounts);
    rig.auth->addresses = limit_new(&addresses);
    rig.auth->accounts = limit_new(&accounts);
}

/*
 * One address guesses: slower, then refused without a look; others are not concerned.
 */
static void
test_guessing_from_one_address(void **state)
{
    unsigned n_asked;

    (void)state;
    set_limits(0, 1000);
    login(1, "192.0.2.1:4000", STR("\0romeo\0wrong"), "pencil");
    expect_failure(SASL_ERROR_NOT_AUTHORIZED);
    login(2, "192.0.2.1:4001", STR("\0juliet\0wrong"), NULL);
    expect_failure(SASL_ERROR_NOT_AUTHORIZED);
    assert_int_equal(counted(COUNTER_AUTH_DELAYED), 2);
    assert_int_equal(counted(COUNTER_AUTH_REFUSED), 0);

    /* Many at once do not get around it; the time is in the future of all of them. */
    for (int i = 0; i < 10; i++)
        limit_on_failure(rig.auth->addresses,
                limit_key_of_address(rig.auth->addresses, STR("192.0.2.1")),
                loop_now_ms(rig.p.loop) + 60000);
    n_asked = rig.n_results;
    for (uint64_t i = 10; i < 16; i++)
        login(i, "192.0.2.1", STR("\0romeo\0pencil"), "pencil");
    assert_int_equal(rig.n_results, n_asked + 6);
    assert_int_equal(counted(COUNTER_AUTH_REFUSED), 6);
    expect_failure(SASL_ERROR_TEMPORARY_AUTH_FAILURE);
    assert_true(rig.text.n > 0);
    login(21, "192.0.2.2", STR("\0romeo\0pencil"), "pencil");
    assert_int_equal(rig.result.status, IPC_AUTH_SUCCESS);
}

/* Many addresses guess at one account: slower, for its owner too, but never refused. */
static void
test_guessing_at_one_account(void **state)
{
    char remote[32];

    (void)state;
    set_limits(1000, 0);
    for (uint64_t i = 1; i <= 6; i++) {
        snprintf(remote, sizeof remote, "192.0.2.%u", (unsigned)i);
        login(i, remote, STR("\0romeo\0wrong"), "pencil");
        expect_failure(SASL_ERROR_NOT_AUTHORIZED);
    }
    assert_int_equal(counted(COUNTER_AUTH_DELAYED), 6);
    login(11, "192.0.2.200", STR("\0juliet\0pencil"), "pencil");
    assert_int_equal(counted(COUNTER_AUTH_DELAYED), 6);
    for (int i = 0; i < 100; i++)
        limit_on_failure(rig.auth->accounts,
                limit_key(rig.auth->accounts, STR("example.net"), STR("romeo")),
                loop_now_ms(rig.p.loop));
    login(12, "192.0.2.201", STR("\0romeo\0pencil"), "pencil");
    assert_int_equal(rig.result.status, IPC_AUTH_SUCCESS);
    assert_int_equal(counted(COUNTER_AUTH_DELAYED), 7);
    assert_int_equal(counted(COUNTER_AUTH_REFUSED), 0);
}

/* An answer that is held back is lost with its dialogue, not sent to the next one. */
static void
test_held_and_aborted(void **state)
{
    struct ipc_conn conn = { .conn = 1 };

    (void)state;
    set_limits(0, 0);
    send_step(1, "::1", "PLAIN", STR("\0romeo\0wrong"));
    answer_with_password(last_request(), "pencil");
    turn(2);
    assert_int_equal(rig.n_results, 0);
    assert_int_equal(counted(COUNTER_AUTH_DELAYED), 1);
    handle(IPC_AUTH_ABORT, PROC_WORKER, &conn);
    usleep(100000);
    turn(2);
    assert_int_equal(rig.n_results, 0);
}

static void
call(uint64_t id, const char *name, size_t n_args, const char *const *args)
{
    struct buf list = { 0 };
    struct ipc_call m = { .id = id, .name = str_from(name) };

    for (size_t i = 0; i < n_args; i++)
        ipc_list_add(&list, str_from(args[i]));
    m.args = ipc_list_of(&list);
    handle(IPC_ACCOUNT_CALL, PROC_ADMIN, &m);
    buf_fini(&list);
}

static void
test_account_calls(void **state)
{
    static const struct {
        const char *name, *args[6];
        size_t n_args;
        int op; /* -1: the database is not asked */
        enum ipc_status sql, status;
    } cases[] = {
        { "register", { "Romeo", "Example.NET", "pencil" }, 3, SQL_USER_CREATE, IPC_OK,
                IPC_OK },
        { "register", { "romeo", "example.net", "pencil" }, 3, SQL_USER_CREATE,
                IPC_CONFLICT, IPC_CONFLICT },
        { "register", { "romeo", "example.net", "" }, 3, -1, 0, IPC_INVALID },
        { "register", { "romeo", "example.net", "a\x07" }, 3, -1, 0, IPC_INVALID },
        { "register", { "ro@meo", "example.net", "pencil" }, 3, -1, 0, IPC_INVALID },
        { "register", { "", "example.net", "pencil" }, 3, -1, 0, IPC_INVALID },
        { "register", { "romeo", "example.org", "pencil" }, 3, -1, 0, IPC_INVALID },
        { "register", { "romeo", "", "pencil" }, 3, -1, 0, IPC_INVALID },
        { "register", { "romeo", "example.net" }, 2, -1, 0, IPC_INVALID },
        { "register", { "romeo", "example.net", "a", "b" }, 4, -1, 0, IPC_INVALID },
        { "register_from", { "romeo", "example.net", "pencil", "id", "192.0.2.1" }, 5,
                -1, 0, IPC_INVALID },
        { "register_from",
                { "romeo", "example.net", "pencil", "0123456789abcdef", "192.0.2.1" },
                5, SQL_USER_CREATE, IPC_CONFLICT, IPC_CONFLICT },
        { "register_from",
                { "romeo", "example.net", "pencil", "0123456789abcdef", "192.0.2.1" },
                5, SQL_USER_CREATE, IPC_OK, IPC_OK },
        { "register_from",
                { "juliet", "example.net", "pencil", "0123456789abcdeX", "192.0.2.1" },
                5, -1, 0, IPC_DENIED },
        { "register_from",
                { "romeo", "example.net", "pencil", "0123456789abcdef", "192.0.2.1" },
                5, SQL_USER_CREATE, IPC_OK, IPC_OK }, /* asked again */
        { "change_password", { "romeo", "example.net", "pencil" }, 3, SQL_USER_UPDATE,
                IPC_OK, IPC_OK },
        { "change_password", { "romeo", "example.net", "pencil" }, 3, SQL_USER_UPDATE,
                IPC_NOT_FOUND, IPC_NOT_FOUND },
        { "check_password", { "romeo", "example.net", "pencil" }, 3, SQL_USER_GET,
                IPC_OK, IPC_DENIED },
        { "check_password", { "romeo", "example.net", "pencil" }, 3, SQL_USER_GET,
                IPC_UNAVAILABLE, IPC_UNAVAILABLE },
        { "remove", { "romeo", "example.net" }, 2, SQL_USER_DEL, IPC_OK, IPC_OK },
        { "remove", { "romeo", "example.net" }, 2, SQL_USER_DEL, IPC_NOT_FOUND,
                IPC_NOT_FOUND },
        { "check_account", { "romeo", "example.net" }, 2, SQL_USER_EXISTS, IPC_OK,
                IPC_NOT_FOUND }, /* without a row */
        { "check_account", { "romeo", "example.net" }, 2, SQL_USER_EXISTS, IPC_FAILED,
                IPC_FAILED },
        { "drop_tables", { "romeo", "example.net" }, 2, -1, 0, IPC_INVALID },
    };
    unsigned n_requests = 0;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %u: %s\n", i, cases[i].name);
        call(i, cases[i].name, cases[i].n_args, cases[i].args);
        if (cases[i].op >= 0) {
            struct ipc_list params;
            struct str user;

            turn_until(&rig.n_requests, ++n_requests);
            assert_int_equal(last_request()->m.op, cases[i].op);
            params = last_request()->m.params;
            assert_true(ipc_list_next(&params, &user) && str_eq_c(user, "romeo"));
            assert_int_equal(last_request()->m.write_id_hi != 0,
                    cases[i].op != SQL_USER_GET && cases[i].op != SQL_USER_EXISTS);
            answer_with_status(last_request(), cases[i].sql);
        }
        turn_until(&rig.n_replies, i + 1);
        assert_int_equal(rig.reply.id, i);
        assert_int_equal(rig.reply.status, cases[i].status);
        assert_int_equal(rig.n_requests, n_requests);
        assert_int_equal(rig.reply_text.n > 0, cases[i].status != IPC_OK);
        assert_int_equal(rig.auth->n_calls, 0);
    }
}

/* The keys that `register` sends to the database let their owner in. */
static void
test_registered_keys(void **state)
{
    static const char *const args[] = { "romeo", "example.net", "pencil" };
    struct ipc_list params;
    struct str cell[6], extra;
    struct buf row = { 0 };
    struct ipc_sql_reply m = { .status = IPC_OK, .columns = 5 };

    (void)state;
    call(1, "register", 3, args);
    turn_until(&rig.n_requests, 1);
    params = rig.request[0].m.params;
    for (int i = 0; i < 6; i++)
        assert_true(ipc_list_next(&params, &cell[i]));
    assert_false(ipc_list_next(&params, &extra));
    assert_true(str_eq_c(cell[1], "2") && str_eq_c(cell[5], "20"));
    for (int i = 1; i < 6; i++)
        ipc_list_add(&row, cell[i]);
    answer_with_status(&rig.request[0], IPC_OK);
    turn_until(&rig.n_replies, 1);
    m.cells = ipc_list_of(&row);
    for (unsigned wrong = 0; wrong < 2; wrong++) {
        static const char *const passwords[] = { "pencil", "eraser" };
        const char *check[] = { "romeo", "example.net", passwords[wrong] };

        call(2, "check_password", 3, check);
        turn_until(&rig.n_requests, 2 + wrong);
        m.id = last_request()->m.id;
        handle(IPC_SQL_REPLY, PROC_SQL, &m);
        turn_until(&rig.n_replies, 2 + wrong);
        assert_int_equal(rig.reply.status, wrong ? IPC_DENIED : IPC_OK);
    }
    buf_fini(&row);
}

static void
test_too_many_calls(void **state)
{
    static const char *const args[] = { "romeo", "example.net" };

    (void)state;
    for (unsigned i = 0; i < AUTH_CALLS_MAX; i++)
        call(i, "check_account", 2, args);
    assert_int_equal(rig.n_replies, 0);
    call(9999, "check_account", 2, args);
    assert_int_equal(rig.n_replies, 1);
    assert_int_equal(rig.reply.id, 9999);
    assert_int_equal(rig.reply.status, IPC_UNAVAILABLE);
}

/* auth_method: [mnesia, sql]: one after the other, and nobody is taken over. */
static void
test_two_databases(void **state)
{
    static const struct {
        const char *name;
        size_t n_args;
        struct {
            int op, which; /* -1: the end */
            enum ipc_status sql;
            bool row;
        } step[3];
        enum ipc_status status;
    } cases[] = {
        { "check_account", 2, { { SQL_USER_EXISTS, 1, IPC_OK, true }, { -1, 0, 0, 0 } },
                IPC_OK },
        { "check_account", 2,
                { { SQL_USER_EXISTS, 1, IPC_OK, false },
                        { SQL_USER_EXISTS, 2, IPC_OK, true }, { -1, 0, 0, 0 } },
                IPC_OK },
        { "check_account", 2,
                { { SQL_USER_EXISTS, 1, IPC_OK, false },
                        { SQL_USER_EXISTS, 2, IPC_OK, false }, { -1, 0, 0, 0 } },
                IPC_NOT_FOUND },
        { "check_account", 2,
                { { SQL_USER_EXISTS, 1, IPC_UNAVAILABLE, false }, { -1, 0, 0, 0 } },
                IPC_UNAVAILABLE },
        { "register", 3,
                { { SQL_USER_EXISTS, 2, IPC_OK, false },
                        { SQL_USER_CREATE, 1, IPC_OK, false }, { -1, 0, 0, 0 } },
                IPC_OK },
        { "register", 3, { { SQL_USER_EXISTS, 2, IPC_OK, true }, { -1, 0, 0, 0 } },
                IPC_CONFLICT },
        { "register", 3,
                { { SQL_USER_EXISTS, 2, IPC_UNAVAILABLE, false }, { -1, 0, 0, 0 } },
                IPC_UNAVAILABLE },
        { "register", 3,
                { { SQL_USER_EXISTS, 2, IPC_OK, false },
                        { SQL_USER_CREATE, 1, IPC_CONFLICT, false }, { -1, 0, 0, 0 } },
                IPC_CONFLICT },
        { "change_password", 3,
                { { SQL_USER_UPDATE, 1, IPC_NOT_FOUND, false },
                        { SQL_USER_UPDATE, 2, IPC_OK, false }, { -1, 0, 0, 0 } },
                IPC_OK },
        { "remove", 2,
                { { SQL_USER_DEL, 1, IPC_OK, false },
                        { SQL_USER_DEL, 2, IPC_NOT_FOUND, false }, { -1, 0, 0, 0 } },
                IPC_OK },
        { "remove", 2,
                { { SQL_USER_DEL, 1, IPC_NOT_FOUND, false },
                        { SQL_USER_DEL, 2, IPC_NOT_FOUND, false }, { -1, 0, 0, 0 } },
                IPC_NOT_FOUND },
    };
    static const char *const args[] = { "romeo", "example.net", "pencil" };
    unsigned n_requests = 0;

    (void)state;
    rig.host.auth_method[0] = CONF_AUTH_MNESIA;
    rig.host.auth_method[1] = CONF_AUTH_SQL;
    rig.host.n_auth_methods = 2;
    auth_ops.reload(&rig.p);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %u: %s\n", i, cases[i].name);
        call(i, cases[i].name, cases[i].n_args, args);
        for (int j = 0; cases[i].step[j].op >= 0; j++) {
            struct buf cells = { 0 };
            struct ipc_sql_reply m = { .status = (uint8_t)cases[i].step[j].sql };

            turn_until(&rig.n_requests, ++n_requests);
            assert_int_equal(last_request()->m.op, cases[i].step[j].op);
            assert_int_equal(last_request()->m.db, cases[i].step[j].which);
            m.id = last_request()->m.id;
            if (cases[i].step[j].row) {
                m.columns = 1;
                ipc_list_add(&cells, STR("1"));
                m.cells = ipc_list_of(&cells);
            }
            handle(IPC_SQL_REPLY, PROC_SQL, &m);
            buf_fini(&cells);
        }
        turn_until(&rig.n_replies, i + 1);
        assert_int_equal(rig.reply.status, cases[i].status);
        assert_int_equal(rig.n_requests, n_requests);
    }

    /* Logging in: the second database has the account. */
    send_step(1, "::1", "PLAIN", STR("\0romeo\0pencil"));
    answer_with_password(last_request(), NULL);
    assert_int_equal(rig.n_requests, n_requests + 2);
    assert_int_equal(last_request()->m.db, SQL_WHICH_SQL);
    answer_with_password(last_request(), "pencil");
    turn_until(&rig.n_results, 1);
    assert_int_equal(rig.result.status, IPC_AUTH_SUCCESS);
}

/* What the configuration says of a host is what it offers; a reload changes it. */
static void
test_policy(void **state)
{
    struct str disabled[] = { STR("PLAIN") };
    const struct auth_policy *p;

    (void)state;
    p = &auth_find_host(rig.auth, STR("example.net"))->policy;
    assert_int_equal(p->stored, CRED_BIT(CRED_SCRAM_SHA1));
    assert_true(p->downgrade_protection);
    assert_null(auth_find_host(rig.auth, STR("example.org")));
    rig.host.auth_password_format = CONF_PASSWORD_PLAIN;
    rig.host.auth_scram_hash = CONF_SCRAM_SHA512;
    rig.host.disable_sasl_scram_downgrade_protection = true;
    rig.host.disable_sasl_mechanisms = (struct conf_strs){ disabled, 1 };
    auth_ops.reload(&rig.p);
    p = &auth_find_host(rig.auth, STR("example.net"))->policy;
    assert_int_equal(p->stored, CRED_BIT(CRED_PLAIN));
    assert_int_equal(p->digest, DIGEST_SHA512);
    assert_int_equal(p->disabled, 1u << MECH_PLAIN);
    assert_false(p->downgrade_protection);
    rig.host.auth_stored_password_types =
            CONF_STORE_SCRAM_SHA256 | CONF_STORE_SCRAM_SHA1;
    rig.host.auth_password_types_hidden_in_sasl1 = CONF_STORE_SCRAM_SHA1;
    auth_ops.reload(&rig.p);
    p = &auth_find_host(rig.auth, STR("example.net"))->policy;
    assert_int_equal(
            p->stored, CRED_BIT(CRED_SCRAM_SHA1) | CRED_BIT(CRED_SCRAM_SHA256));
    assert_int_equal(p->hidden_in_sasl1, CRED_BIT(CRED_SCRAM_SHA1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plain),
        TEST(test_scram),
        TEST(test_silent_database),
        TEST(test_database_says_no),
        TEST(test_pieces_of_an_answer),
        TEST(test_dialogues_that_are_not_there),
        TEST(test_refused_at_once),
        TEST(test_lifetime),
        TEST(test_too_many_dialogues),
        TEST(test_too_much_work),
        TEST(test_guessing_from_one_address),
        TEST(test_guessing_at_one_account),
        TEST(test_held_and_aborted),
        TEST(test_account_calls),
        TEST(test_registered_keys),
        TEST(test_too_many_calls),
        TEST(test_two_databases),
        TEST(test_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
