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
#include "master/unixsock.h"

enum {
    WORKERS = 3,
    PORTS_MAX = 4
};

static struct {
    struct listeners *ls;
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
    listeners_free(&t.ls, false);
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

static int
fd_of(unsigned index, unsigned worker)
{
    uint32_t id;

    return listeners_fd(t.ls, index, worker, &id);
}

static void
reloads_change_only_the_difference(void **state)
{
    static const char *const cases[] = { "01", "01", "10", "2", "201", "" };
    uint32_t id = 0, id_before = 0;
    int fd_before = -1;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf errors = { 0 };

        configure(cases[i]);
        if (listeners_prepare(t.ls, &t.conf, &errors) < 0)
            fail_msg("case %zu: %s", i, buf_c(&errors));
        listeners_commit(t.ls);
        assert_int_equal(listeners_n(t.ls), strlen(cases[i]));
        if (i == 1) /* the same sockets, then at other places */
            fd_before = listeners_fd(t.ls, 0, 2, &id_before);
        if (i == 2)
            assert_int_equal(listeners_fd(t.ls, 1, 2, &id), fd_before);
        if (i == 2)
            assert_int_equal(id, id_before);
        if (i == 4) /* closed meanwhile, and open again: another one */
            listeners_fd(t.ls, 1, 2, &id);
        if (i == 4)
            assert_int_not_equal(id, id_before);
        for (int p = 0; p < PORTS_MAX; p++) {
            bool wanted = strchr(cases[i], '0' + p) != NULL;

            if ((connects(t.port[p]) == 0) != wanted)
                fail_msg("case %zu: port %d", i, p);
        }
    }
    assert_int_equal(fd_of(0, 0), -1);
}

/* Those of one master, found by another: by their names, whole or not at all. */
static void
they_outlive_who_has_opened_them(void **state)
{
    struct listeners *other = listeners_new(WORKERS);
    struct listener_walk at = { 0 };
    struct listener_socket s;
    struct buf errors = { 0 };
    uint32_t id;
    int fd, n = 0;

    (void)state;
    configure("012");
    assert_int_equal(listeners_prepare(other, &t.conf, &errors), 0);
    listeners_commit(other);
    while (listeners_next(other, &at, &s, &fd)) {
        bool last_of_2 = str_eq_c(s.name, t.name[2]) && s.worker == s.n_fds - 1;

        if (!last_of_2)
            listeners_adopt(t.ls, &s, dup(fd));
        n += !last_of_2;
    }
    configure("10");
    assert_true(listeners_settle(t.ls, &t.conf));
    assert_int_equal(listeners_n(t.ls), 2);
    assert_true(fd_of(0, 1) >= 0 && fd_of(1, 2) >= 0);
    listeners_fd(t.ls, 0, 0, &id);
    listeners_fd(other, 1, 0, &s.id);
    assert_int_equal(id, s.id);
    listeners_free(&other, true);
    assert_int_equal(connects(t.port[0]), 0);
    assert_int_equal(connects(t.port[1]), 0);
    assert_int_equal(connects(t.port[2]), -ECONNREFUSED);
    configure("12");
    assert_int_equal(listeners_prepare(t.ls, &t.conf, &errors), 0);
    listeners_commit(t.ls);
    assert_int_equal(connects(t.port[0]), -ECONNREFUSED);
    assert_int_equal(connects(t.port[2]), 0);
    assert_int_equal(errors.n, 0);
}

static void
nonsense_is_not_adopted(void **state)
{
    const struct listener_socket cases[] = {
        { .name = STR("a"), .id = 1, .worker = 0, .n_fds = 0 },
        { .name = STR("a"), .id = 1, .worker = 3, .n_fds = 3 },
        { .name = STR("a"), .id = 1, .worker = 0, .n_fds = WORKERS + 1 },
        { .name = STR("a"),
                .id = 1,
                .worker = 0,
                .n_fds = 1 }, /* and the next: another */
        { .name = STR("a"), .id = 2, .worker = 0, .n_fds = 1 },
        { .name = STR("a"), .id = 1, .worker = 1, .n_fds = 2 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        listeners_adopt(t.ls, &cases[i], socket(AF_INET, SOCK_STREAM, 0));
    configure("0");
    assert_false(listeners_settle(t.ls, &t.conf));
    assert_int_equal(fd_of(0, 0), -1);
}

static void
each_worker_has_a_socket_of_its_own(void **state)
{
    struct buf errors = { 0 };

    (void)state;
    configure("0");
    assert_int_equal(listeners_prepare(t.ls, &t.conf, &errors), 0);
    listeners_commit(t.ls);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_true(fd_of(0, i) >= 0);
#if defined(__linux__)
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(fd_of(0, i), fd_of(0, j));
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
    listeners_commit(other);
    configure("0");
    assert_int_equal(listeners_prepare(t.ls, &t.conf, &errors), 0);
    listeners_commit(t.ls);
    configure("021");
    assert_int_equal(listeners_prepare(t.ls, &t.conf, &errors), -EADDRINUSE);
    assert_non_null(strstr(buf_c(&errors), t.name[2]));
    assert_int_equal(connects(t.port[0]), 0);
    assert_int_equal(connects(t.port[2]), -ECONNREFUSED);
    assert_int_equal(listeners_n(t.ls), 1);
    listeners_free(&other, false);
    configure("021");
    assert_int_equal(listeners_prepare(t.ls, &t.conf, &errors), 0);
    listeners_abandon(t.ls);
    assert_int_equal(connects(t.port[2]), -ECONNREFUSED);
    buf_fini(&errors);
}

static void
named_sockets_are_private_and_not_stolen(void **state)
{
    char dir[] = "/tmp/stanzad-sock-XXXXXX", path[64], longer[200];
    struct stat st;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    fd = unixsock_listen_at(SOCK_STREAM, path);
    assert_true(fd >= 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(unixsock_listen_at(SOCK_STREAM, path), -EADDRINUSE);
    close(fd); /* as a dead server leaves it */
    fd = unixsock_listen_at(SOCK_STREAM, path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(unixsock_listen_at(SOCK_STREAM, path), -EEXIST);
    rmdir(path);
    rmdir(dir);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(unixsock_listen_at(SOCK_STREAM, longer), -ENAMETOOLONG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(reloads_change_only_the_difference),
        TEST(they_outlive_who_has_opened_them),
        TEST(nonsense_is_not_adopted),
        TEST(each_worker_has_a_socket_of_its_own),
        TEST(a_port_in_use_changes_nothing),
        TEST(named_sockets_are_private_and_not_stolen),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
