/*
 * home.c -- the directory of one server
 *
 * The pid file is locked, not merely there, so that a dead server leaves nothing that
 * would have to be cleared away. Its name is checked again after locking, because the
 * server before may have removed it in between. A process that a master had just forked
 * when it was killed holds the lock until it executes the program: hence the patience.
 *
 * Only the directories are given to the children's user, never files found in them: a
 * link planted there would give away any file of the system.
 */
#include "master/home.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"

char *
home_file(const struct home *home, const char *name)
{
    struct buf b = { 0 };

    buf_addf(&b, "%s/%s", home->path, name);
    return b.p;
}

enum {
    LOCK_TRIES = 40,
    LOCK_PAUSE_US = 25 * 1000
};

static int
make_dirs(const char *path, struct buf *error)
{
    char *p = str_heap_c(str_from(path));
    int r = 0;

    for (char *at = p + 1; r == 0; at++) {
        char c = *at;

        if (c != '/' && c != '\0')
            continue;
        *at = '\0';
        if (mkdir(p, 0755) < 0 && errno != EEXIST) {
            r = -errno;
            buf_addf(error, "cannot make the directory %s: %s", p, strerror(errno));
        }
        *at = c;
        if (c == '\0')
            break;
    }
    free(p);
    return r;
}

/* A directory of the server's own; owner 0: stays ours. */
static int
make_dir(const struct home *home, const char *name, mode_t mode, uint32_t uid,
        uint32_t gid, struct buf *error)
{
    char *path = home_file(home, name);
    int fd = -1, r = 0;

    if (mkdir(path, mode) < 0 && errno != EEXIST)
        r = -errno;
    if (r == 0)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (r == 0 && fd < 0)
        r = -errno;
    if (r == 0 && uid != 0 && (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0))
        r = -errno;
    if (r < 0)
        buf_addf(error, "cannot make the directory %s: %s", path, strerror(-r));
    close_fd(&fd);
    free(path);
    return r;
}

static int
choose_user(struct home *home, const char *user, struct buf *error)
{
    const struct passwd *pw;

    home->is_root = geteuid() == 0;
    if (!home->is_root) {
        pw = user ? getpwnam(user) : NULL;
        if (!user || (pw && pw->pw_uid == geteuid()))
            return 0;
        buf_addf(error, "only root can change to the user %s", user);
        return -EPERM;
    }
    pw = getpwnam(user ? user : "stanzad");
    if (!pw && !user) {
        log_warning(NULL, "there is no user stanzad; running as nobody instead");
        pw = getpwnam("nobody");
    }
    if (!pw || pw->pw_uid == 0) {
        buf_addf(error, pw ? "will not run as %s" : "there is no user %s",
                user ? user : "stanzad");
        return -EINVAL;
    }
    home->uid = pw->pw_uid;
    home->gid = pw->pw_gid;
    home->user = str_heap_c(str_from(pw->pw_name));
    return 0;
}

static bool
is_same_file(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int
take_pid_file(struct home *home, struct buf *error)
{
    char *path = home_file(home, "stanzad.pid"), pid[32] = "";
    int fd = -1, r = 0;

    for (int tries = 0; tries < LOCK_TRIES; tries++) {
        close_fd(&fd);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        r = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
        if (r == 0 ? is_same_file(fd, path) : r != -EWOULDBLOCK)
            break;
        if (r < 0)
            usleep(LOCK_PAUSE_US);
    }
    if (r == -EWOULDBLOCK) {
        ssize_t n = read(fd, pid, sizeof pid - 1);

        pid[n > 0 ? n : 0] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        buf_addf(error, "another server%s%s runs in %s already",
                *pid ? " with pid " : "", pid, home->path);
    } else if (r < 0) {
        buf_addf(error, "cannot lock %s: %s", path, strerror(-r));
    } else {
        home->pid_fd = take_fd(&fd);
    }
    close_fd(&fd);
    free(path);
    return r;
}

int
home_write_pid(struct home *home)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (ftruncate(home->pid_fd, 0) < 0 || pwrite(home->pid_fd, text, (size_t)n, 0) != n)
        return -EIO;
    return 0;
}

static int
secret_make(const struct home *home, const char *path)
{
    char *draft = home_file(home, "secret.new");
    int fd = -1, r = 0;
    char bytes[HOME_SECRET_SIZE];

    rand_bytes(bytes, sizeof bytes);
    unlink(draft);
    fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes ||
            fsync(fd) < 0 || rename(draft, path) < 0)
        r = errno ? -errno : -EIO;
    close_fd(&fd);
    mem_wipe(bytes, sizeof bytes);
    free(draft);
    return r;
}

static int
secret_read(const char *path, char ret_secret[HOME_SECRET_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char bytes[HOME_SECRET_SIZE + 1];
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, bytes, sizeof bytes);
    close_fd(&fd);
    if (n == HOME_SECRET_SIZE)
        memcpy(ret_secret, bytes, HOME_SECRET_SIZE);
    mem_wipe(bytes, sizeof bytes);
    return n == HOME_SECRET_SIZE ? 0 : -EBADMSG;
}

static int
secret_open(struct home *home, struct buf *error)
{
    char *path = home_file(home, "secret");
    int r = secret_read(path, home->secret);

    if (r == -ENOENT) {
        r = secret_make(home, path);
        if (r == 0)
            r = secret_read(path, home->secret);
    }
    if (r == -EBADMSG)
        buf_addf(error, "%s is damaged: it must hold %d bytes", path, HOME_SECRET_SIZE);
    else if (r < 0)
        buf_addf(error, "cannot read or make %s: %s", path, strerror(-r));
    free(path);
    return r;
}

int
home_open(struct home *home, const char *path, const char *user, struct buf *error)
{
    int r;

    *home = (struct home){ .path = str_heap_c(str_from(path)), .pid_fd = -1 };
    r = choose_user(home, user, error);
    if (r == 0)
        r = make_dirs(path, error);
    if (r == 0)
        r = take_pid_file(home, error);
    if (r < 0)
        home_close(home);
    return r;
}

int
home_furnish(struct home *home, struct buf *error)
{
    int r = make_dir(home, "sqlite", 0700, home->uid, home->gid, error);

    if (r == 0)
        r = make_dir(home, "quarantine", 0700, 0, 0, error);

    if (r == 0 && home->is_root)
        r = make_dir(home, "empty", 0555, 0, 0, error);
    if (r == 0)
        r = secret_open(home, error);
    return r;
}

void
home_close(struct home *home)
{
    if (home->pid_fd >= 0) {
        char *path = home_file(home, "stanzad.pid");

        unlink(path);
        free(path);
    }
    close_fd(&home->pid_fd);
    mem_wipe(home->secret, sizeof home->secret);
    free(home->user);
    free(home->path);
    home->user = home->path = NULL;
}
