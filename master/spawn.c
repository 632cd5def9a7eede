/*
 * spawn.c -- one binary, executed once per process
 *
 * Executed and not merely forked: each process gets a fresh address-space layout, holds
 * nothing that the master has in memory, and a restart picks up a new binary.
 *
 * Signals that a terminal or a service manager sends to the whole group are ignored
 * from before the exec on: the master passes on what they mean.
 */
#include "master/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

enum {
    CONTROL_FD = 3,
    ENV_MAX = 16
};

static const char *const env_kept[] = { "TZ", "LANG", "LC_ALL", "ASAN_OPTIONS",
    "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE",
    "STANZAD_KILLPOINTS" };

static void
close_from(int first)
{
    long max;

#if defined(SYS_close_range)
    if (syscall(SYS_close_range, (unsigned)first, ~0U, 0U) == 0)
        return;
#endif
    max = sysconf(_SC_OPEN_MAX);
    for (int fd = first; fd < (max > 0 && max < 65536 ? max : 65536); fd++)
        close(fd);
}

static void
child_signals(void)
{
    static const int ignored[] = { SIGINT, SIGHUP, SIGTERM, SIGPIPE };
    sigset_t none;

    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * The descriptors may stand in each other's places: first all out of the way, then
 * down.
 */
static int
child_descriptors(int control_fd, int out_fd)
{
    int null = open("/dev/null", O_RDWR), out, control;

    if (null < 0)
        return -errno;
    out = fcntl(out_fd, F_DUPFD, CONTROL_FD + 1);
    control = fcntl(control_fd, F_DUPFD, CONTROL_FD + 1);
    if (out < 0 || control < 0 || dup2(null, STDIN_FILENO) < 0 ||
            dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0 ||
            dup2(control, CONTROL_FD) < 0)
        return -errno;
    close_from(CONTROL_FD + 1);
    return 0;
}

static void __attribute__((noreturn))
child_exec(const char *exe, char *title, char **envp, int control_fd, int out_fd)
{
    char *argv[] = { title, NULL };

    child_signals();
    if (child_descriptors(control_fd, out_fd) == 0) {
        execve(exe, argv, envp);
        execve("/proc/self/exe", argv, envp);
    }
    dprintf(STDERR_FILENO, "%s: cannot execute %s: %s\n", title, exe, strerror(errno));
    _exit(127);
}

pid_t
spawn(const char *exe, const char *title, int control_fd, int out_fd)
{
    static char control[] = SPAWN_CONTROL_ENV "=3";
    char *envp[ENV_MAX] = { control }, *own_title = str_heap_c(str_from(title));
    int n = 1;
    pid_t pid;

    for (size_t i = 0; i < ARRAY_LEN(env_kept); i++) {
        const char *value = getenv(env_kept[i]);
        struct buf b = { 0 };

        if (!value)
            continue;
        buf_addf(&b, "%s=%s", env_kept[i], value);
        envp[n++] = b.p;
    }
    pid = fork();
    if (pid == 0)
        child_exec(exe, own_title, envp, control_fd, out_fd);
    if (pid < 0)
        pid = -errno;
    while (n > 1)
        free(envp[--n]);
    free(own_title);
    return pid;
}

int
spawn_control_fd(void)
{
    const char *text = getenv(SPAWN_CONTROL_ENV);
    uint64_t fd;

    if (!text || str_to_u64(str_from(text), &fd) < 0 || fd > INT_MAX ||
            fcntl((int)fd, F_GETFD) < 0)
        return -1;
    unsetenv(SPAWN_CONTROL_ENV);
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    return (int)fd;
}

char *
spawn_own_path(const char *argv0)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n > 0) {
        path[n] = '\0';
        return strdup(path);
    }
    return realpath(argv0, NULL);
}
