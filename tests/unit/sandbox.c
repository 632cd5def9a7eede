/*
 * sandbox.c -- a confined process of each role, asked what it can still do
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "proc/sandbox.h"
#include "shm/zone.h"

/* Runs fn in a child that is confined as the role; gives what it wrote. */
static void
in_sandbox(enum proc_role role, uint32_t uid,
        void (*fn)(int out_fd, const void *routes), char *ret_text, size_t size)
{
    int fds[2], rw = -1, ro = -1, status;
    struct zone routes;
    size_t n = 0;
    ssize_t part;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(zone_create(8192, &rw, &ro), 0);
    assert_int_equal(zone_map(&routes, ro, 8192, 0, false), 0);
    close_fd(&rw);
    close_fd(&ro);
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        struct sandbox sb = { .role = role, .uid = uid, .gid = uid };

        if (sandbox_enter(&sb, NULL) < 0)
            _exit(2);
        fn(fds[1], routes.base);
        _exit(0);
    }
    assert_true(pid > 0);
    close(fds[1]);
    while ((part = read(fds[0], ret_text + n, size - 1 - n)) > 0)
        n += (size_t)part;
    ret_text[n] = '\0';
    close(fds[0]);
    zone_unmap(&routes);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg(
                "%s: status %#x, it wrote: %s", proc_role_name(role), status, ret_text);
}

static void
probe(int out_fd, const void *routes)
{
    struct buf out = { 0 };

    sandbox_probe(routes, &out);
    if (write(out_fd, out.p, out.n) < 0)
        _exit(3);
    buf_fini(&out);
}

static void
check_line(enum proc_role role, const char *text, const char *name, const char *want)
{
    char line[80];

    snprintf(line, sizeof line, "%s %s ", name, want);
    if (!strstr(text, line))
        fail_msg("%s: no \"%s\" in\n%s", proc_role_name(role), line, text);
}

static void
roles_are_confined(void **state)
{
    static const struct {
        enum proc_role role;
        const char *open_file, *connect_database;
    } cases[] = {
        { PROC_HOLDER, "refused", "refused" },
        { PROC_KEEPER, "refused", "refused" },
        { PROC_WORKER, "refused", "refused" },
        { PROC_ROUTER, "refused", "refused" },
        { PROC_AUTH, "refused", "refused" },
        { PROC_ADMIN, "refused", "refused" },
        { PROC_SQL, "allowed", "allowed" },
    };
    char text[2048];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum proc_role role = cases[i].role;

        in_sandbox(role, 65534, probe, text, sizeof text);
        check_line(role, text, "open_file", cases[i].open_file);
        check_line(role, text, "connect_database", cases[i].connect_database);
        check_line(role, text, "write_routes", "refused");
        check_line(role, text, "exec", "refused");
        check_line(role, text, "ptrace", "refused");
        check_line(role, text, "raise_privileges", "refused");
    }
}

static void
outside_more_is_possible(void **state)
{
    struct buf out = { 0 };

    /* A probe that finds everything refused everywhere would show nothing. */
    (void)state;
    sandbox_probe(NULL, &out);
    assert_non_null(strstr(buf_c(&out), "open_file allowed "));
    assert_non_null(strstr(buf_c(&out), "connect_database allowed "));
    assert_non_null(strstr(buf_c(&out), "exec allowed "));
    buf_fini(&out);
}

/* What every process does all the time. */
static void
work(int out_fd, const void *routes)
{
    int fds[2], memfd = memfd_create("test", MFD_CLOEXEC);
    void *p;

    (void)routes;
    if (memfd < 0 || ftruncate(memfd, 1 << 20) < 0)
        _exit(10);
    p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (p == MAP_FAILED || munmap(p, 1 << 20) < 0)
        _exit(11);
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
            MAP_FAILED)
        _exit(12);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0)
        _exit(13);
    if (kill(getppid(), 0) == 0)
        _exit(14);
    for (size_t n = 1; n < (size_t)1 << 26; n *= 4) {
        char *heap = malloc(n);

        if (!heap)
            _exit(15);
        memset(heap, 1, n);
        heap = realloc(heap, n * 2);
        if (!heap)
            _exit(16);
        free(heap);
    }
    if (write(out_fd, "done", 4) != 4)
        _exit(17);
}

static void
the_usual_work_goes_on(void **state)
{
    static const enum proc_role roles[] = { PROC_HOLDER, PROC_KEEPER, PROC_WORKER,
        PROC_ROUTER, PROC_AUTH, PROC_ADMIN };
    char text[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        in_sandbox(roles[i], 65534, work, text, sizeof text);
        assert_string_equal(text, "done");
    }
}

static void *
thread_main(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

/* What only the sql process does: names are resolved in a thread, SQLite uses files. */
static void
sql_work(int out_fd, const void *routes)
{
    char name[] = "/tmp/stanzad-test-XXXXXX";
    int fds[2], ran = 0, fd = mkstemp(name);
    struct addrinfo *list = NULL;
    pthread_t thread;

    (void)routes;
    if (fd < 0 || unlink(name) < 0 || fsync(fd) < 0)
        _exit(20);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
        _exit(21);
    if (pthread_create(&thread, NULL, thread_main, &ran) != 0 ||
            pthread_join(thread, NULL) != 0 || !ran)
        _exit(22);
    if (getaddrinfo("localhost", NULL, NULL, &list) != 0)
        _exit(23);
    freeaddrinfo(list);
    if (write(out_fd, "done", 4) != 4)
        _exit(24);
}

static void
the_sql_process_may_use_threads_and_files(void **state)
{
    char text[64];

    (void)state;
    in_sandbox(PROC_SQL, 65534, sql_work, text, sizeof text);
    assert_string_equal(text, "done");
}

static void
who(int out_fd, const void *routes)
{
    (void)routes;
    dprintf(out_fd, "%u %u %u %u", getuid(), geteuid(), getgid(), getegid());
}

static void
root_becomes_the_user(void **state)
{
    char text[64];

    (void)state;
    if (geteuid() != 0)
        skip();
    in_sandbox(PROC_WORKER, 4711, who, text, sizeof text);
    assert_string_equal(text, "4711 4711 4711 4711");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_are_confined),
        cmocka_unit_test(outside_more_is_possible),
        cmocka_unit_test(the_usual_work_goes_on),
        cmocka_unit_test(the_sql_process_may_use_threads_and_files),
        cmocka_unit_test(root_becomes_the_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
