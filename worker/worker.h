#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/list.h"
#include "proc/proc.h"
#include "router/route.h"
#include "worker/module.h"
#include "worker/pressure.h"
#include "worker/slot.h"
#include "xml/parser.h"
#include "xmpp/error.h"
#include "xmpp/jid.h"

/*
 * The worker process: client connections, sessions, delivery. This header is for the
 * files of this folder; others see worker_ops only (worker/process.h).
 */

struct addresses;
struct jobs;
struct owed;
struct saved;
struct host_run;
struct sql_client;
struct tls;   /* worker/tls.h: OpenSSL's half of a connection */
struct certs; /* worker/certs.h */

enum live_flag {
    LIVE_DIRTY = 1 << 0,    /* in the list of connections to flush at the turn's end */
    LIVE_WRITABLE = 1 << 1, /* the socket took everything so far */
    LIVE_READABLE = 1 << 2, /* there may be something to read */
    LIVE_PAUSED = 1 << 3,   /* in the list of connections whose reading is delayed */
    LIVE_DEAD = 1 << 4,     /* closed; to be released at the turn's end */
    LIVE_EOF = 1 << 5,      /* the client has closed its side */
    LIVE_PINGED = 1 << 6,   /* our ping is unanswered */
    LIVE_FEEDING = 1 << 7,  /* its parser is running: do not touch it */
    LIVE_REPLACE_PARSER = 1 << 8,   /* after this element: the stream starts again */
    LIVE_SLOW = 1 << 9,             /* let more wait than it may: to be cut */
    LIVE_HUP = 1 << 10,             /* the end is behind what can be read */
    LIVE_JOB_WAITS = 1 << 11,       /* a job goes on when it has taken its output */
    LIVE_MESSAGES = 1 << 12,        /* it was given messages since the last tick, */
    LIVE_MESSAGES_BEFORE = 1 << 13, /* or the one before */
    LIVE_COUNTED = 1 << 15,         /* with its address: worker/addresses.h */
    LIVE_KTLS = 1 << 16,            /* the kernel has the keys for what we send */
    LIVE_OWED = 1 << 17             /* has a place in owed */
};

/* What can be recomputed about a connection, on the heap. */
struct live {
    int fd;
    uint32_t flags; /* enum live_flag */
    uint32_t fed;   /* bytes of the text that the parser has seen */
    uint32_t base;  /* where in the text the feed under way began */
    struct xml_parser *parser;
    struct tls *tls;
    const struct conf_host *host; /* of the configuration in force */
    struct account *account;      /* from the request to bind on; NULL: to be joined */
    uint32_t next_session;        /* of the account: index + 1; 0: end */
    uint32_t deadline_s;          /* when the state ends; 0: never */
    uint32_t
            out_deadline_s; /* when the client must have read something; 0: no output */
    uint32_t answer_s;      /* when another process must have answered; 0: none asked */
    uint32_t ack_s;         /* when the client must have acknowledged; 0: not asked */
    uint32_t last_rx_s;
    uint32_t presence_ms;  /* its presence was broadcast last (lower 32 bits of the
                              loop's clock); 0: not known */
    uint32_t available_ms; /* it became available; likewise */
    uint32_t queued;       /* stanzas that wait to be sent */
    uint32_t resume_ms;    /* paused: until then (lower 32 bits of the loop's clock) */
    uint32_t shaper_ms;    /* token bucket: when it was filled last */
    int64_t shaper_tokens;
    const struct conf_shaper *shaper;
    uint32_t next_dirty; /* index + 1; 0: end */
    ipc_addr slow_peer;  /* paused: what it causes is for this one, which is slow; */
    bool waits_for_peer; /* set when that is so */
    uint8_t caps_state;  /* enum session_caps */
    struct client_caps *caps;
};

struct tls_contexts;

struct listener {
    struct loop_io io;
    struct worker *worker;
    uint16_t index;
    bool accepting;
};

/* mod_ping of a host. */
struct ping_policy {
    bool send, kill;
    uint32_t interval_s, timeout_s;
};

enum {
    LIVE_BLOCK = 1024,
    WORKER_CLASS_CONN = 1,
    PRESENCE_PENDING_MAX = 64
};

struct worker {
    struct proc *proc;
    struct loop *loop;
    struct slot *slot;
    struct tx *tx;
    struct slab *slab;
    struct conn *conns;
    struct live *live[SLOT_CONNS_MAX / LIVE_BLOCK];
    uint32_t *free_index;
    uint32_t n_free, free_size;
    uint32_t n_conns;

    struct xml_pool *pool;
    struct tls_contexts *tls;
    struct arena scratch; /* until the end of the turn */
    struct buf frame;     /* for packing one frame */
    uint32_t outbox_compact_at, outbox_peak;
    uint32_t trim_s;       /* when to see again whether memory can be given back */
    uint64_t trimmed_at;   /* connections that had come and gone at the last trim */
    uint64_t outbox_noted; /* the transaction that has changed the outbox last */
    size_t outbox_unsent;  /* bytes of frames given to the post since its last flush */
    bool outbox_full_told;
    bool to_slow;       /* a frame was for a slow process since this was cleared, */
    ipc_addr slow_peer; /* for this one */
    uint32_t *resume;   /* connections whose wait is over: read on at the turn's end */
    size_t n_resume, resume_size;
    struct buf text, stanza_text; /* for serialising: replies; the stanza delivered */
    struct buf sent_text;         /* a message that was sent, for HOOK_USER_SENT */
    struct route_snapshot *snapshot, *module_snapshot;
    uint64_t
            n_lookups; /* of deliver_lookup(): what is in snapshot is of the last one */
    struct chunk *read_chunk, *plain_chunk; /* lent to the connection being read */
    void **garbage; /* slot memory to be freed when the transaction is committed */
    size_t n_garbage, garbage_size;

    struct pressure pressure;
    struct addresses *addresses;
    uint32_t dirty; /* index + 1 of the first connection to flush */
    uint32_t *dead;
    size_t n_dead, dead_size;
    uint32_t *paused;
    size_t n_paused, paused_size;
    struct owed *owed; /* who waits for an answer to <r/>: worker/owed.c */
    size_t n_owed, owed_size;
    struct loop_timer owed_timer;
    struct loop_timer paused_timer, tick_timer, accept_timer, stop_timer, leave_timer;
    struct loop_timer release_timer;
    uint64_t release[64]; /* connections whose sockets nobody needs: worker/keep.h */
    unsigned n_release;
    struct loop_turn turn;
    struct listener listener[PROC_LISTENERS_MAX];
    unsigned n_listeners;
    bool accept_paused, blocked, serving, stopping, finishing;
    bool leaving; /* a successor is to take over: worker/leave.h */
    uint64_t leave_until_ms, leave_look_ms;
    uint64_t keeper_question;  /* number of our KEEP_GIVE */
    uint64_t stop_close_ms;    /* when clients that have not closed are cut */
    uint64_t stop_until_ms;    /* when to stop without waiting for others, */
    uint64_t stop_jobs_ms;     /* or for jobs */
    uint64_t stop_quiet_ms;    /* not before: something may still come back */
    bool ended[IPC_SLOTS_MAX]; /* other workers whose sessions have ended, */
    unsigned n_ended;          /* so many */
    bool kept_all;             /* it has been answered: recovery ends with this turn */
    bool recovering; /* the keeper has not yet given all sockets of our predecessor */
    bool inherited;  /* there was a predecessor */
    struct map behind; /* accounts for whose homes our predecessor had stanzas, */
    uint32_t behind_s; /* until then (now_s) */
    uint32_t now_s, ticked_s; /* of this and of the last look at all connections */
    uint32_t ping_number;

    struct sql_client *sql;
    struct jobs *jobs;
    struct map accounts; /* by bare JID: worker/account.h */
    struct list removed; /* those that are not there any more, but still held */
    struct list idle; /* those that are kept though nobody holds them, oldest first */
    struct host_run *run; /* one per host of the configuration: worker/modules.h */
    size_t n_run;
    struct map services;
    struct arena run_arena;
    struct stanza fanout_stanza;
    struct buf *fanout; /* ids, one per worker */
    struct buf fanout_text;
    struct list asked; /* what clients were asked: worker/iq.c */
    size_t n_asked;
    uint64_t ask_number;
    uint32_t taking; /* index of the record that took a session in last (XEP-0198) */
    struct saved *saved;      /* worker/saved.c; NULL: nothing was */
    bool saved_failed;        /* at a stop: what waits is given back */
    struct ping_policy *ping; /* one per host of the configuration (XEP-0199) */
};

#define SET(w, lvalue, value) TX_SET((w)->tx, lvalue, value)

/* The index of a connection, and its heap part. More in worker/module_session.h. */
static inline uint32_t
conn_index(const struct worker *w, const struct conn *c)
{
    return (uint32_t)(c - w->conns);
}

static inline struct live *
live_of(const struct worker *w, const struct conn *c)
{
    uint32_t i = conn_index(w, c);

    return &w->live[i / LIVE_BLOCK][i % LIVE_BLOCK];
}

#endif
