/*
 * sql_killed.c -- a process that is killed while it writes, and asks everything again
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/rig/sql_place.h"

/*
 * A child writes and says what it was answered; it is killed; the parent asks
 * everything again with the same ids. Each account is there once, those that were
 * answered were there before.
 */
static struct sql_write_id
id_of(int i)
{
    struct sql_write_id id, now;

    sql_write_id_new(&now);
    memset(&id, 0, sizeof id);
    memcpy(id.b, now.b, 5); /* the same for some 256 ms: made once, before the fork */
    memcpy(id.b + 8, &i, sizeof i);
    return id;
}

struct told {
    int fd, i;
};

static void
tell(void *arg, const struct sql_result *result)
{
    struct told *t = arg;

    if (result->status == SQL_OK)
        (void)!write(t->fd, &t->i, sizeof t->i);
}

static void
child_writes(struct base *b, const struct sql_write_id *id, int n, int fd)
{
    struct told *told = calloc((size_t)n, sizeof *told);
    struct answer a;

    b->loop = loop_new();
    base_open(b);
    for (int i = 0; i < n; i++) {
        char user[16];
        struct sql_value param[] = { sql_null(), sql_int(1), sql_text(STR("x")),
            sql_text(STR("")), sql_text(STR("")), sql_int(0) };

        snprintf(user, sizeof user, "u%d", i);
        param[0] = sql_text(str_from(user));
        told[i] = (struct told){ fd, i };
        sql_request(b->db, &(struct sql_call){ .op = SQL_USER_CREATE,
                                   .host = STR("example.net"),
                                   .id = id[i],
                                   .param = param,
                                   .n_params = 6,
                                   .done = tell,
                                   .arg = &told[i] });
    }
    base_send(b, &a, &(struct sql_call){ .op = SQL_USER_COUNT }, "");
    while (!a.has)
        loop_turn_once(b->loop, 20);
    for (;;)
        pause();
}

static void
kill_once(struct base *b, int n, useconds_t after_us)
{
    struct sql_write_id *id = calloc((size_t)n, sizeof *id);
    bool *answered = calloc((size_t)n, sizeof *answered);
    struct answer *a = calloc((size_t)n, sizeof *a), count;
    int pipe_fd[2], n_answered = 0, i;
    pid_t pid;

    for (i = 0; i < n; i++)
        id[i] = id_of(i);
    assert_int_equal(pipe(pipe_fd), 0);
    fcntl(pipe_fd[1], F_SETPIPE_SZ, 1 << 20);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child_writes(b, id, n, pipe_fd[1]);
    close(pipe_fd[1]);
    /* From the first answer on, so that there is something to lose. */
    assert_int_equal(read(pipe_fd[0], &i, sizeof i), sizeof i);
    answered[i] = true;
    usleep(after_us);
    kill(pid, SIGKILL);
    place_wait(pid);
    while (read(pipe_fd[0], &i, sizeof i) == sizeof i)
        answered[i] = true;
    close(pipe_fd[0]);
    base_open(b);
    for (i = 0; i < n; i++) {
        char user[16];

        snprintf(user, sizeof user, "u%d", i);
        assert_int_equal(
                base_send(b, &a[i],
                        &(struct sql_call){ .op = SQL_USER_CREATE, .id = id[i] },
                        "tittti", user, 1, "x", "", "", 0),
                0);
    }
    for (i = 0; i < n; i++) {
        base_until(b, &a[i]);
        if (a[i].status != SQL_OK || (answered[i] && !a[i].repeated))
            fail_msg("%s: request %d: %s%s%s", b->name, i, sql_status_name(a[i].status),
                    answered[i] ? ", answered before" : "",
                    a[i].repeated ? ", repeated" : "");
        n_answered += answered[i];
    }
    base_ask(b, &count, SQL_USER_COUNT, "");
    assert_int_equal(atoi(count.rows), n);
    assert_true(n_answered > 0);
    free(id);
    free(answered);
    free(a);
}

static void
test_killed_and_repeated(void **state)
{
    static const useconds_t after_us[] = { 0, 3000, 20000 };

    for (size_t i = 0; i < 2 * ARRAY_LEN(after_us); i++) {
        struct base b;

        base_make(&b, *state, i % 2 ? SQL_ENGINE_PGSQL : SQL_ENGINE_SQLITE, i & 2);
        loop_free(&b.loop);
        b.loop = loop_new();
        kill_once(&b, 3000, after_us[i / 2]);
        base_end(&b);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_and_repeated),
    };

    return cmocka_run_group_tests_name("sql_killed", tests, place_open, place_close);
}
