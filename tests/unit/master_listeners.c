/*
 * master_listeners.c -- sockets opened and closed by what the configuration says
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "master/listeners.h"

enum {
    WORKERS = 3,
    PORTS_MAX = 4
};

static struct {
    struct listeners *ls;
    char log[256]; /* what the callbacks were told */
    uint16_t port[PORTS_MAX];
    struct conf conf;
    struct conf_listener listener[PORTS_MAX];
    char name[PORTS_MAX][120];
} t;

/* Ports that are free now: the system's choice, released again. */
static uint16_t
free_port(void)
{
    struct sockaddr_in sin = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    close(fd);
    return ntohs(sin.sin_port);
}

static int
set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    t.ls = listeners_new(WORKERS);
    t.conf.listeners = t.listener;
    for (int i = 0; i < PORTS_MAX; i++)
        t.port[i] = free_port();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    listeners_free(&t.ls);
    return 0;
}

/* The configuration names these of our ports ("02": the first and the third). */
static void
configure(const char *ports)
{
    t.conf.n_listeners = strlen(ports);
    for (size_t i = 0; i < t.conf.n_listeners; i++) {
        struct sockaddr_in *sin = (struct sockaddr_in *)&t.listener[i].addr;

        t.listener[i] = (struct conf_listener){ .backlog = 16 };
        sin->sin_family = AF_INET;
        sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sin->sin_port = htons(t.port[ports[i] - '0']);
        t.listener[i].addr_len = sizeof *sin;
        snprintf(t.name[i], sizeof t.name[i], "127.0.0.1:%u", t.port[ports[i] - '0']);
        t.listener[i].name = str_from(t.name[i]);
    }
}

static void
on_close(void *arg, unsigned index)
{
    (void)arg;
    snprintf(t.log + strlen(t.log), sizeof t.log - strlen(t.log), "-%u", index);
}

static void
between(void *arg)
{
    (void)arg;
    snprintf(t.log + strlen(t.log), sizeof t.log - strlen(t.log), "|");
}

static void
on_open(void *arg, unsigned index)
{
    (void)arg;
    snprintf(t.log + strlen(t.log), sizeof t.log - strlen(t.log), "+%u", index);
}

static int
connects(uint16_t port)
{
    struct sockaddr_in sin = { .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int r = connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0 ? 0 : -errno;

    close(fd);
    return r;
}

static void
reloads_change_only_the_difference(void **state)
{
    static const struct {
        const char *ports, *told;
    } cases[] = {
        { "01", "|+0+1" },
        { "01", "|" },
        { "10", "|" },      /* other places, same sockets */
        { "2", "-0-1|+0" }, /* in some order */
        { "201", "|+1+2" },
        { "", "-0-1-2|" },
    };
    int fd_before = -1;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf errors = { 0 };

        configure(cases[i].ports);
        t.log[0] = '\0';
        if (listeners_prepare(t.ls, &t.conf, &errors) < 0)
            fail_msg("case %zu: %s", i, buf_c(&errors));
        listeners_commit(t.ls, on_close, between, on_open, NULL);
        /* The order in which sockets are closed follows their age. */
        if (strcmp(t.log, cases[i].told) != 0 &&
                !(i == 3 && strcmp(t.log, "-1-0|+0") == 0))
            fail_msg("case %zu: told \"%s\", not \"%s\"", i, t.log, cases[i].told);
        assert_int_equal(listeners_n(t.ls), strlen(cases[i].ports));
        if (i == 1)
            fd_before = listeners_fd(t.ls, 0, 2);
        if (i == 2)
            assert_int_equal(listeners_fd(t.ls, 1, 2), fd_before);
        for (int p = 0; p < PORTS_MAX; p++) {
            bool wanted = strchr(cases[i].ports, '0' + p) != NULL;

            if ((connects(t.port[p]) == 0) != wanted)
                fail_msg("case %zu: port %d", i, p);
        }
    }
    assert_int_equal(listeners_fd(t.ls, 0, 0), -1);
}

static void
each_worker_has_a_socket_of_its_own(void **state)
{
    struct buf errors = { 0 };

    (void)state;
    configure("0");
    assert_int_equal(listeners_prepare(t.ls, &t.conf, &errors), 0);
    listeners_commit(t.ls, NULL, NULL, NULL, NULL);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_true(listeners_fd(t.ls, 0, i) >= 0);
#if defined(__linux__)
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(listeners_fd(t.ls, 0, i), listeners_fd(t.ls, 0, j));
#endif
    }
}

static void
a_port_in_use_changes_nothing(void **state)
{
    struct listeners *other = listeners_new(WORKERS);
    struct buf errors = { 0 };

    (void)state;
    configure("1");
    assert_int_equal(listeners_prepare(other, &t.conf, &errors), 0);
    listeners_commit(other, NULL, NULL, NULL, NULL);
    configure("0");
    assert_int_equal(listeners_prepare(t.ls, &t.conf, &errors), 0);
    listeners_commit(t.ls, NULL, NULL, NULL, NULL);
    configure("021");
    assert_int_equal(listeners_prepare(t.ls, &t.conf, &errors), -EADDRINUSE);
    assert_non_null(strstr(buf_c(&errors), t.name[2]));
    assert_int_equal(connects(t.port[0]), 0);
    assert_int_equal(connects(t.port[2]), -ECONNREFUSED);
    assert_int_equal(listeners_n(t.ls), 1);
    listeners_free(&other);
    configure("021");
    assert_int_equal(listeners_prepare(t.ls, &t.conf, &errors), 0);
    listeners_abandon(t.ls);
    assert_int_equal(connects(t.port[2]), -ECONNREFUSED);
    buf_fini(&errors);
}

static void
control_sockets_are_private_and_not_stolen(void **state)
{
    char dir[] = "/tmp/stanzad-sock-XXXXXX", path[64], longer[200];
    struct stat st;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    fd = control_socket_open(path);
    assert_true(fd >= 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(control_socket_open(path), -EADDRINUSE);
    close(fd); /* as a dead server leaves it */
    fd = control_socket_open(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(control_socket_open(path), -EEXIST);
    rmdir(path);
    rmdir(dir);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(control_socket_open(longer), -ENAMETOOLONG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(reloads_change_only_the_difference),
        TEST(each_worker_has_a_socket_of_its_own),
        TEST(a_port_in_use_changes_nothing),
        TEST(control_sockets_are_private_and_not_stolen),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
