#ifndef MASTER_HOME_H
#define MASTER_HOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    HOME_SECRET_SIZE = 32
};

/*
 * The directory below which a server writes everything: the database, the control
 * socket, the pid file, its log and its secret. One server at a time holds it.
 */
struct home {
    char *path;
    int pid_fd;        /* locked while the server lives; -1: not held */
    bool is_root;      /* children change to the user below */
    uint32_t uid, gid; /* 0 when not root */
    char *user;        /* its name; NULL when not root */
    char secret[HOME_SECRET_SIZE];
};

/*
 * Makes the directory if need be, takes it, and chooses the user for the children
 * (NULL: by our own rules). 0, or -errno with a sentence in error. Warnings go to the
 * log.
 */
int home_open(struct home *home, const char *path, const char *user, struct buf *error);

/* Makes what belongs into it, and reads the secret. 0, or -errno with a sentence. */
int home_furnish(struct home *home, struct buf *error);

/* Writes our process id; after this process has become what it stays. */
int home_write_pid(struct home *home);

/* Lets go of it; removes the pid file. */
void home_close(struct home *home);

/* Below the directory; free() it. */
char *home_file(const struct home *home, const char *name);

#endif
