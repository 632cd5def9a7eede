/*
 * blob.c -- bytes for many readers
 *
 * A memfd can be reopened for writing by whoever has it; seals end that.
 */
#include "master/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

int
blob_new(struct str bytes)
{
    int fd = memfd_create("stanzad-blob", MFD_CLOEXEC | MFD_ALLOW_SEALING), r = 0;
    size_t n = 0;

    if (fd < 0)
        return -errno;
    while (n < bytes.n && r == 0) {
        ssize_t part = write(fd, bytes.p + n, bytes.n - n);

        if (part >= 0)
            n += (size_t)part;
        else if (errno != EINTR)
            r = -errno;
    }
    if (r == 0 && fcntl(fd, F_ADD_SEALS,
                          F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        r = -errno;
    if (r == 0)
        return fd;
    close_fd(&fd);
    return r;
}
