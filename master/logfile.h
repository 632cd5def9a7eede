#ifndef MASTER_LOGFILE_H
#define MASTER_LOGFILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "conf/conf.h"

/* Where the whole service writes its log lines, as the configuration says. */
struct logfile {
    int fd; /* every process appends to it */
    enum conf_log_target target;
    char *path; /* NULL: not a file */
    bool json;
    uint64_t rotate_size;
    uint32_t rotate_count;
};

/*
 * Opens it and makes this process log there. In the background `stderr` means the file,
 * because there is nobody to see the other. 0, or -errno with a sentence in error; what
 * was open before then stays. { .fd = -1 } is one that was never opened.
 */
int logfile_open(struct logfile *lf, const struct conf *conf, bool background,
        struct buf *error);
void logfile_close(struct logfile *lf);

/* Opens the file anew by its name. 0 or -errno. */
int logfile_reopen(struct logfile *lf);

/*
 * Rotates the file when it has grown, opens it anew when somebody else has moved it.
 * True when lf->fd is another one now, so that the other processes must be told.
 */
bool logfile_check(struct logfile *lf);

#endif
