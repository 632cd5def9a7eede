/*
 * spawn.c -- one binary, executed once per process
 *
 * Executed and not merely forked: each process gets a fresh address-space layout, holds
 * nothing that the master has in memory. Executed by descriptor: the path may lead to
 * another binary by now (program.h).
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
    EXE_FD = 4, /* closed by the exec */
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
 * down. -1: no control channel.
 */
static int
child_descriptors(int exe_fd, int control_fd, int out_fd)
{
    int null = open("/dev/null", O_RDWR), out, control, exe;

    if (null < 0)
        return -errno;
    out = fcntl(out_fd, F_DUPFD, EXE_FD + 1);
    exe = fcntl(exe_fd, F_DUPFD, EXE_FD + 1);
    control = fcntl(control_fd >= 0 ? control_fd : null, F_DUPFD, EXE_FD + 1);
    if (out < 0 || control < 0 || exe < 0 || dup2(null, STDIN_FILENO) < 0 ||
            dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0 ||
            dup2(control, CONTROL_FD) < 0 || dup2(exe, EXE_FD) < 0)
        return -errno;
    if (control_fd < 0)
        close(CONTROL_FD);
    close_from(EXE_FD + 1);
    return fcntl(EXE_FD, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

static void __attribute__((noreturn))
child_exec(int exe_fd, char *const *argv, char **envp, int control_fd, int out_fd)
{
    child_signals();
    if (child_descriptors(exe_fd, control_fd, out_fd) == 0)
        fexecve(EXE_FD, argv, envp);
    dprintf(STDERR_FILENO, "%s: cannot execute the program: %s\n", argv[0],
            strerror(errno));
    _exit(127);
}

static pid_t
fork_and_exec(int exe_fd, char *const *argv, int control_fd, int out_fd)
{
    static char control[] = SPAWN_CONTROL_ENV "=3";
    char *envp[ENV_MAX] = { NULL };
    int n = 0;
    pid_t pid;

    for (size_t i = 0; i < ARRAY_LEN(env_kept); i++) {
        const char *value = getenv(env_kept[i]);
        struct buf b = { 0 };

        if (!value)
            continue;
        buf_addf(&b, "%s=%s", env_kept[i], value);
        envp[n++] = b.p;
    }
    if (control_fd >= 0)
        envp[n] = control;
    pid = fork();
    if (pid == 0)
        child_exec(exe_fd, argv, envp, control_fd, out_fd);
    if (pid < 0)
        pid = -errno;
    while (n > 0)
        free(envp[--n]);
    return pid;
}

pid_t
spawn(int exe_fd, const char *title, int control_fd, int out_fd)
{
    char *own_title = str_heap_c(str_from(title)), *argv[] = { own_title, NULL };
    pid_t pid = fork_and_exec(exe_fd, argv, control_fd, out_fd);

    free(own_title);
    return pid;
}

pid_t
spawn_check(int exe_fd, const char *const *argv, int out_fd)
{
    return fork_and_exec(exe_fd, (char *const *)(uintptr_t)argv, -1, out_fd);
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
