#ifndef ADMIN_RESULT_H
#define ADMIN_RESULT_H

#include "admin/command.h"
#include "base/arena.h"

/*
 * The answer to one command, written as its row in commands.def says: for people and
 * scripts as ejabberdctl prints it, or as JSON in the shapes of ejabberd's HTTP API.
 *
 * Begin; rows, or one of ok, text and error; end. What is in out and err may be sent
 * and taken off at any time.
 */
struct result {
    const struct command *command;
    bool json, ended;
    int exit_status;
    size_t n_rows;
    struct buf out, err;
    struct arena arena; /* the rows of a table, until its end */
    struct result_row *row, **next_row;
};

void result_begin(struct result *r, const struct command *c, bool json);
void result_fini(struct result *r);

/*
 * One row (of a list, records, table), or the only one (scalar, record): n_fields cells
 * as text; times in seconds, c with decimals; sizes in bytes; lists with a NUL between
 * their elements. Cells are copied.
 */
void result_row(struct result *r, const struct str *cell);

/* The only row, a number. */
void result_number(struct result *r, uint64_t n);

void result_ok(struct result *r);                    /* rescode: done */
void result_text(struct result *r, struct str text); /* restuple: done, and says so */

/*
 * Done, exit status 1: "Error: KIND: TEXT", or without the kind when it is NULL. code
 * is what ejabberd's API calls the error (0: none). After some rows it goes to err.
 */
void result_error(struct result *r, const char *kind, unsigned code, const char *fmt,
        ...) __attribute__((format(printf, 4, 5)));

/* Done, no row follows; a list that had none is empty. */
void result_end(struct result *r);

/* For people: "3d 4h", "12s"; "3.4 MiB". */
void result_duration(struct buf *out, uint64_t seconds);
void result_size(struct buf *out, uint64_t bytes);

#endif
