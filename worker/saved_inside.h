#ifndef WORKER_SAVED_INSIDE_H
#define WORKER_SAVED_INSIDE_H

#include <sys/types.h>

#include "base/list.h"
#include "base/loop.h"
#include "base/hash.h"
#include "worker/saved.h"

/* Shared by saved.c, saved_take.c and saved_write.c; nobody else includes it. */

struct saved_file {
    int fd;
    struct str bytes;
    size_t n_waiting;
};

/* A session that a file still has. */
struct saved_entry {
    char token[SM_TOKEN];
    struct saved_file *file;
    off_t state_at;
    struct list due; /* in one of the lists of those that are to be marked as gone */
    uint32_t due_s;  /* when; 0: it waits */
};

struct saved {
    struct saved_file *file;
    unsigned n_files;
    struct map entries; /* by token */
    struct list gone;   /* in this turn */
    struct list stored; /* what they have is given back; the first ones first */
    uint64_t last;      /* the connection taken in last: the router knows it last */
    uint64_t until_ms;  /* not served before this or the event */
    struct loop_timer timer;
    struct worker *w;
    bool others; /* another worker takes them in */
};

/* The worker's, made when it is first needed. */
struct saved *saved_of(struct worker *w);

/* The session whose byte is there does not count any more. */
void saved_mark(int fd, off_t at);

/* Nothing of it counts any more: closed, too. */
void saved_file_empty(struct saved_file *f);

#endif
