/*
 * sandbox.c -- giving up what a role does not need
 *
 * The order matters: a chroot needs root, the user is changed last of what needs root,
 * and the filter comes after everything, because it forbids all of this.
 *
 * The probe tries the real thing in a way that does no harm where it is allowed: what
 * is written is what is there, and execve gets what nobody can execute.
 */
#include "proc/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "proc/sandbox_os.h"

static void
missing_add(struct buf *missing, const char *text)
{
    if (missing->n > 0)
        buf_add_c(missing, ", ");
    buf_add_c(missing, text);
}

bool
sandbox_has_root(const struct sandbox *sb)
{
    return sb->chroot_dir.n > 0 && !SANDBOX_SANITIZED && geteuid() == 0;
}

static int
root_change(struct str dir, struct buf *missing)
{
    if (dir.n == 0)
        return 0;
    if (SANDBOX_SANITIZED) {
        missing_add(missing, "no chroot (the sanitizer needs /proc)");
        return 0;
    }
    if (geteuid() != 0) {
        missing_add(missing, "no chroot (not root)");
        return 0;
    }
    if (chroot(dir.p) < 0 || chdir("/") < 0)
        return -errno;
    return 0;
}

static int
user_change(uint32_t uid, uint32_t gid, struct buf *missing)
{
    gid_t group = gid;

    if (geteuid() != 0) {
        missing_add(missing, "no user of its own (not root)");
        return 0;
    }
    if (uid == 0) {
        missing_add(missing, "still root (no user was named)");
        return 0;
    }
    if (setgroups(1, &group) < 0 || setgid(group) < 0 || setuid((uid_t)uid) < 0)
        return -errno;
    /* All ids have changed for good, or we do not believe it. */
    return setuid(0) == 0 || geteuid() != uid || getegid() != gid ? -EPERM : 0;
}

static void
limits_set(enum proc_role role)
{
    struct rlimit none = { 0, 0 }, files;

    if (!sandbox_os_is_dumpable())
        setrlimit(RLIMIT_CORE, &none);
#ifdef RLIMIT_NPROC
    /* Threads count as well, and the sql process has one while it resolves a name. */
    if (!SANDBOX_SANITIZED && role != PROC_SQL)
        setrlimit(RLIMIT_NPROC, &none);
#endif
    if ((role == PROC_WORKER || role == PROC_KEEPER || role == PROC_HOLDER) &&
            getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int
sandbox_enter(const struct sandbox *sb, struct buf *out_missing)
{
    struct buf missing = { 0 };
    int r = root_change(sb->chroot_dir, &missing);

    if (r == 0)
        r = user_change(sb->uid, sb->gid, &missing);
    if (r == 0) {
        limits_set(sb->role);
        r = sandbox_os_confine(sb->role, &missing);
    }
    if (r == 0 && out_missing)
        buf_add_str(out_missing, buf_str(&missing));
    buf_fini(&missing);
    return r;
}

static void
probe_line(struct buf *out, const char *name, int r, const char *what)
{
    if (r == 0)
        buf_addf(out, "%s allowed %s\n", name, what);
    else
        buf_addf(out, "%s refused %s: %s\n", name, what, strerror(-r));
}

static int
try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    close_fd(&fd);
    return 0;
}

/*
 * Writes the first byte (a magic number's) as it is, past the protection of the
 * mapping.
 */
static int
try_write_by_file(const unsigned char *at)
{
    int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC), r;

    if (fd < 0)
        return -errno;
    r = pwrite(fd, at, 1, (off_t)(uintptr_t)at) == 1 ? 0 : -errno;
    close_fd(&fd);
    return r;
}

static void
probe_routes(const void *routes, struct buf *out)
{
    union {
        const void *as_given;
        void *writable;
    } page = { .as_given = routes };
    int r;

    if (!routes) {
        buf_add_c(out, "write_routes refused the route table is not mapped\n");
        return;
    }
    if (mprotect(page.writable, 4096, PROT_READ | PROT_WRITE) == 0) {
        /* The router's may stay as it was; everyone else's becomes so again. */
        probe_line(out, "write_routes", 0, "mprotect of the route table");
        return;
    }
    r = -errno;
    if (try_write_by_file(routes) == 0)
        probe_line(out, "write_routes", 0, "/proc/self/mem");
    else
        probe_line(out, "write_routes", r, "mprotect of the route table");
}

/* A refusal by the other side shows that the network is within reach. */
static void
probe_network(struct buf *out)
{
    struct sockaddr_in sin = { .sin_family = AF_INET,
        .sin_port = htons(5432),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), r;

    if (fd < 0) {
        probe_line(out, "connect_database", -errno, "socket");
        return;
    }
    r = connect(fd, (const struct sockaddr *)&sin, sizeof sin) == 0 ? 0 : -errno;
    close_fd(&fd);
    if (r == -EPERM || r == -EACCES)
        probe_line(out, "connect_database", r, "connect to 127.0.0.1:5432");
    else
        probe_line(out, "connect_database", 0,
                r == 0 ? "connect to 127.0.0.1:5432" : "connect, but nobody listens");
}

static void
probe_exec(struct buf *out)
{
    static char name[] = "stanzad";
    char *const argv[] = { name, NULL };
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(0);
    if (pid > 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        probe_line(out, "exec", 0, "fork");
        return;
    }
    /* Where execve is allowed it finds out that this is a directory. */
    if (execve("/", argv, NULL) < 0 && errno == EACCES)
        probe_line(out, "exec", 0, "execve");
    else
        probe_line(out, "exec", -errno, "execve");
}

void
sandbox_probe(const void *routes, struct buf *out)
{
    probe_line(out, "open_file", try_open("/etc/passwd", O_RDONLY), "/etc/passwd");
    probe_routes(routes, out);
    probe_network(out);
    probe_exec(out);
    probe_line(out, "ptrace", sandbox_os_try_ptrace(), "of the parent process");
    probe_line(out, "raise_privileges", setuid(0) == 0 ? 0 : -errno, "setuid(0)");
}
