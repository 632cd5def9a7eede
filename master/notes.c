/*
 * notes.c -- small files of the master
 */
#include "master/notes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static int
write_all(int fd, struct str text)
{
    while (text.n > 0) {
        ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        text.p += n;
        text.n -= (size_t)n;
    }
    return 0;
}

int
notes_write(const char *name, struct str text, bool safe)
{
    struct buf draft = { 0 };
    int fd, r;

    buf_addf(&draft, "%s.new", name);
    unlink(buf_c(&draft)); /* of somebody who died over it */
    fd = open(
            buf_c(&draft), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = fd < 0 ? -errno : write_all(fd, text);
    if (r == 0 && safe && fsync(fd) < 0)
        r = -errno;
    close_fd(&fd);
    if (r == 0 && rename(buf_c(&draft), name) < 0)
        r = -errno;
    if (r < 0) {
        log_error(NULL, "cannot write %s: %s", name, strerror(-r));
        unlink(buf_c(&draft));
    }
    buf_fini(&draft);
    return r;
}

int
notes_read(const char *name, size_t max, struct buf *out)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r = 0;
    struct stat st;
    ssize_t n;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        r = -errno;
    else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
        r = -EFBIG;
    while (r == 0 && (n = read(fd, buf_reserve(out, 4096), 4096)) != 0) {
        if (n > 0)
            buf_added(out, (size_t)n);
        else if (errno != EINTR)
            r = -errno;
    }
    close_fd(&fd);
    return r;
}
