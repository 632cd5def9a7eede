#ifndef MASTER_ROLL_H
#define MASTER_ROLL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "ipc/ipc.h"
#include "master/program.h"

struct master;

enum roll_state {
    ROLL_NONE, /* there was none yet */
    ROLL_UNDER_WAY,
    ROLL_DONE,
    ROLL_FAILED
};

enum roll_wait {
    ROLL_WAIT_CALM, /* everybody must be ready before the next one goes */
    ROLL_WAIT_ENDED,
    ROLL_WAIT_READY,
    ROLL_WAIT_PROOF, /* the first of a new program must live for a while */
    ROLL_WAIT_CHECK, /* a new program is being asked */
    ROLL_WAIT_MASTER /* our own turn: when everything has been sent */
};

/* Processes that are replaced one after the other. */
struct roll {
    enum roll_state state;
    unsigned *queue; /* places in master.child; ROLL_MASTER: the master */
    unsigned n, at;
    enum roll_wait wait;
    uint32_t starts; /* of the one whose turn it is, before */
    int32_t pid;
    uint64_t since_ms, turn_ms, ready_ms;
    struct program *target; /* an upgrade: that all are to be executed from */
    bool is_back;           /* the way back: target is the one from before */
    struct program_check check;
    struct loop_timer back_timer;
    struct buf report; /* a line for each that was replaced, roll_report() */
    struct loop_timer timer;
};

/*
 * Begins to replace the processes of a role, one of them (slot not UINT64_MAX), or
 * everybody (role PROC_ROLES) down to the master itself. 0; -EBUSY: one is under way;
 * -ENOENT: there is no such process.
 */
int roll_begin(struct master *m, unsigned role, uint64_t slot);

/*
 * The same for everybody with another program; "": what is now where ours was. 0 or
 * -EBUSY, or another -errno with a sentence in error. Goes back by itself, should one
 * not become ready.
 */
int roll_upgrade(struct master *m, const char *path, struct buf *error);

/* The service stops, or the loop ends for another reason. */
void roll_abort(struct master *m, const char *why);
void roll_fini(struct master *m);

/* At the start of a master: what the one before has left about its own. */
void roll_load(struct master *m);
void roll_on_serving(struct master *m);

const char *roll_state_name(enum roll_state state);

#endif
