#ifndef MASTER_PROGRAM_H
#define MASTER_PROGRAM_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"
#include "ipc/ipc.h"

struct master;

/*
 * A binary that processes are executed from. It is held open: its path may lead to
 * another one by now, put there by a package manager.
 */
struct program {
    struct list node; /* of master.programs */
    int fd;
    dev_t dev;
    ino_t ino;
    char *path;       /* that it had */
    char version[64]; /* "" when another master has opened it */
    uint32_t layout;  /* of slots (worker/slot.h) */
    uint64_t frames;  /* hello_signature() */
};

/* The one that we are. 0 or -errno. */
int program_own(struct master *m, struct program **ret);

/* One that a master before us has opened; the descriptor becomes its own. */
struct program *program_found(
        struct master *m, int fd, const char *path, uint32_t layout);

/*
 * The one at this path now; *error says why not: it must be an executable file that
 * only root, or our own user, can have written.
 */
int program_open(
        struct master *m, const char *path, struct program **ret, struct buf *error);
void programs_close(struct master *m);

/* As a path that can be opened as long as we are there. */
void program_link(const struct program *p, char ret_path[32]);

/* A program is asked what it is, and whether it accepts our configuration. */
struct program_check {
    struct master *m;
    struct program *program;
    pid_t pid;
    struct loop_io io;
    struct buf text;
    struct loop_timer timer;
    uint64_t until_ms; /* so long it may take */
    void (*done)(struct program_check *check, int r, struct str what);
};

/*
 * Calls done later: 0, now the program's version, layout and frames are known; -errno
 * with what it said. A program that is not stanzad does not know the question.
 */
int program_check_begin(struct program_check *check);
void program_check_cancel(struct program_check *check);

/* The other side, for `stanzad -V`. */
void program_about(uint32_t layout, struct buf *out);

#endif
