#ifndef WORKER_SAVED_FILE_H
#define WORKER_SAVED_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * A file of saved sessions: segments, one behind the other. Each holds a byte for each
 * of its sessions (enum saved_state), and records; its checksum says that it is whole.
 * Only those bytes change afterwards. The functions do not know what a record means.
 */
enum saved_state {
    SAVED_WAITS = 'w',
    SAVED_GONE = 'g' /* resumed, ended, or saved again later */
};

enum saved_kind {
    SAVED_SESSION = 1, /* the first of a session, one per byte of the segment */
    SAVED_MORE
};

enum {
    SAVED_STATES_AT = 72 /* bytes from the start of a segment */
};

/*
 * Appends one segment. Begin, a record each, end; a failure is kept until the end. What
 * a writer before has left unfinished is cut off.
 */
struct saved_writer;
struct saved_writer *saved_writer_new(int fd, uint32_t n_sessions, uint64_t now_us);
/* Where in the file the bytes of its sessions will be. */
off_t saved_writer_states_at(const struct saved_writer *f);
void saved_writer_add(struct saved_writer *f, enum saved_kind kind, struct str bytes);
/*
 * 0: the segment is on the disk; -errno: the file is as it was before. Frees the writer.
 */
int saved_writer_end(struct saved_writer **f);

/* A whole file, mapped for reading: 0 or -errno. */
int saved_map(int fd, struct str *ret);
void saved_unmap(struct str *file);

struct saved_segment {
    uint64_t saved_us; /* wall clock */
    uint32_t n_sessions;
    size_t states_at; /* in the file */
    struct str records;
};

/* 1: the next segment, and *at is behind it; 0: that was the last; -EBADMSG: broken. */
int saved_segment_next(struct str file, size_t *at, struct saved_segment *ret);

/* The next record of *rest; false at the end. */
bool saved_record_next(struct str *rest, enum saved_kind *ret_kind, struct str *ret);

#endif
