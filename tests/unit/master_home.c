/*
 * master_home.c -- the directory of a server, taken and let go of
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "master/home.h"

static char top[] = "/tmp/stanzad-home-XXXXXX";
static char dir[64];

static int
set_up(void **state)
{
    (void)state;
    memset(top + sizeof top - 7, 'X', 6);
    if (!mkdtemp(top))
        return -1;
    snprintf(dir, sizeof dir, "%s/a/b", top);
    return 0;
}

static int
tear_down(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", top);
    return system(command);
}

/* As the user that runs the test: root's children would be another's. */
static const char *
some_user(void)
{
    return geteuid() == 0 ? "nobody" : NULL;
}

static mode_t
mode_of(const char *name)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) < 0 ? 0 : st.st_mode & 0777;
}

static void
it_is_made_and_keeps_its_secret(void **state)
{
    static const char zeros[HOME_SECRET_SIZE];
    char secret[HOME_SECRET_SIZE];
    struct buf error = { 0 };
    struct home home;

    (void)state;
    assert_int_equal(home_open(&home, dir, some_user(), &error), 0);
    assert_int_equal(mode_of("sqlite"), 0); /* not before it is known to be ours */
    assert_int_equal(home_furnish(&home, &error), 0);
    assert_int_equal(mode_of("sqlite"), 0700);
    assert_int_equal(mode_of("secret"), 0600);
    assert_memory_not_equal(home.secret, zeros, sizeof zeros);
    memcpy(secret, home.secret, sizeof secret);
    assert_int_equal(home_write_pid(&home), 0);
    home_close(&home);
    assert_int_equal(mode_of("stanzad.pid"), 0); /* gone */
    assert_int_equal(home_open(&home, dir, some_user(), &error), 0);
    assert_int_equal(home_furnish(&home, &error), 0);
    assert_memory_equal(home.secret, secret, sizeof secret);
    home_close(&home);
    assert_int_equal(error.n, 0);
}

static void
a_second_server_is_refused_by_name(void **state)
{
    struct buf error = { 0 };
    struct home first, second;
    char text[32];

    (void)state;
    assert_int_equal(home_open(&first, dir, some_user(), &error), 0);
    assert_int_equal(home_write_pid(&first), 0);
    assert_int_equal(home_open(&second, dir, some_user(), &error), -EWOULDBLOCK);
    snprintf(text, sizeof text, "pid %d", (int)getpid());
    assert_non_null(strstr(buf_c(&error), text));
    assert_int_equal(mode_of("stanzad.pid"), 0644); /* the first one's, untouched */
    home_close(&first);
    buf_fini(&error);
}

static void
a_dead_servers_pid_file_is_no_obstacle(void **state)
{
    struct buf error = { 0 };
    struct home home;
    int status;
    pid_t pid;

    (void)state;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        if (home_open(&home, dir, some_user(), &error) < 0 || home_write_pid(&home) < 0)
            _exit(1);
        _exit(0); /* without letting go */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(mode_of("stanzad.pid"), 0644);
    assert_int_equal(home_open(&home, dir, some_user(), &error), 0);
    home_close(&home);
}

static void
a_damaged_secret_is_not_replaced(void **state)
{
    struct buf error = { 0 };
    struct home home;
    char path[128];
    int fd;

    (void)state;
    assert_int_equal(home_open(&home, dir, some_user(), &error), 0);
    assert_int_equal(home_furnish(&home, &error), 0);
    home_close(&home);
    snprintf(path, sizeof path, "%s/secret", dir);
    fd = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "short", 5), 5);
    close(fd);
    assert_int_equal(home_open(&home, dir, some_user(), &error), 0);
    assert_int_equal(home_furnish(&home, &error), -EBADMSG);
    assert_non_null(strstr(buf_c(&error), "damaged"));
    home_close(&home);
    buf_fini(&error);
}

static void
users_are_checked(void **state)
{
    const struct {
        const char *user;
        int as_root, as_other;
    } cases[] = {
        { "no-such-user", -EINVAL, -EPERM },
        { "root", -EINVAL, -EPERM },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf error = { 0 };
        struct home home;
        int want = geteuid() == 0 ? cases[i].as_root : cases[i].as_other;

        if (home_open(&home, dir, cases[i].user, &error) != want || error.n == 0)
            fail_msg("%s: %s", cases[i].user, buf_c(&error));
        buf_fini(&error);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(it_is_made_and_keeps_its_secret),
        TEST(a_second_server_is_refused_by_name),
        TEST(a_dead_servers_pid_file_is_no_obstacle),
        TEST(a_damaged_secret_is_not_replaced),
        TEST(users_are_checked),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
