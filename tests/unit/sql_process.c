/*
 * sql_process.c -- the sql process and its clients, both in one process here
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "sql/client.h"
#include "sql/op.h"
#include "sql/process.h"
#include "tests/unit/rig/sql_place.h"

/* The sql process's side, as the runtime would make it; and one asker. */
struct scene {
    char home[64];
    struct loop *loop;
    struct conf *conf;
    struct status_page status;
    struct proc p;
    struct mailbox_reader to_sql, to_asker;
    int sql_fd[2], asker_fd[2];
    struct post *asker_post;
    struct sql_client *client;
    unsigned n_replies;
    bool asker_reads;
};

static void
on_reply(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct scene *s = ctx;

    (void)fd;
    s->n_replies++;
    sql_client_on_reply(s->client, from, msg);
}

static void
on_restarted(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct scene *s = ctx;

    (void)msg, (void)fd;
    sql_client_on_restarted(s->client, from);
}

static const ipc_handler_fn asker_handlers[IPC_TYPES] = {
    [IPC_SQL_REPLY] = on_reply,
    [IPC_SQL_RESTARTED] = on_restarted,
};

static const ipc_addr asker = PROC_AUTH << 10, sql = PROC_SQL << 10;

static struct conf *
conf_of(struct scene *s, const char *text)
{
    struct conf_loader loader = { .home = s->home, .skip_files = true };
    struct conf_report report;
    struct conf *conf = NULL;

    conf_report_init(&report);
    if (conf_load_text("test", str_from(text), &loader, &report, &conf) < 0)
        fail_msg("the configuration is not taken");
    conf_report_fini(&report);
    return conf;
}

static void
sql_start(struct scene *s, uint32_t starts)
{
    s->p = (struct proc){ .ops = &sql_ops,
        .role = PROC_SQL,
        .addr = sql,
        .starts = starts,
        .loop = s->loop,
        .conf = s->conf,
        .status = &s->status };
    s->p.post = post_new(s->loop, sql);
    post_add_peer(s->p.post, asker, dup(s->asker_fd[1]));
    mailbox_reader_init(&s->to_sql, sql, P_ANY, sql_ops.handlers, &s->p);
    assert_int_equal(sql_ops.prepare(&s->p), 0);
    assert_int_equal(sql_ops.start(&s->p), 0);
}

static void
sql_end(struct scene *s)
{
    sql_ops.finish(&s->p);
    post_free(&s->p.post);
    mailbox_reader_fini(&s->to_sql);
}

static void
scene_open(struct scene *s, const char *conf)
{
    memset(s, 0, sizeof *s);
    snprintf(s->home, sizeof s->home, "/tmp/stanzad-sqlp-XXXXXX");
    assert_non_null(mkdtemp(s->home));
    s->conf = conf_of(s, conf);
    s->loop = loop_new();
    s->asker_reads = true;
    assert_int_equal(mailbox_open(s->sql_fd), 0);
    assert_int_equal(mailbox_open(s->asker_fd), 0);
    s->asker_post = post_new(s->loop, asker);
    post_add_peer(s->asker_post, sql, dup(s->sql_fd[1]));
    mailbox_reader_init(&s->to_asker, asker, P_ANY, asker_handlers, s);
    s->client = sql_client_new(s->loop, s->asker_post);
    sql_start(s, 0);
}

static void
scene_close(struct scene *s)
{
    char command[100];

    sql_client_free(&s->client);
    post_free(&s->asker_post);
    if (s->p.self)
        sql_end(s);
    mailbox_reader_fini(&s->to_asker);
    loop_free(&s->loop);
    conf_free(&s->conf);
    for (int i = 0; i < 2; i++) {
        close_fd(&s->sql_fd[i]);
        close_fd(&s->asker_fd[i]);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", s->home);
    assert_int_equal(system(command), 0);
}

static void
scene_turn(struct scene *s)
{
    loop_turn_once(s->loop, 1);
    while (s->p.self && mailbox_read(&s->to_sql, s->sql_fd[0]) == 1)
        ;
    while (s->asker_reads && mailbox_read(&s->to_asker, s->asker_fd[0]) == 1)
        ;
}

static void
scene_until(struct scene *s, const struct answer *a)
{
    for (uint64_t until = clock_ms() + 10000; !a->has;) {
        assert_true(clock_ms() < until);
        scene_turn(s);
    }
}

static int
ask(struct scene *s, struct answer *a, enum sql_op op, const char *user,
        const char *password)
{
    struct sql_value param[] = { sql_text(str_from(user)), sql_int(1),
        sql_text(str_from(password)), sql_text(STR("")), sql_text(STR("")),
        sql_int(0) };

    *a = (struct answer){ 0 };
    return sql_client_ask(s->client, &(struct sql_call){ .op = op,
                                             .host = STR("localhost"),
                                             .param = param,
                                             .n_params = password ? 6 : 1,
                                             .done = answer_take,
                                             .arg = a });
}

static const char CONF[] = "hosts: [localhost]\n";

static void
test_questions_and_answers(void **state)
{
    struct scene s;
    struct answer a;

    (void)state;
    scene_open(&s, CONF);
    assert_int_equal(ask(&s, &a, SQL_USER_CREATE, "juliet", "x"), 0);
    scene_until(&s, &a);
    assert_int_equal(a.status, SQL_OK);
    assert_int_equal(a.changed, 1);
    assert_int_equal(ask(&s, &a, SQL_USER_CREATE, "juliet", "x"), 0);
    scene_until(&s, &a);
    assert_int_equal(a.status, SQL_CONFLICT);
    assert_int_equal(ask(&s, &a, SQL_USER_UPDATE, "romeo", "x"), 0);
    scene_until(&s, &a);
    assert_int_equal(a.status, SQL_NOT_FOUND);
    assert_int_equal(ask(&s, &a, SQL_USER_GET, "juliet", NULL), 0);
    scene_until(&s, &a);
    assert_string_equal(a.rows, "1:x:::0");
    assert_int_equal(s.status.counter[COUNTER_SQL_REQUESTS], 4);
    assert_int_equal(s.status.counter[COUNTER_SQL_FAILED], 0);
    assert_int_equal(sql_client_waiting(s.client), 0);
    scene_close(&s);
}

struct longest {
    bool has;
    size_t n_rows, n_bytes;
};

static void
longest_take(void *arg, const struct sql_result *result)
{
    struct longest *l = arg;

    assert_int_equal(result->status, SQL_OK);
    l->has = true;
    l->n_rows = result->n_rows;
    for (size_t i = 0; i < result->n_rows; i++)
        l->n_bytes += result->value[i].s.n;
}

/* More than one frame holds. */
static void
test_long_answers(void **state)
{
    enum {
        N = 3000
    };
    static struct answer a[N];
    static char name[301];
    struct scene s;
    struct longest l = { 0 };
    struct sql_value param[] = { sql_text(STR("")), sql_int(100000) };

    (void)state;
    scene_open(&s, CONF);
    memset(name, 'a', 300);
    for (int i = 0; i < N; i++) {
        snprintf(name + 290, 11, "%010d", i);
        assert_int_equal(ask(&s, &a[i], SQL_USER_CREATE, name, "x"), 0);
    }
    scene_until(&s, &a[N - 1]);
    s.n_replies = 0;
    assert_int_equal(sql_client_ask(s.client, &(struct sql_call){ .op = SQL_USER_LIST,
                                                      .host = STR("localhost"),
                                                      .param = param,
                                                      .n_params = 2,
                                                      .done = longest_take,
                                                      .arg = &l }),
            0);
    while (!l.has)
        scene_turn(&s);
    assert_int_equal(l.n_rows, N);
    assert_int_equal(l.n_bytes, N * 300);
    assert_true(s.n_replies > 10);
    scene_close(&s);
}

/* Frames as no client of ours makes them. */
static void
test_frames_that_make_no_sense(void **state)
{
    static const struct {
        uint16_t op;
        uint8_t db;
        const char *host;
        unsigned n_params;
        const char *param;
        enum ipc_status status;
    } frames[] = {
        { SQL_USER_GET, 0, "localhost", 1, "juliet", IPC_OK },
        { SQL_USER_GET, 1, "localhost", 1, "juliet", IPC_OK },
        { SQL_OPS, 0, "localhost", 1, "juliet", IPC_INVALID },
        { 65535, 0, "localhost", 1, "juliet", IPC_INVALID },
        { SQL_USER_GET, 0, "elsewhere", 1, "juliet", IPC_INVALID },
        { SQL_USER_GET, 0, "", 1, "juliet", IPC_INVALID },
        { SQL_USER_GET, 0, "localhost", 0, NULL, IPC_INVALID },
        { SQL_USER_GET, 0, "localhost", 2, "juliet", IPC_INVALID },
        { SQL_USER_GET, 0, "localhost", 5000, "juliet", IPC_INVALID },
        { SQL_USER_GET, 0, "localhost", 1, "\xff", IPC_INVALID },
        { SQL_USER_GET, 2, "localhost", 1, "juliet",
                IPC_INVALID }, /* no engine: odbc */
        { SQL_USER_SET, 0, "localhost", 6, "1", IPC_OK },
        { SQL_USER_SET, 0, "localhost", 6, "1x", IPC_INVALID },
        { SQL_USER_SET, 0, "localhost", 6, "99999999999999999999", IPC_INVALID },
        { SQL_USER_SET, 0, "localhost", 7, "1", IPC_INVALID },
        { SQL_WRITE_ID_EXPIRE, 0, "localhost", 1, "fifteen bytes..", IPC_INVALID },
    };
    struct scene s;
    int status = -1;

    (void)state;
    scene_open(&s, CONF);
    s.asker_reads = false;
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct ipc_sql_request msg = { .id = i + 1,
            .op = frames[i].op,
            .db = frames[i].db,
            .host = str_from(frames[i].host) };
        struct buf params = { 0 };
        char packet[4096];
        struct ipc_sql_reply reply;
        ssize_t n;

        for (unsigned k = 0; k < frames[i].n_params; k++)
            ipc_list_add(&params, str_from(frames[i].param));
        msg.params = ipc_list_of(&params);
        post_send(s.asker_post, sql, IPC_SQL_REQUEST, &msg);
        buf_fini(&params);
        for (n = -1; n < 0;
                n = recv(s.asker_fd[0], packet, sizeof packet, MSG_DONTWAIT))
            scene_turn(&s);
        n -= MAILBOX_HEADER + MAILBOX_FRAME_HEADER;
        assert_int_equal(ipc_sql_reply_get((struct str){ packet + MAILBOX_HEADER +
                                                                 MAILBOX_FRAME_HEADER,
                                                   (size_t)n },
                                 &reply),
                0);
        status = reply.status;
        if (reply.id != i + 1 || status != (int)frames[i].status)
            fail_msg("frame %zu: %s", i, ipc_status_name((enum ipc_status)status));
    }
    scene_close(&s);
}

/*
 * The process dies with a question in its mailbox and another read and not answered.
 * Its successor finds the first, is asked both again, and does each once.
 */
static void
test_a_successor_is_asked_again(void **state)
{
    struct scene s;
    struct answer a[2], count;

    (void)state;
    scene_open(&s, CONF);
    assert_int_equal(ask(&s, &a[0], SQL_USER_CREATE, "juliet", "x"), 0);
    s.asker_reads = false;
    for (int i = 0; i < 100; i++)
        scene_turn(&s);
    /* Committed, and the answer is lost with the process. */
    while (recv(s.asker_fd[0], (char[4096]){ 0 }, 4096, MSG_DONTWAIT) > 0)
        ;
    sql_end(&s);
    s.p.self = NULL;
    assert_int_equal(ask(&s, &a[1], SQL_USER_CREATE, "romeo", "x"), 0);
    scene_turn(&s);
    assert_int_equal(sql_client_waiting(s.client), 2);
    s.asker_reads = true;
    sql_start(&s, 1);
    scene_until(&s, &a[0]);
    scene_until(&s, &a[1]);
    assert_int_equal(a[0].status, SQL_OK);
    assert_true(a[0].repeated);
    assert_int_equal(a[1].status, SQL_OK);
    for (int i = 0; i < 20; i++)
        scene_turn(&s);
    assert_int_equal(sql_client_waiting(s.client), 0);
    count = (struct answer){ 0 };
    assert_int_equal(sql_client_ask(s.client, &(struct sql_call){ .op = SQL_USER_COUNT,
                                                      .host = STR("localhost"),
                                                      .done = answer_take,
                                                      .arg = &count }),
            0);
    scene_until(&s, &count);
    assert_string_equal(count.rows, "2");
    scene_close(&s);
}

static void
test_nobody_answers(void **state)
{
    struct scene s;
    struct answer a = { 0 };
    struct sql_value param = sql_text(STR("juliet"));
    struct sql_call call = { .op = SQL_USER_GET,
        .host = STR("localhost"),
        .timeout_ms = 200,
        .param = &param,
        .n_params = 1,
        .done = answer_take,
        .arg = &a };
    struct post *lonely;
    struct sql_client *client;

    (void)state;
    scene_open(&s, CONF);
    sql_end(&s);
    s.p.self = NULL;
    assert_int_equal(sql_client_ask(s.client, &call), 0);
    scene_until(&s, &a);
    assert_int_equal(a.status, SQL_UNAVAILABLE);
    /* Unanswered ones are answered at the end. */
    a = (struct answer){ 0 };
    assert_int_equal(sql_client_ask(s.client, &call), 0);
    sql_client_free(&s.client);
    assert_int_equal(a.status, SQL_UNAVAILABLE);
    assert_true(a.has);
    lonely = post_new(s.loop, asker);
    client = sql_client_new(s.loop, lonely);
    assert_int_equal(sql_client_ask(client, &call), -EHOSTDOWN);
    sql_client_free(&client);
    post_free(&lonely);
    scene_close(&s);
}

/* A host that goes takes its connection along, others keep theirs. */
static void
test_reload(void **state)
{
    struct scene s;
    struct answer a;
    char path[128];
    struct stat st;

    (void)state;
    scene_open(&s, CONF);
    assert_int_equal(ask(&s, &a, SQL_USER_CREATE, "juliet", "x"), 0);
    scene_until(&s, &a);
    s.p.conf_before = s.conf;
    s.p.conf = s.conf = conf_of(&s, "hosts: [localhost, other.example]\n");
    sql_ops.reload(&s.p);
    conf_free(&s.p.conf_before);
    assert_int_equal(ask(&s, &a, SQL_USER_GET, "juliet", NULL), 0);
    scene_until(&s, &a);
    assert_string_equal(a.rows, "1:x:::0");
    for (int i = 0; i < 50; i++)
        scene_turn(&s);
    snprintf(path, sizeof path, "%s/sqlite/other.example.sqlite", s.home);
    assert_int_equal(stat(path, &st), 0);
    s.p.conf_before = s.conf;
    s.p.conf = s.conf = conf_of(&s, "hosts: [other.example]\n");
    sql_ops.reload(&s.p);
    conf_free(&s.p.conf_before);
    for (int i = 0; i < 50; i++)
        scene_turn(&s);
    /* Closed in order, so the write-ahead log is gone. */
    snprintf(path, sizeof path, "%s/sqlite/localhost.sqlite-wal", s.home);
    assert_int_not_equal(stat(path, &st), 0);
    assert_int_equal(ask(&s, &a, SQL_USER_GET, "juliet", NULL), 0);
    scene_until(&s, &a);
    assert_int_equal(a.status, SQL_ERROR);
    scene_close(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions_and_answers),
        cmocka_unit_test(test_long_answers),
        cmocka_unit_test(test_frames_that_make_no_sense),
        cmocka_unit_test(test_a_successor_is_asked_again),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_reload),
    };

    log_set_level(LOG_LEVEL_CRITICAL);
    return cmocka_run_group_tests_name("sql_process", tests, NULL, NULL);
}
