#ifndef MASTER_NOTES_H
#define MASTER_NOTES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * Small files that the master writes in its directory (the working directory), mode
 * 0600: another one takes the place of the old at once, so whoever dies while it writes
 * leaves the old one. safe: also after a failure of the system, which waits for the
 * disk. 0 or -errno, logged.
 */
int notes_write(const char *name, struct str text, bool safe);

/* Adds the file to *out: 0; -ENOENT; -EFBIG: it has more than max bytes; -errno. */
int notes_read(const char *name, size_t max, struct buf *out);

#endif
