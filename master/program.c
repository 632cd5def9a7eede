/*
 * program.c -- the binaries that processes are executed from
 *
 * A service runs one program until the administrator wants another: who dies is started
 * again from the file that is held open, whatever lies at its path by now. So the
 * frames and the slots of all processes fit together, and there is a way back.
 *
 * The path of a new program comes from the admin process, which talks to people. What
 * is executed is only what nobody but root and our own user can have put there, and the
 * first thing that it is asked is whether it is stanzad.
 */
#include "master/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "master/hello.h"
#include "master/master.h"
#include "master/spawn.h"

enum {
    CHECK_MS = 20 * 1000,
    EXIT_LOOK_MS = 10, /* from the end of its output to its own */
    TEXT_MAX = 64 * 1024
};

static struct program *
program_new(struct master *m, int fd, const char *path)
{
    struct program *p;
    struct stat st = { 0 };

    fstat(fd, &st);
    list_for(node, &m->programs)
    {
        p = list_entry(node, struct program, node);
        if (p->dev == st.st_dev && p->ino == st.st_ino) {
            close(fd);
            return p;
        }
    }
    p = mem_zalloc(sizeof *p);
    p->fd = fd;
    p->dev = st.st_dev;
    p->ino = st.st_ino;
    p->path = str_heap_c(str_from(path));
    list_add(&m->programs, &p->node);
    return p;
}

int
program_own(struct master *m, struct program **ret)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct program *p;

    if (fd < 0)
        fd = open(m->exe, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    p = program_new(m, fd, m->exe);
    snprintf(p->version, sizeof p->version, "%s", STANZAD_VERSION);
    p->layout = m->opt->layout;
    p->frames = hello_signature();
    *ret = p;
    return 0;
}

struct program *
program_found(struct master *m, int fd, const char *path, uint32_t layout)
{
    struct program *p = program_new(m, fd, path);

    p->layout = layout;
    p->frames = hello_signature(); /* else we would not have found its processes */
    return p;
}

int
program_open(
        struct master *m, const char *path, struct program **ret, struct buf *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        int r = -errno;

        buf_addf(error, "%s cannot be opened: %s", path, strerror(-r));
        close_fd(&fd);
        return r;
    }
    if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111)) {
        buf_addf(error, "%s is not a program", path);
        close_fd(&fd);
        return -EACCES;
    }
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & 022) {
        buf_addf(error, "%s could have been written by others", path);
        close_fd(&fd);
        return -EPERM;
    }
    *ret = program_new(m, fd, path);
    return 0;
}

void
programs_close(struct master *m)
{
    list_for_safe(node, &m->programs)
    {
        struct program *p = list_entry(node, struct program, node);

        list_del(&p->node);
        close_fd(&p->fd);
        mem_free_p(p->path);
        mem_free_p(p);
    }
}

void
program_link(const struct program *p, char ret_path[32])
{
    snprintf(ret_path, 32, "/proc/self/fd/%d", p->fd);
}

/* --- What it is --- */

void
program_about(uint32_t layout, struct buf *out)
{
    buf_addf(out, "stanzad %s\nlayout %u\nframes %llu\n", STANZAD_VERSION,
            (unsigned)layout, (unsigned long long)hello_signature());
}

/* The three lines; the rest of *text is what it said of the configuration. */
static int
about_parse(struct program *p, struct str *text)
{
    struct str version, layout, frames;
    uint64_t n;

    if (!str_cut(text, '\n', &version) || !str_cut(text, '\n', &layout) ||
            !str_cut(text, '\n', &frames) || !str_starts(version, STR("stanzad ")) ||
            !str_starts(layout, STR("layout ")) || !str_starts(frames, STR("frames ")))
        return -ENOEXEC;
    snprintf(p->version, sizeof p->version, "%.*s", (int)version.n - 8, version.p + 8);
    if (str_to_u64((struct str){ layout.p + 7, layout.n - 7 }, &n) < 0 ||
            n > UINT32_MAX)
        return -ENOEXEC;
    p->layout = (uint32_t)n;
    return str_to_u64((struct str){ frames.p + 7, frames.n - 7 }, &p->frames) < 0
                   ? -ENOEXEC
                   : 0;
}

static void
output_close(struct program_check *check)
{
    if (check->io.fd < 0)
        return;
    loop_del(check->m->loop, &check->io);
    close_fd(&check->io.fd);
}

static void
finish(struct program_check *check, bool in_time, int status)
{
    struct str text = buf_str(&check->text);
    int r = -ETIMEDOUT;

    loop_timer_cancel(check->m->loop, &check->timer);
    output_close(check);
    if (!in_time) {
        kill(check->pid, SIGKILL);
        waitpid(check->pid, &status, 0);
    }
    check->pid = 0;
    if (in_time)
        r = about_parse(check->program, &text);
    if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        r = -EINVAL;
    check->done(check, r, str_trim(text));
    buf_fini(&check->text);
}

/* Its output has ended; that it ends itself is not waited for. */
static void
look_for_end(struct program_check *check)
{
    int status = 0;
    pid_t r = waitpid(check->pid, &status, WNOHANG);

    if (r == 0 && clock_ms() < check->until_ms)
        loop_timer_set(check->m->loop, &check->timer, EXIT_LOOK_MS);
    else
        finish(check, r != 0, status);
}

static void
on_check(struct loop_io *io, unsigned events)
{
    struct program_check *check = io->arg;
    ssize_t n;

    (void)events;
    for (;;) {
        n = read(io->fd, buf_reserve(&check->text, 4096), 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (check->text.n < TEXT_MAX)
            buf_added(&check->text, (size_t)n);
    }
    if (n < 0 && errno == EAGAIN)
        return;
    output_close(check);
    look_for_end(check);
}

static void
on_check_timer(struct loop_timer *timer)
{
    struct program_check *check = container_of(timer, struct program_check, timer);

    if (check->io.fd < 0)
        look_for_end(check);
    else
        finish(check, false, 0);
}

int
program_check_begin(struct program_check *check)
{
    struct master *m = check->m;
    const struct master_options *opt = m->opt;
    const char *argv[10] = { "stanzad", "-V", "-t", "-c", opt->conf_path, "-d",
        opt->home };
    int fds[2], r;

    if (opt->user) {
        argv[7] = "-u";
        argv[8] = opt->user;
    }
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    check->pid = spawn_check(check->program->fd, argv, fds[1]);
    close(fds[1]);
    check->io = (struct loop_io){ .fn = on_check, .arg = check, .fd = fds[0] };
    r = check->pid < 0 ? (int)check->pid : loop_add(m->loop, &check->io);
    if (r < 0) {
        close(fds[0]);
        return r;
    }
    check->timer.fn = on_check_timer;
    check->until_ms = clock_ms() + CHECK_MS;
    loop_timer_set(m->loop, &check->timer, CHECK_MS);
    return 0;
}

void
program_check_cancel(struct program_check *check)
{
    if (check->pid <= 0)
        return;
    kill(check->pid, SIGKILL);
    waitpid(check->pid, NULL, 0);
    check->pid = 0;
    loop_timer_cancel(check->m->loop, &check->timer);
    output_close(check);
    buf_fini(&check->text);
}
