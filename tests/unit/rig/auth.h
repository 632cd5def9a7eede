#ifndef TESTS_UNIT_RIG_AUTH_H
#define TESTS_UNIT_RIG_AUTH_H

#include "auth/auth.h"
#include "auth/process.h"
#include "base/buf.h"
#include "ipc/mailbox.h"
#include "proc/proc.h"
#include "tests/unit/rig/sasl_client.h"

/*
 * The auth process between a worker, an admin process and a database, which are played
 * by the test. Of one host, example.net, with SCRAM.
 */
enum {
    REQUESTS_MAX = 16
};

/* What the database was sent. */
struct seen_request {
    struct ipc_sql_request m;
    struct buf params;
};

struct rig {
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
};
extern struct rig rig;

int auth_setup(void **state);
int auth_teardown(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, auth_setup, auth_teardown)

/* Turns the loop and reads what was sent. */
void turn(int n);
/* Turns until *what is n, for at most ten seconds. */
void turn_until(const unsigned *what, unsigned n);

void handle(enum ipc_type type, enum proc_role from, const void *msg);
void send_step(
        uint64_t conn, const char *remote, const char *mechanism, struct str data);

const struct seen_request *last_request(void);
/* The rows of a password as the database gives them; NULL: no such account. */
void answer_with_password(const struct seen_request *r, const char *password);
void answer_with_status(const struct seen_request *r, enum ipc_status status);

/* What a PLAIN login ends in; `stored` NULL: no such account. */
void login(uint64_t conn, const char *remote, struct str message, const char *stored);
void expect_failure(enum sasl_error failure);
uint64_t counted(enum counter c);

#endif
