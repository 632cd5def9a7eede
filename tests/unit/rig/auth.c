/*
 * auth.c -- the auth process with the test at the other end of its mailboxes
 */
#include "tests/unit/rig/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "sql/wire.h"

struct rig rig;

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

int
auth_setup(void **state)
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

int
auth_teardown(void **state)
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

void
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

void
turn_until(const unsigned *what, unsigned n)
{
    for (int i = 0; i < 10000 && *what < n; i++) {
        turn(1);
        if (*what < n)
            usleep(1000);
    }
    assert_int_equal(*what, n);
}

void
handle(enum ipc_type type, enum proc_role from, const void *msg)
{
    int fd = -1;

    auth_ops.handlers[type](&rig.p, ipc_addr_of(from, 0), msg, &fd);
    turn(1);
}

void
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
void
answer_with_password(const struct seen_request *r, const char *password)
{
    struct ipc_sql_reply m = { .id = r->m.id, .status = IPC_OK };
    struct cred_row rows[CRED_ROWS_MAX];
    struct buf out = { 0 };
    struct arena a;
    size_t n = 0;

    arena_init(&a, 1024);
    if (password)
        assert_int_equal(
                creds_make(&a, &rig.auth->host[0].policy, str_from(password), rows, &n),
                0);
    for (size_t i = 0; i < n; i++) {
        struct sql_value value[] = { sql_int(rows[i].type), sql_text(rows[i].password),
            sql_text(rows[i].serverkey), sql_text(rows[i].salt),
            sql_int(rows[i].iterations) };

        sql_wire_row_put(&out, value, ARRAY_LEN(value));
    }
    m.n_rows = (uint32_t)n;
    m.rows = buf_str(&out);
    handle(IPC_SQL_REPLY, PROC_SQL, &m);
    buf_fini(&out);
    arena_fini(&a);
}

void
answer_with_status(const struct seen_request *r, enum ipc_status status)
{
    struct ipc_sql_reply m = { .id = r->m.id, .status = (uint8_t)status };

    handle(IPC_SQL_REPLY, PROC_SQL, &m);
}

const struct seen_request *
last_request(void)
{
    return &rig.request[(rig.n_requests - 1) % REQUESTS_MAX];
}

void
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

void
expect_failure(enum sasl_error failure)
{
    assert_int_equal(rig.result.status, IPC_AUTH_FAILURE);
    assert_int_equal(rig.result.failure, failure);
}

uint64_t
counted(enum counter c)
{
    return rig.p.status->counter[c];
}
