/*
 * saved.c -- the files of sessions that wait while the service is down
 *
 * DIR/sessions has one file per worker and start of the service, named by both. Workers
 * have no file system: we open, they write and read (worker/saved.c), and empty a file
 * that is done with; empty ones of before are removed here.
 */
#include "master/saved.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    OLD_MOST = 256 /* more than that wait for the next start */
};

static bool
is_old(const struct master *m, const char *name)
{
    const char *dot = strrchr(name, '.');

    return name[0] != '.' && dot && strcmp(dot + 1, m->instance) != 0;
}

/* Opens those that have something in them; the others are removed. */
static unsigned
old_open(const struct master *m, int dir_fd, int ret_fd[OLD_MOST])
{
    int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;
    unsigned n = 0;

    if (!dir) {
        close_fd(&copy);
        return 0;
    }
    while ((e = readdir(dir)) && n < OLD_MOST) {
        struct stat st;
        int fd;

        if (!is_old(m, e->d_name))
            continue;
        fd = openat(dir_fd, e->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
            log_warning(NULL, "cannot open the saved sessions %s: %s", e->d_name,
                    fd < 0 ? strerror(errno) : "this is no file");
            close_fd(&fd);
        } else if (st.st_size == 0) {
            unlinkat(dir_fd, e->d_name, 0);
            close_fd(&fd);
        } else {
            ret_fd[n++] = fd;
        }
    }
    closedir(dir);
    return n;
}

static void
files_send(struct child *c, int dir_fd)
{
    struct ipc_saved msg = { .own = 0 };
    int old[OLD_MOST], own;
    char name[64];

    msg.n_old = (uint16_t)old_open(c->master, dir_fd, old);
    for (unsigned i = 0; i < msg.n_old; i++) {
        if (c->slot == 0)
            post_send_fd(c->master->post, c->addr, IPC_SAVED, &msg, old[i]);
        else
            close_fd(&old[i]);
    }
    snprintf(name, sizeof name, "%u.%s", c->slot, c->master->instance);
    own = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (own < 0 || fsync(dir_fd) < 0) {
        log_error(NULL, "cannot make the file sessions/%s: %s", name, strerror(errno));
        close_fd(&own);
        return;
    }
    msg.own = 1;
    post_send_fd(c->master->post, c->addr, IPC_SAVED, &msg, own);
}

void
saved_send(struct child *c)
{
    char *path = home_file(&c->master->home, "sessions");
    int dir_fd = -1;

    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir_fd < 0)
        log_error(NULL, "cannot open the folder %s: %s", path, strerror(errno));
    else
        files_send(c, dir_fd);
    close_fd(&dir_fd);
    free(path);
}
