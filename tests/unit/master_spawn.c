/*
 * master_spawn.c -- this program executes itself and tells what it then has
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "master/spawn.h"

static char *own_path;

/* As the executed process: one line about each thing that it got. */
static int
report(int fd, const char *title)
{
    dprintf(fd, "title %s\n", title);
    for (int i = 0; i < 256; i++) {
        if (i != fd && fcntl(i, F_GETFD) >= 0)
            dprintf(fd, "fd %d\n", i);
    }
    for (char **e = environ; *e; e++)
        dprintf(fd, "env %s\n", *e);
    for (int s = 1; s < 32; s++) {
        struct sigaction sa;

        if (sigaction(s, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
            dprintf(fd, "ignores %d\n", s);
    }
    dprintf(fd, "control %d cloexec %d\n", fd, fcntl(fd, F_GETFD) & FD_CLOEXEC);
    return 0;
}

static void
spawn_and_read(int exe, char *ret_text, size_t size, int *ret_status)
{
    int fds[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    size_t n = 0;
    ssize_t part;
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pid = spawn(exe, "stanzad: test 7", fds[1], null);
    assert_true(pid > 0);
    close(fds[1]);
    while ((part = read(fds[0], ret_text + n, size - 1 - n)) > 0)
        n += (size_t)part;
    ret_text[n] = '\0';
    close(fds[0]);
    close(null);
    assert_int_equal(waitpid(pid, ret_status, 0), pid);
}

static bool
has_line(const char *text, const char *line)
{
    size_t n = strlen(line);

    for (const char *at = text; (at = strstr(at, line)) != NULL; at += n) {
        if ((at == text || at[-1] == '\n') && at[n] == '\n')
            return true;
    }
    return false;
}

static void
only_what_is_wanted_survives(void **state)
{
    static const char *const wanted[] = { "title stanzad: test 7", "fd 0", "fd 1",
        "fd 2", "env TZ=Europe/Berlin", "ignores 1", "ignores 2", "ignores 13",
        "ignores 15", "control 3 cloexec 1" };
    static const char *const unwanted[] = { "env HOME=/nowhere",
        "env PGPASSWORD=secret", "fd 4", "fd 5", "fd 6", "fd 7", "fd 8", "fd 9",
        "fd 10", "fd 17", "ignores 10", "env STANZAD_CONTROL=3" };
    char text[8192];
    int status, exe, leaked = fcntl(0, F_DUPFD, 17);

    (void)state;
    setenv("TZ", "Europe/Berlin", 1);
    setenv("HOME", "/nowhere", 1);
    setenv("PGPASSWORD", "secret", 1);
    signal(SIGUSR1, SIG_IGN);
    assert_true(leaked >= 17);      /* without close-on-exec */
    exe = open(own_path, O_RDONLY); /* without close-on-exec, too */
    spawn_and_read(exe, text, sizeof text, &status);
    close(exe);
    signal(SIGUSR1, SIG_DFL);
    close(leaked);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (!has_line(text, wanted[i]))
            fail_msg("no \"%s\" in\n%s", wanted[i], text);
    }
    for (size_t i = 0; i < ARRAY_LEN(unwanted); i++) {
        if (has_line(text, unwanted[i]))
            fail_msg("\"%s\" in\n%s", unwanted[i], text);
    }
}

static void
a_binary_that_was_replaced_is_executed_all_the_same(void **state)
{
    char path[] = "/tmp/stanzad-spawn-XXXXXX", text[8192], part[65536];
    int copy = mkstemp(path), from = open(own_path, O_RDONLY | O_CLOEXEC), status, exe;
    ssize_t n;

    (void)state;
    while ((n = read(from, part, sizeof part)) > 0)
        assert_int_equal(write(copy, part, (size_t)n), n);
    fchmod(copy, 0700);
    close(from);
    close(copy);
    exe = open(path, O_RDONLY | O_CLOEXEC);
    unlink(path);
    spawn_and_read(exe, text, sizeof text, &status);
    close(exe);
    assert_int_equal(status, 0);
    assert_true(has_line(text, "title stanzad: test 7"));
}

static void
what_cannot_be_executed_says_so(void **state)
{
    char text[8192];
    int status, exe = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    spawn_and_read(exe, text, sizeof text, &status);
    close(exe);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

static void
nobody_is_a_child_by_accident(void **state)
{
    static const char *const values[] = { "", "x", "-1", "99999",
        "12345678901234567890" };

    (void)state;
    unsetenv(SPAWN_CONTROL_ENV);
    assert_int_equal(spawn_control_fd(), -1);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        setenv(SPAWN_CONTROL_ENV, values[i], 1);
        assert_int_equal(spawn_control_fd(), -1);
    }
    unsetenv(SPAWN_CONTROL_ENV);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_wanted_survives),
        cmocka_unit_test(a_binary_that_was_replaced_is_executed_all_the_same),
        cmocka_unit_test(what_cannot_be_executed_says_so),
        cmocka_unit_test(nobody_is_a_child_by_accident),
    };
    int control_fd = spawn_control_fd(), r;

    (void)argc;
    if (control_fd >= 0)
        return report(control_fd, argv[0]);
    own_path = spawn_own_path(argv[0]);
    r = cmocka_run_group_tests(tests, NULL, NULL);
    free(own_path);
    return r;
}
