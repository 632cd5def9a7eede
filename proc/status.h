#ifndef PROC_STATUS_H
#define PROC_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "ipc/ipc.h"

enum counter {
#define COUNTER(NAME, name, sentence) COUNTER_##NAME,
#include "proc/counter.def"
#undef COUNTER
    COUNTERS
};

const char *counter_name(enum counter c);
const char *counter_sentence(enum counter c);

/*
 * The status page of a process slot: a zone of its own, made by the master. The
 * occupant writes it; the master and the admin process read it. It outlives its
 * occupant, so that metrics cost no message and the dead can be asked why they died.
 */
enum {
    STATUS_MAGIC = 0x73746174,
    STATUS_EVENTS = 32,
    STATUS_EVENT_SIZE = 160,
    STATUS_FRAMES = 24,
    STATUS_JID_SIZE = 128
};

struct status_event {
    uint64_t at_us; /* wall clock; 0: never used */
    char text[STATUS_EVENT_SIZE - 8];
};

struct status_page {
    uint32_t magic;
    ipc_addr addr;
    /* Written by the master. */
    int32_t pid; /* 0: nobody there */
    uint32_t starts;
    uint64_t started_ms; /* clock_ms of this start */
    uint32_t faulted;    /* the occupant before died of a fault of its own, */
    uint32_t n_faults;   /* as so many before it did */
    /* Written by the occupant. */
    uint32_t ready;
    uint64_t counter[COUNTERS];
    /* Last words: what was going on, and how it ended. */
    uint64_t transaction;      /* number of the one running, 0: none */
    uint64_t transaction_conn; /* its connection */
    char transaction_jid[STATUS_JID_SIZE];
    int32_t signal; /* of the last death by a fatal signal that a handler saw */
    uint64_t signal_address;
    uint32_t n_frames;
    uint64_t frame[STATUS_FRAMES]; /* return addresses, relative to program_base */
    uint64_t program_base;
    uint32_t next_event;
    struct status_event event[STATUS_EVENTS];
};

/* Adds an event to the ring: a tap for log_set_tap once status_use was called. */
void status_event(enum log_level level, struct str text);

/* The page of this process; NULL: none. Fatal signals leave their last words there. */
void status_use(struct status_page *page);
void status_catch_signals(void);

/*
 * What a dead process left, as lines of text for the log: signal, address, transaction,
 * stack, events, oldest first. Empty when it left nothing.
 */
void status_last_words(const struct status_page *page, struct buf *out);

/* Makes the page fit for the next occupant; counters of totals go on. */
void status_reset(struct status_page *page);

#endif
