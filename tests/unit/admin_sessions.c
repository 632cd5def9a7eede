/*
 * admin_sessions.c -- commands about sessions, over a route table
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin/admin.h"
#include "admin/sessions.h"
#include "base/mem.h"
#include "router/table.h"
#include "xml/parser.h"
#include "xmpp/ns.h"

enum {
    ZONE_SIZE = 64 << 20,
    ADMIN = PROC_ADMIN << 10,
    TURNS_MAX = 1000000
};

struct world {
    struct zone rw;
    struct table *table;
    struct proc p;
    struct admin admin;
    int worker_fd[2]; /* what worker 0 and 1 are sent */
};

static const char yaml[] = "hosts: [example.net, example.org]\n";

static void
world_open(struct world *w)
{
    struct table_found found;
    struct conf_report report;
    int rw = -1, ro = -1, pair[2];

    memset(w, 0, sizeof *w);
    conf_report_init(&report);
    assert_int_equal(zone_create(ZONE_SIZE, &rw, &ro), 0);
    assert_int_equal(zone_map(&w->rw, rw, ZONE_SIZE, 0, true), 0);
    assert_int_equal(zone_map(&w->p.routes, ro, ZONE_SIZE, 0, false), 0);
    close_fd(&rw);
    close_fd(&ro);
    assert_int_equal(table_open(&w->rw, &w->table, &found), 0);
    assert_int_equal(route_open(&w->admin.routes, &w->p.routes), 0);
    w->admin.has_routes = true;
    w->admin.p = &w->p;
    w->admin.xml = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    snprintf(w->admin.node, sizeof w->admin.node, "stanzad@test");
    w->p.addr = ADMIN;
    w->p.loop = loop_new();
    w->p.post = post_new(w->p.loop, ADMIN);
    assert_int_equal(
            conf_load_text("test", str_from(yaml),
                    &(struct conf_loader){ .skip_files = true }, &report, &w->p.conf),
            0);
    conf_report_fini(&report);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(mailbox_open(pair), 0);
        w->worker_fd[i] = pair[0];
        post_add_peer(w->p.post, ipc_addr_of(PROC_WORKER, i), pair[1]);
    }
}

static void
world_close(struct world *w)
{
    post_free(&w->p.post);
    loop_free(&w->p.loop);
    xml_pool_free(&w->admin.xml);
    conf_free(&w->p.conf);
    table_free(&w->table);
    zone_unmap(&w->rw);
    zone_unmap(&w->p.routes);
    close(w->worker_fd[0]);
    close(w->worker_fd[1]);
}

static void
put(struct world *w, const char *bare, const char *resource, uint64_t conn,
        int priority, const char *presence)
{
    struct table_session s = { .conn = conn,
        .since_us = 1,
        .bare = str_from(bare),
        .resource = str_from(resource),
        .remote = STR("[2001:db8::1]:4321"),
        .presence = str_from(presence),
        .priority = (int8_t)priority,
        .available = presence != NULL,
        .flags = ROUTE_TLS,
        .epoch = 1 };

    assert_int_equal(table_put(w->table, &s, 0), 0);
}

/* Some accounts, in no order, over two workers. */
static void
put_some(struct world *w)
{
    put(w, "bob@example.net", "b", conn_id_of(0, 1, 1), 0, "<presence/>");
    put(w, "alice@example.org", "x", conn_id_of(1, 1, 1), 0, "<presence/>");
    put(w, "alice@example.net", "kitchen", conn_id_of(0, 2, 1), 5,
            "<presence from='alice@example.net/kitchen'><show>away</show>"
            "<status>at\nlunch</status></presence>");
    put(w, "alice@example.net", "balcony", conn_id_of(1, 2, 1), 1, "<presence/>");
    put(w, "alice@example.net", "cellar", conn_id_of(1, 3, 1), 0, NULL);
    put(w, "alice-2@example.net", "r", conn_id_of(1, 4, 1), 0, "<presence/>");
}

static int
run(struct world *w, unsigned api, const char *const *argv, struct buf *out)
{
    const struct command *c = command_find(str_from(argv[0]), api);
    struct request rq = {
        .admin = &w->admin, .p = &w->p, .command = c, .api_version = api
    };

    list_init(&rq.calls);
    list_init(&rq.sql_questions);
    arena_init(&rq.arena, 4096);
    for (size_t i = 1; argv[i]; i++)
        rq.arg[i - 1] = str_from(argv[i]);
    result_begin(&rq.result, c, false);
    command_handler(c->id)(&rq);
    for (int i = 0; i < TURNS_MAX && !rq.result.ended; i++) {
        assert_non_null(rq.more);
        rq.more(&rq);
    }
    assert_true(rq.result.ended);
    buf_add_str(out, buf_str(&rq.result.out));
    result_fini(&rq.result);
    arena_fini(&rq.arena);
    return rq.result.exit_status;
}

static void
commands_read_the_table(void **state)
{
    static const struct {
        const char *argv[6];
        unsigned api;
        const char *out;
        int status;
    } cases[] = {
        { { "connected_users" }, 3,
                "alice@example.net/balcony\nalice@example.net/cellar\n"
                "alice@example.net/kitchen\nalice@example.org/x\n"
                "alice-2@example.net/r\nbob@example.net/b\n",
                0 },
        { { "connected_users_vhost", "EXAMPLE.org" }, 3, "alice@example.org/x\n", 0 },
        { { "connected_users_vhost", "other.net" }, 3, "", 0 },
        { { "connected_users_number" }, 3, "6\n", 0 },
        { { "stats_host", "onlineusers", "example.net" }, 3, "5\n", 0 },
        { { "user_resources", "Alice", "example.net" }, 3, "balcony\ncellar\nkitchen\n",
                0 },
        { { "user_resources", "carol", "example.net" }, 3, "", 0 },
        { { "user_resources", "a b", "example.net" }, 3, "", 0 },
        { { "num_resources", "alice", "example.net" }, 3, "3\n", 0 },
        { { "resource_num", "alice", "example.net", "3" }, 3, "kitchen\n", 0 },
        { { "resource_num", "alice", "example.net", "4" }, 3,
                "Error: bad_argument: Wrong resource number: 4\n", 1 },
        { { "resource_num", "alice", "example.net", "0" }, 3,
                "Error: bad_argument: Wrong resource number: 0\n", 1 },
        { { "get_presence", "alice", "example.net" }, 3,
                "alice@example.net/kitchen\taway\tat\\nlunch\n", 0 },
        { { "get_presence", "carol", "example.net" }, 3,
                "carol@example.net\tunavailable\t\n", 0 },
        { { "kick_user", "carol", "example.net" }, 3, "Kicked sessions: 0\n", 0 },
        { { "kick_user", "alice", "example.net" }, 3, "Kicked sessions: 3\n", 0 },
        { { "kick_user", "alice", "example.net" }, 0, "3\n", 0 },
        { { "kick_session", "alice", "example.net", "balcony", "bye" }, 3, "", 0 },
    };
    struct world w;

    (void)state;
    world_open(&w);
    put_some(&w);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = { 0 };

        print_message("case: %zu %s\n", i, cases[i].argv[0]);
        assert_int_equal(run(&w, cases[i].api, cases[i].argv, &out), cases[i].status);
        assert_string_equal(buf_c(&out), cases[i].out);
        buf_fini(&out);
    }
    world_close(&w);
}

static void
sessions_are_described(void **state)
{
    static const char *const argv[] = { "user_sessions_info", "alice", "example.net",
        NULL };
    struct buf out = { 0 };
    struct str rest, line, cell[9];
    struct world w;

    (void)state;
    world_open(&w);
    put_some(&w);
    assert_int_equal(run(&w, 3, argv, &out), 0);
    rest = buf_str(&out);
    for (int i = 0; i < 3; i++)
        assert_true(str_cut(&rest, '\n', &line));
    for (int i = 0; i < 9; i++)
        assert_true(str_cut(&line, '\t', &cell[i]));
    assert_true(str_eq_c(cell[0], "c2s_tls"));
    assert_true(str_eq_c(cell[1], "2001:db8::1"));
    assert_true(str_eq_c(cell[2], "4321"));
    assert_true(str_eq_c(cell[3], "5"));
    assert_true(str_eq_c(cell[4], "stanzad@test"));
    assert_true(str_eq_c(cell[6], "away"));
    assert_true(str_eq_c(cell[7], "kitchen"));
    assert_true(str_eq_c(cell[8], "at\\nlunch"));
    buf_fini(&out);
    world_close(&w);
}

struct ended {
    uint64_t conn[8];
    unsigned n;
    char text[64];
    uint8_t condition;
};

static void
on_session_end(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_session_end *m = msg;
    struct ended *ended = ctx;

    (void)fd;
    assert_int_equal(from, ADMIN);
    ended->conn[ended->n++] = m->conn;
    ended->condition = m->condition;
    snprintf(ended->text, sizeof ended->text, "%.*s", STR_ARG(m->text));
}

static void
a_kick_goes_to_the_worker_of_the_session(void **state)
{
    static const ipc_handler_fn handlers[IPC_TYPES] = { [IPC_SESSION_END] =
                                                                on_session_end };
    static const char *const argv[] = { "kick_session", "alice", "example.net",
        "balcony", "bye", NULL };
    struct mailbox_reader reader;
    struct ended ended = { 0 };
    struct buf out = { 0 };
    struct world w;

    (void)state;
    world_open(&w);
    put_some(&w);
    assert_int_equal(run(&w, 3, argv, &out), 0);
    post_flush(w.p.post);
    mailbox_reader_init(
            &reader, ipc_addr_of(PROC_WORKER, 1), P_ADMIN, handlers, &ended);
    assert_int_equal(mailbox_read(&reader, w.worker_fd[0]), 0);
    assert_int_equal(mailbox_read(&reader, w.worker_fd[1]), 1);
    assert_int_equal(ended.n, 1);
    assert_true(ended.conn[0] == conn_id_of(1, 2, 1));
    assert_int_equal(ended.condition, STREAM_ERROR_CONFLICT);
    assert_string_equal(ended.text, "bye");
    mailbox_reader_fini(&reader);
    buf_fini(&out);
    world_close(&w);
}

/* More than one part: all come, each once, and each part is sorted. */
static void
a_long_list_is_complete(void **state)
{
    enum {
        N = SESSIONS_SORTED + 5000
    };
    static const char *const argv[] = { "connected_users", NULL };
    static unsigned char seen[N];
    struct buf out = { 0 };
    struct str rest, line, before = STR("");
    size_t n = 0, n_unsorted = 0;
    struct world w;

    (void)state;
    world_open(&w);
    for (unsigned i = 0; i < N; i++) {
        char bare[40];

        snprintf(bare, sizeof bare, "u%06u@example.net", i);
        put(&w, bare, "r", conn_id_of(0, i, 1), 0, NULL);
    }
    assert_int_equal(run(&w, 3, argv, &out), 0);
    rest = buf_str(&out);
    while (str_cut(&rest, '\n', &line) && line.n > 0) {
        uint64_t i;

        assert_int_equal(str_to_u64((struct str){ line.p + 1, 6 }, &i), 0);
        assert_true(i < N && !seen[i]);
        seen[i] = 1;
        n_unsorted += str_cmp(before, line) > 0;
        before = line;
        n++;
    }
    assert_int_equal(n, N);
    assert_true(n_unsorted <= 1);
    buf_fini(&out);
    world_close(&w);
}

static void
addresses_are_taken_apart(void **state)
{
    static const char *const cases[][3] = {
        { "192.0.2.1:5222", "192.0.2.1", "5222" },
        { "[2001:db8::1]:5222", "2001:db8::1", "5222" },
        { "[2001:db8::1]", "2001:db8::1", "" },
        { "192.0.2.1", "192.0.2.1", "" },
        { "", "", "" },
        { ":", "", "" },
        { "[", "[", "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str ip, port;

        print_message("case: %s\n", cases[i][0]);
        sessions_remote(str_from(cases[i][0]), &ip, &port);
        assert_true(str_eq_c(ip, cases[i][1]));
        assert_int_equal(port.n, strlen(cases[i][2]));
        assert_true(port.n == 0 || str_eq_c(port, cases[i][2]));
    }
}

/* Whatever a presence holds, something is shown. */
static void
presences_are_read(void **state)
{
    static const struct {
        const char *presence;
        bool available;
        const char *show, *status;
    } cases[] = {
        { "<presence/>", true, "available", "" },
        { "<presence xmlns='jabber:client'><show>dnd</show></presence>", true, "dnd",
                "" },
        { "<presence><status>hi</status><status xml:lang='de'>x</status></presence>",
                true, "available", "hi" },
        { "<presence type='unavailable'><status>bye</status></presence>", false,
                "unavailable", "bye" },
        { "", true, "available", "" },
        { "<presence><show>", true, "available", "" },
        { "<presence><show/></presence>", true, "available", "" },
    };
    struct xml_pool *xml = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    struct arena arena;

    (void)state;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str show, status;

        print_message("case: %s\n", cases[i].presence);
        sessions_presence(xml, &arena, str_from(cases[i].presence), cases[i].available,
                &show, &status);
        assert_true(str_eq_c(show, cases[i].show));
        assert_true(str_eq_c(status, cases[i].status));
    }
    arena_fini(&arena);
    xml_pool_free(&xml);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_read_the_table),
        cmocka_unit_test(sessions_are_described),
        cmocka_unit_test(a_kick_goes_to_the_worker_of_the_session),
        cmocka_unit_test(a_long_list_is_complete),
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(presences_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
