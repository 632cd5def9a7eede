/*
 * auth_process.c -- dialogues with the auth process, and its database
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sql/client.h"
#include "sql/wire.h"
#include "tests/unit/rig/auth.h"

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
    struct sql_value value[] = { sql_int(2), sql_null(), sql_text(STR("?")), sql_null(),
        sql_int(-1) };
    struct buf row = { 0 };
    struct ipc_sql_reply m = { .status = IPC_OK, .more = 1 };

    (void)state;
    send_step(1, "::1", "PLAIN", STR("\0romeo\0pencil"));
    m.id = last_request()->m.id + 1;
    handle(IPC_SQL_REPLY, PROC_SQL, &m);
    m.id--;
    sql_wire_row_put(&row, value, ARRAY_LEN(value));
    m.n_rows = 1;
    m.rows = buf_str(&row);
    handle(IPC_SQL_REPLY, PROC_SQL, &m);
    assert_int_equal(rig.n_results, 0);
    answer_with_password(last_request(), "pencil");
    turn_until(&rig.n_results, 1);
    assert_int_equal(rig.result.status, IPC_AUTH_SUCCESS);
    buf_fini(&row);
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
        TEST(test_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
