/*
 * auth_flood.c -- the auth process under load, and while somebody guesses
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig/auth.h"

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refused_at_once),
        TEST(test_lifetime),
        TEST(test_too_many_dialogues),
        TEST(test_too_much_work),
        TEST(test_guessing_from_one_address),
        TEST(test_guessing_at_one_account),
        TEST(test_held_and_aborted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
