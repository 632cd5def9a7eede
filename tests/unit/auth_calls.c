/*
 * auth_calls.c -- what the auth process is asked about accounts
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sql/wire.h"
#include "tests/unit/rig/auth.h"

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
    struct sql_value value[5];
    struct buf row = { 0 };
    struct ipc_sql_reply m = { .status = IPC_OK, .n_rows = 1 };

    (void)state;
    call(1, "register", 3, args);
    turn_until(&rig.n_requests, 1);
    params = rig.request[0].m.params;
    for (int i = 0; i < 6; i++)
        assert_true(ipc_list_next(&params, &cell[i]));
    assert_false(ipc_list_next(&params, &extra));
    assert_true(str_eq_c(cell[1], "2") && str_eq_c(cell[5], "20"));
    for (int i = 0; i < 5; i++)
        assert_int_equal(sql_wire_get(cell[i + 1], "ittti"[i], &value[i]), 0);
    sql_wire_row_put(&row, value, 5);
    answer_with_status(&rig.request[0], IPC_OK);
    turn_until(&rig.n_replies, 1);
    m.rows = buf_str(&row);
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
            struct sql_value one = sql_int(1);
            struct buf row = { 0 };
            struct ipc_sql_reply m = { .status = (uint8_t)cases[i].step[j].sql };

            turn_until(&rig.n_requests, ++n_requests);
            assert_int_equal(last_request()->m.op, cases[i].step[j].op);
            assert_int_equal(last_request()->m.db, cases[i].step[j].which);
            m.id = last_request()->m.id;
            if (cases[i].step[j].row) {
                m.n_rows = 1;
                sql_wire_row_put(&row, &one, 1);
                m.rows = buf_str(&row);
            }
            handle(IPC_SQL_REPLY, PROC_SQL, &m);
            buf_fini(&row);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_account_calls),
        TEST(test_registered_keys),
        TEST(test_too_many_calls),
        TEST(test_two_databases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
