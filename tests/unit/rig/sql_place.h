#ifndef TESTS_UNIT_RIG_SQL_PLACE_H
#define TESTS_UNIT_RIG_SQL_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "sql/sql.h"

struct place {
    char dir[128], bin[256];
    int port;
    pid_t postgres; /* 0: not running */
    unsigned n_databases;
};

int place_wait(pid_t pid);

/* Runs SQL on another connection than the one under test; the first value, or "". */
const char *place_pg(struct place *p, const char *database, const char *text);

void place_pg_start(struct place *p);
/* how: SIGINT for a fast shutdown, SIGQUIT for an immediate one. */
void place_pg_stop(struct place *p, int how);

int place_open(void **state);
int place_close(void **state);

/* One database under test, in one of the four combinations. */
struct base {
    struct place *place;
    struct sql_settings settings;
    char name[64], database[256];
    struct loop *loop;
    struct sql_db *db;
};

const char *base_raw(struct base *b, const char *text);

/* A new, empty database; nobody is connected to it yet. */
void base_make(
        struct base *b, struct place *p, enum sql_engine_type type, bool multihost);

void base_until_state(struct base *b, enum sql_state state);
void base_open(struct base *b);
void base_end(struct base *b);

/* One request and, when it has come, its answer as text: "ok 1:secret:::0". */
struct answer {
    bool has;
    enum sql_status status;
    bool repeated;
    uint64_t changed;
    char rows[2000];
};

void answer_take(void *arg, const struct sql_result *result);

/*
 * Parameters by the operation's types: "t" const char *, "i" int, "l" int64_t; NULL is
 * NULL.
 */
int base_send(struct base *b, struct answer *a, const struct sql_call *call,
        const char *types, ...);

/* An account, as a change that may conflict. */
int base_create(
        struct base *b, struct answer *a, const char *user, const char *password);

void base_until(struct base *b, const struct answer *a);

#define base_ask(b, a, op_, ...)                                                \
    (assert_int_equal(                                                          \
             base_send(b, a, &(struct sql_call){ .op = op_ }, __VA_ARGS__), 0), \
            base_until(b, a))

void answer_check(const struct base *b, const struct answer *a, const char *what,
        int line, enum sql_status status, const char *rows);

/* Asks, and checks status and rows: base_expect(b, SQL_OK, "rows", SQL_OP, "types",
 * ...) */
#define base_expect(b, status, rows, op_, ...)              \
    do {                                                    \
        struct answer a_;                                   \
        base_ask(b, &a_, op_, __VA_ARGS__);                 \
        answer_check(b, &a_, #op_, __LINE__, status, rows); \
    } while (0)

/* One value read from outside, in both engines the same text. */
#define base_expect_raw(b, value, text)                                            \
    do {                                                                           \
        const char *raw_ = base_raw(b, text);                                      \
        if (strcmp(raw_, value) != 0)                                              \
            fail_msg("%s: line %d: \"%s\", not \"%s\"", (b)->name, __LINE__, raw_, \
                    value);                                                        \
    } while (0)

/* A test on both engines, in both shapes, each on a new database. */
void base_each(void **state, void (*test)(struct base *b));

/* Changes the tables from outside; then they are used as they are. */
void base_reopen_changed(struct base *b, const char *text);

#endif
