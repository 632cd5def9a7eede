/*
 * logfile.c -- the log file, its rotation, and the other places for a log
 *
 * Rotation is the master's: it moves the file and hands everyone a descriptor of the
 * new one; lines that were written in between are in the old one.
 */
#include "master/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static int
file_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

    return fd < 0 ? -errno : fd;
}

static void
use_fd(struct logfile *lf, int fd)
{
    log_set_fd(fd);
    close_fd(&lf->fd);
    lf->fd = fd;
}

int
logfile_open(
        struct logfile *lf, const struct conf *conf, bool background, struct buf *error)
{
    enum conf_log_target target = conf->log_target;
    const char *path = NULL;
    int fd;

    if (target == CONF_LOG_STDERR && background)
        target = CONF_LOG_FILE;
    if (target == CONF_LOG_FILE) {
        path = conf->log_file.p;
        fd = file_open(path);
    } else {
        fd = background ? open("/dev/null", O_WRONLY | O_CLOEXEC)
                        : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        fd = fd < 0 ? -errno : fd;
    }
    if (fd < 0) {
        buf_addf(error, "cannot open the log %s: %s", path ? path : "", strerror(-fd));
        return fd;
    }
    use_fd(lf, fd);
    free(lf->path);
    lf->path = path ? str_heap_c(str_from(path)) : NULL;
    lf->target = target;
    lf->json = conf->log_format == CONF_LOG_JSON;
    lf->rotate_size = conf->log_rotate_size;
    lf->rotate_count = conf->log_rotate_count;
    log_set_json(lf->json);
    log_set_syslog(target == CONF_LOG_SYSLOG);
    log_set_level(conf->loglevel);
    return 0;
}

void
logfile_close(struct logfile *lf)
{
    log_set_fd(STDERR_FILENO);
    close_fd(&lf->fd);
    free(lf->path);
    lf->path = NULL;
}

int
logfile_reopen(struct logfile *lf)
{
    int fd;

    if (!lf->path)
        return 0;
    fd = file_open(lf->path);
    if (fd < 0) {
        log_error(NULL, "cannot open the log %s again: %s", lf->path, strerror(-fd));
        return fd;
    }
    use_fd(lf, fd);
    return 0;
}

/* stanzad.log becomes stanzad.log.0, that one stanzad.log.1, and so on. */
static void
rotate(const struct logfile *lf)
{
    struct buf from = { 0 }, to = { 0 };

    for (uint32_t i = lf->rotate_count; i > 0; i--) {
        buf_reset(&from, 4096);
        buf_reset(&to, 4096);
        if (i > 1)
            buf_addf(&from, "%s.%u", lf->path, i - 2);
        else
            buf_add_c(&from, lf->path);
        buf_addf(&to, "%s.%u", lf->path, i - 1);
        if (rename(from.p, to.p) < 0 && errno != ENOENT)
            log_error(
                    NULL, "cannot rename %s to %s: %s", from.p, to.p, strerror(errno));
    }
    buf_fini(&from);
    buf_fini(&to);
}

bool
logfile_check(struct logfile *lf)
{
    struct stat open_one, named;

    if (!lf->path || fstat(lf->fd, &open_one) < 0)
        return false;
    if (stat(lf->path, &named) < 0 || named.st_ino != open_one.st_ino ||
            named.st_dev != open_one.st_dev)
        return logfile_reopen(lf) == 0;
    if (lf->rotate_count == 0 || lf->rotate_size == CONF_INFINITY ||
            (uint64_t)open_one.st_size < lf->rotate_size)
        return false;
    rotate(lf);
    return logfile_reopen(lf) == 0;
}
