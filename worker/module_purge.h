#ifndef WORKER_MODULE_PURGE_H
#define WORKER_MODULE_PURGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/*
 * Old rows of a host that are deleted in portions, at a rate: a job that nobody waits
 * for, one per module and host. It can be asked how far it is, and ended; for a day
 * after its end it can be asked what has become of it.
 *
 * What deletes a portion is the module's: a step of it, `run`, asks purge_is_due(), and
 * the step that gets the answer of the database, `ran`, calls purge_ran().
 */
struct job;
struct sql_result;

enum {
    PURGE_SIZE_MAX = 10 * 1000 /* rows a portion: more would hold up the database */
};

/* What the job keeps: members may be added at the end. */
struct purge {
    int64_t before, size, rate; /* rows older than this; a portion; rows per minute */
    uint64_t deleted, since_us;
    uint8_t state; /* from here on it is worker/purge.c's, */
    bool over;     /* but for: */
    char kind[12]; /* the module's own */
};

/* A number above 0, at most `most`; 0: it is none. */
int64_t purge_number(struct str text, int64_t most);

/* Begins, if none is under way, and answers the command. */
void purge_begin(struct job *j, const struct purge *purge, unsigned run);

/* true: the rate allows for the next portion. Otherwise there is nothing to be done. */
bool purge_is_due(struct job *j, unsigned run, struct purge *ret);
void purge_ran(
        struct job *j, unsigned run, unsigned ran, const struct sql_result *result);

/* Steps of commands, which they answer. */
void purge_status(struct job *j, const struct sql_result *result);
void purge_abort(struct job *j, const struct sql_result *result);

#endif
