#ifndef WORKER_SLOT_H
#define WORKER_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "ipc/mailbox.h"
#include "shm/slab.h"
#include "shm/tx.h"
#include "worker/poison.h"

/*
 * The slot segment: everything about the connections of one worker that must outlive
 * the worker. It is mapped at the same address by each occupant, so plain pointers
 * within it stay valid. It changes by transactions (shm/tx.h): SET() below.
 *
 * What can be recomputed is on the heap, in struct live (worker/worker.h).
 */
/*
 * Whoever changes a structure below, or one of those that transfer.def names, changes the
 * number, and the table when there is another field: connections go over to a program of
 * another layout by that table (worker/transfer.c). Tests build one with SLOT_LAYOUT_TEST,
 * whose structures differ.
 */
#if defined(SLOT_LAYOUT_TEST)
#define SLOT_PAD(name)    char pad_##name[40];
#define SLOT_TWO(a, b)    b a
#define SLOT_LAYOUT_PLUS  1000
#else
#define SLOT_PAD(name)
#define SLOT_TWO(a, b)    a b
#define SLOT_LAYOUT_PLUS  0
#endif

enum {
    SLOT_MAGIC = 0x736c6f74,
    SLOT_LAYOUT = 12 + SLOT_LAYOUT_PLUS,
    SLOT_CONNS_MAX = 1 << 18,
    SLOT_PAGES_MAX = 1 << 17 /* of SLAB_PAGE bytes: 8 GiB */
};

/* Bytes in the slot: a link of a queue, or a buffer. */
struct chunk {
    SLOT_TWO(struct chunk *next;, uint32_t size;) /* room in data, */
    uint32_t len; /* bytes of it that count */
    char data[];
};

struct queue {
    struct chunk *head, *tail;
    SLOT_PAD(queue)
    uint32_t off;   /* bytes of the head that are done with */
    uint32_t bytes; /* that wait in all chunks */
};

enum stream_state {
#define TO(state)                    0
#define STREAM(state, handler, next) STREAM_##state,
#include "worker/stream.def"
#undef STREAM
#undef TO
    STREAM_STATES
};

enum conn_tls {
    CONN_PLAIN,
    CONN_TLS12 = 12,
    CONN_TLS13 = 13
};

enum conn_flag {
    CONN_AUTHED = 1 << 0,    /* SASL has succeeded: jid has a local part */
    CONN_AVAILABLE = 1 << 1, /* has sent available presence */
    CONN_HEADER_SENT = 1 << 2,
    CONN_CLOSE_SENT = 1 << 3, /* our </stream:stream> is in the queue */
    CONN_BOUND = 1 << 4,      /* the router knows it */
    CONN_TLS_PENDING =
            1 << 5, /* <proceed/> is in the queue: the handshake comes next */
    CONN_WANTS_OTHERS = 1 << 8, /* has become available: gets others' presence */
    CONN_PRESENCE_NEW =
            1 << 9,           /* its presence has changed; nobody has heard of it yet */
    CONN_TLS_CLOSED = 1 << 7, /* our close_notify is in the queue */
    CONN_KTLS = 1 << 10, /* what is behind `wire` becomes records in the kernel */
    CONN_LOST = 1 << 11, /* output was dropped: to be cut */
    CONN_OWED = 1 << 12, /* an <r/> is to be answered: worker/owed.c */
    CONN_SESSION_ENDED = 1 << 6 /* its unavailable presence has been sent */
};

/* A JID that got directed presence and has to hear of the end (RFC 6121, 4.6.3). */
struct directed {
    SLOT_TWO(struct directed *next;, uint32_t n;)
    char jid[];
};

/* Bytes that modules keep with a session (session_keep), one piece each. */
enum {
    CONN_KEPT = 2
};
struct kept {
    uint32_t n;
    char bytes[];
};

/* Stream management (XEP-0198): a stanza that the client has not acknowledged yet. */
enum sm_item_shared {
    ITEM_SHARED = 1 << 0, /* STANZA_SHARED, */
    ITEM_COPIED = 1 << 1  /* STANZA_COPIED */
};
struct sm_item {
    SLOT_PAD(sm_item)
    struct sm_item *next;
    uint64_t at_us; /* wall clock */
    uint32_t n;
    uint8_t shared;  /* enum sm_item_shared: with others, looked up at at_us */
    int8_t priority; /* if so, of the session then */
    char bytes[];
};

enum {
    SM_TOKEN = 24 /* characters */
};
struct sm {
    SLOT_PAD(sm)
    uint32_t in;       /* stanzas of the client that were handled, modulo 2^32 */
    uint32_t out;      /* stanzas given to it, */
    uint32_t acked;    /* of them acknowledged, */
    uint32_t asked;    /* and `out` when we last asked for that */
    uint32_t n, bytes; /* in the queue */
    struct sm_item *first, *last;
    uint32_t max_s;       /* may wait so long for its client; 0: cannot be resumed */
    uint64_t until_us;    /* detached: until then; moved: forwards until then */
    uint64_t moved_to;    /* another connection, perhaps of another worker */
    uint64_t saved_at;    /* at a stop: its byte in the file; 0: it is not there, */
    uint32_t saved_out;   /* with everything up to here (worker/saved.h) */
    uint8_t saved;        /* was taken in from a file, which still has it */
    uint8_t restored;     /* that was so, and its client has not come back since */
    char token[SM_TOKEN]; /* what the client must know to resume it */
};

/*
 * Stanzas that are kept back for a session (worker/held.c), in the order in which they
 * will go out: key, then bytes.
 */
struct held {
    SLOT_TWO(struct held *next;, uint64_t since_us;) /* wall clock */
    uint32_t n;        /* bytes of the stanza */
    uint16_t key_n;
    char text[];
};
struct held_list {
    SLOT_TWO(struct held *first; struct held *last;, uint32_t n; uint32_t bytes;)
};

/* One client connection. */
struct conn {
    SLOT_PAD(conn)
    /* of the id; goes up with each use of the record: enum stream_state */
    SLOT_TWO(uint32_t generation;, uint8_t state;)
    uint8_t tls; /* enum conn_tls */
    uint8_t n_auth_failures;
    int8_t priority;
    uint32_t flags;              /* enum conn_flag */
    uint16_t listener;           /* index in the configuration */
    uint16_t port;               /* of the client */
    uint8_t addr[16];            /* of the client; IPv4 is v4-mapped */
    uint64_t since_us;           /* accepted, then: bound (wall clock) */
    uint64_t rx_total, tx_total; /* bytes that the kernel gave us and took from us */
    struct chunk *in;    /* bytes received; under TLS 1.3 of ours: incomplete record */
    struct chunk *plain; /* under TLS: bytes received after decryption */
    uint32_t in_done;    /* bytes of `in` that have become text */
    uint32_t text_done;  /* bytes of the text (plain or in) up to the last element's end
                          */
    /* bytes for the client, under TLS before encryption; records ready to be sent */
    SLOT_TWO(struct queue out;, struct queue wire;)
    /* the record layer, taken over from OpenSSL; channel bindings, until SASL has succeeded */
    SLOT_TWO(struct tls_state *tls_state;, struct tls_bindings *bindings;)
    char *jid;                     /* local@domain/resource, packed; lengths below */
    uint16_t local_n, domain_n, resource_n;
    uint16_t scopes_n;
    char *scopes;   /* namespaces of the stream header (xml/parser.h) */
    char *lang;     /* xml:lang of the stream header, terminated */
    char *presence; /* last broadcast presence, serialised without `to` */
    uint32_t presence_n;
    uint32_t presence_serial; /* of the last change sent to the router */
    uint32_t presence_done;   /* of the last change that the router has committed */
    uint32_t n_directed;
    struct directed *directed;
    uint16_t route_flags;   /* the client's own part of enum route_flag */
    uint16_t account_flags; /* the account's, as the router was told last */
    bool told_available;    /* what HOOK_PRESENCE was told last */
    int8_t told_priority;
    uint8_t n_early; /* requests before authentication */
    SLOT_PAD(conn_middle)
    struct sm *sm;   /* NULL: stream management is not on */
    struct kept *kept[CONN_KEPT];
    struct held_list *held; /* NULL: nothing is */
    struct held_list *late; /* stanzas that wait for older ones: worker/late.c */
    uint64_t late_us;       /* when the last of these came (wall clock) */
    uint64_t late_old;      /* the connection by way of which some may still come */
    uint16_t late_passes;   /* workers that have not yet said that none do */
    uint8_t late_why;       /* enum late_why */
    /* since when it takes the messages that it takes (available, priority, carbons), in
       force in the route table (wall clock); 0: a change is not yet in force */
    uint32_t steady_s;
};

/* A job (worker/job.h) between two of its steps. */
enum job_wait {
    JOB_WAIT_TURN,    /* for those before it with the same key */
    JOB_WAIT_SQL,     /* for the answer to request */
    JOB_WAIT_ACCOUNT, /* for the account to be loaded */
    JOB_WAIT_ROUTE,   /* for the router */
    JOB_WAIT_TIME,    /* for until_ms; then request is asked again, if there is one */
    JOB_WAIT_OUTPUT,  /* for the client to take what it was sent */
    JOB_WAIT_AUTH,    /* for the auth process's answer to request */
    JOB_WAIT_TOLD     /* for other workers; at most until until_us */
};

enum slot_job_flag {
    SLOT_JOB_RELEASED = 1 << 0, /* holds up no others with its key */
    SLOT_JOB_LOADED = 1 << 1,   /* its steps want the account */
    SLOT_JOB_CALL = 1 << 2,     /* a command: data starts with struct job_caller */
    SLOT_JOB_RENEWED = 1 << 3   /* its change was asked for under another id before */
};

struct slot_job {
    SLOT_TWO(struct slot_job *next; struct slot_job *prev;, uint64_t number; uint64_t conn;)
    uint64_t until_us; /* wall clock: a successor may come after a restart */
    uint32_t module;   /* hash of its name */
    uint16_t step;     /* that comes next */
    uint8_t wait;      /* enum job_wait */
    uint8_t flags;     /* enum slot_job_flag */
    uint16_t key_n, host_n, from_n, to_n;
    uint32_t stanza_n, data_n, request_n;
    uint32_t tries, route_serial;
    SLOT_PAD(job)
    uint32_t n_told, answers; /* workers that have not answered; what the others said */
    char *data, *request;
    struct job_live *live; /* of the occupant's heap */
    char text[];           /* key, host, from, to, stanza */
};

/*
 * Frames for other processes, kept until they have been sent: each an outbox_entry and
 * its payload, padded to 8 bytes. Two buffers, so that it can be compacted.
 */
enum {
    OUTBOX_SIZE = 32 << 20
};
struct outbox {
    uint32_t which; /* buffer in use */
    uint32_t len;
    uint64_t number; /* of the last frame */
    char data[2][OUTBOX_SIZE];
};
struct outbox_entry {
    ipc_addr to;
    uint16_t type;
    uint32_t len;
    uint64_t number;
};

struct slot {
    uint32_t magic, layout; /* these two are where they are in every layout */
    SLOT_PAD(slot)
    char instance[33];         /* of the service's start that this content belongs to */
    uint64_t started_ms;       /* when that was, on the monotonic clock */
    uint32_t conns_used;       /* records from here on were never used */
    uint64_t transaction_conn; /* whose stanza is being handled */
    struct poison poison_conn; /* in whose transaction the last occupants died */
    struct tx tx;
    SLOT_TWO(struct mailbox_inbox inbox;, uint64_t inbox_packets;) /* received so far */
    struct poison poison_frame; /* packet and frame of it at which they died */
    struct outbox outbox;
    struct slot_job *job_first, *job_last; /* in the order in which they began */
    uint64_t job_number;
    uint64_t stamp_us;    /* the last of worker_stamp_us() */
    uint8_t saved_taken;  /* all saved sessions were taken in (worker/saved_take.c) */
    uint64_t job_running; /* its number, while a step of it runs */
    struct poison poison_job;
    uint8_t page_class[SLOT_PAGES_MAX];
    struct conn conn[SLOT_CONNS_MAX];
};

/* Bytes a slot segment needs at most (sparse). */
uint64_t slot_size(void);

/* Is it a predecessor's of this layout, in this start of the service? */
bool slot_is_ours(const struct slot *slot, const char *instance);

/*
 * Takes the segment at base over. 0: it is new, or of another layout or start of the
 * service, and was emptied; 1: its connections are those of a predecessor, and what it
 * had not committed has been undone. faulted: that was by a fault of its own.
 *
 * transfer_fd (or -1): an empty one is filled from there, and is then a predecessor's;
 * -errno when that fails.
 */
int slot_open(struct slot *slot, const char *instance, bool faulted, int transfer_fd,
        struct slab **ret_slab);

#endif
