#ifndef ADMIN_CONTROL_H
#define ADMIN_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * What stanzactl and the admin process say to each other over DIR/stanzad.sock:
 *
 *     frame: length u32 (of the body) | kind u8 | body
 *
 * in the machine's byte order, as both ends are on one machine. The client sends one
 * REQUEST; the server answers with any number of OUT and ERR, then EXIT, and closes.
 */
enum control_kind {
    CONTROL_REQUEST = 'Q', /* struct control_request */
    CONTROL_OUT = 'O',     /* bytes for standard output */
    CONTROL_ERR = 'E',     /* bytes for standard error */
    CONTROL_EXIT = 'X'     /* u8: exit status */
};

enum {
    CONTROL_HEADER = 5,
    CONTROL_BODY_MAX = 128 * 1024,
    CONTROL_PART = 32 * 1024, /* OUT and ERR are cut into parts of this size */
    CONTROL_ARGS_MAX = 32,    /* the name of the command with them */
    CONTROL_VERSION = 1
};

/* Exit statuses, ejabberdctl's. */
enum {
    EXIT_OK = 0,
    EXIT_ERROR = 1,
    EXIT_USAGE = 2,
    EXIT_NOBODY = 3, /* nobody answers, or no command was given */
    EXIT_WRONG_USER = 7,
    EXIT_UNDER_WAY = 75 /* ask again later */
};

struct control_frame {
    char kind;
    struct str body; /* a view */
};

struct control_request {
    bool json;
    uint16_t api_version;
    uint32_t timeout_ms;              /* how long one process may take for its answer */
    struct str arg[CONTROL_ARGS_MAX]; /* [0] is the command; views */
    size_t n_args;
};

/* Appends one frame, or, of OUT and ERR, as many as it takes. */
void control_put(struct buf *out, enum control_kind kind, struct str body);
void control_put_exit(struct buf *out, int status);

/* 0, or -E2BIG when it would be larger than what the server takes. */
int control_put_request(struct buf *out, const struct control_request *request);

/* Takes a frame off *bytes: 1, 0 (not complete yet) or -EBADMSG. */
int control_take(struct str *bytes, struct control_frame *ret_frame);

/* 0 or -EBADMSG. */
int control_get_request(struct str body, struct control_request *ret_request);

#endif
