/*
 * certs.c -- certificates and keys, read by the one who may
 */
#include "master/certs.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"

enum {
    FILE_MAX = 1 << 20,
    TEXT_MAX = 15 << 20
};

/* Calls fn for each file that a pattern of the configuration names. */
static void
each_file(const struct conf *conf, void (*fn)(void *arg, const char *path), void *arg)
{
    for (size_t i = 0; i < conf->certfiles.n; i++) {
        const char *pattern = conf->certfiles.at[i].p;
        glob_t g = { 0 };

        if (glob(pattern, 0, NULL, &g) == 0) {
            for (size_t j = 0; j < g.gl_pathc; j++)
                fn(arg, g.gl_pathv[j]);
        } else {
            fn(arg, pattern); /* its absence is then noticed */
        }
        globfree(&g);
    }
}

struct reading {
    struct buf *text, *problems;
};

static int
file_add(struct buf *text, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;
    size_t before = text->n;
    struct stat st;
    ssize_t n = 1;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        r = -EINVAL;
    else if (st.st_size > FILE_MAX || text->n + (size_t)st.st_size > TEXT_MAX)
        r = -EFBIG;
    buf_addf(text, "# %s\n", path);
    while (r == 0 && n > 0 && text->n - before <= FILE_MAX + 4096) {
        n = read(fd, buf_reserve(text, 16384), 16384);
        if (n > 0)
            buf_added(text, (size_t)n);
        else if (n < 0)
            r = -errno;
    }
    buf_add_char(text, '\n');
    if (r < 0)
        text->n = before;
    close_fd(&fd);
    return r;
}

static void
on_read(void *arg, const char *path)
{
    struct reading *rd = arg;
    int r = file_add(rd->text, path);

    if (r < 0)
        buf_addf(rd->problems, "cannot read the certificate file %s: %s\n", path,
                strerror(-r));
}

void
certs_read(const struct conf *conf, struct buf *ret_text, struct buf *problems)
{
    struct reading rd = { ret_text, problems };

    each_file(conf, on_read, &rd);
}

static void
on_stamp(void *arg, const char *path)
{
    static const struct hash_key key = { { 1, 2 } };
    uint64_t *stamp = arg, seen[6] = { *stamp };
    struct stat st;

    if (stat(path, &st) == 0) {
        seen[1] = (uint64_t)st.st_ino;
        seen[2] = (uint64_t)st.st_size;
        seen[3] = (uint64_t)st.st_mtime;
        seen[4] = (uint64_t)st.st_ctime;
    }
    seen[5] = hash_bytes(&key, path, strlen(path));
    *stamp = hash_bytes(&key, seen, sizeof seen);
}

uint64_t
certs_stamp(const struct conf *conf)
{
    uint64_t stamp = 1;

    each_file(conf, on_stamp, &stamp);
    return stamp;
}
